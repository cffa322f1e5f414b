// One group: the members of a capability and how a worker chooses among them. Built by the applier
// as a whole, never changed after it was published, so any number of workers read it. What changes
// per message (the round-robin position) belongs to the worker. Needs no EAL.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sluice/base/ids.hpp"
#include "sluice/route/group.hpp"

namespace sluice::dataplane {

struct GroupMember {
  Id id;
  std::uint32_t adjacency = kNoIndex;  // slot of the AdjacencyTable
  std::uint16_t udp_port = 0;
  std::uint16_t tenant = 0;
  std::uint16_t weight = 1;  // 1 .. 1000
};

class Group {
 public:
  static constexpr std::uint16_t kMaxWeight = 1000;
  // Longest turn of the weighted round robin; larger sums of weights are scaled down to it.
  static constexpr std::size_t kMaxTurn = 1024;

  // At most kMaxGroupMembers members, each weight within 1 .. kMaxWeight (the applier checked).
  Group(const Id& capability, GroupPolicy policy, std::span<const GroupMember> members);

  const Id& capability() const noexcept { return capability_; }
  GroupPolicy policy() const noexcept { return policy_; }
  std::span<const GroupMember> members() const noexcept { return members_; }

  // The member for the next message, or null when none is usable. `usable(const GroupMember&)` says
  // who may get it (adjacency up, not the sender itself); it is asked about as few members as
  // possible. `cursor` is the worker's own word for this group, any value to start with.
  template <class Usable>
  const GroupMember* next_in_turn(std::uint32_t& cursor, Usable&& usable) const;

  // The member that owns the routing key: weighted rendezvous hashing, so a member that comes or
  // goes moves only its own share of the keys. Every router chooses alike.
  template <class Usable>
  const GroupMember* owner_of(std::uint64_t routing_key, Usable&& usable) const;

  // By the group's policy.
  template <class Usable>
  const GroupMember* choose(std::uint64_t routing_key, std::uint32_t& cursor,
                            Usable&& usable) const {
    return policy_ == GroupPolicy::kHash ? owner_of(routing_key, usable)
                                         : next_in_turn(cursor, usable);
  }

 private:
  static std::uint64_t mix(std::uint64_t x) noexcept {  // MurmurHash3's 64-bit finaliser
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
  }
  static std::uint64_t minus_log2(std::uint64_t hash) noexcept;

  Id capability_;
  GroupPolicy policy_;
  bool equal_weights_;
  std::vector<GroupMember> members_;
  std::vector<std::uint64_t> seeds_;     // per member, of its id
  std::vector<std::uint32_t> inverses_;  // per member, 2^20 / weight
  std::vector<std::uint8_t> turn_;       // member positions in the order they are served
};

template <class Usable>
const GroupMember* Group::next_in_turn(std::uint32_t& cursor, Usable&& usable) const {
  const auto length = static_cast<std::uint32_t>(turn_.size());
  std::uint64_t refused = 0;  // bit per member: asked already
  for (std::uint32_t i = 0; i < length; ++i) {
    cursor = cursor + 1 < length ? cursor + 1 : 0;
    const std::uint8_t position = turn_[cursor];
    if ((refused >> position & 1) != 0) continue;
    const GroupMember& member = members_[position];
    if (usable(member)) return &member;
    refused |= std::uint64_t{1} << position;
  }
  return nullptr;
}

template <class Usable>
const GroupMember* Group::owner_of(std::uint64_t routing_key, Usable&& usable) const {
  const GroupMember* best = nullptr;
  std::uint64_t best_cost = UINT64_MAX;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const std::uint64_t hash = mix(routing_key ^ seeds_[i]);
    // Least of -log(u) / weight wins (Schindelhauer and Schomaker, 2005: logarithmic method); with
    // equal weights that is the largest u.
    const std::uint64_t cost = equal_weights_ ? ~hash : minus_log2(hash) * inverses_[i];
    if (cost >= best_cost || !usable(members_[i])) continue;
    best = &members_[i];
    best_cost = cost;
  }
  return best;
}

}  // namespace sluice::dataplane
