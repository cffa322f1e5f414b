#include "controlplane/store/compaction/compaction_policy.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::controlplane::store {
namespace {

// Merges of more than so many overlays take long: the newest segment is left out of them, so that
// flushes, which may merge with it, do not have to wait.
constexpr std::uint64_t kLargeMerge = 8;

constexpr double kSomeReads = 10;
constexpr double kManyReads = 100;

}  // namespace

CompactionPolicy choose_policy(std::uint64_t entries, std::uint64_t unit,
                               double reads_per_write) noexcept {
  const double units =
      static_cast<double>(entries) / static_cast<double>(std::max<std::uint64_t>(1, unit));
  const double ratio = std::max(1.0, std::pow(units, 0.25));
  if (reads_per_write >= kManyReads) return {.ratio = std::max(ratio, 10.0), .merge_from = 2};
  if (reads_per_write >= kSomeReads) return {.ratio = std::max(ratio, 4.0), .merge_from = 3};
  return {.ratio = ratio, .merge_from = kMaxSegments};
}

std::optional<std::size_t> plan_flush(std::span<const SegmentShape> newest_first,
                                      std::size_t max_segments) noexcept {
  if (newest_first.size() < max_segments) return 0;
  // Merge just enough of the newest to stay within the limit.
  const std::size_t needed = newest_first.size() - max_segments + 1;
  for (std::size_t i = 0; i < needed; ++i) {
    if (newest_first[i].busy) return std::nullopt;
  }
  return needed;
}

std::optional<MergeRange> plan_merge(std::span<const SegmentShape> newest_first, std::uint64_t unit,
                                     const CompactionPolicy& policy) noexcept {
  const std::size_t n = newest_first.size();
  if (n < 2 || n < policy.merge_from) return std::nullopt;
  if (std::ranges::any_of(newest_first, &SegmentShape::busy)) return std::nullopt;
  const auto exceeds = [&](std::uint64_t merged, std::uint64_t next) {
    return static_cast<double>(merged) * policy.ratio > static_cast<double>(next);
  };
  std::uint64_t merged = newest_first[0].entries;
  // Two that are far apart in size may stay so.
  if (n == 2 && !exceeds(merged, newest_first[1].entries)) return std::nullopt;
  std::size_t last = 1;
  merged += newest_first[1].entries;
  while (last + 1 < n && exceeds(merged, newest_first[last + 1].entries))
    merged += newest_first[++last].entries;
  if (last >= 2 && merged > kLargeMerge * unit) return MergeRange{.first = 1, .count = last};
  return MergeRange{.first = 0, .count = last + 1};
}

}  // namespace sluice::controlplane::store
