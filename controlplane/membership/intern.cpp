#include "controlplane/membership/intern.hpp"

#include <algorithm>

namespace sluice::membership {

InternPool::Id InternPool::acquire(std::string_view bytes) {
  if (const auto it = index_.find(bytes); it != index_.end()) {
    ++slots_[it->second].references;
    return it->second;
  }
  Id id;
  if (free_.empty()) {
    id = static_cast<Id>(slots_.size());
    slots_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[id];
  slot.storage = std::make_unique_for_overwrite<char[]>(bytes.size());
  std::ranges::copy(bytes, slot.storage.get());
  slot.bytes = {slot.storage.get(), bytes.size()};
  slot.references = 1;
  index_.emplace(slot.bytes, id);
  return id;
}

void InternPool::release(Id id) noexcept {
  Slot& slot = slots_[id];
  if (--slot.references != 0) return;
  index_.erase(slot.bytes);
  slot.bytes = {};
  slot.storage.reset();
  free_.push_back(id);
}

InternPool::Id InternPool::find(std::string_view bytes) const noexcept {
  const auto it = index_.find(bytes);
  return it == index_.end() ? kNone : it->second;
}

}  // namespace sluice::membership
