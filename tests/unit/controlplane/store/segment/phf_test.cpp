// The perfect hash function: every key a slot of its own, whatever their number; the same function
// from the same keys; and what cannot be built is refused.
#include "sluice/index/phf.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "controlplane/store/segment/phf_builder.hpp"
#include "tests/unit/controlplane/store/random_keys.hpp"

namespace sluice::controlplane::store {
namespace {

using index::PhfGeometry;
using index::PhfView;

struct Function {
  PhfGeometry geometry;
  std::vector<std::uint8_t> seeds;
  std::vector<std::uint8_t> pilots;

  PhfView view() const { return PhfView(geometry, seeds.data(), pilots.data()); }
};

Function build(const std::vector<Hash128>& keys, std::uint32_t parts) {
  std::vector<std::vector<Hash128>> by_part(parts);
  const PhfView split({.parts = parts, .buckets = 1, .slots = 1}, nullptr, nullptr);
  std::size_t largest = 0;
  for (const Hash128& key : keys) {
    auto& part = by_part[split.part(key)];
    part.push_back(key);
    largest = std::max(largest, part.size());
  }
  Function out;
  out.geometry = *phf_geometry(keys.size(), parts, largest);
  out.seeds.resize(parts);
  out.pilots.resize(out.geometry.pilot_count());
  PhfPartBuilder builder(out.geometry);
  for (std::uint32_t p = 0; p < parts; ++p) {
    const auto pilots =
        std::span(out.pilots).subspan(std::size_t{p} * out.geometry.buckets, out.geometry.buckets);
    const auto seed = builder.build(by_part[p], pilots);
    EXPECT_TRUE(seed) << seed.error().message();
    if (seed) out.seeds[p] = *seed;
  }
  return out;
}

void expect_perfect(const Function& function, const std::vector<Hash128>& keys) {
  std::vector<bool> used(function.geometry.slot_count());
  for (const Hash128& key : keys) {
    const std::uint32_t slot = function.view().slot(key);
    ASSERT_LT(slot, used.size());
    ASSERT_FALSE(used[slot]);
    used[slot] = true;
  }
}

class PhfSizeTest : public testing::TestWithParam<std::size_t> {};

TEST_P(PhfSizeTest, GivesEveryKeyASlotOfItsOwn) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto keys = random_keys(GetParam(), seed);
    expect_perfect(build(keys, phf_parts(keys.size())), keys);
  }
}
INSTANTIATE_TEST_SUITE_P(Sizes, PhfSizeTest,
                         testing::Values(0, 1, 2, 3, 4, 7, 10, 33, 100, 257, 1000, 20'000));

TEST(Phf, PartsAreIndependentAndInOrderOfTheHash) {
  auto keys = random_keys(300'000, 1);
  const std::uint32_t parts = phf_parts(keys.size());
  ASSERT_GT(parts, 1U);
  const Function function = build(keys, parts);
  expect_perfect(function, keys);
  std::ranges::sort(keys, {}, &Hash128::lo);
  EXPECT_TRUE(std::ranges::is_sorted(
      keys, {}, [&](const Hash128& key) { return function.view().part(key); }));
}

TEST(Phf, TheSameKeysGiveTheSameFunctionInAnyOrder) {
  auto keys = random_keys(5000, 2);
  const Function first = build(keys, 1);
  std::ranges::shuffle(keys, std::mt19937_64(3));
  const Function second = build(keys, 1);
  EXPECT_EQ(first.seeds, second.seeds);
  EXPECT_EQ(first.pilots, second.pilots);
}

TEST(Phf, TakesAtMostTheBytesThatTheCompactFormAllows) {
  for (const std::size_t n : {100'000U, 1'000'000U, 50'000'000U}) {
    // Parts of random keys differ by a few standard deviations.
    const std::uint32_t parts = phf_parts(n);
    const double mean = static_cast<double>(n) / parts;
    const auto largest = parts == 1 ? n : static_cast<std::size_t>(mean + 4.5 * std::sqrt(mean));
    const PhfGeometry g = *phf_geometry(n, parts, largest);
    const double bytes = static_cast<double>(g.pilot_count() + 12 * g.slot_count());
    EXPECT_LE(bytes / static_cast<double>(n), 12.6) << n;
  }
}

TEST(Phf, BurstsAndSinglesAgree) {
  const auto keys = random_keys(10'000, 4);
  const Function function = build(keys, 1);
  for (unsigned n = 1; n <= index::kMaxPhfBurst; ++n) {
    std::uint32_t pilots[index::kMaxPhfBurst];
    function.view().locate<Distance::kFar>(keys.data(), n, pilots);
    unsigned calls = 0;
    function.view().slots(keys.data(), pilots, n, [&](unsigned i, std::uint32_t slot) {
      EXPECT_EQ(i, calls++);
      EXPECT_EQ(slot, function.view().slot(keys[i]));
    });
    EXPECT_EQ(calls, n);
  }
}

TEST(Phf, StaysInsideItsBoundsWithAnyPilots) {
  std::mt19937_64 random(5);
  const PhfGeometry g{.parts = 3, .buckets = 100, .slots = 301};
  std::vector<std::uint8_t> seeds(g.parts);
  std::vector<std::uint8_t> pilots(g.pilot_count());
  for (auto& byte : pilots)
    byte = static_cast<std::uint8_t>(random());
  for (auto& byte : seeds)
    byte = static_cast<std::uint8_t>(random());
  const PhfView view(g, seeds.data(), pilots.data());
  for (const std::uint64_t edge : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    EXPECT_LT(view.pilot_index({edge, edge}), g.pilot_count());
    EXPECT_LT(view.slot({edge, edge}), g.slot_count());
  }
  for (int i = 0; i < 100'000; ++i) {
    const Hash128 key{random(), random()};
    ASSERT_LT(view.pilot_index(key), g.pilot_count());
    ASSERT_LT(view.slot(key), g.slot_count());
  }
}

TEST(Phf, BucketsGrowWithTheHashAndReachTheLast) {
  std::uint32_t before = 0;
  for (std::uint64_t x = 0; x <= UINT32_MAX; x += 65'521) {
    const std::uint32_t bucket = PhfView::bucket_of(static_cast<std::uint32_t>(x), 1000);
    ASSERT_GE(bucket, before);
    before = bucket;
  }
  EXPECT_EQ(PhfView::bucket_of(UINT32_MAX, 1000), 999U);
  EXPECT_EQ(PhfView::bucket_of(0, 1000), 0U);
}

TEST(Phf, RefusesEqualKeys) {
  auto keys = random_keys(1000, 6);
  keys.push_back(keys[17]);
  const PhfGeometry g = *phf_geometry(keys.size(), 1, keys.size());
  std::vector<std::uint8_t> pilots(g.buckets);
  PhfPartBuilder builder(g);
  const auto seed = builder.build(keys, pilots);
  ASSERT_FALSE(seed);
  EXPECT_EQ(seed.error().code(), ErrorCode::kAlreadyExists);
  // And works on after it.
  keys.pop_back();
  EXPECT_TRUE(builder.build(keys, pilots));
}

TEST(Phf, AnotherSeedIsTriedWhenOneFails) {
  // Full to the last slot, small parts do not always come to an end at the first seed.
  std::uint64_t failed = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const auto keys = random_keys(60, seed);
    const PhfGeometry g{.parts = 1, .buckets = 15, .slots = 60};
    std::vector<std::uint8_t> pilots(g.buckets);
    PhfPartBuilder builder(g);
    const auto found = builder.build(keys, pilots);
    failed += builder.failed_seeds();
    if (!found) continue;
    const std::uint8_t used = *found;
    std::vector<bool> taken(g.slots);
    for (const Hash128& key : keys) {
      const std::uint32_t slot = PhfView(g, &used, pilots.data()).slot(key);
      ASSERT_FALSE(taken[slot]);
      taken[slot] = true;
    }
  }
  EXPECT_GT(failed, 0U);
}

TEST(Phf, SmallSetsAlmostNeverNeedASecondAttempt) {
  // Chance weighs most in these; a set that could not be built at all could never be written out.
  std::mt19937_64 random(7);
  unsigned second = 0;
  for (int i = 0; i < 10'000; ++i) {
    const auto keys = random_keys(1 + random() % (i % 10 == 0 ? 400 : 40), random());
    unsigned attempt = 0;
    for (; attempt < kPhfAttempts; ++attempt) {
      const PhfGeometry g = *phf_geometry(keys.size(), 1, keys.size(), attempt);
      std::vector<std::uint8_t> pilots(g.buckets);
      if (PhfPartBuilder(g).build(keys, pilots)) break;
    }
    ASSERT_LT(attempt, 3U);
    second += attempt > 0;
  }
  EXPECT_LE(second, 1U);
}

TEST(Phf, LaterAttemptsAreRoomier) {
  PhfGeometry before = *phf_geometry(1'000'000, 9, 112'000);
  for (unsigned attempt = 1; attempt < kPhfAttempts; ++attempt) {
    const PhfGeometry g = *phf_geometry(1'000'000, 9, 112'000, attempt);
    EXPECT_GT(g.slots, before.slots);
    EXPECT_GT(g.buckets, before.buckets);
    before = g;
  }
  // The last one has room for anything.
  EXPECT_GE(before.slots, 9 * 112'000 / 9 * 14 / 10);
}

TEST(Phf, RefusesMoreKeysThanASegmentCanHave) {
  const auto geometry = phf_geometry(5'000'000'000, index::kMaxPhfParts, 1'300'000);
  ASSERT_FALSE(geometry);
  EXPECT_EQ(geometry.error().code(), ErrorCode::kExhausted);
}

}  // namespace
}  // namespace sluice::controlplane::store
