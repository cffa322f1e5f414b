// What was written lately to one tree (one lane of one form), in memory. Holds the newest state of
// each key only. Bounded: when it is full it is sealed and a fresh one takes the writes, while this
// one is written to a segment.
//
// Three parts: an arena with keys, records and set elements, in the order of arrival; an
// open-addressing table with linear probing, of 32-byte slots, one for each key (and element): its
// 128-bit hash, its value and its node; and, of numbers, a filter of a byte for each. So a key that
// is not here costs a line of a filter that stays in the CPU's own cache, and a number that is here
// one line of memory more.
//
// Threads: one writer at a time (apply); any number of readers at any time, without locks. A slot
// is published by its node (release), after all else that is in it; nothing is ever moved or freed
// while the overlay lives. A sealed overlay is immutable.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/filter/block_filter.hpp"
#include "controlplane/store/key_hash.hpp"
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

  // Of a number with a 16-byte key: node, slots, filter.
  static constexpr std::uint64_t kBytesPerNumber = 93;

  // `bytes`: about what it may take when full. The smallest holds at least one entry of any size.
  Overlay(Form form, std::uint64_t bytes);

  Form form() const noexcept { return form_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  // As it was made. Nobody else has it.
  void clear() noexcept;

  // Writer. Whether `operations` more with so many bytes of keys and values surely fit.
  bool fits(std::size_t operations, std::size_t bytes) const noexcept;
  // Operations on one key come in the order of their sequences. `hasher` gives elements of sets a
  // hash of their own.
  void apply(const Entry& entry, const KeyHasher& hasher);

  // Compact form: a key that does not pass is not here.
  const BlockFilter& filter() const noexcept { return filter_; }
  // Before find(), with time between them; in compact form of keys that passed.
  void prefetch_slot(const Hash128& hash) const noexcept { prefetch_far(&slots_[home(hash)]); }
  // Compact form. kDeletedValue stands for a deletion.
  bool find(const Hash128& hash, std::uint64_t& value) const noexcept {
    const auto [slot, node] = slot_of(hash);
    if (node == nullptr) return false;
    value = slot->value.load(std::memory_order_relaxed);
    return true;
  }
  // Exact form: the newest operation on the key. Of a set: follow next for the other elements; a
  // kDelete ends the list and hides everything older than this overlay.
  const Node* find(const Hash128& hash) const noexcept { return slot_of(hash).node; }

  bool empty() const noexcept { return entries() == 0; }
  // Keys, and elements of sets.
  std::uint64_t entries() const noexcept { return entries_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_used() const noexcept;
  // 0: empty, 1: full. Of slots or arena, whichever ends first.
  double filled() const noexcept;
  // Of what it holds; max is 0 while it is empty.
  std::uint64_t min_sequence() const noexcept {
    return min_sequence_.load(std::memory_order_relaxed);
  }
  std::uint64_t max_sequence() const noexcept {
    return max_sequence_.load(std::memory_order_relaxed);
  }

  // Of a sealed overlay: the keys, almost in the order of their hashes; for OverlaySource. Costs
  // what they are, not what would fit.
  struct KeyRef {
    Hash128 hash;
    const Node* node;     // exact: the newest operation
    std::uint64_t value;  // compact
  };
  std::vector<KeyRef> keys() const;

 private:
  // Free while it has no node.
  struct alignas(32) Slot {
    Hash128 hash;
    // Compact: the value. Exact, a key: the sequence of its newest deletion; an element: kElement.
    std::atomic<std::uint64_t> value;
    std::atomic<Node*> node;
  };
  static_assert(sizeof(Slot) == 32);
  static constexpr std::size_t kLineSlots = 2;
  static constexpr std::size_t kGroupSlots = 16;  // a bit of touched_
  static constexpr std::uint64_t kElement = std::numeric_limits<std::uint64_t>::max();

  // The first slot of a cache line; in the order of lo, like everything in segments.
  std::size_t home(const Hash128& hash) const noexcept {
    return ((hash.lo >> 32) * line_count_ >> 32) * kLineSlots;
  }
  // The slot of the hash with its node; or, without one, the slot where it goes: for a reader that
  // is none, since another key may have it by now.
  struct Place {
    Slot* slot;
    Node* node;
  };
  Place slot_of(const Hash128& hash) const noexcept {
    for (std::size_t at = home(hash);; at = at + 1 == slot_count() ? 0 : at + 1) {
      Slot& slot = slots_[at];
      // Once: what is free now may not be at the next look. Pairs with publish.
      Node* const node = slot.node.load(std::memory_order_acquire);
      if (node == nullptr || slot.hash == hash) return {&slot, node};
    }
  }
  std::size_t slot_count() const noexcept { return line_count_ * kLineSlots; }
  // Calls with the slots of every group that has one in use, in order.
  template <class Call>
  void for_each_touched(const Call& call) const;
  // Into the free slot that slot_of() gave.
  void publish(Slot& slot, const Hash128& hash, std::uint64_t value, Node* node) noexcept;
  Node* make_node(const Entry& entry, const Node* next, bool with_value) noexcept;
  void apply_number(const Entry& entry) noexcept;
  void apply_record(const Entry& entry) noexcept;
  void apply_element(const Entry& entry, const KeyHasher& hasher) noexcept;

  const Form form_;
  const std::uint64_t bytes_;
  const std::size_t max_used_;  // slots; beyond it chains grow long
  const std::uint64_t line_count_;
  const std::uint32_t filter_blocks_;
  ZeroedMemory filter_memory_;
  ZeroedMemory slot_memory_;
  ZeroedMemory arena_;
  Slot* const slots_;
  BlockFilter::Word* const filter_words_;
  const BlockFilter filter_;
  // The writer's, away from what readers need.
  alignas(64) std::size_t arena_used_ = 0;
  std::vector<std::uint64_t> touched_;  // groups of slots: an overlay may be sealed almost empty
  std::atomic<std::size_t> slots_used_{0};
  std::atomic<std::uint64_t> arena_bytes_{0};
  std::atomic<std::uint64_t> entries_{0};
  std::atomic<std::uint64_t> min_sequence_{0};
  std::atomic<std::uint64_t> max_sequence_{0};
};

}  // namespace sluice::controlplane::store
