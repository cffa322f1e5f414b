// The writer's books of a table that actions index: which key has which slot, in which epoch it was
// last confirmed, how many routes (groups, backups) refer to it, and when a slot that was given up
// may be used for another key. A slot is used again only when it was erased, nothing refers to it
// any more, and every reader has been quiescent since. So an action that a worker still holds, or a
// route that the control plane forgot to delete, never leads to a stranger. Manager thread only; no
// EAL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dataplane/table/readers.hpp"

namespace sluice::dataplane {

template <class Key, class Hash>
class SlotMap {
 public:
  SlotMap(std::size_t capacity, Readers& readers) : capacity_(capacity), readers_(readers) {}

  std::optional<std::uint32_t> find(const Key& key) const {
    const auto it = slots_.find(key);
    if (it == slots_.end() || entries_[it->second].erased) return std::nullopt;
    return it->second;
  }

  // The slot of the key, a new one when it has none. nullopt: all slots are taken.
  std::optional<std::uint32_t> find_or_allocate(const Key& key) {
    if (const auto it = slots_.find(key); it != slots_.end()) {
      revive(entries_[it->second]);
      return it->second;
    }
    std::uint32_t slot = 0;
    if (!free_.empty()) {
      slot = free_.back();
      free_.pop_back();
    } else if (entries_.size() < capacity_) {
      slot = static_cast<std::uint32_t>(entries_.size());
      entries_.emplace_back();
    } else {
      return std::nullopt;
    }
    entries_[slot] = Entry{.key = key, .used = true, .fresh = true};
    slots_.emplace(key, slot);
    ++size_;
    return slot;
  }

  // True once after the slot was handed out: no reader can hold anything of it.
  bool take_fresh(std::uint32_t slot) { return std::exchange(entries_[slot].fresh, false); }

  // False when the slot was erased already or never used.
  bool erase(std::uint32_t slot) {
    if (!in_use(slot)) return false;
    entries_[slot].erased = true;
    --size_;
    release_when_idle(slot);
    return true;
  }

  void reference(std::uint32_t slot) { ++entries_[slot].references; }
  void unreference(std::uint32_t slot) {
    --entries_[slot].references;
    release_when_idle(slot);
  }
  std::uint32_t references(std::uint32_t slot) const { return entries_[slot].references; }

  bool in_use(std::uint32_t slot) const {
    return slot < entries_.size() && entries_[slot].used && !entries_[slot].erased;
  }
  const Key& key(std::uint32_t slot) const { return entries_[slot].key; }
  std::uint8_t epoch(std::uint32_t slot) const { return entries_[slot].epoch; }
  void set_epoch(std::uint32_t slot, std::uint8_t epoch) { entries_[slot].epoch = epoch; }

  // Looks at up to `max` slots from where the last call stopped; visit(slot) for each one in use
  // that carries another epoch. True at the end; the next call starts over.
  template <class Visit>
  bool visit_stale(std::uint8_t epoch, unsigned max, Visit&& visit) {
    for (unsigned i = 0; i < max && cursor_ < entries_.size(); ++i, ++cursor_) {
      if (in_use(cursor_) && entries_[cursor_].epoch != epoch) visit(cursor_);
    }
    if (cursor_ < entries_.size()) return false;
    cursor_ = 0;
    return true;
  }

  // Looks at up to `max` erased slots and frees those whose readers are gone.
  void reclaim(unsigned max) {
    for (; max > 0 && !grace_.empty() && readers_.passed(grace_.front().token); --max) {
      const Unlinked done = grace_.front();
      grace_.pop_front();
      Entry& entry = entries_[done.slot];
      entry.waits -= 1;
      if (!entry.used || !entry.erased || entry.references != 0 || entry.waits != 0) continue;
      slots_.erase(entry.key);
      entry = Entry{};
      free_.push_back(done.slot);
    }
  }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  // Erased, not yet free.
  std::size_t pending() const { return slots_.size() - size_; }

 private:
  struct Entry {
    Key key{};
    std::uint32_t references = 0;
    std::uint32_t waits = 0;  // entries of grace_ for this slot; only the last one frees it
    std::uint8_t epoch = 0;
    bool used = false;
    bool erased = false;
    bool fresh = false;
  };
  struct Unlinked {
    Readers::Token token;
    std::uint32_t slot;
  };

  void revive(Entry& entry) {
    if (!entry.erased) return;
    entry.erased = false;
    ++size_;
  }
  void release_when_idle(std::uint32_t slot) {
    Entry& entry = entries_[slot];
    if (!entry.erased || entry.references != 0) return;
    ++entry.waits;
    grace_.push_back({readers_.start(), slot});
  }

  std::size_t capacity_;
  std::size_t size_ = 0;
  std::uint32_t cursor_ = 0;
  std::unordered_map<Key, std::uint32_t, Hash> slots_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
  std::deque<Unlinked> grace_;
  Readers& readers_;
};

}  // namespace sluice::dataplane
