// The policy: bounds that hold whatever happens, and simulated trees: how much is written and how
// many segments a lookup meets.
#include "controlplane/store/compaction/compaction_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sluice::controlplane::store {
namespace {

using Shapes = std::vector<SegmentShape>;

void replace(Shapes& tree, std::size_t first, std::size_t count, std::uint64_t added = 0) {
  std::uint64_t merged = added;
  for (std::size_t i = 0; i < count; ++i)
    merged += tree[first + i].entries;
  const auto at = tree.begin() + static_cast<std::ptrdiff_t>(first);
  tree.erase(at, at + static_cast<std::ptrdiff_t>(count));
  tree.insert(tree.begin() + static_cast<std::ptrdiff_t>(first), {merged, false});
}

struct Run {
  double written = 0;  // entries written per entry flushed
  double probes = 0;   // segments, on average
  std::size_t most = 0;
};

// Flushes of one unit; merges end at once.
Run simulate(unsigned flushes, double reads_per_write) {
  constexpr std::uint64_t kUnit = 1000;
  Shapes tree;
  std::uint64_t written = 0;
  std::uint64_t probes = 0;
  std::size_t most = 0;
  for (unsigned f = 0; f < flushes; ++f) {
    const auto with = plan_flush(tree, kMaxSegments);
    replace(tree, 0, with.value(), kUnit);
    written += tree[0].entries;
    most = std::max(most, tree.size());
    const auto policy = choose_policy(f * kUnit, kUnit, reads_per_write);
    while (const auto range = plan_merge(tree, kUnit, policy)) {
      replace(tree, range->first, range->count);
      written += tree[range->first].entries;
    }
    probes += tree.size();
  }
  return {static_cast<double>(written) / (kUnit * static_cast<double>(flushes)),
          static_cast<double>(probes) / flushes, most};
}

TEST(CompactionPolicy, WritesLittleWhenThereAreFewReads) {
  EXPECT_LT(simulate(17, 0).written, 4.5);
  EXPECT_LT(simulate(67, 0).written, 7);
  EXPECT_LT(simulate(330, 0).written, 12);
  EXPECT_LT(simulate(1000, 0).written, 18);
}

TEST(CompactionPolicy, ReadsMeetFewSegmentsWhenThereAreMany) {
  for (const unsigned flushes : {17U, 67U, 330U}) {
    EXPECT_LT(simulate(flushes, 1000).probes, 2);
    EXPECT_LE(simulate(flushes, 1000).probes, simulate(flushes, 0).probes);
    EXPECT_GE(simulate(flushes, 1000).written, simulate(flushes, 0).written);
  }
}

TEST(CompactionPolicy, NeverMoreThanFourSegments) {
  for (const double reads : {0.0, 20.0, 1000.0})
    EXPECT_LE(simulate(2000, reads).most, kMaxSegments);
}

TEST(CompactionPolicy, AFlushMergesOnlyWhenThereIsNoRoom) {
  EXPECT_EQ(plan_flush(Shapes{}, 4), 0U);
  EXPECT_EQ(plan_flush(Shapes{{1}, {2}, {3}}, 4), 0U);
  EXPECT_EQ(plan_flush(Shapes{{1}, {2}, {3}, {4}}, 4), 1U);
  EXPECT_EQ(plan_flush(Shapes{{1}, {2}, {3}, {4}}, 2), 3U);
  EXPECT_EQ(plan_flush(Shapes{{1, true}, {2}, {3}, {4}}, 4), std::nullopt);
  EXPECT_EQ(plan_flush(Shapes{{1}, {2, true}, {3, true}, {4, true}}, 4), 1U);
}

TEST(CompactionPolicy, ALargeMergeLeavesTheNewestToFlushes) {
  const CompactionPolicy lazy{.ratio = 2, .merge_from = 4};
  EXPECT_EQ(plan_merge(Shapes{{1}, {1}, {2}, {4}}, 1, lazy), (MergeRange{0, 4}));
  EXPECT_EQ(plan_merge(Shapes{{1}, {10}, {20}, {40}}, 1, lazy), (MergeRange{1, 3}));
  EXPECT_EQ(plan_merge(Shapes{{1}, {1}, {20}, {40}}, 1, lazy), (MergeRange{0, 2}));
  EXPECT_EQ(plan_merge(Shapes{{1}, {1}, {2}}, 1, lazy), std::nullopt);
  EXPECT_EQ(plan_merge(Shapes{{1}, {1}, {2, true}, {4, true}}, 1, lazy), std::nullopt);
}

TEST(CompactionPolicy, TwoSegmentsFarApartStay) {
  const CompactionPolicy eager{.ratio = 10, .merge_from = 2};
  EXPECT_EQ(plan_merge(Shapes{{1}, {10}}, 1, eager), std::nullopt);
  EXPECT_EQ(plan_merge(Shapes{{2}, {10}}, 1, eager), (MergeRange{0, 2}));
  EXPECT_EQ(plan_merge(Shapes{{2}}, 1, eager), std::nullopt);
}

}  // namespace
}  // namespace sluice::controlplane::store
