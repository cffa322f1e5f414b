#include "controlplane/store/overlay/overlay_source.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/store/segment/hash_order.hpp"
#include "sluice/base/prefetch.hpp"

namespace sluice::controlplane::store {
namespace {

// They come almost in order: a key is a few slots behind its home at most, but for those that went
// from the end of the table to its beginning, which are few.
std::vector<Overlay::KeyRef> sorted(std::vector<Overlay::KeyRef> keys) {
  for (std::size_t i = 1; i < keys.size(); ++i) {
    const Overlay::KeyRef key = keys[i];
    std::size_t at = i;
    for (; at != 0 && order(key.hash, keys[at - 1].hash) < 0; --at)
      keys[at] = keys[at - 1];
    keys[at] = key;
  }
  return keys;
}

}  // namespace

OverlaySource::OverlaySource(std::shared_ptr<const Overlay> overlay)
    : overlay_(std::move(overlay)), keys_(sorted(overlay_->keys())) {}

void OverlaySource::fill(Entry& entry, const Hash128& hash,
                         const Overlay::Node& node) const noexcept {
  entry = {.hash = hash,
           .sequence = node.sequence.load(std::memory_order_relaxed),
           .table = node.table,
           .tenant = node.tenant,
           .op = node.operation(),
           .key = node.key(),
           .value = node.value()};
}

void OverlaySource::gather(const Overlay::KeyRef& key) {
  operations_.clear();
  operation_ = 0;
  for (const Overlay::Node* node = key.node; node != nullptr; node = node->next)
    operations_.push_back(node);
  std::ranges::sort(operations_, [](const Overlay::Node* a, const Overlay::Node* b) {
    return a->sequence.load(std::memory_order_relaxed) >
           b->sequence.load(std::memory_order_relaxed);
  });
}

// The nodes lie in the order of arrival, so each is a new line or two.
void OverlaySource::prefetch() const noexcept {
  if (at_ + kAhead >= keys_.size()) return;
  const auto* const node = reinterpret_cast<const char*>(keys_[at_ + kAhead].node);
  prefetch_far(node);
  prefetch_far(node + sizeof(Overlay::Node) + sizeof(Id) - 1);
}

Result<bool> OverlaySource::next(Entry& entry) {
  prefetch();
  if (overlay_->form() == Form::kCompact) {
    if (at_ == keys_.size()) return false;
    const Overlay::KeyRef& key = keys_[at_++];
    fill(entry, key.hash, *key.node);
    entry.op = key.value == kDeletedValue ? Op::kDelete : Op::kPut;
    entry.inline_value = key.value == kDeletedValue ? 0 : key.value;
    return true;
  }
  if (operation_ == operations_.size()) {
    if (at_ == keys_.size()) return false;
    gather(keys_[at_++]);
  }
  fill(entry, keys_[at_ - 1].hash, *operations_[operation_++]);
  return true;
}

}  // namespace sluice::controlplane::store
