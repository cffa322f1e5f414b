#include "controlplane/membership/member_table.hpp"

#include <utility>

namespace sluice::membership {

MemberTable::~MemberTable() {
  for (const Slot slot : ring_) {
    pool_.release(members_[slot].name);
    pool_.release(members_[slot].meta);
  }
}

MemberTable::Slot MemberTable::add(std::string_view name, Random& random) {
  Slot slot;
  if (free_.empty()) {
    slot = static_cast<Slot>(members_.size());
    members_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Member& member = members_[slot];
  member.name = pool_.acquire(name);
  member.meta = pool_.acquire(std::string_view{});
  if (by_name_.size() <= member.name) by_name_.resize(member.name + 1, kNone);
  by_name_[member.name] = slot;

  ring_.push_back(slot);
  member.ring_position = static_cast<std::uint32_t>(ring_.size() - 1);
  const auto place = static_cast<std::uint32_t>(random.below(ring_.size()));
  std::swap(ring_[place], ring_.back());
  members_[ring_.back()].ring_position = static_cast<std::uint32_t>(ring_.size() - 1);
  members_[ring_[place]].ring_position = place;
  ++counts_[static_cast<std::size_t>(member.state)];
  return slot;
}

void MemberTable::remove(Slot slot) {
  Member& member = members_[slot];
  --counts_[static_cast<std::size_t>(member.state)];
  const auto place = member.ring_position;
  ring_[place] = ring_.back();
  members_[ring_[place]].ring_position = place;
  ring_.pop_back();
  by_name_[member.name] = kNone;
  pool_.release(member.name);
  pool_.release(member.meta);
  const auto generation = member.generation + 1;
  member = Member{};
  member.generation = generation;
  free_.push_back(slot);
}

MemberTable::Slot MemberTable::find(std::string_view name) const noexcept {
  const auto id = pool_.find(name);
  return id < by_name_.size() ? by_name_[id] : kNone;
}

void MemberTable::set_state(Slot slot, MemberState state, std::uint64_t now_ns) noexcept {
  Member& member = members_[slot];
  --counts_[static_cast<std::size_t>(member.state)];
  ++counts_[static_cast<std::size_t>(state)];
  member.state = state;
  member.changed_ns = now_ns;
}

void MemberTable::set_meta(Slot slot, ByteView meta) {
  const auto id = pool_.acquire(meta);
  pool_.release(members_[slot].meta);
  members_[slot].meta = id;
}

void MemberTable::shuffle(Random& random) noexcept {
  random.shuffle(ring_);
  for (std::uint32_t place = 0; place < ring_.size(); ++place)
    members_[ring_[place]].ring_position = place;
}

std::size_t MemberTable::memory_bytes() const noexcept {
  return members_.capacity() * sizeof(Member) +
         (free_.capacity() + ring_.capacity() + by_name_.capacity()) * sizeof(Slot);
}

}  // namespace sluice::membership
