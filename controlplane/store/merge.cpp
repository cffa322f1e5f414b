#include "controlplane/store/merge.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "controlplane/store/hash_order.hpp"

namespace sluice::controlplane::store {

namespace {

constexpr bool of_set(Op op) noexcept {
  return op == Op::kSetAdd || op == Op::kSetRemove;
}

// Entries of one key lie next to each other in the merged order, newest first. Elements are told
// apart by their bytes; a set of many elements is looked up in a small hash table.
class SeenElements {
 public:
  void clear() noexcept {
    ++round_;
    used_ = 0;
  }

  // False when the element was seen before since clear().
  bool insert(std::span<const std::uint8_t> element) {
    if (2 * (used_ + 1) > slots_.size()) grow();
    Slot& slot = place(element);
    if (slot.round == round_) return false;
    slot = {round_, static_cast<std::uint8_t>(element.size()), {}};
    std::memcpy(slot.bytes, element.data(), element.size());
    ++used_;
    return true;
  }

 private:
  struct Slot {
    std::uint64_t round = 0;
    std::uint8_t size = 0;
    std::uint8_t bytes[kMaxElementBytes] = {};
  };

  Slot& place(std::span<const std::uint8_t> element) {
    // Elements are not secret and a set is one key's: no keyed hash is needed, only a fair one.
    std::uint64_t hash = element.size();
    for (const std::uint8_t byte : element)
      hash = (hash ^ byte) * 0x100000001b3U;
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15U;
    for (std::size_t at = hash >> 32;; ++at) {
      Slot& slot = slots_[at & (slots_.size() - 1)];
      if (slot.round != round_) return slot;
      if (slot.size == element.size() &&
          std::memcmp(slot.bytes, element.data(), element.size()) == 0) {
        return slot;
      }
    }
  }

  void grow() {
    std::vector<Slot> old(std::max<std::size_t>(16, 2 * slots_.size()));
    std::swap(old, slots_);
    for (const Slot& slot : old)
      if (slot.round == round_) place({slot.bytes, slot.size}) = slot;
  }

  std::vector<Slot> slots_;
  std::uint64_t round_ = 1;  // slots of other rounds are free
  std::size_t used_ = 0;
};

class Merge final : public EntrySource {
 public:
  Merge(std::vector<std::unique_ptr<EntrySource>> sources, bool bottom) : bottom_(bottom) {
    for (auto& source : sources)
      inputs_.push_back({std::move(source), {}});
  }

  Result<bool> next(Entry& entry) override {
    if (ended_) return false;
    if (!started_) {
      started_ = true;
      heap_.reserve(inputs_.size());
      for (std::size_t i = 0; i < inputs_.size(); ++i)
        if (Status read = push(i); !read) return stop(read.error());
    }
    // The entry given last is still in the caller's hands until now.
    if (Status moved = advance(); !moved) return stop(moved.error());
    while (!heap_.empty()) {
      const Entry& top = inputs_[heap_.front()].head;
      if (wanted(top)) {
        entry = top;
        given_ = true;
        return true;
      }
      given_ = true;
      if (Status moved = advance(); !moved) return stop(moved.error());
    }
    ended_ = true;
    return false;
  }

 private:
  struct Input {
    std::unique_ptr<EntrySource> source;
    Entry head;
  };

  std::unexpected<Error> stop(Error error) {
    ended_ = true;
    return std::unexpected(std::move(error));
  }

  bool later(std::size_t a, std::size_t b) const noexcept {
    return order(inputs_[a].head, inputs_[b].head) > 0;
  }

  Status push(std::size_t input) {
    const Result<bool> read = inputs_[input].source->next(inputs_[input].head);
    if (!read) return std::unexpected(read.error());
    if (!*read) return {};
    heap_.push_back(input);
    std::push_heap(heap_.begin(), heap_.end(),
                   [this](std::size_t a, std::size_t b) { return later(a, b); });
    return {};
  }

  Status advance() {
    if (!std::exchange(given_, false)) return {};
    std::pop_heap(heap_.begin(), heap_.end(),
                  [this](std::size_t a, std::size_t b) { return later(a, b); });
    const std::size_t input = heap_.back();
    heap_.pop_back();
    return push(input);
  }

  // Decides about the newest entry that is left; must see all entries in order.
  bool wanted(const Entry& entry) {
    if (!any_ || entry.hash != key_) {
      any_ = true;
      key_ = entry.hash;
      closed_ = false;
      seen_.clear();
    }
    if (closed_) return false;
    if (!of_set(entry.op)) {
      closed_ = true;
      return entry.op == Op::kPut || !bottom_;
    }
    return seen_.insert(entry.value) && !(bottom_ && entry.op == Op::kSetRemove);
  }

  const bool bottom_;
  std::vector<Input> inputs_;
  std::vector<std::size_t> heap_;  // inputs that have a head, the first in order on top
  SeenElements seen_;
  Hash128 key_;
  bool any_ = false;
  bool closed_ = false;  // what follows of this key is hidden
  bool started_ = false;
  bool given_ = false;  // the top of the heap was looked at
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<EntrySource> merge(std::vector<std::unique_ptr<EntrySource>> sources, bool bottom) {
  return std::make_unique<Merge>(std::move(sources), bottom);
}

Status copy(EntrySource& from, SegmentWriter& to) {
  Entry entry;
  for (;;) {
    const Result<bool> more = from.next(entry);
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    if (Status added = to.add(entry); !added) return added;
  }
}

}  // namespace sluice::controlplane::store
