#include "dataplane/apply/hold_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::uint64_t kStart = 1'000 * kNsPerSecond;
constexpr std::uint64_t kNever = UINT64_MAX;
constexpr std::uint64_t kDeadline = kStart + 500 * kNsPerMs;

Id id(std::uint32_t n) {
  Id made;
  std::memcpy(made.bytes.data(), &n, sizeof n);
  made.bytes[15] = 1;
  return made;
}

struct Sink final : HoldSink {
  std::vector<std::uintptr_t> released;
  std::vector<std::uint16_t> workers;
  std::vector<std::pair<std::uintptr_t, HoldDrop>> dropped;
  std::vector<Id> asked;
  std::size_t room = SIZE_MAX;
  bool may_ask = true;
  std::vector<std::uintptr_t> waiting;  // for a next hop, still
  std::size_t looks = 0;

  bool release(void* message, std::uint16_t worker) override {
    if (released.size() >= room) return false;
    released.push_back(reinterpret_cast<std::uintptr_t>(message));
    workers.push_back(worker);
    return true;
  }
  void drop(void* message, std::uint16_t, HoldDrop why) override {
    dropped.emplace_back(reinterpret_cast<std::uintptr_t>(message), why);
  }
  bool discover(const Id& destination, void*) override {
    if (may_ask) asked.push_back(destination);
    return may_ask;
  }
  bool waits_on(void* message) override {
    ++looks;
    return std::ranges::find(waiting, reinterpret_cast<std::uintptr_t>(message)) != waiting.end();
  }
};

struct HoldQueueTest : ::testing::Test {
  Sink sink;
  HoldQueue queue{100, sink};

  void hold(std::uint32_t n, std::uintptr_t message, std::uint64_t deadline = kDeadline,
            bool adjacency = false, std::uint64_t now = kStart, std::uint16_t tenant = 0) {
    queue.hold(id(n), tenant, reinterpret_cast<void*>(message), 3, now, deadline, adjacency);
  }
  void hold_as(std::uint16_t tenant, std::uint32_t n, std::uintptr_t message) {
    hold(n, message, kDeadline, false, kStart, tenant);
  }
};

TEST_F(HoldQueueTest, ReleasesOneIdInOrderOfArrival) {
  hold(1, 11);
  hold(2, 21);
  hold(1, 12);
  hold(1, 13);
  queue.release(id(1));
  EXPECT_EQ(sink.released, (std::vector<std::uintptr_t>{11, 12, 13}));
  EXPECT_EQ(sink.workers, (std::vector<std::uint16_t>{3, 3, 3}));
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_FALSE(queue.holds(id(1)));
  EXPECT_TRUE(queue.holds(id(2)));
  EXPECT_EQ(queue.released(), 3u);
}

TEST_F(HoldQueueTest, AsksOncePerIdAndAgainWhenTheRateForbadeIt) {
  hold(1, 11);
  hold(1, 12);
  EXPECT_EQ(sink.asked.size(), 1u);
  sink.may_ask = false;
  hold(2, 21);
  sink.may_ask = true;
  hold(2, 22);
  hold(2, 23);
  EXPECT_EQ(sink.asked, (std::vector<Id>{id(1), id(2)}));
  hold(3, 31, kDeadline, true);  // has a route: nobody is asked
  EXPECT_EQ(sink.asked.size(), 2u);
}

TEST_F(HoldQueueTest, LimitsPerIdAndInAll) {
  queue.set_limits({.per_id = 2, .total = 3});
  hold(1, 11);
  hold(1, 12);
  hold(1, 13);
  hold_as(1, 2, 21);
  hold_as(1, 3, 31);
  ASSERT_EQ(sink.dropped.size(), 2u);
  EXPECT_EQ(sink.dropped[0], std::make_pair(std::uintptr_t{13}, HoldDrop::kFull));
  EXPECT_EQ(sink.dropped[1], std::make_pair(std::uintptr_t{31}, HoldDrop::kFull));
  EXPECT_EQ(queue.size(), 3u);
}

TEST_F(HoldQueueTest, TotalNeverExceedsTheCapacity) {
  queue.set_limits({.per_id = 1000, .total = 1'000'000});
  for (std::uintptr_t i = 0; i < 150; ++i)
    hold_as(static_cast<std::uint16_t>(i % 3), static_cast<std::uint32_t>(i % 10), i);
  EXPECT_EQ(queue.size(), 100u);
  EXPECT_EQ(sink.dropped.size(), 50u);
}

TEST_F(HoldQueueTest, OneTenantLeavesHalfToTheOthers) {
  for (std::uint32_t n = 1; n <= 200; ++n)
    hold_as(7, n, n);
  EXPECT_EQ(queue.size(), 50u);
  EXPECT_EQ(sink.dropped.size(), 150u);
  for (std::uint32_t n = 1001; n <= 1050; ++n)
    hold_as(UINT16_MAX, n, n);
  EXPECT_EQ(queue.size(), 100u);
  EXPECT_EQ(sink.dropped.size(), 150u);
  hold_as(9, 2001, 2001);  // all is taken
  EXPECT_EQ(sink.dropped.size(), 151u);
  // A place that one of its messages left is the tenant's again, and no more than that.
  queue.release(id(1));
  hold_as(7, 201, 201);
  hold_as(7, 202, 202);
  EXPECT_TRUE(queue.holds(id(201)));
  EXPECT_FALSE(queue.holds(id(202)));
  queue.drop_all(HoldDrop::kShutdown);
  for (std::uint32_t n = 1; n <= 51; ++n)
    hold_as(7, n, n);
  EXPECT_EQ(queue.size(), 50u);
}

TEST_F(HoldQueueTest, AQueueOfOneHoldsOne) {
  queue.set_limits({.per_id = 1, .total = 1});
  hold(1, 11);
  EXPECT_TRUE(queue.holds(id(1)));
}

TEST_F(HoldQueueTest, DropsAtTheDeadlineNotBefore) {
  hold(1, 11);
  hold(1, 12, kStart + 20 * kNsPerMs);
  EXPECT_EQ(queue.next_deadline_ns(), kStart + 20 * kNsPerMs);
  queue.advance(kStart + 19 * kNsPerMs, 1000);
  EXPECT_TRUE(sink.dropped.empty());
  queue.advance(kStart + 20 * kNsPerMs, 1000);
  ASSERT_EQ(sink.dropped.size(), 1u);
  EXPECT_EQ(sink.dropped[0], std::make_pair(std::uintptr_t{12}, HoldDrop::kExpired));
  queue.advance(kStart + 499 * kNsPerMs, 1000);
  EXPECT_EQ(sink.dropped.size(), 1u);
  queue.advance(kStart + 500 * kNsPerMs, 1000);
  EXPECT_EQ(sink.dropped.size(), 2u);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.expired(), 2u);
  EXPECT_EQ(queue.next_deadline_ns(), kNever);
}

TEST_F(HoldQueueTest, DeadlinesBeyondTheWheelGoRoundAgain) {
  hold(1, 11, kStart + 10 * kNsPerSecond);
  for (std::uint64_t ms = 0; ms < 9'999; ms += 7)
    queue.advance(kStart + ms * kNsPerMs, 1000);
  EXPECT_TRUE(sink.dropped.empty());
  queue.advance(kStart + 10 * kNsPerSecond, 1000);
  EXPECT_EQ(sink.dropped.size(), 1u);
}

TEST_F(HoldQueueTest, AFullWorkerRingKeepsTheRestInOrder) {
  for (std::uintptr_t i = 1; i <= 5; ++i)
    hold(1, i);
  sink.room = 2;
  queue.release(id(1));
  EXPECT_EQ(sink.released.size(), 2u);
  EXPECT_TRUE(queue.advance(kStart + 1, 1000));
  hold(1, 6);  // does not pass those before it
  sink.room = SIZE_MAX;
  EXPECT_FALSE(queue.advance(kStart + 2, 1000));
  EXPECT_EQ(sink.released, (std::vector<std::uintptr_t>{1, 2, 3, 4, 5, 6}));
}

TEST_F(HoldQueueTest, UnresolvedNextHopsAreOfferedAgainAndOthersStay) {
  hold(1, 11, kDeadline, true);
  hold(2, 21);
  hold(1, 12, kDeadline, true);
  queue.release_unresolved();
  queue.advance(kStart + 1, 1000);
  EXPECT_EQ(sink.released, (std::vector<std::uintptr_t>{11, 12}));
  EXPECT_TRUE(queue.holds(id(2)));
}

TEST_F(HoldQueueTest, WhatStillWaitsForItsNextHopIsNotOffered) {
  hold(1, 11, kDeadline, true);
  hold(2, 21, kDeadline, true);
  sink.waiting = {11};
  queue.release_unresolved();
  queue.advance(kStart + 1, 1000);
  EXPECT_EQ(sink.released, (std::vector<std::uintptr_t>{21}));
  EXPECT_EQ(sink.looks, 2u);
  queue.advance(kStart + 2, 1000);
  EXPECT_EQ(sink.looks, 2u);  // nothing has changed
  sink.waiting.clear();
  queue.release_unresolved();
  queue.advance(kStart + 3, 1000);
  EXPECT_EQ(sink.released, (std::vector<std::uintptr_t>{21, 11}));
}

// Next hops change all the time and everything waits: each turn looks at so many, all of them by
// turns, and those that are due end.
TEST_F(HoldQueueTest, LookingAgainIsBoundedAndStarvesNobody) {
  for (std::uint32_t n = 1; n <= 50; ++n) {
    hold(n, n, n == 50 ? kStart + kNsPerMs : kDeadline, true);
    if (n < 49) sink.waiting.push_back(n);
  }
  for (int turn = 0; turn < 5; ++turn) {
    queue.release_unresolved();
    const std::size_t before = sink.looks;
    EXPECT_TRUE(queue.advance(kStart + 2 * kNsPerMs, 10));
    EXPECT_LE(sink.looks - before, 10u);
  }
  EXPECT_EQ(sink.released, (std::vector<std::uintptr_t>{49}));
  ASSERT_EQ(sink.dropped.size(), 1u);
  EXPECT_EQ(sink.dropped[0], std::make_pair(std::uintptr_t{50}, HoldDrop::kExpired));
}

TEST_F(HoldQueueTest, DropAllEmptiesIt) {
  for (std::uintptr_t i = 1; i <= 50; ++i)
    hold(static_cast<std::uint32_t>(i), i);
  queue.drop_all(HoldDrop::kShutdown);
  EXPECT_EQ(sink.dropped.size(), 50u);
  EXPECT_EQ(queue.size(), 0u);
}

// Every message that goes in comes out exactly once, whatever happens in between.
TEST_F(HoldQueueTest, RandomHistoryLosesNothing) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  queue.set_limits({.per_id = 8, .total = 80});
  std::uint64_t now = kStart;
  std::uintptr_t next = 1;
  for (int step = 0; step < 200'000; ++step) {
    now += random() % (2 * kNsPerMs);
    sink.room = sink.released.size() + random() % 4;
    const auto n = static_cast<std::uint32_t>(random() % 30);
    switch (random() % 5) {
      case 0:
      case 1:
        hold(n, next++, now + random() % (80 * kNsPerMs), random() % 4 == 0, now,
             static_cast<std::uint16_t>(random() % 3));
        break;
      case 2:
        queue.release(id(n));
        break;
      case 3:
        queue.advance(now, static_cast<std::uint32_t>(random() % 10));
        break;
      default:
        sink.waiting.assign(1, random() % next);
        if (random() % 50 == 0) queue.release_unresolved();
    }
    ASSERT_LE(queue.size(), 80u);
  }
  queue.drop_all(HoldDrop::kShutdown);
  std::vector<std::uintptr_t> all = sink.released;
  for (const auto& [message, why] : sink.dropped)
    all.push_back(message);
  std::ranges::sort(all);
  ASSERT_EQ(all.size(), next - 1);
  for (std::uintptr_t i = 1; i < next; ++i)
    ASSERT_EQ(all[i - 1], i);
}

}  // namespace
}  // namespace sluice::dataplane
