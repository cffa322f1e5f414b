// Says of most ids that the delta does not have them, from a cache line that is near (a Bloom
// filter whose two bits lie in one word). With nearly all routes in a base, most look-ups would
// otherwise fetch two lines of the delta's buckets, which are as many as its capacity asks for, to
// find nothing. One writer (the manager thread) adds; workers ask. Nothing is ever taken out: when
// much was added a new one is made (Tables). Needs no EAL.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "dataplane/table/node_array.hpp"
#include "sluice/hash/aes_key.hpp"

namespace sluice::dataplane {

class DeltaFilter {
 public:
  // For so many ids: then it says yes to 6 % of those it does not have, at half as many to 2 %.
  static Result<std::unique_ptr<DeltaFilter>> create(std::size_t ids, int numa_node);

  // Readers. False: no id with this hash was added before, as far as this thread can see.
  bool may_have(const Hash128& hash) const noexcept {
    // Relaxed: whoever does not see the bit yet does not see the route yet either, and may as well
    // have asked a moment earlier.
    const std::uint64_t word = std::atomic_ref(const_cast<std::uint64_t&>(words_[word_of(hash)]))
                                   .load(std::memory_order_relaxed);
    return (word >> first_bit(hash) & word >> second_bit(hash) & 1) != 0;
  }

  // The writer, before the id is put into the delta.
  void add(const Hash128& hash) noexcept {
    const std::uint64_t bits = std::uint64_t{1} << first_bit(hash) | std::uint64_t{1}
                                                                         << second_bit(hash);
    std::atomic_ref word(words_[word_of(hash)]);
    const std::uint64_t before = word.load(std::memory_order_relaxed);
    if ((before & bits) == bits) return;  // ids that change again and again do not wear it out
    word.store(before | bits, std::memory_order_relaxed);
    ++added_;
  }
  // More was added than it was made for.
  bool worn() const noexcept { return added_ > made_for_; }

 private:
  DeltaFilter(NodeArray<std::uint64_t> words, std::size_t ids)
      : words_(std::move(words)), mask_(words_.size() - 1), made_for_(ids) {}

  std::size_t word_of(const Hash128& hash) const noexcept { return hash.hi >> 32 & mask_; }
  static unsigned first_bit(const Hash128& hash) noexcept { return hash.lo >> 40 & 63; }
  static unsigned second_bit(const Hash128& hash) noexcept { return hash.lo >> 48 & 63; }

  NodeArray<std::uint64_t> words_;  // a power of two
  std::size_t mask_;
  std::size_t made_for_;
  std::size_t added_ = 0;  // the writer's
};

}  // namespace sluice::dataplane
