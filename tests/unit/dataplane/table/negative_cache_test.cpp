#include "dataplane/table/negative_cache.hpp"

#include <gtest/gtest.h>

#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::id_of;

constexpr NegativeCacheTimes kTimes{.hold_tsc = 500, .negative_tsc = 1000, .hold_per_id = 3};
constexpr HashKey kKey{{1, 2, 3}};

TEST(NegativeCache, LifeOfAnUnknownId) {
  NegativeCache cache(64, kKey);
  const Id id = id_of(1);
  EXPECT_EQ(cache.on_miss(id, 100, kTimes), MissVerdict::kHoldAndAsk);
  EXPECT_EQ(cache.on_miss(id, 101, kTimes), MissVerdict::kHold);
  EXPECT_EQ(cache.on_miss(id, 102, kTimes), MissVerdict::kHold);
  EXPECT_EQ(cache.on_miss(id, 103, kTimes), MissVerdict::kHoldFull);
  EXPECT_EQ(cache.on_miss(id, 599, kTimes), MissVerdict::kHoldFull);
  EXPECT_EQ(cache.on_miss(id, 600, kTimes), MissVerdict::kUnknown);
  EXPECT_EQ(cache.on_miss(id, 1599, kTimes), MissVerdict::kUnknown);
  EXPECT_EQ(cache.on_miss(id, 1600, kTimes), MissVerdict::kHoldAndAsk);
  EXPECT_EQ(cache.on_miss(id, 1601, kTimes), MissVerdict::kHold);
}

TEST(NegativeCache, NegativeTimeRunsFromTheEndOfTheWindow) {
  NegativeCache cache(64, kKey);
  cache.on_miss(id_of(1), 100, kTimes);
  EXPECT_EQ(cache.on_miss(id_of(1), 1599, kTimes), MissVerdict::kUnknown);
  EXPECT_EQ(cache.on_miss(id_of(1), 1600, kTimes), MissVerdict::kHoldAndAsk);
  EXPECT_EQ(cache.on_miss(id_of(2), 100, kTimes), MissVerdict::kHoldAndAsk);
  EXPECT_EQ(cache.on_miss(id_of(2), 5000, kTimes), MissVerdict::kHoldAndAsk);
}

TEST(NegativeCache, IdsAreTheirOwn) {
  NegativeCache cache(1024, kKey);
  for (std::uint64_t i = 0; i < 100; ++i)
    EXPECT_EQ(cache.on_miss(id_of(i), 100, kTimes), MissVerdict::kHoldAndAsk);
  for (std::uint64_t i = 0; i < 100; ++i)
    EXPECT_EQ(cache.on_miss(id_of(i), 110, kTimes), MissVerdict::kHold);
}

TEST(NegativeCache, NilIdIsAnIdToo) {
  NegativeCache cache(64, kKey);
  EXPECT_EQ(cache.on_miss(Id{}, 100, kTimes), MissVerdict::kHoldAndAsk);
  EXPECT_EQ(cache.on_miss(Id{}, 101, kTimes), MissVerdict::kHold);
}

TEST(NegativeCache, WithoutHoldingEverythingIsUnknown) {
  NegativeCache cache(64, kKey);
  const NegativeCacheTimes none{.hold_tsc = 500, .negative_tsc = 1000, .hold_per_id = 0};
  EXPECT_EQ(cache.on_miss(id_of(1), 100, none), MissVerdict::kUnknown);
}

TEST(NegativeCache, WithoutNegativeTimeAsksAgainAtOnce) {
  NegativeCache cache(64, kKey);
  const NegativeCacheTimes times{.hold_tsc = 500, .negative_tsc = 0, .hold_per_id = 1};
  EXPECT_EQ(cache.on_miss(id_of(1), 100, times), MissVerdict::kHoldAndAsk);
  EXPECT_EQ(cache.on_miss(id_of(1), 599, times), MissVerdict::kHoldFull);
  EXPECT_EQ(cache.on_miss(id_of(1), 600, times), MissVerdict::kHoldAndAsk);
}

TEST(NegativeCache, WhatIsForgottenIsAskedAgain) {
  NegativeCache cache(64, kKey);
  cache.on_miss(id_of(1), 100, kTimes);
  cache.on_miss(id_of(2), 100, kTimes);
  cache.forget(id_of(1));
  EXPECT_EQ(cache.on_miss(id_of(1), 101, kTimes), MissVerdict::kHoldAndAsk);
  EXPECT_EQ(cache.on_miss(id_of(2), 101, kTimes), MissVerdict::kHold);
}

TEST(NegativeCache, SizeIsRoundedAndBounded) {
  EXPECT_EQ(NegativeCache(0, kKey).entries(), 4U);
  EXPECT_EQ(NegativeCache(100, kKey).entries(), 128U);
}

// In a full set the entry that runs out first makes way: an id asked for just now stays.
TEST(NegativeCache, FloodEvictsTheOldestFirst) {
  NegativeCache cache(4, kKey);  // one set
  for (std::uint64_t i = 0; i < 4; ++i)
    cache.on_miss(id_of(i), 100 + i, kTimes);
  EXPECT_EQ(cache.on_miss(id_of(9), 110, kTimes), MissVerdict::kHoldAndAsk);
  for (std::uint64_t i = 1; i < 4; ++i)
    EXPECT_EQ(cache.on_miss(id_of(i), 111, kTimes), MissVerdict::kHold) << i;
  EXPECT_EQ(cache.on_miss(id_of(9), 111, kTimes), MissVerdict::kHold);
  EXPECT_EQ(cache.on_miss(id_of(0), 112, kTimes), MissVerdict::kHoldAndAsk);
}

TEST(NegativeCache, AnotherKeySpreadsIdsOtherwise) {
  // 64 ids that share one set under one key do not under another: a sender cannot aim.
  constexpr HashKey kOther{{9, 9, 9}};
  const IdHasher first = IdHasher::create(kKey);
  NegativeCache cache(1024, kOther);
  std::uint64_t found = 0;
  for (std::uint64_t i = 0; found < 64; ++i) {
    if ((first(id_of(i)).lo & 255) != 0) continue;
    ++found;
    cache.on_miss(id_of(i), 100, kTimes);
  }
  std::uint64_t kept = 0;
  found = 0;
  for (std::uint64_t i = 0; found < 64; ++i) {
    if ((first(id_of(i)).lo & 255) != 0) continue;
    ++found;
    kept += cache.on_miss(id_of(i), 101, kTimes) == MissVerdict::kHold ? 1 : 0;
  }
  EXPECT_GT(kept, 55U);
}

}  // namespace
}  // namespace sluice::dataplane
