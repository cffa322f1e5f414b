#include "controlplane/link/route_store.hpp"

#include "sluice/base/random.hpp"

namespace sluice::controlplane {

RouteStore::RouteStore()
    : hasher_(IdHasher::create(HashKey{random_bytes<16>()})), index_(1024, kNone), mask_(1023) {}

std::uint32_t RouteStore::find(const Id& id) const noexcept {
  for (std::uint32_t i = home(id);; i = (i + 1) & mask_) {
    const std::uint32_t slot = index_[i];
    if (slot == kNone || at(slot).id == id) return slot;
  }
}

std::uint32_t RouteStore::insert(const Id& id) {
  if (static_cast<std::uint64_t>(used_ + 1) * 4 > index_.size() * 3) grow_index();
  std::uint32_t slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else {
    if (slots_ % kChunk == 0) chunks_.push_back(std::make_unique<RouteEntry[]>(kChunk));
    slot = slots_++;
  }
  at(slot) = RouteEntry{
      .id = id, .handle = UINT32_MAX, .kind = ActionKind::kNone, .flags = route_flag::kUsed};
  std::uint32_t i = home(id);
  while (index_[i] != kNone)
    i = (i + 1) & mask_;
  index_[i] = slot;
  ++used_;
  return slot;
}

// Linear probing without tombstones: what follows the hole moves back when its home allows it.
void RouteStore::erase(std::uint32_t slot) noexcept {
  std::uint32_t hole = home(at(slot).id);
  while (index_[hole] != slot)
    hole = (hole + 1) & mask_;
  for (std::uint32_t i = (hole + 1) & mask_; index_[i] != kNone; i = (i + 1) & mask_) {
    const std::uint32_t from_home = (i - home(at(index_[i]).id)) & mask_;
    if (from_home < ((i - hole) & mask_)) continue;
    index_[hole] = index_[i];
    hole = i;
  }
  index_[hole] = kNone;
  at(slot).flags = 0;
  free_.push_back(slot);
  --used_;
}

void RouteStore::mark_dirty(std::uint32_t slot) {
  RouteEntry& entry = at(slot);
  if ((entry.flags & route_flag::kQueued) == 0) {
    queue_.push_back(slot);
    ++pushed_;
  }
  entry.flags |= route_flag::kDirty | route_flag::kQueued;
}

std::uint32_t RouteStore::pop_queue() noexcept {
  const std::uint32_t slot = queue_.front();
  queue_.pop_front();
  ++popped_;
  at(slot).flags &= static_cast<std::uint8_t>(~route_flag::kQueued);
  return slot;
}

std::size_t RouteStore::memory_bytes() const noexcept {
  return chunks_.size() * kChunk * sizeof(RouteEntry) +
         (index_.capacity() + free_.capacity() + queue_.size()) * sizeof(std::uint32_t);
}

void RouteStore::grow_index() {
  std::vector<std::uint32_t> index(index_.size() * 2, kNone);
  mask_ = static_cast<std::uint32_t>(index.size() - 1);
  for (const std::uint32_t slot : index_) {
    if (slot == kNone) continue;
    std::uint32_t i = home(at(slot).id);
    while (index[i] != kNone)
      i = (i + 1) & mask_;
    index[i] = slot;
  }
  index_ = std::move(index);
}

}  // namespace sluice::controlplane
