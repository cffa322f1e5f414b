// Lanes: the function of the paper, balance, and that more lanes move only what has to move.
#include "controlplane/store/lane.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>

namespace sluice::controlplane::store {
namespace {

TEST(Lane, OneBucketTakesAllAndBucketsAreInRange) {
  for (std::uint64_t key = 0; key < 1000; ++key) {
    EXPECT_EQ(jump_consistent_hash(key, 1), 0U);
    for (unsigned buckets = 2; buckets < 70; buckets += 7)
      EXPECT_LT(jump_consistent_hash(key * 0x9e3779b97f4a7c15ULL, buckets), buckets);
  }
}

TEST(Lane, AGrowingCountMovesKeysOnlyToTheNewBucket) {
  for (std::uint64_t key = 1; key < 2000; ++key) {
    unsigned last = 0;
    for (unsigned buckets = 2; buckets <= kMaxLanes; ++buckets) {
      const unsigned now = jump_consistent_hash(key * 0x9e3779b97f4a7c15ULL, buckets);
      EXPECT_TRUE(now == last || now == buckets - 1);
      last = now;
    }
  }
}

TEST(Lane, TheTableSpreadsHashesEvenly) {
  std::mt19937_64 random(3);
  for (const unsigned lanes : {1U, 2U, 4U, 7U, 16U}) {
    const LaneTable table(lanes);
    std::array<unsigned, kMaxLanes> count{};
    constexpr unsigned kHashes = 100'000;
    for (unsigned i = 0; i < kHashes; ++i)
      ++count[table.of({0, random()})];
    for (unsigned lane = 0; lane < lanes; ++lane) {
      EXPECT_GT(count[lane], kHashes / lanes * 8 / 10) << lanes << " lanes, lane " << lane;
      EXPECT_LT(count[lane], kHashes / lanes * 12 / 10 + 1) << lanes << " lanes, lane " << lane;
    }
  }
}

TEST(Lane, TheTableKeepsWhatNeedNotMove) {
  const LaneTable four(4);
  const LaneTable five(5);
  unsigned moved = 0;
  for (std::uint64_t slot = 0; slot < LaneTable::kSlots; ++slot) {
    const Hash128 hash{0, slot << 52};
    if (four.of(hash) == five.of(hash)) continue;
    EXPECT_EQ(five.of(hash), 4U);
    ++moved;
  }
  EXPECT_GT(moved, LaneTable::kSlots / 5 * 8 / 10);
  EXPECT_LT(moved, LaneTable::kSlots / 5 * 12 / 10);
}

}  // namespace
}  // namespace sluice::controlplane::store
