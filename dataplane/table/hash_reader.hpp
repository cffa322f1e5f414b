// Looks ids up in an rte_hash by reading its buckets directly. The library's bulk look-up is built
// for any x86 and goes over both buckets of every id; this one compares a bucket's signatures with
// one instruction and goes to an id's second bucket only when the first has nothing. The writer
// stays the library.
//
// The memory layout and the protocol between writer and readers are those of DPDK 22.11 (private
// there). attach() checks that the library at hand has them, on the table itself and by trying them
// on a small one; where they differ there is no reader and the library's own look-up serves. Any
// thread may read, under the rules of route_table.hpp.
#pragma once

#include <emmintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "sluice/base/ids.hpp"
#include "sluice/base/prefetch.hpp"
#include "sluice/route/action.hpp"

struct rte_hash;

// The thread sanitizer knows the library's memcpy of a key, but not the release store of the index
// after it, because the library is not built for it: it must not look at comparisons of keys.
#if defined(SLUICE_THREAD_SANITIZER)
#define SLUICE_UNSEEN_BY_TSAN __attribute__((noinline, no_sanitize("thread")))
#else
#define SLUICE_UNSEEN_BY_TSAN
#endif

namespace sluice::dataplane {

class HashReader {
 public:
  static constexpr unsigned kMaxBurst = 64;

  // For a table of `entries` entries with 16-byte keys that was created with
  // RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF alone and whose values are actions, never of kind kNone.
  // nullopt: not the layout that this file knows. Set-up; allocates and frees a small table.
  static std::optional<HashReader> attach(const rte_hash* table, std::uint32_t entries);

  // The actions of ids[0..n), n <= kMaxBurst; kind kNone where there is none. `hashes` as given to
  // the library at insertion.
  void find(const Id* ids, const std::uint32_t* hashes, unsigned n, Action* out) const noexcept {
    if (distance_ == Distance::kFar) return find_at<Distance::kFar>(ids, hashes, n, out);
    find_at<Distance::kNear>(ids, hashes, n, out);
  }
  // With the lines fetched as for a table that lies there.
  template <Distance kDistance>
  void find_at(const Id* ids, const std::uint32_t* hashes, unsigned n, Action* out) const noexcept;
  Action find(const Id& id, std::uint32_t hash) const noexcept;

  // The writer's: the places of all buckets, one by one. False: nothing is there.
  std::uint32_t places() const noexcept { return (mask_ + 1) * kEntriesPerBucket; }
  bool at_place(std::uint32_t place, Id& id, Action& action) const noexcept {
    const std::uint32_t index =
        buckets_[place / kEntriesPerBucket].index[place % kEntriesPerBucket];
    if (index == 0) return false;
    id = entries_[index].key;
    action = Action::from_bits(entries_[index].value);
    return true;
  }

  // Counts up when an entry moves to another bucket. Acquire: pairs with the release store of the
  // counter, which the library makes when an entry is in both of its buckets, before it leaves the
  // one it was in.
  std::uint32_t moves() const noexcept { return __atomic_load_n(moves_, __ATOMIC_ACQUIRE); }

 private:
  static constexpr unsigned kEntriesPerBucket = 8;

  // As in the library. Entry 0 is never used: an index of 0 is an empty place, and entry 0 is zero.
  struct alignas(64) Bucket {
    std::uint16_t signature[kEntriesPerBucket];
    std::uint32_t index[kEntriesPerBucket];
    std::uint8_t flag[kEntriesPerBucket];
    void* next;
  };
  static_assert(sizeof(Bucket) == 64);
  struct Entry {
    std::uint64_t value;
    Id key;
    std::uint64_t padding;
  };
  static_assert(sizeof(Entry) == 32);
  struct Head;  // rte_hash itself

  static std::optional<HashReader> attach_unproven(const rte_hash* table, std::uint32_t entries);
  static bool works_on_trial_table();

  const Bucket& first_bucket(std::uint32_t hash) const noexcept { return buckets_[hash & mask_]; }
  const Bucket& second_bucket(std::uint32_t hash) const noexcept {
    return buckets_[(hash ^ hash >> 16) & mask_];
  }
  // Two bits per place of the bucket that has the hash's signature.
  static unsigned matches(const Bucket& bucket, std::uint32_t hash) noexcept {
    const __m128i have = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.signature));
    const __m128i want = _mm_set1_epi16(static_cast<std::int16_t>(hash >> 16));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi16(have, want)));
  }
  // The index at the first match, 0 when there is none or the place is empty. Acquire: pairs with
  // the library's release store of the index after key, value and signature.
  static std::uint32_t first_match(const Bucket& bucket, std::uint32_t hash) noexcept {
    const unsigned found = matches(bucket, hash);
    const unsigned place = static_cast<unsigned>(std::countr_zero(found | 0x8000U)) / 2;
    const std::uint32_t index = __atomic_load_n(&bucket.index[place], __ATOMIC_ACQUIRE);
    return index & -static_cast<std::uint32_t>(found != 0);
  }
  SLUICE_UNSEEN_BY_TSAN static bool same(const Id& a, const Id& b) noexcept {
    const __m128i left = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a.bytes.data()));
    const __m128i right = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b.bytes.data()));
    return _mm_movemask_epi8(_mm_cmpeq_epi8(left, right)) == 0xffff;
  }
  // 0 when the entry is not the id's. Acquire: pairs with the release store with which the library
  // replaces a value.
  static std::uint64_t value_if_same(const Entry& entry, const Id& id) noexcept {
    const std::uint64_t value = __atomic_load_n(&entry.value, __ATOMIC_ACQUIRE);
    return value & -static_cast<std::uint64_t>(same(entry.key, id));
  }
  std::uint64_t find_in(const Bucket& bucket, const Id& id, std::uint32_t hash) const noexcept;
  void settle(const Id* ids, const std::uint32_t* hashes, std::uint64_t missed,
              std::uint32_t moves_before, Action* out) const noexcept;

  const Bucket* buckets_ = nullptr;
  const Entry* entries_ = nullptr;
  const std::uint32_t* moves_ = nullptr;
  std::uint32_t mask_ = 0;
  Distance distance_ = Distance::kNear;
};

// Three passes, so that the cache lines of all ids are on their way at the same time: buckets,
// entries, comparison. No branch depends on the table's content but how many ids are not in their
// first bucket.
template <Distance kDistance>
inline void HashReader::find_at(const Id* ids, const std::uint32_t* hashes, unsigned n,
                                Action* out) const noexcept {
  const HashReader table = *this;  // in registers: acquire loads would have it read again and again
  const Entry* entries[kMaxBurst];
  std::uint8_t elsewhere[kMaxBurst];
  unsigned others = 0;
  const std::uint32_t moves_before = table.moves();
  for (unsigned i = 0; i < n; ++i)
    prefetch<kDistance>(&table.first_bucket(hashes[i]));
  for (unsigned i = 0; i < n; ++i) {
    const std::uint32_t index = first_match(table.first_bucket(hashes[i]), hashes[i]);
    entries[i] = table.entries_ + index;
    prefetch<kDistance>(entries[i]);
    elsewhere[others] = static_cast<std::uint8_t>(i);
    others += static_cast<unsigned>(index == 0);
  }
  for (unsigned k = 0; k < others; ++k)
    prefetch<kDistance>(&table.second_bucket(hashes[elsewhere[k]]));
  for (unsigned k = 0; k < others; ++k) {
    const unsigned i = elsewhere[k];
    entries[i] = table.entries_ + first_match(table.second_bucket(hashes[i]), hashes[i]);
    prefetch<kDistance>(entries[i]);
  }
  std::uint64_t missed = 0;
  for (unsigned i = 0; i < n; ++i) {
    const std::uint64_t value = value_if_same(*entries[i], ids[i]);
    out[i] = Action::from_bits(value);
    missed |= static_cast<std::uint64_t>(value == 0) << i;
  }
  if (missed != 0) [[unlikely]]
    table.settle(ids, hashes, missed, moves_before, out);
}

}  // namespace sluice::dataplane

#undef SLUICE_UNSEEN_BY_TSAN
