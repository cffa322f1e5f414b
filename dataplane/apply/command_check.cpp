#include "dataplane/apply/command_check.hpp"

#include <cstring>

namespace sluice::dataplane {

namespace {

using link::CommandKind;

constexpr std::uint16_t kMaxVlan = 4094;
constexpr std::uint16_t kMinMtu = 68;  // RFC 791
constexpr std::uint32_t kMaxHoldMs = 600'000;
constexpr std::uint32_t kMaxTraced = 10'000;
constexpr std::uint16_t kMaxMemberWeight = 1000;

// Of the body, what the kind's own struct leaves over.
bool rest_is_zero(const link::Command& command, std::size_t used) noexcept {
  static constexpr std::array<std::uint8_t, sizeof(link::Command::Body)> kZero{};
  return std::memcmp(command.body.bytes.data() + used, kZero.data(), kZero.size() - used) == 0;
}

template <class T>
bool all_zero(const T& bytes, std::size_t from) noexcept {
  for (std::size_t i = from; i < bytes.size(); ++i)
    if (bytes[i] != 0) return false;
  return true;
}

bool good(const link::RouteSet& body) noexcept {
  const auto kind = static_cast<std::uint8_t>(body.kind);
  if (kind == 0 || kind > kMaxActionKind || body.reserved != 0 || body.id.is_nil()) return false;
  return body.kind != ActionKind::kAdjacency || body.udp_port != 0;
}

bool good_addresses(const link::AdjacencySet& body) noexcept {
  if (all_zero(body.destination, 0)) return false;
  if (body.family == Family::kIpv6) return true;
  return body.family == Family::kIpv4 && all_zero(body.source, 4) && all_zero(body.destination, 4);
}

bool good(const link::AdjacencySet& body, std::uint16_t ports) noexcept {
  const auto state = static_cast<std::uint8_t>(body.state);
  if (state == 0 || state > kMaxAdjacencyState || body.reserved != 0) return false;
  if (body.port >= ports || body.vlan > kMaxVlan) return false;
  if (body.mtu != 0 && body.mtu < kMinMtu) return false;
  const bool unicast = (body.mac[0] & 1) == 0 && !all_zero(body.mac, 0);
  if (body.state == AdjacencyState::kUp && !unicast) return false;
  return good_addresses(body);
}

bool good(const link::GroupMember& body) noexcept {
  return !body.id.is_nil() && body.position < kMaxGroupMembers && body.udp_port != 0 &&
         body.weight >= 1 && body.weight <= kMaxMemberWeight;
}

bool good(const link::Settings& body) noexcept {
  return body.message_port != 0 && body.hold_ms <= kMaxHoldMs;
}

bool good_state(AdjacencyState state) noexcept {
  return state != AdjacencyState::kFree && static_cast<std::uint8_t>(state) <= kMaxAdjacencyState;
}

}  // namespace

bool well_formed(const link::Command& command, std::uint16_t ports) noexcept {
  const auto& header = command.header;
  const auto& body = command.body;
  if (header.epoch == 0 || header.reserved != 0 || header.reserved2 != 0) return false;
  switch (header.kind) {
    case CommandKind::kBeginSync:
    case CommandKind::kEndSync:
    case CommandKind::kSweep:
    case CommandKind::kTraceStop:
    case CommandKind::kCountersClear:
      return rest_is_zero(command, 0);
    case CommandKind::kHashKey:
      return rest_is_zero(command, sizeof body.hash_key);
    case CommandKind::kRouterId:
      return rest_is_zero(command, sizeof body.router_id) && !body.router_id.is_nil();
    case CommandKind::kRouteSet:
      return rest_is_zero(command, sizeof body.route_set) && good(body.route_set);
    case CommandKind::kRouteDelete:
      return rest_is_zero(command, sizeof body.route_delete) && !body.route_delete.id.is_nil();
    case CommandKind::kAdjacencySet:
      return good(body.adjacency_set, ports);
    case CommandKind::kAdjacencyState:
      return rest_is_zero(command, sizeof body.adjacency_state) &&
             good_state(body.adjacency_state.state);
    case CommandKind::kAdjacencyDelete:
      return rest_is_zero(command, sizeof body.adjacency_delete);
    case CommandKind::kGroupBegin:
      return rest_is_zero(command, sizeof body.group_begin) &&
             !body.group_begin.capability.is_nil() &&
             body.group_begin.members <= kMaxGroupMembers &&
             static_cast<std::uint8_t>(body.group_begin.policy) <= kMaxGroupPolicy;
    case CommandKind::kGroupMember:
      return rest_is_zero(command, sizeof body.group_member) && good(body.group_member);
    case CommandKind::kGroupCommit:
    case CommandKind::kGroupDelete:
      return rest_is_zero(command, sizeof body.group);
    case CommandKind::kLocalAddress:
      return rest_is_zero(command, sizeof body.local_address) && body.local_address.port < ports &&
             body.local_address.present <= 1 && !body.local_address.address.is_unspecified();
    case CommandKind::kPeerAddress:
      return rest_is_zero(command, sizeof body.peer_address) && body.peer_address.present <= 1 &&
             !body.peer_address.address.is_unspecified();
    case CommandKind::kTenantSet:
      return rest_is_zero(command, sizeof body.tenant_set) && body.tenant_set.reserved == 0 &&
             (body.tenant_set.rate_per_second == 0 || body.tenant_set.burst != 0);
    case CommandKind::kTenantAllow:
      return rest_is_zero(command, sizeof body.tenant_allow) && body.tenant_allow.present <= 1;
    case CommandKind::kTenantDelete:
      return rest_is_zero(command, sizeof body.tenant);
    case CommandKind::kPortSettings:
      return rest_is_zero(command, sizeof body.port_settings) && body.port_settings.port < ports &&
             body.port_settings.source_guard <= 1;
    case CommandKind::kSettings:
      return rest_is_zero(command, sizeof body.settings) && good(body.settings);
    case CommandKind::kTraceStart:
      return rest_is_zero(command, sizeof body.trace_start) && body.trace_start.count >= 1 &&
             body.trace_start.count <= kMaxTraced;
    case CommandKind::kBaseBegin:
      return rest_is_zero(command, sizeof body.base_begin) &&
             !all_zero(body.base_begin.segment, 0) && body.base_begin.number != 0 &&
             body.base_begin.dictionary <= kMaxAdjacencies;
    case CommandKind::kBaseAdjacency:
      return rest_is_zero(command, sizeof body.base_adjacency) &&
             body.base_adjacency.position < kMaxAdjacencies;
    case CommandKind::kBaseCommit:
      return rest_is_zero(command, sizeof body.base) && !all_zero(body.base.segment, 0);
    case CommandKind::kBaseDrop:
      return rest_is_zero(command, 0);
  }
  return false;
}

}  // namespace sluice::dataplane
