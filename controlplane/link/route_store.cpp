#include "controlplane/link/route_store.hpp"

#include "sluice/base/random.hpp"

namespace sluice::controlplane {

RouteStore::RouteStore()
    : index_(Hash{IdHasher::create(HashKey{random_bytes<16>()})}, IdOf{this}) {}

std::uint32_t RouteStore::insert(const Id& id) {
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
  index_.insert(slot);
  return slot;
}

void RouteStore::erase(std::uint32_t slot) noexcept {
  index_.erase(slot);
  at(slot).flags = 0;
  free_.push_back(slot);
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
  return chunks_.size() * kChunk * sizeof(RouteEntry) + index_.memory_bytes() +
         (free_.capacity() + queue_.size()) * sizeof(std::uint32_t);
}

}  // namespace sluice::controlplane
