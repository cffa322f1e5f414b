// What the kernel knows about the way to an address: which port of the router, which neighbour, and
// its link address. Plain values and the two interfaces by which they are asked for and told.
// Control thread only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/wire/inet.hpp"

namespace sluice::controlplane {

struct NextHop {
  enum class State : std::uint8_t {
    kUnknown,    // the kernel was asked and has not answered yet
    kNoRoute,    // no way there over a port of the router
    kResolving,  // the neighbour is known, its link address is not (yet)
    kUp,
    kFailed,  // the neighbour does not answer
  };

  State state = State::kUnknown;
  std::uint16_t port = 0;  // from here on: valid in the last three states
  MacAddress mac{};        // state kUp
  IpAddress via;           // the neighbour: the destination itself or a gateway
  IpAddress source;        // the router's address towards it

  friend bool operator==(const NextHop&, const NextHop&) = default;
};

constexpr std::string_view to_string(NextHop::State state) noexcept {
  constexpr std::string_view kNames[] = {"unknown", "no-route", "resolving", "up", "failed"};
  return kNames[static_cast<std::size_t>(state)];
}

// An address of a host interface.
struct InterfaceAddress {
  IpAddress address;
  std::uint8_t prefix_length = 0;  // within its family

  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
  friend auto operator<=>(const InterfaceAddress&, const InterfaceAddress&) = default;
};

// Who wants to know the way to addresses.
class NextHopListener {
 public:
  virtual ~NextHopListener() = default;
  virtual void next_hop_changed(const IpAddress& destination, const NextHop& next_hop) = 0;
  // All addresses of a port's host interface.
  virtual void addresses_changed(std::uint16_t port,
                                 std::span<const InterfaceAddress> addresses) = 0;
};

// Who finds it out. Answers come to the listener, never from within these calls.
class NextHops {
 public:
  virtual ~NextHops() = default;
  virtual void watch(const IpAddress& destination) = 0;  // once per destination
  virtual void unwatch(const IpAddress& destination) = 0;
};

}  // namespace sluice::controlplane
