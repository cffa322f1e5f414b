// The filter: no key of the set is ever kept out, strangers pass as rarely as 8 bits say, and it
// takes no more memory than it should.
#include "controlplane/store/filter/fuse_filter.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "controlplane/store/segment/phf_builder.hpp"
#include "tests/unit/controlplane/store/random_keys.hpp"

namespace sluice::controlplane::store {
namespace {

TEST(FuseFilter, PassesEveryKeyOfAnyNumber) {
  for (const std::size_t n : {0U, 1U, 2U, 3U, 5U, 10U, 31U, 100U, 1000U, 10'000U, 120'000U}) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      const auto keys = random_keys(n, seed);
      const FuseGeometry g = fuse_geometry(1, n);
      ASSERT_TRUE(valid(g));
      std::vector<std::uint8_t> bytes(g.byte_count());
      const auto used = FuseBuilder(g).build(keys, bytes);
      ASSERT_TRUE(used) << used.error().message();
      const FuseFilterView view(g, &*used, bytes.data());
      for (const Hash128& key : keys)
        ASSERT_TRUE(view.contains(key));
    }
  }
}

TEST(FuseFilter, StrangersPassOncein256) {
  const auto keys = random_keys(100'000, 1);
  const FuseGeometry g = fuse_geometry(1, keys.size());
  std::vector<std::uint8_t> bytes(g.byte_count());
  const auto seed = FuseBuilder(g).build(keys, bytes);
  ASSERT_TRUE(seed);
  const FuseFilterView view(g, &*seed, bytes.data());
  std::mt19937_64 random(2);
  constexpr unsigned kStrangers = 1'000'000;
  unsigned passed = 0;
  for (unsigned i = 0; i < kStrangers; ++i)
    passed += view.contains({random(), random()});
  EXPECT_NEAR(passed, kStrangers / 256.0, 5 * std::sqrt(kStrangers / 256.0));
}

TEST(FuseFilter, PartsHoldTheirKeys) {
  const auto keys = random_keys(50'000, 3);
  constexpr std::uint32_t kParts = 5;
  const index::PhfView split({.parts = kParts, .buckets = 1, .slots = 1}, nullptr, nullptr);
  std::vector<std::vector<Hash128>> parts(kParts);
  for (const Hash128& key : keys)
    parts[split.part(key)].push_back(key);
  const FuseGeometry g = fuse_geometry(kParts, 10'500);
  std::vector<std::uint8_t> bytes(g.byte_count());
  std::vector<std::uint8_t> seeds(kParts);
  FuseBuilder builder(g);
  for (std::uint32_t p = 0; p < kParts; ++p) {
    seeds[p] = builder.build(parts[p], std::span(bytes).subspan(p * g.part_bytes(), g.part_bytes()))
                   .value();
  }
  const FuseFilterView view(g, seeds.data(), bytes.data());
  for (const Hash128& key : keys)
    ASSERT_TRUE(view.contains(key));
}

TEST(FuseFilter, TakesLittleMoreThanAByteForEachKey) {
  for (const std::size_t n : {60'000U, 120'000U}) {
    const FuseGeometry g = fuse_geometry(1, n);
    EXPECT_LE(static_cast<double>(g.byte_count()) / static_cast<double>(n), 1.22) << n;
  }
}

TEST(FuseFilter, EqualKeysAreRefused) {
  auto keys = random_keys(100, 4);
  keys.push_back(keys[0]);
  const FuseGeometry g = fuse_geometry(1, keys.size());
  std::vector<std::uint8_t> bytes(g.byte_count());
  EXPECT_FALSE(FuseBuilder(g).build(keys, bytes));
}

TEST(FuseFilter, StaysInsideItsBoundsWithAnySeed) {
  std::mt19937_64 random(5);
  for (const std::size_t n : {0U, 1U, 100U, 120'000U}) {
    const FuseGeometry g = fuse_geometry(1, n);
    for (int i = 0; i < 100'000; ++i) {
      const auto seed = static_cast<std::uint8_t>(random());
      for (const std::uint32_t at : FuseFilterView::places_of({random(), random()}, seed, g).at)
        ASSERT_LT(at, g.part_bytes());
    }
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
