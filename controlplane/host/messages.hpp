// rtnetlink messages as values: made and taken apart with libmnl, every length checked. Any thread;
// no state.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "controlplane/host/kernel.hpp"

namespace sluice::controlplane::netlink {

// Each appends one request with the given sequence number.
using Buffer = std::vector<std::uint8_t>;
void put_dump(Buffer& to, std::uint32_t sequence, Dump what);
void put_find_route(Buffer& to, std::uint32_t sequence, const IpAddress& destination);
void put_ask_neighbor(Buffer& to, std::uint32_t sequence, std::uint32_t ifindex,
                      const IpAddress& address);
void put_set_up(Buffer& to, std::uint32_t sequence, std::uint32_t ifindex);
void put_address(Buffer& to, std::uint32_t sequence, std::uint32_t ifindex,
                 const InterfaceAddress& address, bool add);

struct LinkGone {
  std::uint32_t ifindex;
};
struct AddressGone {
  AddressFact address;
};
struct NeighborGone {
  NeighborFact neighbor;
};
struct RouteGone {};

// monostate: nothing of interest, or not to be understood.
using Parsed = std::variant<std::monostate, LinkFact, LinkGone, AddressFact, AddressGone,
                            NeighborFact, NeighborGone, RouteFact, RouteGone>;
Parsed parse(const nlmsghdr& message);

}  // namespace sluice::controlplane::netlink
