// Histogram against exact percentiles, sequence tracking against a plain model, pacing with a clock
// of the test's own.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "controlplane/cli/histogram.hpp"
#include "controlplane/cli/pacer.hpp"
#include "controlplane/cli/sequence.hpp"

namespace sluice::cli {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

std::uint64_t exact(std::vector<std::uint64_t> values, double percent) {
  std::ranges::sort(values);
  const auto rank =
      static_cast<std::size_t>(std::ceil(percent / 100 * static_cast<double>(values.size())));
  return values[std::max<std::size_t>(rank, 1) - 1];
}

TEST(Histogram, IsWithinHalfAPercentOfTheExactPercentiles) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latencies(11, 2.5);
  Histogram h;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(static_cast<std::uint64_t>(latencies(random)));
    h.add(values.back());
  }
  for (const double percent : {0.0, 0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto want = static_cast<double>(exact(values, percent));
    EXPECT_NEAR(static_cast<double>(h.percentile(percent)), want, want * 0.005 + 0.5) << percent;
  }
  EXPECT_EQ(h.count(), values.size());
  EXPECT_EQ(h.min(), std::ranges::min(values));
  EXPECT_EQ(h.max(), std::ranges::max(values));
}

TEST(Histogram, IsExactForSmallValuesAndTakesTheLargest) {
  Histogram h;
  EXPECT_EQ(h.percentile(50), 0u);
  EXPECT_EQ(h.min(), 0u);
  for (std::uint64_t v = 0; v < 256; ++v)
    h.add(v);
  EXPECT_EQ(h.percentile(50), 127u);
  EXPECT_EQ(h.percentile(100), 255u);
  EXPECT_DOUBLE_EQ(h.mean(), 127.5);
  h.add(UINT64_MAX);
  EXPECT_EQ(h.percentile(100), UINT64_MAX);
}

TEST(Histogram, OneValueIsEveryPercentile) {
  Histogram h;
  h.add(1'234'567);
  EXPECT_EQ(h.percentile(50), 1'234'567u);
  EXPECT_EQ(h.percentile(99.9), 1'234'567u);
}

SequenceTracker tracked(const std::vector<std::uint32_t>& sequences) {
  SequenceTracker t;
  for (const auto s : sequences)
    t.add(s);
  return t;
}

TEST(SequenceTracker, CountsGapsDuplicatesAndReordering) {
  const auto t = tracked({10, 11, 14, 13, 13, 15});
  EXPECT_EQ(t.received(), 6u);
  EXPECT_EQ(t.lost(), 1u);  // 12
  EXPECT_EQ(t.reordered(), 1u);
  EXPECT_EQ(t.duplicates(), 1u);
  EXPECT_EQ(t.runs(), 1u);
}

TEST(SequenceTracker, NumbersBeforeTheFirstBelongToTheRun) {
  const auto t = tracked({12, 10, 13});
  EXPECT_EQ(t.lost(), 1u);  // 11
  EXPECT_EQ(t.reordered(), 1u);
}

TEST(SequenceTracker, WrapsAround) {
  const auto t = tracked({0xfffffffe, 0xffffffff, 0, 2, 1});
  EXPECT_EQ(t.lost(), 0u);
  EXPECT_EQ(t.reordered(), 1u);
  EXPECT_EQ(t.runs(), 1u);
}

TEST(SequenceTracker, ASenderThatBeginsAgainLosesNothing) {
  const auto t = tracked({100, 101, 103, 0x80000000, 0x80000001});
  EXPECT_EQ(t.runs(), 2u);
  EXPECT_EQ(t.lost(), 1u);
  EXPECT_EQ(t.reordered(), 0u);
}

TEST(SequenceTracker, GapsLongerThanItsMemoryAreCounted) {
  const auto t = tracked({1, 100'001});
  EXPECT_EQ(t.lost(), 99'999u);
  EXPECT_EQ(tracked({1, 100'001, 2}).reordered(), 1u);
}

TEST(SequenceTracker, AgreesWithAPlainModelOnShuffledMessages) {
  constexpr std::size_t kDisplaced = 500;  // within the tracker's memory
  std::mt19937 random(11);
  std::vector<std::uint32_t> sent;
  for (std::uint32_t i = 0; i < 20'000; ++i)
    sent.push_back(0xffffff00 + i);
  for (std::size_t i = 0; i + kDisplaced < sent.size(); i += 3) {
    std::swap(sent[i], sent[i + random() % kDisplaced]);
  }
  std::vector<std::uint32_t> got;
  for (const auto s : sent) {
    const auto dice = random() % 100;
    if (dice != 0) got.push_back(s);
    if (dice == 1) got.push_back(s);
  }
  std::vector<std::uint32_t> unique;
  std::uint64_t reordered = 0;
  std::uint64_t duplicates = 0;
  std::uint32_t highest = got[0] - 0xffffff00;
  std::vector<bool> seen(sent.size());
  for (const auto s : got) {
    const std::uint32_t n = s - 0xffffff00;
    if (seen[n]) {
      ++duplicates;
      continue;
    }
    seen[n] = true;
    unique.push_back(n);
    if (n < highest) ++reordered;
    highest = std::max(highest, n);
  }
  const auto [low, high] = std::ranges::minmax(unique);
  const auto t = tracked(got);
  EXPECT_EQ(t.lost(), high - low + 1 - unique.size());
  EXPECT_EQ(t.reordered(), reordered);
  EXPECT_EQ(t.duplicates(), duplicates);
  EXPECT_EQ(t.received(), got.size());
}

TEST(Pacer, MessageNIsDueAtStartPlusNOverRate) {
  Pacer p(3, 1000);  // a rate that does not divide the second
  EXPECT_EQ(p.due(999, 64), 0u);
  EXPECT_EQ(p.due(1000, 64), 1u);
  p.take(1);
  EXPECT_EQ(p.next_ns(), 1000 + 333'333'334u);
  EXPECT_EQ(p.due(p.next_ns() - 1, 64), 0u);
  EXPECT_EQ(p.due(p.next_ns(), 64), 1u);
}

TEST(Pacer, LateWakeUpsAreMadeUpForAndNoErrorAddsUp) {
  constexpr std::uint64_t kRate = 777'777;
  std::mt19937_64 random(3);
  Pacer p(kRate, 0);
  std::uint64_t now = 0;
  std::uint64_t sent = 0;
  while (now < 10 * kSecond) {
    while (const auto due = p.due(now, 64)) {
      p.take(due);
      sent += due;
    }
    EXPECT_GT(p.next_ns(), now);
    now = p.next_ns() + random() % 2'000'000;  // up to 2 ms late
  }
  EXPECT_NEAR(static_cast<double>(sent), 10.0 * kRate, kRate * 0.002 + 1);
}

TEST(Pacer, WithoutARateEverythingIsDue) {
  Pacer p(0, 5);
  EXPECT_EQ(p.due(0, 64), 64u);
  p.take(64);
  EXPECT_EQ(p.due(0, 7), 7u);
}

TEST(Pacer, StaysExactAfterDaysAtTenMillionPerSecond) {
  Pacer p(10'000'000, 0);
  constexpr std::uint64_t kDays = 30 * 86'400 * kSecond;
  p.take(kDays / 100);
  EXPECT_EQ(p.next_ns(), kDays);
  EXPECT_EQ(p.due(kDays, 64), 1u);
  EXPECT_EQ(p.due(kDays - 1, 64), 0u);
}

}  // namespace
}  // namespace sluice::cli
