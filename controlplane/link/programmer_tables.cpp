// Adjacencies, groups and routes of the programmer: what others refer to by handle is counted, so
// that it goes away only after the last of those.
#include <algorithm>
#include <string>

#include "controlplane/link/programmer_state.hpp"

namespace sluice::controlplane {

Result<std::uint32_t> Programmer::set_adjacency(const AdjacencyKey& key,
                                                const AdjacencyValue& value) {
  auto& table = state_->adjacencies;
  if (key.port >= kMaxPorts || key.vlan > 4094 || key.destination.is_unspecified())
    return fail(ErrorCode::kInvalidArgument, "adjacency: port, VLAN or address out of range");
  if (value.source.family() != key.destination.family())
    return fail(ErrorCode::kInvalidArgument, "adjacency: addresses of two families");
  if (value.state == AdjacencyState::kFree)
    return fail(ErrorCode::kInvalidArgument, "adjacency: no state");
  std::uint32_t handle = table.find(key);
  if (value.backup != kNoIndex && (!table.valid(value.backup) || value.backup == handle))
    return fail(ErrorCode::kInvalidArgument, "adjacency: unknown backup");
  const bool fresh = handle == kNoIndex;
  if (fresh) handle = table.add(key, kMaxAdjacencies);
  if (handle == kNoIndex) return fail(ErrorCode::kExhausted, "all adjacencies are in use");
  auto& slot = table.slots[handle];
  if (!fresh && !slot.doomed && slot.value == value) return handle;
  AdjacencyValue state_only = slot.value;
  state_only.state = value.state;
  const bool content = fresh || slot.doomed || !(state_only == value);
  slot.doomed = false;
  const std::uint32_t old_backup = slot.value.backup;
  slot.value = value;
  if (value.backup != kNoIndex) state_->reference(ActionKind::kAdjacency, value.backup);
  if (old_backup != kNoIndex) state_->release(ActionKind::kAdjacency, old_backup);
  state_->queue_adjacency(handle, content);
  return handle;
}

void Programmer::set_adjacency_state(std::uint32_t handle, AdjacencyState state) {
  auto& table = state_->adjacencies;
  if (!table.valid(handle) || table.slots[handle].value.state == state) return;
  table.slots[handle].value.state = state;
  state_->queue_adjacency(handle, false);
}

void Programmer::delete_adjacency(const AdjacencyKey& key) {
  const std::uint32_t handle = state_->adjacencies.find(key);
  if (!state_->adjacencies.valid(handle)) return;
  auto& slot = state_->adjacencies.slots[handle];
  const std::uint32_t backup = slot.value.backup;
  slot.doomed = true;
  slot.value.state = AdjacencyState::kDown;
  slot.value.backup = kNoIndex;  // two that back each other must not keep each other
  state_->queue_adjacency(handle, backup != kNoIndex);
  const bool unreferenced = slot.references == 0;
  if (backup != kNoIndex) state_->release(ActionKind::kAdjacency, backup);
  if (unreferenced) state_->adjacency_unreferenced(handle);
}

std::optional<std::uint32_t> Programmer::find_adjacency(const AdjacencyKey& key) const {
  const std::uint32_t handle = state_->adjacencies.find(key);
  if (!state_->adjacencies.valid(handle)) return std::nullopt;
  return handle;
}

std::uint32_t Programmer::adjacency_count() const {
  return static_cast<std::uint32_t>(state_->adjacencies.by_key.size());
}

Result<std::uint32_t> Programmer::set_group(const Id& capability, GroupPolicy policy,
                                            std::span<const GroupMemberSpec> members) {
  auto& table = state_->groups;
  if (members.size() > kMaxGroupMembers)
    return fail(ErrorCode::kInvalidArgument,
                "a group has at most " + std::to_string(kMaxGroupMembers) + " members");
  for (const auto& member : members) {
    if (!state_->adjacencies.valid(member.adjacency))
      return fail(ErrorCode::kInvalidArgument, "group: member with an unknown adjacency");
    if (member.udp_port == 0 || member.weight == 0 || member.weight > 1000)
      return fail(ErrorCode::kInvalidArgument,
                  "group: UDP port or weight of a member out of range");
  }
  std::uint32_t handle = table.find(capability);
  const bool fresh = handle == kNoIndex;
  if (fresh) handle = table.add(capability, kMaxGroups);
  if (handle == kNoIndex) return fail(ErrorCode::kExhausted, "all groups are in use");
  auto& slot = table.slots[handle];
  if (!fresh && !slot.doomed && slot.policy == policy && std::ranges::equal(slot.members, members))
    return handle;
  slot.doomed = false;
  slot.policy = policy;
  std::vector<GroupMemberSpec> old(members.begin(), members.end());
  old.swap(slot.members);
  for (const auto& member : slot.members)
    state_->reference(ActionKind::kAdjacency, member.adjacency);
  for (const auto& member : old)
    state_->release(ActionKind::kAdjacency, member.adjacency);
  state_->queue_group(handle);
  return handle;
}

void Programmer::delete_group(const Id& capability) {
  const std::uint32_t handle = state_->groups.find(capability);
  if (!state_->groups.valid(handle)) return;
  auto& slot = state_->groups.slots[handle];
  slot.doomed = true;
  const std::vector<GroupMemberSpec> old = std::move(slot.members);
  slot.members.clear();
  state_->queue_group(handle);
  const bool unreferenced = slot.references == 0;
  for (const auto& member : old)
    state_->release(ActionKind::kAdjacency, member.adjacency);
  if (unreferenced) state_->group_unreferenced(handle);
}

std::optional<std::uint32_t> Programmer::find_group(const Id& capability) const {
  const std::uint32_t handle = state_->groups.find(capability);
  if (!state_->groups.valid(handle)) return std::nullopt;
  return handle;
}

Status Programmer::set_route(const Id& id, const RouteSpec& spec) {
  const bool adjacency = spec.kind == ActionKind::kAdjacency;
  const bool group = spec.kind == ActionKind::kGroup;
  if (id.is_nil()) return fail(ErrorCode::kInvalidArgument, "route: the nil id");
  if (spec.kind == ActionKind::kNone || static_cast<std::uint8_t>(spec.kind) > kMaxActionKind)
    return fail(ErrorCode::kInvalidArgument, "route: unknown kind");
  if (adjacency && (!state_->adjacencies.valid(spec.handle) || spec.udp_port == 0))
    return fail(ErrorCode::kInvalidArgument, "route: unknown adjacency or no UDP port");
  if (group && !state_->groups.valid(spec.handle))
    return fail(ErrorCode::kInvalidArgument, "route: unknown group");
  auto& routes = state_->routes;
  std::uint32_t slot = routes.find(id);
  const bool fresh = slot == RouteStore::kNone;
  if (fresh) {
    slot = routes.insert(id);
    state_->mark_if_in_base(slot);
  }
  RouteEntry& entry = routes.at(slot);
  const bool deleted = (entry.flags & route_flag::kDeleted) != 0;
  const std::uint32_t handle = adjacency || group ? spec.handle : kNoIndex;
  if (!fresh && !deleted && entry.kind == spec.kind && entry.handle == handle &&
      entry.udp_port == spec.udp_port && entry.tenant == spec.tenant)
    return {};
  state_->reference(spec.kind, handle);
  state_->differs(slot);
  if (fresh || deleted) {
    ++state_->live_routes;
    if (deleted && state_->retained(slot)) --state_->tombstones;
  } else {
    if (State::fits_base(entry.kind)) --state_->base_routes;
    state_->release(entry.kind, entry.handle);
  }
  if (State::fits_base(spec.kind)) ++state_->base_routes;
  entry.kind = spec.kind;
  entry.handle = handle;
  entry.udp_port = spec.udp_port;
  entry.tenant = spec.tenant;
  entry.flags &= static_cast<std::uint8_t>(~route_flag::kDeleted);
  state_->queue_route(slot);
  return {};
}

void Programmer::delete_route(const Id& id) {
  const std::uint32_t slot = state_->routes.find(id);
  if (slot == RouteStore::kNone) return state_->delete_unknown(id);
  if ((state_->routes.at(slot).flags & route_flag::kDeleted) != 0) return;
  state_->forget_route(slot);
}

std::optional<RouteSpec> Programmer::find_route(const Id& id) const {
  const std::uint32_t slot = state_->routes.find(id);
  if (slot == RouteStore::kNone) return std::nullopt;
  const RouteEntry& entry = state_->routes.at(slot);
  if ((entry.flags & route_flag::kDeleted) != 0) return std::nullopt;
  return RouteSpec{entry.kind, entry.handle, entry.udp_port, entry.tenant};
}

std::size_t Programmer::route_count() const {
  return state_->live_routes;
}

std::size_t Programmer::route_memory_bytes() const {
  return state_->routes.memory_bytes() + state_->tombstone_slots.capacity() * sizeof(std::uint32_t);
}

}  // namespace sluice::controlplane
