// Looks up a batch of numbers in all trees at once, whatever lanes the keys lie in: every line that
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

  // `hashes` and `values` are the caller's, by position; the trees live as long as this.
  NumberSearch(const TreeSet& set, const Hash128* hashes, std::uint64_t* values) noexcept
      : set_(set), hashes_(hashes), values_(values) {}

  // `wanted`: bits of the keys to look for. Fills values of those that were found, kDeletedValue
  // included, and returns their bits.
  std::uint64_t run(std::uint64_t wanted) noexcept;
  // Keys in no overlay of theirs, that have to be looked for in segments with checking.
  std::uint64_t left() const noexcept { return left_; }
  const Counts& counts() const noexcept { return counts_; }

 private:
  // A tree as the batch sees it.
  struct Levels {
    const Tree* tree;
    const Overlay* active;      // null when it is empty
    const Segment::View* last;  // the oldest segment, when it has no filter
    bool ready;
    std::uint8_t count;                       // of segments
    std::uint8_t upper;                       // of them, those before `last`
    const Segment::View* view[kMaxSegments];  // newest first
  };
  // A key that may be in the upper segments of `mask`, and is looked for in the newest of them.
  struct Candidate {
    const Segment::View* view;
    const std::uint8_t* record;
    std::uint32_t pilot;
    std::uint8_t key;
    std::uint8_t level;
    std::uint8_t mask;  // of the levels behind it
  };

  const Levels& levels_of(unsigned key) const noexcept { return levels_[lane_[key]]; }
  void find_levels(std::uint64_t wanted) noexcept;
  void find_levels_of(unsigned lane) noexcept;
  template <class Each>
  void for_each_overlay(unsigned key, const Each& each) const noexcept;
  void prefetch_overlays(std::uint64_t wanted) const noexcept;
  void filter_overlays(std::uint64_t wanted) noexcept;
  void prefetch_slots() const noexcept;
  void search_overlays() noexcept;
  void leave(std::uint64_t wanted) noexcept;
  void prefetch_filters() const noexcept;
  unsigned passed(unsigned key) const noexcept;
  void add(unsigned key, unsigned mask) noexcept;
  void find_candidates(std::uint64_t wanted) noexcept;
  void prefetch_candidates() noexcept;
  void probe_candidates() noexcept;
  void search_upper() noexcept;
  void prefetch_pilots(std::uint64_t wanted) noexcept;
  void prefetch_last(std::uint64_t wanted) noexcept;
  void search_last(std::uint64_t wanted) noexcept;

  const TreeSet& set_;
  const Hash128* const hashes_;
  std::uint64_t* const values_;
  std::uint64_t found_ = 0;
  std::uint64_t left_ = 0;
  // Of any tree of the batch: whether there is something to look at.
  bool any_overlay_ = false;
  bool any_upper_ = false;
  bool all_ready_ = true;
  std::uint64_t with_upper_ = 0;  // keys of lanes with upper segments
  std::uint64_t in_overlay_ = 0;  // keys that an overlay may have
  std::uint64_t in_upper_ = 0;    // keys that an upper segment may have
  unsigned candidates_ = 0;
  Counts counts_;
  Scratch<std::uint8_t, kMax> lane_;
  Scratch<Levels, kMaxLanes> levels_;
  Scratch<std::uint32_t, kMax> pilots_;  // of the last level
  Scratch<const std::uint8_t*, kMax> records_;
  Scratch<Candidate, kMax> candidate_;
};
static_assert(kMaxLanes <= 64);

}  // namespace sluice::controlplane::store
