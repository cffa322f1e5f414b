// Incremental checksums against full ones, and the clock.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>

#include "dataplane/pipeline/clock.hpp"
#include "dataplane/pipeline/rewrite.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {
namespace {

std::uint16_t slow_fold(std::uint64_t sum) {
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

TEST(Checksum, FoldAgreesWithTheDefinition) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t sum = random() >> (random() % 64);
    ASSERT_EQ(checksum_fold(sum), slow_fold(sum)) << sum;
  }
  for (std::uint64_t sum = 0; sum < 200'000; ++sum)
    ASSERT_EQ(checksum_fold(sum), slow_fold(sum)) << sum;
}

TEST(Checksum, UpdateEqualsRecomputation) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200'000; ++i) {
    std::array<std::uint16_t, 24> words;
    for (auto& word : words)
      word = static_cast<std::uint16_t>(random() % 4 == 0 ? 0xffff * (random() % 2) : random());
    words[0] |= 1;  // never all zero, as a pseudo header never is
    const auto field = [&] {
      const auto sum =
          static_cast<std::uint16_t>(~checksum_fold(checksum_add(words.data(), sizeof words)));
      return sum == 0 ? std::uint16_t{0xffff} : sum;
    };
    const std::uint16_t old = field();
    const std::uint64_t before = checksum_add(words.data() + 8, 16);
    for (int w = 8; w < 16; ++w)
      words[w] = static_cast<std::uint16_t>(random());
    const std::uint64_t after = checksum_add(words.data() + 8, 16);
    ASSERT_EQ(updated_checksum(old, before, after), field());
  }
}

TEST(WallClock, FollowsTheTsc) {
  WallClock clock(2'300'000'000);
  clock.set(1000, 5'000'000'000);
  EXPECT_EQ(clock.ns(1000), 5'000'000'000u);
  EXPECT_NEAR(static_cast<double>(clock.ns(1000 + 2'300'000'000)), 6e9, 2);
  // An hour without being set.
  EXPECT_NEAR(static_cast<double>(clock.ns(1000 + 3600 * 2'300'000'000ULL)), 3605e9, 3600);
}

}  // namespace
}  // namespace sluice::dataplane
