// The 8-byte action that a route holds: what to do with a message for this id. Packed, so that it
// is the inline value of the route table and is replaced with one store. A plain value; any thread.
#pragma once

#include <cstdint>

#include "sluice/route/limits.hpp"

namespace sluice {

enum class ActionKind : std::uint8_t {
  kNone = 0,         // no route; never stored
  kUnreachable = 1,  // known, but nowhere to send it
  kAdjacency = 2,    // index: adjacency; udp_port: where the agent listens on that host
  kGroup = 3,        // index: group (a capability)
  kLocal = 4,        // this router itself
  kDeleted = 5,      // in the delta only: no route, whatever the base says; look-ups give kNone
};
inline constexpr std::uint8_t kMaxActionKind = 4;  // that a command may carry

// bits: kind 0-3, index 4-23, udp port 24-39, tenant 40-55, epoch 56-63
class Action {
 public:
  constexpr Action() = default;
  constexpr Action(ActionKind kind, std::uint32_t index, std::uint16_t udp_port,
                   std::uint16_t tenant, std::uint8_t epoch) noexcept
      : bits_(static_cast<std::uint64_t>(kind) | static_cast<std::uint64_t>(index & 0xfffff) << 4 |
              static_cast<std::uint64_t>(udp_port) << 24 |
              static_cast<std::uint64_t>(tenant) << 40 | static_cast<std::uint64_t>(epoch) << 56) {}
  static constexpr Action from_bits(std::uint64_t bits) noexcept {
    Action action;
    action.bits_ = bits;
    return action;
  }

  constexpr std::uint64_t bits() const noexcept { return bits_; }
  constexpr ActionKind kind() const noexcept { return static_cast<ActionKind>(bits_ & 15); }
  constexpr std::uint32_t index() const noexcept {
    return static_cast<std::uint32_t>(bits_ >> 4) & 0xfffff;
  }
  constexpr std::uint16_t udp_port() const noexcept {
    return static_cast<std::uint16_t>(bits_ >> 24);
  }
  constexpr std::uint16_t tenant() const noexcept {
    return static_cast<std::uint16_t>(bits_ >> 40);
  }
  constexpr std::uint8_t epoch() const noexcept { return static_cast<std::uint8_t>(bits_ >> 56); }

  friend constexpr bool operator==(const Action&, const Action&) = default;

 private:
  std::uint64_t bits_ = 0;
};
static_assert(sizeof(Action) == 8 && kMaxAdjacencies == 1u << 20);

}  // namespace sluice
