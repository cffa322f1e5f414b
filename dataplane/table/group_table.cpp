#include "dataplane/table/group_table.hpp"

#include <cassert>
#include <utility>

namespace sluice::dataplane {

GroupTable::GroupTable(NodeArray<Slot> slots, std::size_t capacity, AdjacencyTable& adjacencies,
                       Readers& readers)
    : groups_(std::move(slots)),
      slots_(capacity, readers),
      adjacencies_(adjacencies),
      readers_(readers) {
  assert(capacity <= groups_.size());
}

GroupTable::~GroupTable() = default;

// One exchange; the old object waits for its readers and keeps its members' adjacencies until then.
void GroupTable::replace(std::uint32_t slot, std::unique_ptr<const Group> next) {
  if (owned_.size() <= slot) owned_.resize(slot + 1);
  // Release: pairs with the acquire load in at().
  groups_[slot].store(next.get(), std::memory_order_release);
  std::unique_ptr<const Group> old = std::exchange(owned_[slot], std::move(next));
  if (old) retired_.push_back({readers_.start(), std::move(old)});
}

void GroupTable::publish(std::uint32_t slot, std::unique_ptr<const Group> group,
                         std::uint8_t epoch) {
  assert(slots_.in_use(slot));
  for (const GroupMember& member : group->members())
    adjacencies_.reference(member.adjacency);
  slots_.take_fresh(slot);
  slots_.set_epoch(slot, epoch);
  replace(slot, std::move(group));
}

bool GroupTable::erase(std::uint32_t slot) {
  if (!slots_.in_use(slot)) return false;
  replace(slot, nullptr);
  return slots_.erase(slot);
}

bool GroupTable::sweep(std::uint8_t epoch, unsigned max, std::size_t& erased) {
  return slots_.visit_stale(epoch, max, [&](std::uint32_t slot) { erased += erase(slot) ? 1 : 0; });
}

void GroupTable::reclaim(unsigned max) {
  slots_.reclaim(max);
  for (; max > 0 && !retired_.empty() && readers_.passed(retired_.front().token); --max) {
    for (const GroupMember& member : retired_.front().group->members())
      adjacencies_.unreference(member.adjacency);
    retired_.pop_front();
  }
}

}  // namespace sluice::dataplane
