// What was written lately to one tree (one lane of one form), in memory: an open-addressing hash
// table over the key's 128-bit hash, in front of an arena that holds keys, records and set
// elements. Holds the newest state of each key only. Bounded: when full() it is sealed and a fresh
// one takes the writes, while this one is written to a segment.
//
// Threads: one writer at a time (apply); any number of readers at any time, without locks. A slot
// is published by its node pointer (release), after hash and value; nothing is ever moved or freed
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
#include "controlplane/store/key_hash.hpp"
#include "controlplane/store/zeroed_memory.hpp"

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

  // `bytes`: about what it may take when full. The smallest holds at least one entry of any size.
  Overlay(Form form, std::uint64_t bytes);

  Form form() const noexcept { return form_; }

  // Writer. Whether `operations` more with so many bytes of keys and values surely fit.
  bool fits(std::size_t operations, std::size_t bytes) const noexcept;
  // Operations on one key come in the order of their sequences. `hasher` gives elements of sets a
  // hash of their own.
  void apply(const Entry& entry, const KeyHasher& hasher);

  void prefetch(const Hash128& hash) const noexcept { __builtin_prefetch(&slots_[index_of(hash)]); }
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
    std::atomic<std::uint64_t> lo;
    std::atomic<std::uint64_t> hi;
    // Compact: the value. Exact, a key: the sequence of its newest deletion; an element: kElement.
    std::atomic<std::uint64_t> value;
    std::atomic<Node*> node;  // null: the slot is free
  };
  static_assert(sizeof(Slot) == 32);
  static constexpr std::uint64_t kElement = std::numeric_limits<std::uint64_t>::max();

  std::size_t index_of(const Hash128& hash) const noexcept { return hash.lo & mask_; }
  const Slot* slot_of(const Hash128& hash) const noexcept {
    for (std::size_t at = index_of(hash);; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.node.load(std::memory_order_acquire) == nullptr) return nullptr;
      if (slot.lo.load(std::memory_order_relaxed) == hash.lo &&
          slot.hi.load(std::memory_order_relaxed) == hash.hi) {
        return &slot;
      }
    }
  }
  // The slot of the hash, or the free one where it goes.
  Slot& place_of(const Hash128& hash) noexcept;
  void publish(Slot& slot, const Hash128& hash, std::uint64_t value, Node* node) noexcept;
  Node* make_node(const Entry& entry, const Node* next, bool with_value) noexcept;
  void apply_number(const Entry& entry) noexcept;
  void apply_record(const Entry& entry) noexcept;
  void apply_element(const Entry& entry, const KeyHasher& hasher) noexcept;

  const Form form_;
  const std::size_t mask_;
  const std::size_t max_slots_;
  ZeroedMemory slot_memory_;
  ZeroedMemory arena_;
  Slot* const slots_;
  std::size_t arena_used_ = 0;
  std::size_t slots_used_ = 0;
  std::atomic<std::uint64_t> arena_bytes_{0};
  std::atomic<std::uint64_t> entries_{0};
  std::atomic<std::uint64_t> min_sequence_{0};
  std::atomic<std::uint64_t> max_sequence_{0};
};

}  // namespace sluice::controlplane::store
