#include "controlplane/store/overlay/overlay_source.hpp"

#include <algorithm>

#include "controlplane/store/segment/hash_order.hpp"
#include "sluice/base/prefetch.hpp"

namespace sluice::controlplane::store {
namespace {

// The hashes are random: one pass puts them into buckets of their top bits, almost in place, and
// what is left to sort is short.
std::vector<Overlay::KeyRef> sorted(const std::vector<Overlay::KeyRef>& keys) {
  unsigned bits = 0;
  while (bits < 16 && keys.size() >> bits > 8)
    ++bits;
  const auto bucket = [bits](const Overlay::KeyRef& key) -> std::size_t {
    return bits == 0 ? 0 : key.hash.lo >> (64 - bits);
  };
  std::vector<std::size_t> end((std::size_t{1} << bits) + 1, 0);
  for (const auto& key : keys)
    ++end[bucket(key) + 1];
  for (std::size_t i = 1; i < end.size(); ++i)
    end[i] += end[i - 1];
  std::vector<Overlay::KeyRef> out(keys.size());
  std::vector<std::size_t> at(end.begin(), end.end() - 1);
  for (const auto& key : keys)
    out[at[bucket(key)]++] = key;
  for (std::size_t i = 0; i + 1 < end.size(); ++i) {
    std::sort(out.begin() + static_cast<std::ptrdiff_t>(end[i]),
              out.begin() + static_cast<std::ptrdiff_t>(end[i + 1]),
              [](const auto& a, const auto& b) { return order(a.hash, b.hash) < 0; });
  }
  return out;
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
  sluice::prefetch(node);
  sluice::prefetch(node + sizeof(Overlay::Node) + sizeof(Id) - 1);
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
