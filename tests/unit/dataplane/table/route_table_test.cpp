#include "dataplane/table/route_table.hpp"

#include <gtest/gtest.h>
#include <rte_malloc.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <vector>

#include "tests/support/eal.hpp"
#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::id_of;

constexpr HashKey kKey{{1, 2, 3}};

Action action_of(std::uint64_t number, std::uint8_t epoch = 1) {
  return {ActionKind::kAdjacency, static_cast<std::uint32_t>(number & 0xfffff),
          static_cast<std::uint16_t>(number >> 3), static_cast<std::uint16_t>(number >> 7), epoch};
}

class RouteTableTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { testing::start_eal(); }

  std::unique_ptr<RouteTable> make(std::size_t capacity, const HashKey& key = kKey) {
    auto table = RouteTable::create(capacity, key, readers_, -1);
    EXPECT_TRUE(table) << table.error().message();
    return std::move(*table);
  }
  static void fill(RouteTable& table, std::uint64_t from, std::uint64_t to,
                   std::uint8_t epoch = 1) {
    for (std::uint64_t i = from; i < to; ++i)
      ASSERT_EQ(table.set(id_of(i), action_of(i, epoch)).outcome, RouteOutcome::kInserted) << i;
  }

  Readers readers_;
};

TEST_F(RouteTableTest, SetFindReplaceErase) {
  const auto table = make(100);
  EXPECT_EQ(table->find(id_of(1)).kind(), ActionKind::kNone);
  EXPECT_EQ(table->set(id_of(1), action_of(1)).outcome, RouteOutcome::kInserted);
  EXPECT_EQ(table->find(id_of(1)), action_of(1));
  const RouteChange change = table->set(id_of(1), action_of(2));
  EXPECT_EQ(change.outcome, RouteOutcome::kReplaced);
  EXPECT_EQ(change.previous, action_of(1));
  EXPECT_EQ(table->find(id_of(1)), action_of(2));
  EXPECT_EQ(table->size(), 1U);
  EXPECT_EQ(table->erase(id_of(1)), action_of(2));
  EXPECT_EQ(table->erase(id_of(1)).kind(), ActionKind::kNone);
  EXPECT_EQ(table->find(id_of(1)).kind(), ActionKind::kNone);
  EXPECT_EQ(table->size(), 0U);
}

TEST_F(RouteTableTest, EveryBitOfTheActionComesBack) {
  const auto table = make(100);
  const Action action(ActionKind::kLocal, 0xfffff, 0xffff, 0xffff, 0xff);
  table->set(id_of(1), action);
  EXPECT_EQ(table->find(id_of(1)), action);
}

// Unaligned ids, every burst size, hits and misses in every mixture.
TEST_F(RouteTableTest, LookupBurst) {
  for (const HashAccess access : {HashAccess::kDirect, HashAccess::kLibrary}) {
    const auto table = std::move(*RouteTable::create(1000, kKey, readers_, -1, access));
    ASSERT_EQ(table->access(), access) << "this DPDK's rte_hash is laid out otherwise";
    fill(*table, 0, 1000);
    std::mt19937_64 random(1);
    std::array<std::uint8_t, sizeof(Id) * RouteTable::kMaxBurst + 1> buffer{};
    for (unsigned n = 1; n <= RouteTable::kMaxBurst; ++n) {
      std::array<std::uint64_t, RouteTable::kMaxBurst> numbers{};
      for (unsigned i = 0; i < n; ++i) {
        numbers[i] = random() % 2000;
        const Id id = id_of(numbers[i]);
        std::memcpy(buffer.data() + 1 + i * sizeof id, &id, sizeof id);
      }
      std::array<Action, RouteTable::kMaxBurst> out;
      out.fill(action_of(77));
      table->lookup_burst(reinterpret_cast<const Id*>(buffer.data() + 1), n, out.data());
      for (unsigned i = 0; i < n; ++i)
        EXPECT_EQ(out[i], numbers[i] < 1000 ? action_of(numbers[i]) : Action{}) << n << " " << i;
      for (unsigned i = n; i < RouteTable::kMaxBurst; ++i)
        EXPECT_EQ(out[i], action_of(77)) << "beyond the burst";
    }
  }
}

TEST_F(RouteTableTest, SetBurstKeepsOrderOfTheSameId) {
  const auto table = make(100);
  table->set(id_of(1), action_of(9));
  const std::array ids = {id_of(1), id_of(2), id_of(1), id_of(2), id_of(3)};
  const std::array actions = {action_of(10), action_of(20, 1), action_of(11), action_of(21, 2),
                              action_of(30)};
  std::array<RouteChange, 5> changes;
  table->set_burst(ids.data(), actions.data(), 5, changes.data());
  EXPECT_EQ(changes[0].outcome, RouteOutcome::kReplaced);
  EXPECT_EQ(changes[0].previous, action_of(9));
  EXPECT_EQ(changes[1].outcome, RouteOutcome::kInserted);
  EXPECT_EQ(changes[2].previous, action_of(10));
  EXPECT_EQ(changes[3].outcome, RouteOutcome::kReplaced);
  EXPECT_EQ(changes[3].previous, action_of(20, 1));
  EXPECT_EQ(changes[4].outcome, RouteOutcome::kInserted);
  EXPECT_EQ(table->size(), 3U);
  EXPECT_EQ(table->find(id_of(1)), action_of(11));
  EXPECT_EQ(table->find(id_of(2)), action_of(21, 2));
}

// Exactly `capacity` ids, whatever they are, and the same again with others when those are gone.
TEST_F(RouteTableTest, AcceptsItsCapacityAndThenSaysFull) {
  for (const std::size_t capacity :
       {1UL, 8UL, 1000UL, 7864UL, 8191UL, 8192UL, 65'536UL, 251'658UL}) {
    const auto table = make(capacity);
    for (std::uint64_t round = 0; round < 2; ++round) {
      const std::uint64_t base = round * 10'000'000;
      fill(*table, base, base + capacity);
      EXPECT_EQ(table->set(id_of(base + capacity), action_of(1)).outcome, RouteOutcome::kFull);
      EXPECT_EQ(table->find(id_of(base + capacity)).kind(), ActionKind::kNone);
      EXPECT_EQ(table->set(id_of(base), action_of(5)).outcome, RouteOutcome::kReplaced)
          << "a route that is there can change in a full table";
      EXPECT_EQ(table->size(), capacity);
      for (std::uint64_t i = 0; i < capacity; ++i)
        ASSERT_NE(table->erase(id_of(base + i)).kind(), ActionKind::kNone);
    }
  }
}

TEST_F(RouteTableTest, RefusesImpossibleCapacities) {
  for (const std::size_t capacity : {std::size_t{0}, RouteTable::kMaxCapacity + 1}) {
    const auto table = RouteTable::create(capacity, kKey, readers_, -1);
    ASSERT_FALSE(table);
    EXPECT_EQ(table.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST_F(RouteTableTest, SaysHowMuchMemoryIsMissing) {
  const auto table = RouteTable::create(20'000'000, kKey, readers_, -1);
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code(), ErrorCode::kExhausted);
  EXPECT_NE(table.error().message().find("MiB of DPDK memory"), std::string::npos);
}

TEST_F(RouteTableTest, TakesTheMemoryItSays) {
  rte_malloc_socket_stats before{};
  rte_malloc_socket_stats after{};
  for (const std::size_t capacity : {1000UL, 100'000UL, 1'000'000UL}) {
    ASSERT_EQ(rte_malloc_get_socket_stats(0, &before), 0);
    const auto table = make(capacity);
    ASSERT_EQ(rte_malloc_get_socket_stats(0, &after), 0);
    const auto taken = static_cast<double>(after.heap_allocsz_bytes - before.heap_allocsz_bytes);
    EXPECT_GE(static_cast<double>(table->memory_bytes()), taken);
    EXPECT_LE(static_cast<double>(table->memory_bytes()), taken * 1.01 + 4096);
  }
  EXPECT_LE(RouteTable::memory_needed(1'000'000), 72'000'000U);
}

// Places of erased ids come back: far more changes than places, with a reader that lags behind.
TEST_F(RouteTableTest, NeverLosesAPlace) {
  const auto table = make(64);
  readers_.add(0);
  readers_.online(0);
  for (std::uint64_t i = 0; i < 60'000; ++i) {
    ASSERT_EQ(table->set(id_of(i), action_of(i)).outcome, RouteOutcome::kInserted) << i;
    if (i >= 64 / 2) {
      ASSERT_EQ(table->erase(id_of(i - 64 / 2)), action_of(i - 64 / 2));
    }
    if (i % 50 == 0) readers_.quiescent(0);
    table->reclaim(8);
  }
  readers_.quiescent(0);
  table->reclaim(UINT32_MAX);
  EXPECT_EQ(table->pending(), 0U);
}

TEST_F(RouteTableTest, ErasedPlaceIsNotUsedWhileAReaderMayLook) {
  const auto table = make(64);
  readers_.add(0);
  readers_.online(0);
  fill(*table, 0, 64);
  for (std::uint64_t i = 0; i < 64; ++i)
    table->erase(id_of(i));
  table->reclaim(100);
  EXPECT_EQ(table->pending(), 64U);
  readers_.quiescent(0);
  table->reclaim(10);
  EXPECT_EQ(table->pending(), 54U);
  table->reclaim(100);
  EXPECT_EQ(table->pending(), 0U);
}

// Without anyone calling reclaim(): a full table waits for its readers itself.
TEST_F(RouteTableTest, FullTableReclaimsByItself) {
  const auto table = make(8000);
  fill(*table, 0, 8000);
  for (std::uint64_t i = 0; i < 30'000; ++i) {
    table->erase(id_of(i));
    ASSERT_EQ(table->set(id_of(i + 8000), action_of(i)).outcome, RouteOutcome::kInserted) << i;
  }
  EXPECT_EQ(table->size(), 8000U);
}

TEST_F(RouteTableTest, SweepErasesOtherEpochsInSteps) {
  const auto table = make(10'000);
  fill(*table, 0, 6000, 1);
  fill(*table, 6000, 10'000, 2);
  for (std::uint64_t i = 0; i < 6000; i += 3)
    table->set(id_of(i), action_of(i, 2));  // confirmed
  std::set<Id> erased;
  int steps = 0;
  while (!table->sweep(2, 100, [&](const Id& id, Action action) {
    EXPECT_EQ(action.epoch(), 1);
    erased.insert(id);
  }))
    ASSERT_LT(++steps, 1000);
  EXPECT_EQ(erased.size(), 4000U);
  EXPECT_EQ(table->size(), 6000U);
  for (std::uint64_t i = 0; i < 10'000; ++i)
    ASSERT_EQ(table->find(id_of(i)).kind() != ActionKind::kNone, i >= 6000 || i % 3 == 0) << i;
}

// Routes that come between two steps move others around in the buckets; none may slip through.
TEST_F(RouteTableTest, SweepMissesNothingWhileRoutesMove) {
  const auto table = make(8192 * 96 / 100);
  fill(*table, 0, 4000, 1);
  std::uint64_t next = 1'000'000;
  while (!table->sweep(2, 20, [](const Id&, Action) {})) {
    for (int i = 0; i < 40 && table->size() < table->capacity(); ++i, ++next)
      ASSERT_EQ(table->set(id_of(next), action_of(next, 2)).outcome, RouteOutcome::kInserted);
  }
  for (std::uint64_t i = 0; i < 4000; ++i)
    ASSERT_EQ(table->find(id_of(i)).kind(), ActionKind::kNone) << i;
  EXPECT_EQ(table->size(), next - 1'000'000);
}

TEST_F(RouteTableTest, SweepOfNothingEndsAtOnce) {
  const auto table = make(100);
  const auto never = [](const Id&, Action) { FAIL(); };
  EXPECT_TRUE(table->sweep(1, 1, never));
  fill(*table, 0, 100, 1);
  EXPECT_TRUE(table->sweep(1, 1, never));
}

TEST_F(RouteTableTest, RehashedHasTheSameRoutesElsewhere) {
  const auto table = make(20'000);
  fill(*table, 0, 20'000, 3);
  const HashKey other{{4, 5, 6}};
  const auto next = table->rehashed(other);
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ((*next)->key(), other);
  EXPECT_EQ((*next)->size(), 20'000U);
  EXPECT_EQ((*next)->capacity(), 20'000U);
  for (std::uint64_t i = 0; i < 20'000; ++i)
    ASSERT_EQ((*next)->find(id_of(i)), action_of(i, 3));
  EXPECT_TRUE((*next)->sweep(3, 1, [](const Id&, Action) { FAIL(); })) << "epochs counted too";
}

}  // namespace
}  // namespace sluice::dataplane
