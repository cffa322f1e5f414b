// The groups of Forwarding: which agents of a capability the dataplane chooses from.

#include <algorithm>

#include "controlplane/registry/forwarding.hpp"

namespace sluice::controlplane {

void Forwarding::member_added(std::uint32_t capability, std::uint32_t) {
  const auto [at, fresh] = groups_.try_emplace(capability);
  if (fresh || at->second.chosen.size() < kMaxGroupMembers) touch(capability);
}

void Forwarding::member_removed(std::uint32_t capability, std::uint32_t slot) {
  if (registry_.capabilities().at(capability).agents == 0) {
    drop_group(capability);
    return;
  }
  // At once out of the choice: the slot may belong to somebody else when the group is made anew.
  if (std::erase(groups_[capability].chosen, slot) > 0) touch(capability);
}

std::span<const std::uint32_t> Forwarding::group_members(std::uint32_t capability) const {
  const auto at = groups_.find(capability);
  if (at == groups_.end()) return {};
  return at->second.chosen;
}

// The agent in `slot` became available, or not, or is reached in another way.
void Forwarding::touch_groups_of(std::uint32_t slot) {
  const Agent& agent = registry_.at(slot);
  for (const auto capability : registry_.capabilities().set(agent.capabilities)) {
    const auto at = groups_.find(capability);
    if (at == groups_.end()) continue;
    const auto& chosen = at->second.chosen;
    // A full group only cares about those in it.
    if (chosen.size() < kMaxGroupMembers || std::ranges::find(chosen, slot) != chosen.end()) {
      touch(capability);
    }
  }
}

void Forwarding::touch(std::uint32_t capability) {
  Group& group = groups_[capability];
  if (group.dirty) return;
  group.dirty = true;
  dirty_.push_back(capability);
  if (dirty_.size() == 1 && request_flush_) request_flush_();
}

void Forwarding::flush() {
  const auto dirty = std::exchange(dirty_, {});
  for (const auto capability : dirty) {
    const auto at = groups_.find(capability);
    if (at == groups_.end() || !at->second.dirty) continue;
    at->second.dirty = false;
    rebuild(capability, at->second);
  }
}

// The first kMaxGroupMembers that are up, in the order in which they came, so that the choice stays
// the same while they do. Without any, those whose neighbour is being asked for: messages wait.
// While the kernel has not answered for any of them nothing is said: after a restart of ours the
// dataplane still has the group as it was.
void Forwarding::rebuild(std::uint32_t capability, Group& group) {
  std::vector<std::uint32_t> up;
  std::vector<std::uint32_t> unresolved;
  bool undecided = false;
  registry_.for_each_member(capability, [&](std::uint32_t slot) {
    const Hop* hop = hop_of(slot);
    if (hop == nullptr || hop->handle == kNoIndex) {
      undecided = undecided || (hop != nullptr && hop->next.state == NextHop::State::kUnknown);
      return true;
    }
    if (hop->state == AdjacencyState::kDown) return true;
    auto& list = hop->is_up() ? up : unresolved;
    if (list.size() < kMaxGroupMembers && std::ranges::find(list, slot) == list.end()) {
      list.push_back(slot);
    }
    return up.size() < kMaxGroupMembers;
  });
  group.chosen = std::move(up.empty() ? unresolved : up);
  if (group.chosen.empty() && undecided) return;

  std::vector<GroupMemberSpec> members;
  for (const auto slot : group.chosen) {
    const Agent& agent = registry_.at(slot);
    const std::uint16_t port =
        agent.peer != kNoIndex ? peers_[agent.peer].address.port : agent.endpoint.port;
    members.push_back({agent.id, hop_of(slot)->handle, port, agent.tenant, 1});
  }
  const Id& id = registry_.capabilities().at(capability).id;
  const auto handle = programmer_.set_group(id, GroupPolicy::kRoundRobin, members);
  if (!handle) {
    problem(handle.error());
    return;
  }
  // An agent of that name goes first, and so does the router itself.
  if (registry_.find(id) != kNoIndex || registry_.is_reserved(id)) return;
  if (auto ok = programmer_.set_route(id, {ActionKind::kGroup, *handle, 0, 0}); !ok) {
    problem(ok.error());
  }
}

void Forwarding::drop_group(std::uint32_t capability) {
  const Id& id = registry_.capabilities().at(capability).id;
  if (registry_.find(id) == kNoIndex && !registry_.is_reserved(id)) programmer_.delete_route(id);
  programmer_.delete_group(id);
  groups_.erase(capability);
}

}  // namespace sluice::controlplane
