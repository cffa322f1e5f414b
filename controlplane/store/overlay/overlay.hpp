// What was written lately to one tree (one lane of one form), in memory. Holds the newest state of
// each key only. Bounded: when it is full it is sealed and a fresh one takes the writes, while this
// one is written to a segment.
//
// Four parts: an arena with keys, records and set elements; slots, one for each key (and element),
// in the order of arrival; an open-addressing table over the key's 128-bit hash, of 4-byte places:
// 8 bits of the hash and the number of the slot; and, of numbers, a filter of a byte for each. So a
// key that is not here costs a line of a filter that stays in the CPU's own cache, and memory is
// touched only as it fills.
//
// Threads: one writer at a time (apply); any number of readers at any time, without locks. A slot
// is published by its place (release), after all that is in it; nothing is ever moved or freed
// while the overlay lives. A sealed overlay is immutable.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/filter/block_filter.hpp"
#include "controlplane/store/key_hash.hpp"
#include "controlplane/store/overlay/place_group.hpp"
#include "controlplane/store/overlay/zeroed_memory.hpp"
#include "sluice/base/prefetch.hpp"

namespace sluice::controlplane::store {

class Overlay {
 public:
  // Lies in the arena, followed by the key and the value.
  struct Node {
    std::atomic<std::uint64_t> sequence;
    const Node* next;  // sets: the operation on another element before this one
    std::uint16_t tenant;
    std::uint16_t key_size;
    std::uint16_t value_size;
    std::uint8_t table;
    std::atomic<std::uint8_t> op;

    std::span<const std::uint8_t> key() const noexcept {
      return {reinterpret_cast<const std::uint8_t*>(this + 1), key_size};
    }
    std::span<const std::uint8_t> value() const noexcept {
      return {reinterpret_cast<const std::uint8_t*>(this + 1) + key_size, value_size};
    }
    Op operation() const noexcept { return static_cast<Op>(op.load(std::memory_order_acquire)); }
  };
  static_assert(sizeof(Node) == 24);

  // Of a number with a 16-byte key: node, slot, two places, filter.
  static constexpr std::uint64_t kBytesPerNumber = 81;

  // `bytes`: about what it may take when full. The smallest holds at least one entry of any size.
  Overlay(Form form, std::uint64_t bytes);

  Form form() const noexcept { return form_; }

  // Writer. Whether `operations` more with so many bytes of keys and values surely fit.
  bool fits(std::size_t operations, std::size_t bytes) const noexcept;
  // Operations on one key come in the order of their sequences. `hasher` gives elements of sets a
  // hash of their own.
  void apply(const Entry& entry, const KeyHasher& hasher);

  // For find(), in this order, with time between them; the first two and the last in compact form.
  // False from may_have(): the key is not here.
  void prefetch_filter(const Hash128& hash) const noexcept { filter_.prefetch(hash); }
  bool may_have(const Hash128& hash) const noexcept { return filter_.passes(hash); }
  void prefetch_place(const Hash128& hash) const noexcept {
    sluice::prefetch(&places_[home(hash)]);
  }
  void prefetch_slot(const Hash128& hash) const noexcept {
    const std::size_t at = home(hash);
    const PlaceGroup group = look(&places_[at], tag_of(hash));
    if (group.same != 0)
      sluice::prefetch(&slot_at(at + static_cast<unsigned>(std::countr_zero(group.same))));
  }
  // Compact form. kDeletedValue stands for a deletion.
  bool find(const Hash128& hash, std::uint64_t& value) const noexcept {
    const Slot* slot = slot_of(hash);
    if (slot == nullptr) return false;
    value = slot->value.load(std::memory_order_relaxed);
    return true;
  }
  // Exact form: the newest operation on the key. Of a set: follow next for the other elements; a
  // kDelete ends the list and hides everything older than this overlay.
  const Node* find(const Hash128& hash) const noexcept {
    const Slot* slot = slot_of(hash);
    return slot == nullptr ? nullptr : slot->node.load(std::memory_order_acquire);
  }

  bool empty() const noexcept { return entries() == 0; }
  // Keys, and elements of sets.
  std::uint64_t entries() const noexcept { return entries_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_used() const noexcept;
  // Of what it holds; max is 0 while it is empty.
  std::uint64_t min_sequence() const noexcept {
    return min_sequence_.load(std::memory_order_relaxed);
  }
  std::uint64_t max_sequence() const noexcept {
    return max_sequence_.load(std::memory_order_relaxed);
  }

  // Of a sealed overlay: the keys, in no order; for OverlaySource.
  struct KeyRef {
    Hash128 hash;
    const Node* node;     // exact: the newest operation
    std::uint64_t value;  // compact
  };
  std::vector<KeyRef> keys() const;

 private:
  struct alignas(32) Slot {
    Hash128 hash;
    // Compact: the value. Exact, a key: the sequence of its newest deletion; an element: kElement.
    std::atomic<std::uint64_t> value;
    std::atomic<Node*> node;
  };
  static_assert(sizeof(Slot) == 32);
  static constexpr std::uint64_t kElement = std::numeric_limits<std::uint64_t>::max();
  // A place names a slot by its number, counted from 1.
  static constexpr std::uint32_t kNumberMask = (1U << kTagShift) - 1;

  static std::uint32_t tag_of(const Hash128& hash) noexcept {
    return static_cast<std::uint32_t>(hash.lo >> 56);
  }
  // The first place of a group.
  std::size_t home(const Hash128& hash) const noexcept {
    return ((hash.lo & UINT32_MAX) * group_count_ >> 32) * kGroupPlaces;
  }
  std::size_t after(std::size_t at) const noexcept {
    return at + kGroupPlaces == group_count_ * kGroupPlaces ? 0 : at + kGroupPlaces;
  }
  Slot& slot_at(std::size_t place) const noexcept {
    return slots_[(places_[place].load(std::memory_order_relaxed) & kNumberMask) - 1];
  }
  // The slot of the hash; or null, and then `free` is the place where it goes.
  Slot* find_slot(const Hash128& hash, std::size_t& free) const noexcept {
    for (std::size_t at = home(hash);; at = after(at)) {
      const PlaceGroup group = look(&places_[at], tag_of(hash));  // pairs with publish
      for (unsigned same = group.same; same != 0; same &= same - 1) {
        Slot& slot = slot_at(at + static_cast<unsigned>(std::countr_zero(same)));
        if (slot.hash == hash) return &slot;
      }
      if (group.free == 0) continue;
      free = at + static_cast<unsigned>(std::countr_zero(group.free));
      return nullptr;
    }
  }
  const Slot* slot_of(const Hash128& hash) const noexcept {
    std::size_t free = 0;
    return find_slot(hash, free);
  }
  // A new slot, in the free place that find_slot() gave.
  void publish(std::size_t at, const Hash128& hash, std::uint64_t value, Node* node) noexcept;
  Node* make_node(const Entry& entry, const Node* next, bool with_value) noexcept;
  void apply_number(const Entry& entry) noexcept;
  void apply_record(const Entry& entry) noexcept;
  void apply_element(const Entry& entry, const KeyHasher& hasher) noexcept;

  const Form form_;
  const std::size_t max_slots_;
  const std::uint64_t group_count_;
  const std::uint32_t filter_blocks_;
  // Places, then filter: of the usual size together in one huge page.
  ZeroedMemory table_memory_;
  ZeroedMemory slot_memory_;
  ZeroedMemory arena_;
  Place* const places_;
  Slot* const slots_;
  BlockFilter::Word* const filter_words_;
  const BlockFilter filter_;
  // The writer's, away from what readers need.
  alignas(64) std::size_t arena_used_ = 0;
  std::size_t slots_used_ = 0;
  std::atomic<std::uint64_t> arena_bytes_{0};
  std::atomic<std::uint64_t> entries_{0};
  std::atomic<std::uint64_t> min_sequence_{0};
  std::atomic<std::uint64_t> max_sequence_{0};
};

}  // namespace sluice::controlplane::store
