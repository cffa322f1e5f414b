// Who may send what to whom: source guard on edge ports, known peers on trunk ports, tenants and
// their rates. Small inline questions; the stages decide what follows. Worker only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

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

// The word of an adjacency that has its state, with what is read together with it.
struct AdjacencyFacts {
  // Offsets in the line, and the shifts of the fields within the word.
  static constexpr std::size_t kAt = 16;
  static constexpr unsigned kL2Bytes = 8 * (offsetof(Adjacency, l2_bytes) - kAt);
  static constexpr unsigned kState = 8 * (offsetof(Adjacency, state) - kAt);
  static constexpr unsigned kFamily = 8 * (offsetof(Adjacency, family) - kAt);
  static constexpr unsigned kPort = 8 * (offsetof(Adjacency, port) - kAt);
  static_assert(offsetof(Adjacency, port) == kAt + 6);

  std::uint64_t word;

  // Acquire, as AdjacencyTable::state(): an aligned word, so it is read whole.
  static AdjacencyFacts of(const Adjacency& line) noexcept {
    const auto* at = reinterpret_cast<const std::uint64_t*>(line.l2.data() + kAt);
    return {__atomic_load_n(at, __ATOMIC_ACQUIRE)};
  }
  static constexpr std::uint64_t pack(std::uint8_t l2_bytes, AdjacencyState state, Family family,
                                      std::uint16_t port) noexcept {
    return std::uint64_t{l2_bytes} << kL2Bytes |
           std::uint64_t{std::to_underlying(state)} << kState |
           std::uint64_t{std::to_underlying(family)} << kFamily | std::uint64_t{port} << kPort;
  }
  static constexpr std::uint64_t kL2BytesMask = std::uint64_t{0xff} << kL2Bytes;
  static constexpr std::uint64_t kStateMask = std::uint64_t{0xff} << kState;
  static constexpr std::uint64_t kFamilyMask = std::uint64_t{0xff} << kFamily;
  static constexpr std::uint64_t kPortMask = std::uint64_t{0xffff} << kPort;

  std::uint16_t port() const noexcept { return static_cast<std::uint16_t>(word >> kPort); }
  // Up, untagged, IPv4.
  bool plain_and_up() const noexcept {
    constexpr std::uint64_t kMask = kL2BytesMask | kStateMask | kFamilyMask;
    return (word & kMask) == pack(sizeof(EthernetHeader), AdjacencyState::kUp, Family::kIpv4, 0);
  }
  // In use, IPv4, on that port; whether tagged and in which state does not matter.
  bool ipv4_on(std::uint16_t ingress) const noexcept {
    constexpr std::uint64_t kMask = kFamilyMask | kPortMask;
    const bool same = (word & kMask) == pack(0, AdjacencyState::kFree, Family::kIpv4, ingress);
    return same & ((word & kStateMask) != 0);
  }
};

// source_matches() for an untagged IPv4 frame, straight from its bytes.
inline bool source_matches_plain(const AdjacencyTable& adjacencies, Action route,
                                 std::uint16_t ingress, const std::uint8_t* frame,
                                 std::uint16_t tenant) noexcept {
  const Adjacency& from = adjacencies.at(route.index());
  const auto udp_port = static_cast<std::uint16_t>(load<Big32>(frame + plain::kUdp).get() >> 16);
  const Action wanted(ActionKind::kAdjacency, 0, udp_port, tenant, 0);
  constexpr std::uint64_t kMask = 0x00ffffffff00000f;  // all but index and epoch
  const std::uint32_t address = load<std::uint32_t>(frame + plain::kSource);
  return ((route.bits() & kMask) == wanted.bits()) &
         (load<std::uint32_t>(from.destination.data()) == address) &
         AdjacencyFacts::of(from).ipv4_on(ingress);
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
