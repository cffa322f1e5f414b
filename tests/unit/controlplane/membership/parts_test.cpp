// The parts of the protocol core by themselves: tables, queues, arithmetic.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>

#include "controlplane/membership/address_book.hpp"
#include "controlplane/membership/broadcast_queue.hpp"
#include "controlplane/membership/intern.hpp"
#include "controlplane/membership/local_health.hpp"
#include "controlplane/membership/log_limit.hpp"
#include "controlplane/membership/member_table.hpp"
#include "controlplane/membership/stream_budget.hpp"
#include "controlplane/membership/suspicion.hpp"
#include "controlplane/membership/timer_heap.hpp"

namespace sluice::membership {
namespace {

Bytes text(std::string_view s) {
  return {s.begin(), s.end()};
}

// What a packet of the queue holds, in order.
std::vector<std::string> drain(BroadcastQueue& queue, std::size_t budget, std::uint32_t limit = 4,
                               bool to_router = true) {
  PacketAssembler packet(budget);
  queue.fill(packet, budget, limit, to_router);
  const Bytes bytes = packet.take();
  std::vector<std::string> parts;
  if (bytes.empty()) return parts;
  if (bytes[0] != static_cast<std::uint8_t>(MessageType::kCompound))
    return {std::string(bytes.begin(), bytes.end())};
  const std::size_t count = bytes[1];
  std::size_t at = 2 + 2 * count;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t length = bytes[2 + 2 * i] * 256u + bytes[3 + 2 * i];
    parts.emplace_back(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                       bytes.begin() + static_cast<std::ptrdiff_t>(at + length));
    at += length;
  }
  return parts;
}

TEST(Intern, CountsReferencesAndUsesNumbersAgain) {
  InternPool pool;
  const auto a = pool.acquire("a");
  EXPECT_EQ(pool.acquire("a"), a);
  EXPECT_EQ(pool.view(a), "a");
  pool.release(a);
  EXPECT_EQ(pool.find("a"), a);
  pool.release(a);
  EXPECT_EQ(pool.find("a"), InternPool::kNone);
  EXPECT_EQ(pool.acquire("b"), a);
  EXPECT_EQ(pool.size(), 1u);
}

TEST(MemberTable, FindsCountsAndForgets) {
  InternPool pool;
  Random random(1);
  {
    MemberTable table(pool);
    std::vector<MemberTable::Slot> slots;
    for (int i = 0; i < 100; ++i)
      slots.push_back(table.add(fmt::format("node-{}", i), random));
    EXPECT_EQ(table.count(MemberState::kDead), 100u);
    table.set_state(slots[3], MemberState::kAlive, 5);
    EXPECT_EQ(table.count(MemberState::kAlive), 1u);
    EXPECT_EQ(table[slots[3]].changed_ns, 5u);
    const auto generation = table[slots[7]].generation;
    table.remove(slots[7]);
    EXPECT_EQ(table.find("node-7"), MemberTable::kNone);
    EXPECT_EQ(table.size(), 99u);
    EXPECT_EQ(table.add("other", random), slots[7]);
    EXPECT_EQ(table[slots[7]].generation, generation + 1);
    table.set_meta(slots[7], {});
    table.shuffle(random);
    std::set<MemberTable::Slot> ring(table.ring().begin(), table.ring().end());
    EXPECT_EQ(ring.size(), 100u);
    for (const auto slot : table.ring())
      EXPECT_EQ(table.ring()[table[slot].ring_position], slot);
    for (int i = 8; i < 100; ++i)
      EXPECT_EQ(table.find(fmt::format("node-{}", i)), slots[i]);
  }
  EXPECT_EQ(pool.size(), 0u);
}

// 10^6 records, a thousand cores of a thousand members, have to fit a small machine.
TEST(MemberTable, TakesAHundredBytesPerMember) {
  InternPool pool;
  Random random(1);
  MemberTable table(pool);
  for (int i = 0; i < 1000; ++i)
    table.add(fmt::format("node-{}", i), random);
  EXPECT_LE(table.memory_bytes() / 1000, 120u);
}

TEST(MemberTable, NewMembersStandAnywhereInTheRing) {
  InternPool pool;
  std::set<std::uint32_t> places;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    MemberTable table(pool);
    for (int i = 0; i < 20; ++i)
      table.add(std::to_string(i), random);
    places.insert(table[table.add("new", random)].ring_position);
  }
  EXPECT_GT(places.size(), 10u);
}

// Computed by hand from the reference's formulas (memberlist-protocol.md §10).
TEST(Suspicion, TimesOfTheReference) {
  const Profile lan;
  const auto at = [&](std::size_t n) { return suspicion_times(lan, true, n); };
  EXPECT_EQ(at(4).min_ns, 4 * kNsPerSecond);
  EXPECT_EQ(at(4).confirmations, 2u);
  EXPECT_EQ(at(3).confirmations, 0u);
  EXPECT_EQ(at(1000).min_ns, 12 * kNsPerSecond);
  EXPECT_EQ(at(1000).max_ns, 72 * kNsPerSecond);
  EXPECT_EQ(at(50).min_ns, 4 * 1698 * kNsPerMs);  // log10(50) = 1.69897, cut
  EXPECT_EQ(suspicion_times(wan_profile(), true, 10).min_ns, 30 * kNsPerSecond);
  const auto plain = suspicion_times(lan, false, 1000);
  EXPECT_EQ(plain.max_ns, plain.min_ns);
  EXPECT_EQ(plain.confirmations, 0u);
}

TEST(Suspicion, IndependentAccusersShortenIt) {
  Suspicion s(suspicion_times({}, true, 1000), 0, 1);
  EXPECT_EQ(s.ends_ns(), 72 * kNsPerSecond);
  EXPECT_FALSE(s.confirm(1)) << "who accused first does not confirm";
  EXPECT_TRUE(s.confirm(2));
  // floor_ms(72 - 60 ln 2 / ln 3)
  EXPECT_EQ(s.ends_ns(), 34'144 * kNsPerMs);
  EXPECT_FALSE(s.confirm(2));
  EXPECT_TRUE(s.confirm(3));
  EXPECT_EQ(s.ends_ns(), 12 * kNsPerSecond);
  EXPECT_FALSE(s.confirm(4)) << "more than needed are not passed on";
}

TEST(LocalHealth, StaysWithinItsBounds) {
  LocalHealth health(8, true);
  health.apply(-1);
  EXPECT_EQ(health.score(), 0);
  health.apply(100);
  EXPECT_EQ(health.score(), 7);
  EXPECT_EQ(health.scale(10), 80u);
  LocalHealth off(8, false);
  off.apply(5);
  EXPECT_EQ(off.score(), 0);
}

TEST(BroadcastQueue, LimitGrowsWithTheLogarithm) {
  const std::pair<std::size_t, std::uint32_t> rows[] = {
      {1, 4}, {3, 4}, {9, 4}, {10, 8}, {99, 8}, {100, 12}, {999, 12}, {1000, 16}, {9999, 16}};
  for (const auto& [members, sends] : rows)
    EXPECT_EQ(retransmit_limit(4, members), sends) << members;
}

TEST(BroadcastQueue, SendsEachExactlyTheLimit) {
  BroadcastQueue queue(10);
  queue.put(1, text("one"));
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(drain(queue, 100).size(), 1u) << i;
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.pending_bytes(true), 0u);
  EXPECT_TRUE(drain(queue, 100).empty());
}

// Improvement over the reference, which serves the newest first: under churn its older news waits
// for ever.
TEST(BroadcastQueue, OldNewsOfOthersIsNotStarvedByNewer) {
  BroadcastQueue queue(100);
  for (char c = 'a'; c <= 'f'; ++c)
    queue.put(static_cast<std::uint64_t>(c), text(std::string(10, c)));
  // Room for two of ten bytes: 2 + 2 x 12 = 26.
  EXPECT_EQ(drain(queue, 26), (std::vector<std::string>{"aaaaaaaaaa", "bbbbbbbbbb"}));
  queue.put('z', text(std::string(10, 'z')));
  EXPECT_EQ(drain(queue, 26), (std::vector<std::string>{"cccccccccc", "dddddddddd"}));
  EXPECT_EQ(drain(queue, 26), (std::vector<std::string>{"eeeeeeeeee", "ffffffffff"}));
  EXPECT_EQ(drain(queue, 26), (std::vector<std::string>{"zzzzzzzzzz", "aaaaaaaaaa"}));
}

// ... but of one member only the newest counts.
TEST(BroadcastQueue, NewestReplacesOlderOfItsKey) {
  BroadcastQueue queue(100);
  queue.put(1, text("old"));
  queue.put(2, text("other"));
  queue.put(1, text("new"));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(drain(queue, 100), (std::vector<std::string>{"other", "new"}));
}

TEST(BroadcastQueue, OurOwnNewsGoesFirst) {
  BroadcastQueue queue(100);
  queue.put(1, text("a"));
  queue.put(2, text("me"), true);
  EXPECT_EQ(drain(queue, 100), (std::vector<std::string>{"me", "a"}));
}

TEST(BroadcastQueue, SmallerOnesPassOneThatDoesNotFit) {
  BroadcastQueue queue(100);
  queue.put(1, text(std::string(90, 'x')));
  queue.put(2, text("small"));
  queue.put(3, text("tiny"));
  EXPECT_EQ(drain(queue, 40), (std::vector<std::string>{"small", "tiny"}));
  EXPECT_TRUE(queue.contains(1));
}

TEST(BroadcastQueue, FullGivesUpWhatWasSentMost) {
  BroadcastQueue queue(2);
  queue.put(1, text("a"));
  drain(queue, 100);
  queue.put(2, text("b"));
  queue.put(3, text("c"));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_FALSE(queue.contains(1));
  EXPECT_EQ(queue.dropped(), 1u);
}

TEST(BroadcastQueue, KeepsForRoutersWhatIsForRouters) {
  BroadcastQueue queue(10);
  queue.put(1, text("hint"), false, true);
  EXPECT_EQ(queue.pending_bytes(false), 0u);
  EXPECT_TRUE(drain(queue, 100, 4, false).empty());
  EXPECT_EQ(drain(queue, 100, 4, true).size(), 1u);
}

TEST(LogLimits, WhatIsLeftOutIsCountedAndTold) {
  LogLimits limits;
  std::uint64_t now = 1'000 * kNsPerSecond;
  std::uint64_t allowed = 0;
  for (int i = 0; i < 1000; ++i)
    allowed += limits.ask(EventKind::kConflict, now).allowed;
  EXPECT_EQ(allowed, 10u);
  EXPECT_TRUE(limits.ask(EventKind::kFailed, now).allowed) << "each cause for itself";
  now += kNsPerSecond;
  const auto next = limits.ask(EventKind::kConflict, now);
  EXPECT_TRUE(next.allowed);
  EXPECT_EQ(next.suppressed, 990u);
  EXPECT_FALSE(limits.ask(EventKind::kConflict, now).allowed);
  std::vector<std::string> told;
  const auto flush = [&] {
    limits.flush([&](std::string_view cause, std::uint64_t lines) {
      told.push_back(fmt::format("{} {}", cause, lines));
    });
  };
  flush();
  flush();
  EXPECT_EQ(told, std::vector<std::string>{"conflict 1"});
  // A thousand members that are met in one moment are worth some lines.
  allowed = 0;
  for (int i = 0; i < 1000; ++i)
    allowed += limits.ask(EventKind::kJoined, now).allowed;
  EXPECT_EQ(allowed, 200u);
}

TEST(StreamBudget, CountsBySourceAndInAll) {
  const StreamLimits limits{
      .inbound = 3, .inbound_per_source = 2, .held_bytes = 100, .held_bytes_per_source = 60};
  StreamBudget budget(limits);
  const auto a = *parse_ip("10.0.0.1");
  const auto b = *parse_ip("10.0.0.2");
  budget.opened(a);
  EXPECT_FALSE(budget.full(a));
  budget.opened(a);
  EXPECT_TRUE(budget.full(a));
  EXPECT_FALSE(budget.full(b));
  EXPECT_FALSE(budget.full());
  budget.opened(b);
  EXPECT_TRUE(budget.full());

  EXPECT_EQ(budget.allowance(a, 0), 60u);
  EXPECT_TRUE(budget.hold(a, 0, 40));
  EXPECT_EQ(budget.allowance(a, 40), 60u) << "what it has and what is left";
  EXPECT_EQ(budget.allowance(a, 0), 20u) << "of another connection";
  EXPECT_FALSE(budget.hold(a, 0, 21));
  EXPECT_EQ(budget.allowance(b, 0), 39u) << "of all";
  EXPECT_TRUE(budget.hold(a, 21, 0));
  EXPECT_TRUE(budget.hold(b, 0, 60));
  EXPECT_FALSE(budget.hold(b, 60, 61));
  budget.hold(b, 61, 0);
  budget.hold(a, 40, 0);
  EXPECT_EQ(budget.held(), 0u);
  budget.closed(a);
  budget.closed(a);
  budget.closed(b);
  EXPECT_EQ(budget.sources(), 0u);
}

TEST(TimerHeap, StaleOnesCanBeTakenOut) {
  TimerHeap heap;
  for (std::uint32_t i = 0; i < 100; ++i)
    heap.set(1'000 - i, Timer::kReap, i);
  heap.erase_if([](const TimerHeap::Entry& entry) { return entry.subject % 10 != 3; });
  ASSERT_EQ(heap.size(), 10u);
  for (std::uint32_t i = 93; heap.size() > 0; i -= 10)
    EXPECT_EQ(heap.pop().subject, i);
}

TEST(TimerHeap, EqualTimesKeepTheirOrder) {
  TimerHeap heap;
  EXPECT_EQ(heap.next_ns(), TimerHeap::kNever);
  for (std::uint32_t i = 0; i < 50; ++i)
    heap.set(10, Timer::kReap, i);
  heap.set(5, Timer::kReap, 99);
  EXPECT_EQ(heap.pop().subject, 99u);
  for (std::uint32_t i = 0; i < 50; ++i)
    EXPECT_EQ(heap.pop().subject, i);
}

TEST(AddressBook, TriesLostPeersForEverEverMoreRarely) {
  InternPool pool;
  Random random(3);
  AddressBook book(pool, 10);
  book.put("gone", {.incarnation = 4, .lost_ns = 0, .next_try_ns = 0});
  std::uint64_t now = 1;
  std::uint64_t last = 0;
  int tries_first_ten_minutes = 0;
  std::uint64_t longest = 0;
  int tries = 0;
  for (; now < 86'400 * kNsPerSecond; now += kNsPerSecond) {
    if (!book.due(now, random)) continue;
    if (last != 0) longest = std::max(longest, now - last);
    last = now;
    ++tries;
    if (now < 600 * kNsPerSecond) ++tries_first_ten_minutes;
  }
  // Often enough for a partition of ten minutes to heal within the next one, and still at it after
  // a day, at a price nobody notices.
  EXPECT_GE(tries_first_ten_minutes, 30);
  EXPECT_GT(last, 85'000 * kNsPerSecond);
  EXPECT_LE(longest, kRetryMaxNs * 5 / 4 + kNsPerSecond);
  EXPECT_LT(tries, 400);
}

TEST(AddressBook, ForgetsThoseWhoLeftButDoesNotTryThem) {
  InternPool pool;
  Random random(3);
  AddressBook book(pool, 10);
  book.put("left", {.left = true, .lost_ns = 0, .next_try_ns = 0});
  EXPECT_FALSE(book.due(kNsPerSecond, random));
  ASSERT_NE(book.find("left"), nullptr);
  EXPECT_FALSE(book.due(kRememberLeftNs, random));
  EXPECT_EQ(book.find("left"), nullptr);
  EXPECT_EQ(pool.size(), 0u);
}

// A book as large as it may be, and everybody gone at once.
TEST(AddressBook, AFullBookIsQuick) {
  InternPool pool;
  AddressBook book(pool, 16'384);
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < 60'000; ++i)
    book.put(fmt::format("n{}", i), {.lost_ns = i % 7});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(book.size(), 16'384u);
  EXPECT_EQ(pool.size(), 16'384u);
}

TEST(AddressBook, OneThatLeftAfterAllIsTriedNoMore) {
  InternPool pool;
  AddressBook book(pool, 2);
  Random random(1);
  book.put("a", {.incarnation = 1, .lost_ns = 1, .next_try_ns = 1});
  book.set_left("a", 3, 10);
  book.set_left("nobody", 3, 10);
  EXPECT_FALSE(book.due(20, random));
  EXPECT_EQ(book.find("a")->incarnation, 3u);
  book.put("b", {.lost_ns = 5});
  book.put("c", {.lost_ns = 7});
  EXPECT_NE(book.find("a"), nullptr) << "it is the oldest no more";
  EXPECT_EQ(book.find("b"), nullptr);
}

TEST(AddressBook, FullForgetsTheOldest) {
  InternPool pool;
  AddressBook book(pool, 2);
  book.put("a", {.lost_ns = 5});
  book.put("b", {.lost_ns = 1});
  book.put("c", {.lost_ns = 9});
  EXPECT_EQ(book.size(), 2u);
  EXPECT_EQ(book.find("b"), nullptr);
}

}  // namespace
}  // namespace sluice::membership
