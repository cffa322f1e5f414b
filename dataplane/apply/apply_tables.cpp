// Routes, adjacencies and groups: handles become slots, contents are checked against the tables.
#include "dataplane/apply/applier_state.hpp"
#include "dataplane/table/group.hpp"

namespace sluice::dataplane {

using link::RefusedReason;

namespace {

void remember(std::vector<std::uint32_t>& slots, std::uint32_t handle, std::uint32_t slot) {
  if (handle >= slots.size()) slots.resize(handle + std::size_t{1}, kNoIndex);
  slots[handle] = slot;
}

void write_l2(Adjacency& line, const link::AdjacencySet& body, const PortFacts& port) {
  EthernetHeader ethernet{};
  ethernet.destination = body.mac;
  ethernet.source = port.mac;
  const Big16 ip_type(body.family == Family::kIpv4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
  ethernet.type = body.vlan == 0 ? ip_type : Big16(kEtherTypeVlan);
  store(line.l2.data(), ethernet);
  line.l2_bytes = sizeof ethernet;
  if (body.vlan == 0) return;
  const VlanHeader vlan{.control = Big16(body.vlan), .type = ip_type};
  store(line.l2.data() + sizeof ethernet, vlan);
  line.l2_bytes += sizeof vlan;
}

}  // namespace

std::uint32_t Applier::State::adjacency_slot(std::uint32_t handle) const {
  if (handle >= adjacency_slots.size()) return kNoIndex;
  const std::uint32_t slot = adjacency_slots[handle];
  return slot != kNoIndex && tables.adjacencies.in_use(slot) ? slot : kNoIndex;
}

std::uint32_t Applier::State::group_slot(std::uint32_t handle) const {
  if (handle >= group_slots.size()) return kNoIndex;
  const std::uint32_t slot = group_slots[handle];
  return slot != kNoIndex && tables.groups.in_use(slot) ? slot : kNoIndex;
}

Applier::State::Refusal Applier::State::add_route(const link::RouteSet& body) {
  if (tables.route_table() == nullptr) return RefusedReason::kNoHashKey;
  std::uint32_t index = 0;
  if (body.kind == ActionKind::kAdjacency) index = adjacency_slot(body.handle);
  if (body.kind == ActionKind::kGroup) index = group_slot(body.handle);
  if (index == kNoIndex) return RefusedReason::kBadHandle;
  const unsigned at = pending.n++;
  pending.ids[at] = body.id;
  pending.actions[at] = Action(body.kind, index, body.udp_port, body.tenant, epoch);
  pending.sequences[at] = sequence;
  if (pending.n == RouteTable::kMaxBurst) flush_routes();
  return {};
}

void Applier::State::flush_routes() {
  if (pending.n == 0) return;
  std::array<RouteChange, RouteTable::kMaxBurst> changes;
  tables.set_routes(pending.ids.data(), pending.actions.data(), pending.n, changes.data());
  for (unsigned i = 0; i < pending.n; ++i) {
    if (changes[i].outcome == RouteOutcome::kFull) {
      refuse(pending.sequences[i], link::CommandKind::kRouteSet, RefusedReason::kTableFull,
             kNoIndex, pending.ids[i]);
    } else {
      observer.route_appeared(pending.ids[i]);
    }
  }
  pending.n = 0;
}

Applier::State::Refusal Applier::State::delete_route(const link::RouteDelete& body) {
  if (tables.route_table() == nullptr) return RefusedReason::kNoHashKey;
  // Without room for the deletion mark the base's route stays in force.
  if (tables.erase_route(body.id, epoch) == RouteOutcome::kFull) return RefusedReason::kTableFull;
  return {};
}

Applier::State::Refusal Applier::State::set_adjacency(const link::AdjacencySet& body) {
  if (body.handle >= kMaxAdjacencies) return RefusedReason::kBadHandle;
  std::uint32_t backup = kNoIndex;
  if (body.backup != kNoIndex) {
    backup = adjacency_slot(body.backup);
    if (backup == kNoIndex || body.backup == body.handle) return RefusedReason::kBadHandle;
  }
  const AdjacencyKey key{
      .port = body.port, .vlan = body.vlan, .family = body.family, .destination = body.destination};
  const auto slot = tables.adjacencies.find_or_allocate(key);
  if (!slot) return RefusedReason::kTableFull;
  const PortFacts& port = ports.port[body.port];
  Adjacency line{};
  write_l2(line, body, port);
  line.state = body.state;
  line.family = body.family;
  line.epoch = epoch;
  line.port = body.port;
  line.source = body.source;
  line.destination = body.destination;
  line.backup = backup == *slot ? kNoIndex : backup;
  line.mtu = body.mtu == 0 ? port.mtu : std::min(body.mtu, port.mtu);
  line.address_sum = checksum_fold(checksum_add(body.source.data(), body.source.size()) +
                                   checksum_add(body.destination.data(), body.destination.size()));
  const bool was_unresolved =
      AdjacencyTable::state(tables.adjacencies.at(*slot)) == AdjacencyState::kUnresolved;
  tables.adjacencies.set(*slot, line);
  remember(adjacency_slots, body.handle, *slot);
  if (was_unresolved && body.state != AdjacencyState::kUnresolved) adjacencies_dirty = true;
  return {};
}

Applier::State::Refusal Applier::State::set_adjacency_state(const link::AdjacencyStateSet& body) {
  const std::uint32_t slot = adjacency_slot(body.handle);
  if (slot == kNoIndex) return RefusedReason::kBadHandle;
  tables.adjacencies.set_state(slot, body.state);
  if (body.state != AdjacencyState::kUnresolved) adjacencies_dirty = true;
  return {};
}

Applier::State::Refusal Applier::State::delete_adjacency(std::uint32_t handle) {
  const std::uint32_t slot = adjacency_slot(handle);
  if (slot == kNoIndex) return RefusedReason::kBadHandle;
  tables.adjacencies.erase(slot);
  adjacency_slots[handle] = kNoIndex;
  return {};
}

Applier::State::Refusal Applier::State::begin_group(const link::GroupBegin& body) {
  draft = {};
  if (body.handle >= kMaxGroups) return RefusedReason::kBadHandle;
  draft.open = true;
  draft.handle = body.handle;
  draft.capability = body.capability;
  draft.policy = body.policy;
  draft.expected = body.members;
  return {};
}

Applier::State::Refusal Applier::State::add_member(const link::GroupMember& body) {
  if (!draft.open || body.group != draft.handle) return RefusedReason::kBadHandle;
  if (body.position != draft.members.size() || body.position >= draft.expected)
    return RefusedReason::kBadField;
  const std::uint32_t slot = adjacency_slot(body.adjacency);
  if (slot == kNoIndex) return RefusedReason::kBadHandle;
  draft.members.push_back({.id = body.id,
                           .adjacency = slot,
                           .udp_port = body.udp_port,
                           .tenant = body.tenant,
                           .weight = body.weight});
  return {};
}

Applier::State::Refusal Applier::State::commit_group(std::uint32_t handle) {
  const GroupDraft group = std::exchange(draft, {});
  if (!group.open || group.handle != handle) return RefusedReason::kBadHandle;
  if (group.members.size() != group.expected) return RefusedReason::kBadField;
  for (const GroupMember& member : group.members) {
    // Deleted since it was named.
    if (!tables.adjacencies.in_use(member.adjacency)) return RefusedReason::kBadHandle;
  }
  const auto slot = tables.groups.find_or_allocate(group.capability);
  if (!slot) return RefusedReason::kTableFull;
  tables.groups.publish(
      *slot, std::make_unique<const Group>(group.capability, group.policy, group.members), epoch);
  remember(group_slots, handle, *slot);
  adjacencies_dirty = true;  // held messages for its members can go
  return {};
}

Applier::State::Refusal Applier::State::delete_group(std::uint32_t handle) {
  const std::uint32_t slot = group_slot(handle);
  if (slot == kNoIndex) return RefusedReason::kBadHandle;
  tables.groups.erase(slot);
  group_slots[handle] = kNoIndex;
  return {};
}

Applier::State::Refusal Applier::State::add_to_base(const link::BaseAdjacency& body) {
  return base.add(body, body.handle == kNoIndex ? kNoIndex : adjacency_slot(body.handle));
}

Applier::State::Refusal Applier::State::commit_base(const link::BaseRef& body) {
  // A dataplane that was never ready must not go by a base alone: what was deleted since it was
  // built may still be on its way.
  if (!ended && !tables.forwarding.load(std::memory_order_relaxed)->ready) tables.withhold_routes();
  const Refusal refusal = base.commit(body, epoch);
  if (!refusal) observer.base_changed();
  return refusal;
}

}  // namespace sluice::dataplane
