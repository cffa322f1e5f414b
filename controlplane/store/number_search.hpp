// Looks up a batch of numbers in all trees at once, whatever lanes the keys lie in. The keys are
// grouped by lane first, so that no loop has to guess what the next key's lane has. Every line that
// a key may need first (filters of overlays and levels, pilot) is on its way before the first is
// looked at, then those that only the answers tell (slot, record). So a batch waits for memory some
// three times, not three times for each segment of each lane; and a key that is in the oldest
// segment costs a line of a filter for each level above it, and two lines there.
//
// Only for trees whose segments need no checking any more (Segment::ready); keys of other trees are
// left to the caller. No locks, no allocation; one thread, for one batch.
#pragma once

#include <cstdint>

#include "controlplane/store/compaction/compaction_policy.hpp"
#include "controlplane/store/scratch.hpp"
#include "controlplane/store/version.hpp"

namespace sluice::controlplane::store {

class NumberSearch {
 public:
  static constexpr unsigned kMax = 64;  // keys of a batch

  struct Counts {
    std::uint64_t probes = 0;           // of segments
    std::uint64_t false_positives = 0;  // of filters
  };

  // `values` is the caller's, by position; the trees live as long as this.
  NumberSearch(const TreeSet& set, std::uint64_t* values) noexcept : set_(set), values_(values) {}

  // Once. `wanted`: bits of the hashes to look for. Fills values of those that were found,
  // kDeletedValue included, and returns their bits.
  std::uint64_t run(const Hash128* hashes, std::uint64_t wanted) noexcept;
  // Keys in no overlay of theirs, that have to be looked for in segments with checking.
  std::uint64_t left() const noexcept { return left_; }
  const Counts& counts() const noexcept { return counts_; }

 private:
  // The keys of one lane, and its tree as the batch sees it.
  struct Run {
    const Tree* tree;
    const Overlay* active;      // null when it is empty
    const Segment::View* last;  // the oldest segment, when it has no filter
    std::uint8_t begin;         // of its keys
    std::uint8_t end;
    std::uint8_t count;                       // of segments; 0 when they need checking
    std::uint8_t upper;                       // of them, those before `last`
    const Segment::View* view[kMaxSegments];  // newest first

    std::uint64_t keys() const noexcept {
      return ~std::uint64_t{0} >> (64 - (end - begin)) << begin;
    }
  };
  // A key that may be in upper segments, and is looked for in one of them.
  struct Candidate {
    const Run* run;
    const std::uint8_t* record;
    std::uint32_t pilot;
    std::uint8_t at;
    std::uint8_t level;
    std::uint8_t behind;  // bits of the levels after it that may have the key
  };

  void group(const Hash128* hashes, std::uint64_t wanted) noexcept;
  void add_run(unsigned lane, unsigned begin, unsigned end) noexcept;
  std::uint64_t ungroup(std::uint64_t bits) const noexcept;
  template <class Each>
  static void for_each_overlay(const Run& run, const Each& each);
  template <class Filter>
  std::uint64_t passed(const Run& run, const Filter& filter) const noexcept;
  void prefetch_filters(const Run& run) noexcept;
  void filter_overlays(const Run& run) noexcept;
  void filter_upper(const Run& run) noexcept;
  void prefetch_last(const Run& run, std::uint64_t keys) noexcept;
  void search_overlays(const Run& run) noexcept;
  void add_candidate(Candidate candidate, unsigned levels) noexcept;
  void prefetch_candidates() noexcept;
  void probe_candidates() noexcept;
  void search_upper() noexcept;
  void search_last(const Run& run) noexcept;

  const TreeSet& set_;
  std::uint64_t* const values_;
  // Bits and positions inside this class are of keys in groups; key_ has the caller's position.
  Scratch<Hash128, kMax> hash_;
  Scratch<std::uint8_t, kMax> key_;
  Scratch<Run, kMaxLanes> runs_;
  unsigned run_count_ = 0;
  std::uint64_t found_ = 0;
  std::uint64_t left_ = 0;
  std::uint64_t in_overlay_ = 0;  // keys that an overlay may have
  std::uint64_t in_upper_ = 0;    // keys that an upper segment may have
  unsigned candidates_ = 0;
  Counts counts_;
  Scratch<std::uint32_t, kMax> pilots_;  // of the last level
  Scratch<const std::uint8_t*, kMax> records_;
  Scratch<Candidate, kMax> candidate_;
};
static_assert(kMaxLanes <= 64);

}  // namespace sluice::controlplane::store
