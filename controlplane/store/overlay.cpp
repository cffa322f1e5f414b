#include "controlplane/store/overlay.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace sluice::controlplane::store {
namespace {

constexpr std::size_t kMinSlots = 1024;
// An entry of any size, with room for its node.
constexpr std::size_t kMinArena = std::size_t{256} << 10;

// Half of the bytes for slots, at most; a number with a 16-byte key takes 40 bytes of the arena.
std::size_t slot_count(std::uint64_t bytes) noexcept {
  return std::max(kMinSlots, std::bit_floor(static_cast<std::size_t>(bytes / 64)));
}

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + 7) & ~std::size_t{7};
}

}  // namespace

// Linear probing: at five eighths a miss looks at some four slots, two cache lines.
Overlay::Overlay(Form form, std::uint64_t bytes)
    : form_(form),
      mask_(slot_count(bytes) - 1),
      max_slots_((mask_ + 1) / 8 * 5),
      slot_memory_((mask_ + 1) * sizeof(Slot)),
      arena_(std::max(kMinArena, static_cast<std::size_t>(bytes))),
      slots_(static_cast<Slot*>(slot_memory_.data())) {}

bool Overlay::fits(std::size_t operations, std::size_t bytes) const noexcept {
  // An element takes a slot of its own beside its key's.
  const std::size_t slots = form_ == Form::kExact ? 2 * operations : operations;
  return slots_used_ + slots <= max_slots_ &&
         arena_used_ + bytes + operations * (sizeof(Node) + 8) <= arena_.size();
}

std::uint64_t Overlay::bytes_used() const noexcept {
  return arena_bytes_.load(std::memory_order_relaxed) + entries() * sizeof(Slot);
}

void Overlay::apply(const Entry& entry, const KeyHasher& hasher) {
  if (form_ == Form::kCompact) {
    apply_number(entry);
  } else if (entry.op == Op::kPut || entry.op == Op::kDelete) {
    apply_record(entry);
  } else {
    apply_element(entry, hasher);
  }
  arena_bytes_.store(arena_used_, std::memory_order_relaxed);
  const std::uint64_t min = min_sequence_.load(std::memory_order_relaxed);
  if (min == 0 || entry.sequence < min)
    min_sequence_.store(entry.sequence, std::memory_order_relaxed);
  if (entry.sequence > max_sequence_.load(std::memory_order_relaxed))
    max_sequence_.store(entry.sequence, std::memory_order_relaxed);
}

Overlay::Slot& Overlay::place_of(const Hash128& hash) noexcept {
  for (std::size_t at = index_of(hash);; at = (at + 1) & mask_) {
    Slot& slot = slots_[at];
    if (slot.node.load(std::memory_order_relaxed) == nullptr) return slot;
    if (slot.lo.load(std::memory_order_relaxed) == hash.lo &&
        slot.hi.load(std::memory_order_relaxed) == hash.hi) {
      return slot;
    }
  }
}

void Overlay::publish(Slot& slot, const Hash128& hash, std::uint64_t value, Node* node) noexcept {
  slot.lo.store(hash.lo, std::memory_order_relaxed);
  slot.hi.store(hash.hi, std::memory_order_relaxed);
  slot.value.store(value, std::memory_order_relaxed);
  slot.node.store(node, std::memory_order_release);  // pairs with slot_of
  ++slots_used_;
}

Overlay::Node* Overlay::make_node(const Entry& entry, const Node* next, bool with_value) noexcept {
  const std::size_t value_size = with_value ? entry.value.size() : 0;
  auto* const at = static_cast<std::uint8_t*>(arena_.data()) + arena_used_;
  arena_used_ += aligned(sizeof(Node) + entry.key.size() + value_size);
  Node* const node = new (at) Node{.sequence = entry.sequence,
                                   .next = next,
                                   .tenant = entry.tenant,
                                   .key_size = static_cast<std::uint16_t>(entry.key.size()),
                                   .value_size = static_cast<std::uint16_t>(value_size),
                                   .table = entry.table,
                                   .op = static_cast<std::uint8_t>(entry.op)};
  auto* const bytes = reinterpret_cast<std::uint8_t*>(node + 1);
  std::ranges::copy(entry.key, bytes);
  std::copy_n(entry.value.data(), value_size, bytes + entry.key.size());
  return node;
}

void Overlay::apply_number(const Entry& entry) noexcept {
  const std::uint64_t value = entry.op == Op::kDelete ? kDeletedValue : entry.inline_value;
  Slot& slot = place_of(entry.hash);
  if (Node* const node = slot.node.load(std::memory_order_relaxed); node != nullptr) {
    node->sequence.store(entry.sequence, std::memory_order_relaxed);
    slot.value.store(value, std::memory_order_relaxed);
    return;
  }
  publish(slot, entry.hash, value, make_node(entry, nullptr, false));
  entries_.fetch_add(1, std::memory_order_relaxed);
}

// A record, or the deletion of a key: of a set it also forgets the elements before it.
void Overlay::apply_record(const Entry& entry) noexcept {
  Slot& slot = place_of(entry.hash);
  const bool fresh = slot.node.load(std::memory_order_relaxed) == nullptr;
  Node* const node = make_node(entry, nullptr, true);
  if (fresh) {
    publish(slot, entry.hash, entry.sequence, node);
    entries_.fetch_add(1, std::memory_order_relaxed);
  } else {
    slot.value.store(entry.sequence, std::memory_order_relaxed);
    slot.node.store(node, std::memory_order_release);  // pairs with find
  }
}

void Overlay::apply_element(const Entry& entry, const KeyHasher& hasher) noexcept {
  Slot& set = place_of(entry.hash);
  Node* const head = set.node.load(std::memory_order_relaxed);
  const std::uint64_t cleared = head == nullptr ? 0 : set.value.load(std::memory_order_relaxed);
  const Hash128 element_hash = hasher.element(entry.hash, entry.value);
  Slot* element = &place_of(element_hash);
  Node* known = element->node.load(std::memory_order_relaxed);
  // In the list already, when it is younger than the last deletion of the key.
  if (known != nullptr && known->sequence.load(std::memory_order_relaxed) > cleared) {
    known->sequence.store(entry.sequence, std::memory_order_relaxed);
    known->op.store(static_cast<std::uint8_t>(entry.op), std::memory_order_release);
    return;
  }
  Node* const node = make_node(entry, head, true);
  if (head == nullptr) {
    publish(set, entry.hash, 0, node);
    element = &place_of(element_hash);  // the key may have taken the free slot that was found
  } else {
    set.node.store(node, std::memory_order_release);
  }
  if (known == nullptr) {
    publish(*element, element_hash, kElement, node);
  } else {
    element->node.store(node, std::memory_order_release);
  }
  entries_.fetch_add(1, std::memory_order_relaxed);
}

std::vector<Overlay::KeyRef> Overlay::keys() const {
  std::vector<KeyRef> keys;
  keys.reserve(slots_used_);
  for (std::size_t at = 0; at <= mask_; ++at) {
    const Slot& slot = slots_[at];
    const Node* const node = slot.node.load(std::memory_order_acquire);
    if (node == nullptr) continue;
    const std::uint64_t value = slot.value.load(std::memory_order_relaxed);
    if (form_ == Form::kExact && value == kElement) continue;
    keys.push_back(
        {{slot.lo.load(std::memory_order_relaxed), slot.hi.load(std::memory_order_relaxed)},
         node,
         value});
  }
  return keys;
}

}  // namespace sluice::controlplane::store
