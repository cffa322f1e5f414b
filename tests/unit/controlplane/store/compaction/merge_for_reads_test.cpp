// When reads have paid for a merge of everything, and the round of merges that follows.
#include "controlplane/store/compaction/merge_for_reads.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::controlplane::store {
namespace {

using Tree = MergeForReads::Tree;
using Census = MergeForReads::Census;

constexpr std::uint64_t kEntries = 1'000'000;
constexpr std::uint64_t kAbove = 500'000;

TEST(MergeForReads, ReadsPayFirst) {
  MergeForReads reads;
  EXPECT_FALSE(reads.worth({kEntries, kAbove, 9'999'999}));
  EXPECT_TRUE(reads.worth({kEntries, kAbove, 10'000'000}));
  EXPECT_FALSE(reads.worth({kEntries, kAbove, 19'999'999})) << "the next one is paid anew";
  EXPECT_TRUE(reads.worth({kEntries, kAbove, 20'000'000}));
}

TEST(MergeForReads, LookupsWithoutLevelsPayForNothing) {
  MergeForReads reads;
  EXPECT_FALSE(reads.worth({kEntries, 0, 1'000'000'000}));
  EXPECT_FALSE(reads.worth({kEntries, kAbove, 1'000'000'000}));
  EXPECT_FALSE(reads.worth({kEntries, kAbove, 1'009'999'999}));
  EXPECT_TRUE(reads.worth({kEntries, kAbove, 1'010'000'000}));
}

TEST(MergeForReads, FewEntriesAboveStay) {
  MergeForReads reads;
  EXPECT_FALSE(reads.worth({100'000, 65'535, UINT64_MAX})) << "they are in the cache";
  EXPECT_FALSE(reads.worth({100'000'000, 1'000'000, UINT64_MAX})) << "a small share";
}

TEST(MergeForReads, OneRoundAtATime) {
  MergeForReads reads;
  ASSERT_TRUE(reads.worth({kEntries, kAbove, 10'000'000}));
  reads.start(2);
  EXPECT_FALSE(reads.worth({kEntries, kAbove, 100'000'000})) << "trees wait";
  const auto ready = [](std::size_t) { return Tree::kReady; };
  EXPECT_EQ(reads.take(ready), 0U);
  EXPECT_EQ(reads.take(ready), 1U);
  EXPECT_EQ(reads.take(ready), std::nullopt);
  EXPECT_FALSE(reads.worth({kEntries, kAbove, 200'000'000})) << "merges run";
  reads.finished();
  reads.finished();
  EXPECT_FALSE(reads.worth({kEntries, kAbove, 209'999'999})) << "what was read meanwhile is paid";
  EXPECT_TRUE(reads.worth({kEntries, kAbove, 210'000'000}));
}

TEST(MergeForReads, TreesWaitUntilTheyAreReadyAndNoTreeIsInTheWay) {
  MergeForReads reads;
  reads.start(4);
  std::vector<Tree> states = {Tree::kLater, Tree::kDone, Tree::kReady, Tree::kLater};
  const auto state_of = [&](std::size_t tree) { return states[tree]; };
  EXPECT_EQ(reads.take(state_of), 2U);
  EXPECT_EQ(reads.take(state_of), std::nullopt);
  states = {Tree::kReady, Tree::kReady, Tree::kReady, Tree::kDone};
  EXPECT_EQ(reads.take(state_of), 0U);
  EXPECT_EQ(reads.take(state_of), std::nullopt) << "what was done is forgotten";
  reads.start(2);
  reads.drop();
  EXPECT_EQ(reads.take(state_of), std::nullopt);
}

}  // namespace
}  // namespace sluice::controlplane::store
