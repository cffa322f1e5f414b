#include "controlplane/store/compaction/merge.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "controlplane/store/segment/hash_order.hpp"

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
      for (std::size_t i = inputs_.size(); i-- != 0;)
        if (Status read = advance(i); !read) return stop(read.error());
    }
    // The entry given last is still in the caller's hands until now.
    while (!inputs_.empty()) {
      if (given_) {
        if (Status moved = advance(top_); !moved) return stop(moved.error());
        if (inputs_.empty()) break;
      }
      top_ = first();
      given_ = true;
      if (!wanted(inputs_[top_].head)) continue;
      entry = inputs_[top_].head;
      return true;
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

  // The next head of an input; one that has none goes.
  Status advance(std::size_t input) {
    const Result<bool> read = inputs_[input].source->next(inputs_[input].head);
    if (!read) return std::unexpected(read.error());
    if (!*read) inputs_.erase(inputs_.begin() + static_cast<std::ptrdiff_t>(input));
    return {};
  }

  // They are few: looking at all is quicker than a heap.
  std::size_t first() const noexcept {
    std::size_t best = 0;
    for (std::size_t i = 1; i < inputs_.size(); ++i)
      if (order(inputs_[i].head, inputs_[best].head) < 0) best = i;
    return best;
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
  std::vector<Input> inputs_;  // once started, those that have a head
  std::size_t top_ = 0;        // the one whose head comes first
  SeenElements seen_;
  Hash128 key_;
  bool any_ = false;
  bool closed_ = false;  // what follows of this key is hidden
  bool started_ = false;
  bool given_ = false;  // the head of top_ was looked at
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
