#include "controlplane/store/overlay/overlay.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sluice::controlplane::store {
namespace {

constexpr std::size_t kMinUsed = 640;
// An entry of any size, with room for its node.
constexpr std::size_t kMinArena = std::size_t{256} << 10;

constexpr unsigned kFilterBits = 8;  // per number
// At most so many of the slots are used: a full table looks at some four of them for a key that is
// not there.
constexpr double kMaxLoad = 0.625;

std::size_t most_slots(std::uint64_t bytes) noexcept {
  return std::max(kMinUsed, static_cast<std::size_t>(bytes / Overlay::kBytesPerNumber));
}
std::uint64_t slots_for(std::size_t used) noexcept {
  return static_cast<std::uint64_t>(static_cast<double>(used) / kMaxLoad);
}

constexpr std::size_t kWordBits = 64;  // of touched_

constexpr std::size_t aligned(std::size_t bytes) noexcept {
  return (bytes + 7) & ~std::size_t{7};
}

}  // namespace

Overlay::Overlay(Form form, std::uint64_t bytes)
    : form_(form),
      bytes_(bytes),
      max_used_(most_slots(bytes)),
      line_count_(slots_for(max_used_) / kLineSlots + 1),
      filter_blocks_(BlockFilter::blocks_for(max_used_, kFilterBits)),
      filter_memory_(filter_blocks_ * BlockFilter::kBlockBytes),
      slot_memory_(slot_count() * sizeof(Slot)),
      arena_(std::max(kMinArena, static_cast<std::size_t>(bytes))),
      slots_(static_cast<Slot*>(slot_memory_.data())),
      filter_words_(static_cast<BlockFilter::Word*>(filter_memory_.data())),
      filter_(filter_words_, filter_blocks_),
      touched_(slot_count() / kGroupSlots / kWordBits + 1) {}

template <class Call>
void Overlay::for_each_touched(const Call& call) const {
  for (std::size_t word = 0; word < touched_.size(); ++word) {
    for (std::uint64_t bits = touched_[word]; bits != 0; bits &= bits - 1) {
      const std::size_t group = word * kWordBits + static_cast<std::size_t>(std::countr_zero(bits));
      const std::size_t first = group * kGroupSlots;
      call(std::span(slots_ + first, std::min(kGroupSlots, slot_count() - first)));
    }
  }
}

// The arena is written before it is read.
void Overlay::clear() noexcept {
  if (slots_used_ == 0) return;  // as it was made, and its memory still the kernel's
  std::memset(filter_memory_.data(), 0, filter_memory_.size());
  for_each_touched([](std::span<Slot> slots) {
    std::memset(static_cast<void*>(slots.data()), 0, slots.size_bytes());
  });
  std::ranges::fill(touched_, 0);
  arena_used_ = 0;
  slots_used_.store(0, std::memory_order_relaxed);
  for (auto* figure : {&arena_bytes_, &entries_, &min_sequence_, &max_sequence_})
    figure->store(0, std::memory_order_relaxed);
}

bool Overlay::fits(std::size_t operations, std::size_t bytes) const noexcept {
  // An element takes a slot of its own beside its key's.
  const std::size_t slots = form_ == Form::kExact ? 2 * operations : operations;
  return slots_used_.load(std::memory_order_relaxed) + slots <= max_used_ &&
         arena_used_ + bytes + operations * (sizeof(Node) + 8) <= arena_.size();
}

std::uint64_t Overlay::bytes_used() const noexcept {
  return arena_bytes_.load(std::memory_order_relaxed) + entries() * sizeof(Slot);
}

double Overlay::filled() const noexcept {
  const auto of = [](std::size_t used, std::size_t all) {
    return static_cast<double>(used) / static_cast<double>(all);
  };
  return std::max(of(slots_used_.load(std::memory_order_relaxed), max_used_),
                  of(arena_bytes_.load(std::memory_order_relaxed), arena_.size()));
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

void Overlay::publish(Slot& slot, const Hash128& hash, std::uint64_t value, Node* node) noexcept {
  slot.hash = hash;
  slot.value.store(value, std::memory_order_relaxed);
  slot.node.store(node, std::memory_order_release);  // pairs with slot_of
  const auto group = static_cast<std::size_t>(&slot - slots_) / kGroupSlots;
  touched_[group / kWordBits] |= std::uint64_t{1} << group % kWordBits;
  slots_used_.store(slots_used_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
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
  const auto [slot, known] = slot_of(entry.hash);
  if (known != nullptr) {
    known->sequence.store(entry.sequence, std::memory_order_relaxed);
    slot->value.store(value, std::memory_order_relaxed);
    return;
  }
  BlockFilter::add(filter_words_, filter_blocks_, entry.hash);
  publish(*slot, entry.hash, value, make_node(entry, nullptr, false));
  entries_.fetch_add(1, std::memory_order_relaxed);
}

// A record, or the deletion of a key: of a set it also forgets the elements before it.
void Overlay::apply_record(const Entry& entry) noexcept {
  const auto [slot, known] = slot_of(entry.hash);
  Node* const node = make_node(entry, nullptr, true);
  if (known == nullptr) {
    publish(*slot, entry.hash, entry.sequence, node);
    entries_.fetch_add(1, std::memory_order_relaxed);
  } else {
    slot->value.store(entry.sequence, std::memory_order_relaxed);
    slot->node.store(node, std::memory_order_release);  // pairs with slot_of
  }
}

void Overlay::apply_element(const Entry& entry, const KeyHasher& hasher) noexcept {
  const auto [set, head] = slot_of(entry.hash);
  const std::uint64_t cleared = set->value.load(std::memory_order_relaxed);
  const Hash128 element_hash = hasher.element(entry.hash, entry.value);
  Node* const known = slot_of(element_hash).node;
  // In the list already, when it is younger than the last deletion of the key.
  if (known != nullptr && known->sequence.load(std::memory_order_relaxed) > cleared) {
    known->sequence.store(entry.sequence, std::memory_order_relaxed);
    known->op.store(static_cast<std::uint8_t>(entry.op), std::memory_order_release);
    return;
  }
  Node* const node = make_node(entry, head, true);
  if (head == nullptr) {
    publish(*set, entry.hash, 0, node);
  } else {
    set->node.store(node, std::memory_order_release);  // pairs with slot_of
  }
  // Looked for again: the key may have taken the slot that was free for the element.
  Slot& element = *slot_of(element_hash).slot;
  if (known == nullptr) {
    publish(element, element_hash, kElement, node);
  } else {
    element.node.store(node, std::memory_order_relaxed);  // no reader looks for elements
  }
  entries_.fetch_add(1, std::memory_order_relaxed);
}

std::vector<Overlay::KeyRef> Overlay::keys() const {
  std::vector<KeyRef> keys;
  keys.reserve(slots_used_.load(std::memory_order_relaxed));
  for_each_touched([&](std::span<const Slot> slots) {
    for (const Slot& slot : slots) {
      const Node* const node = slot.node.load(std::memory_order_acquire);
      const std::uint64_t value = slot.value.load(std::memory_order_relaxed);
      if (node == nullptr || (form_ == Form::kExact && value == kElement)) continue;
      keys.push_back({slot.hash, node, value});
    }
  });
  return keys;
}

}  // namespace sluice::controlplane::store
