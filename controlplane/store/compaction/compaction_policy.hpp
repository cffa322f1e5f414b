// What to merge, and when: decided from sizes alone. A tree has at most kMaxSegments segments,
// newest first, each normally `ratio` times smaller than the next: levels, whose ratio grows with
// the fourth root of the index instead of their number (so a lookup probes at most four segments
// whatever the size). Few reads: lazy, four segments, less writing. Many reads: eager, down to one
// or two segments. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace sluice::controlplane::store {

inline constexpr std::size_t kMaxSegments = 4;

struct SegmentShape {
  std::uint64_t entries = 0;
  bool busy = false;  // part of a merge that runs, or damaged: to be left alone
};

struct CompactionPolicy {
  double ratio = 2;            // of neighbours' sizes
  std::size_t merge_from = 4;  // segments of a tree from which on merging begins

  friend bool operator==(const CompactionPolicy&, const CompactionPolicy&) = default;
};

// `unit`: entries of one overlay. `reads_per_write`: what was observed lately.
CompactionPolicy choose_policy(std::uint64_t entries, std::uint64_t unit,
                               double reads_per_write) noexcept;

// How many of the newest segments a flush shall merge with the sealed overlays into one new
// segment; nothing: there is no room before a running merge is done.
std::optional<std::size_t> plan_flush(std::span<const SegmentShape> newest_first,
                                      std::size_t max_segments) noexcept;

struct MergeRange {
  std::size_t first = 0;  // newest
  std::size_t count = 0;

  friend bool operator==(const MergeRange&, const MergeRange&) = default;
};

// What to merge in the background; nothing: the tree is in shape, or a merge of it runs.
std::optional<MergeRange> plan_merge(std::span<const SegmentShape> newest_first, std::uint64_t unit,
                                     const CompactionPolicy& policy) noexcept;

}  // namespace sluice::controlplane::store
