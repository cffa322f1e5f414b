// What the host module needs of the kernel, and what the kernel tells: the seam between netlink and
// the logic, so that the logic is tested without either. Control thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/host/next_hop.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::controlplane {

struct LinkFact {
  std::uint32_t ifindex = 0;
  std::string name;
  bool up = false;  // administratively
};

struct AddressFact {
  std::uint32_t ifindex = 0;
  InterfaceAddress address;
};

// States of a neighbour as the kernel has them (NUD_* of linux/neighbour.h).
enum class NeighborState : std::uint16_t {
  kNone = 0x00,
  kIncomplete = 0x01,
  kReachable = 0x02,
  kStale = 0x04,
  kDelay = 0x08,
  kProbe = 0x10,
  kFailed = 0x20,
  kNoArp = 0x40,
  kPermanent = 0x80,
};

struct NeighborFact {
  std::uint32_t ifindex = 0;
  IpAddress address;
  NeighborState state = NeighborState::kNone;
  std::optional<MacAddress> mac;
};

struct RouteFact {
  std::uint32_t ifindex = 0;  // 0: there is no route
  bool unicast = false;       // else local, broadcast, unreachable, ...
  std::optional<IpAddress> gateway;
  std::optional<IpAddress> source;
};

enum class Dump : std::uint8_t { kLinks, kAddresses, kNeighbors };

class KernelListener {
 public:
  virtual ~KernelListener() = default;
  virtual void link_seen(const LinkFact& link) = 0;
  virtual void link_gone(std::uint32_t ifindex) = 0;
  virtual void address_seen(const AddressFact& address) = 0;
  virtual void address_gone(const AddressFact& address) = 0;
  virtual void neighbor_seen(const NeighborFact& neighbor) = 0;
  virtual void neighbor_gone(const NeighborFact& neighbor) = 0;
  virtual void routes_changed() = 0;
  virtual void route_found(const IpAddress& destination, const RouteFact& route) = 0;
  // Everything between these two is all there is of that kind.
  virtual void dump_begins(Dump what) = 0;
  virtual void dump_ends(Dump what) = 0;
  // Something asked for was refused; for people.
  virtual void request_failed(const std::string& what, int error) = 0;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void find_route(const IpAddress& destination) = 0;
  // To find out or confirm the link address of a neighbour, as if something was sent to it.
  virtual void ask_neighbor(std::uint32_t ifindex, const IpAddress& address) = 0;
  virtual void set_up(std::uint32_t ifindex) = 0;
  virtual void add_address(std::uint32_t ifindex, const InterfaceAddress& address) = 0;
  virtual void remove_address(std::uint32_t ifindex, const InterfaceAddress& address) = 0;
};

}  // namespace sluice::controlplane
