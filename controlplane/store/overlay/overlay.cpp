#include "controlplane/store/overlay/overlay.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace sluice::controlplane::store {
namespace {

constexpr std::size_t kMinSlots = 640;
// An entry of any size, with room for its node.
constexpr std::size_t kMinArena = std::size_t{256} << 10;

std::size_t slot_count(std::uint64_t bytes, std::size_t most) noexcept {
  return std::clamp(static_cast<std::size_t>(bytes / Overlay::kBytesPerNumber), kMinSlots, most);
}

constexpr unsigned kFilterBits = 8;  // per number

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + 7) & ~std::size_t{7};
}

}  // namespace

// Two places for each slot: a group of eight is full once in twenty.
Overlay::Overlay(Form form, std::uint64_t bytes)
    : form_(form),
      max_slots_(slot_count(bytes, kNumberMask)),
      group_count_(max_slots_ * 2 / kGroupPlaces + 1),
      filter_blocks_(BlockFilter::blocks_for(max_slots_, kFilterBits)),
      table_memory_(group_count_ * kGroupPlaces * sizeof(Place) +
                    filter_blocks_ * BlockFilter::kBlockBytes),
      slot_memory_(max_slots_ * sizeof(Slot)),
      arena_(std::max(kMinArena, static_cast<std::size_t>(bytes))),
      places_(static_cast<Place*>(table_memory_.data())),
      slots_(static_cast<Slot*>(slot_memory_.data())),
      filter_words_(reinterpret_cast<BlockFilter::Word*>(places_ + group_count_ * kGroupPlaces)),
      filter_(filter_words_, filter_blocks_) {}

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

void Overlay::publish(std::size_t at, const Hash128& hash, std::uint64_t value,
                      Node* node) noexcept {
  new (&slots_[slots_used_]) Slot{.hash = hash, .value = value, .node = node};
  ++slots_used_;
  places_[at].store(tag_of(hash) << kTagShift | static_cast<std::uint32_t>(slots_used_),
                    std::memory_order_release);  // pairs with find_slot
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
  std::size_t at = 0;
  if (Slot* const slot = find_slot(entry.hash, at); slot != nullptr) {
    slot->node.load(std::memory_order_relaxed)
        ->sequence.store(entry.sequence, std::memory_order_relaxed);
    slot->value.store(value, std::memory_order_relaxed);
    return;
  }
  BlockFilter::add(filter_words_, filter_blocks_, entry.hash);
  publish(at, entry.hash, value, make_node(entry, nullptr, false));
  entries_.fetch_add(1, std::memory_order_relaxed);
}

// A record, or the deletion of a key: of a set it also forgets the elements before it.
void Overlay::apply_record(const Entry& entry) noexcept {
  std::size_t at = 0;
  Slot* const slot = find_slot(entry.hash, at);
  Node* const node = make_node(entry, nullptr, true);
  if (slot == nullptr) {
    publish(at, entry.hash, entry.sequence, node);
    entries_.fetch_add(1, std::memory_order_relaxed);
  } else {
    slot->value.store(entry.sequence, std::memory_order_relaxed);
    slot->node.store(node, std::memory_order_release);  // pairs with find
  }
}

void Overlay::apply_element(const Entry& entry, const KeyHasher& hasher) noexcept {
  std::size_t set_at = 0;
  Slot* const set = find_slot(entry.hash, set_at);
  Node* const head = set == nullptr ? nullptr : set->node.load(std::memory_order_relaxed);
  const std::uint64_t cleared = set == nullptr ? 0 : set->value.load(std::memory_order_relaxed);
  const Hash128 element_hash = hasher.element(entry.hash, entry.value);
  std::size_t element_at = 0;
  Slot* const element = find_slot(element_hash, element_at);
  Node* const known = element == nullptr ? nullptr : element->node.load(std::memory_order_relaxed);
  // In the list already, when it is younger than the last deletion of the key.
  if (known != nullptr && known->sequence.load(std::memory_order_relaxed) > cleared) {
    known->sequence.store(entry.sequence, std::memory_order_relaxed);
    known->op.store(static_cast<std::uint8_t>(entry.op), std::memory_order_release);
    return;
  }
  Node* const node = make_node(entry, head, true);
  if (set == nullptr) {
    publish(set_at, entry.hash, 0, node);
    // The key may have taken the free place that was found.
    if (element == nullptr) find_slot(element_hash, element_at);
  } else {
    set->node.store(node, std::memory_order_release);
  }
  if (element == nullptr) {
    publish(element_at, element_hash, kElement, node);
  } else {
    element->node.store(node, std::memory_order_release);
  }
  entries_.fetch_add(1, std::memory_order_relaxed);
}

std::vector<Overlay::KeyRef> Overlay::keys() const {
  std::vector<KeyRef> keys;
  keys.reserve(slots_used_);
  for (const Slot& slot : std::span(slots_, slots_used_)) {
    const std::uint64_t value = slot.value.load(std::memory_order_relaxed);
    if (form_ == Form::kExact && value == kElement) continue;
    keys.push_back({slot.hash, slot.node.load(std::memory_order_acquire), value});
  }
  return keys;
}

}  // namespace sluice::controlplane::store
