// Who may send what to whom: source guard on edge ports, known peers on trunk ports, tenants and
// their rates. Small inline questions; the stages decide what follows. Worker only.
#pragma once

#include "dataplane/pipeline/lane.hpp"
#include "dataplane/pipeline/rewrite_plain.hpp"

namespace sluice::dataplane {

// The source id's route leads to where the message came from: this port, that address and UDP port,
// the same tenant. The state of the adjacency does not matter: it tells whether we can send there.
inline bool source_matches(const Tables& tables, Action route, const Burst& burst,
                           const IpAddress& address, std::uint16_t udp_port,
                           std::uint16_t tenant) noexcept {
  if (route.kind() != ActionKind::kAdjacency || route.udp_port() != udp_port ||
      route.tenant() != tenant) {
    return false;
  }
  const Adjacency& from = tables.adjacencies.at(route.index());
  if (AdjacencyTable::state(from) == AdjacencyState::kFree || from.port != burst.ingress) {
    return false;
  }
  return from.family == Family::kIpv4
             ? address == IpAddress::v4(load<Big32>(from.destination.data()))
             : address == IpAddress::v6(from.destination);
}

// The same for an untagged IPv4 frame, straight from its bytes; & instead of && on purpose: all of
// it is in cache, and it is almost always true.
inline bool source_matches_plain(const Tables& tables, Action route, std::uint16_t ingress,
                                 const std::uint8_t* frame, std::uint16_t tenant) noexcept {
  const Adjacency& from = tables.adjacencies.at(route.index());
  const bool route_fits = (route.kind() == ActionKind::kAdjacency) & (route.tenant() == tenant) &
                          (route.udp_port() == load<Big16>(frame + plain::kUdp).get());
  const bool from_fits =
      (AdjacencyTable::state(from) != AdjacencyState::kFree) & (from.port == ingress) &
      (from.family == Family::kIpv4) &
      (load<std::uint32_t>(from.destination.data()) == load<std::uint32_t>(frame + plain::kSource));
  return route_fits & from_fits;
}

inline bool tenant_may_address(const Burst& burst, std::uint16_t tenant,
                               std::uint16_t destination) noexcept {
  return burst.state->tenants->allowed(tenant, destination);
}

// Takes one message out of the tenant's allowance. Tenants without a rate, or that the control
// plane never described, have no limit.
inline bool within_rate(Lane& lane, const Burst& burst, std::uint16_t tenant) noexcept {
  const Tenants& tenants = *burst.state->tenants;
  const std::uint16_t index = tenants.index_of(tenant);
  if (index == Tenants::kNoTenant) return true;
  const TenantLimit& limit = tenants.limit(index);
  if (limit.rate_per_second == 0) return true;
  Meter& meter = lane.tenants[index];
  if (meter.limit() != limit) [[unlikely]]
    meter.configure(limit, lane.config.workers, burst.now_tsc);
  return meter.take(burst.now_tsc);
}

}  // namespace sluice::dataplane
