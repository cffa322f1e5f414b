#include "dataplane/table/slot_map.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace sluice::dataplane {
namespace {

using Map = SlotMap<int, std::hash<int>>;

TEST(SlotMap, SameKeySameSlotUntilFull) {
  Readers readers;
  Map map(3, readers);
  const auto one = map.find_or_allocate(1);
  const auto two = map.find_or_allocate(2);
  ASSERT_TRUE(one && two);
  EXPECT_NE(*one, *two);
  EXPECT_EQ(map.find_or_allocate(1), one);
  EXPECT_EQ(map.find(2), two);
  EXPECT_EQ(map.find(3), std::nullopt);
  EXPECT_TRUE(map.find_or_allocate(3));
  EXPECT_EQ(map.find_or_allocate(4), std::nullopt);
  EXPECT_EQ(map.size(), 3U);
}

TEST(SlotMap, ErasedSlotWaitsForReaders) {
  Readers readers;
  readers.add(0);
  readers.online(0);
  Map map(1, readers);
  const auto slot = map.find_or_allocate(1);
  EXPECT_TRUE(map.erase(*slot));
  EXPECT_FALSE(map.erase(*slot));
  map.reclaim(10);
  EXPECT_EQ(map.find_or_allocate(2), std::nullopt);
  EXPECT_EQ(map.pending(), 1U);
  readers.quiescent(0);
  map.reclaim(10);
  EXPECT_EQ(map.pending(), 0U);
  EXPECT_EQ(map.find_or_allocate(2), slot);
}

TEST(SlotMap, ErasedSlotWaitsForReferencesAndThenForReadersOfThose) {
  Readers readers;
  readers.add(0);
  readers.online(0);
  Map map(1, readers);
  const auto slot = map.find_or_allocate(1);
  map.reference(*slot);
  map.reference(*slot);
  map.erase(*slot);
  readers.quiescent(0);
  map.reclaim(10);
  EXPECT_EQ(map.find_or_allocate(2), std::nullopt) << "two routes still name it";
  map.unreference(*slot);
  map.unreference(*slot);
  map.reclaim(10);
  EXPECT_EQ(map.find_or_allocate(2), std::nullopt) << "a worker may still hold such a route";
  readers.quiescent(0);
  map.reclaim(10);
  EXPECT_EQ(map.find_or_allocate(2), slot);
}

TEST(SlotMap, KeyThatComesBackGetsItsSlotBack) {
  Readers readers;
  readers.add(0);
  readers.online(0);
  Map map(2, readers);
  const auto slot = map.find_or_allocate(1);
  EXPECT_TRUE(map.take_fresh(*slot));
  EXPECT_FALSE(map.take_fresh(*slot));
  map.erase(*slot);
  EXPECT_EQ(map.find(1), std::nullopt);
  EXPECT_FALSE(map.in_use(*slot));
  EXPECT_EQ(map.find_or_allocate(1), slot);
  EXPECT_FALSE(map.take_fresh(*slot)) << "a reader may hold it from before";
  readers.quiescent(0);
  map.reclaim(10);  // the token of the erasure passes; the slot is in use again and stays
  EXPECT_EQ(map.find(1), slot);
  EXPECT_NE(map.find_or_allocate(2), slot);
}

TEST(SlotMap, OnlyTheLastErasureFreesASlotThatCameAndWent) {
  Readers readers;
  readers.add(0);
  readers.online(0);
  Map map(1, readers);
  const auto slot = map.find_or_allocate(1);
  map.erase(*slot);
  readers.quiescent(0);  // passes the first token only
  map.find_or_allocate(1);
  map.erase(*slot);
  map.reclaim(10);
  EXPECT_EQ(map.find_or_allocate(2), std::nullopt);
  readers.quiescent(0);
  map.reclaim(10);
  EXPECT_EQ(map.find_or_allocate(2), slot);
}

TEST(SlotMap, NeverLosesASlotOverManyCycles) {
  Readers readers;
  Map map(4, readers);
  for (int key = 0; key < 20'000; ++key) {
    const auto slot = map.find_or_allocate(key);
    ASSERT_TRUE(slot) << key;
    if (key % 3 == 0) {
      map.reference(*slot);
      map.erase(*slot);
      map.unreference(*slot);
    } else {
      map.erase(*slot);
    }
    map.reclaim(2);
  }
  EXPECT_EQ(map.size(), 0U);
}

TEST(SlotMap, VisitsStaleSlotsInSteps) {
  Readers readers;
  Map map(100, readers);
  for (int key = 0; key < 100; ++key)
    map.set_epoch(*map.find_or_allocate(key), key % 2 == 0 ? 7 : 8);
  std::vector<std::uint32_t> seen;
  int steps = 1;
  while (!map.visit_stale(8, 9, [&](std::uint32_t slot) {
    seen.push_back(slot);
    map.erase(slot);
  }))
    ++steps;
  EXPECT_EQ(steps, 12);
  EXPECT_EQ(seen.size(), 50U);
  EXPECT_EQ(map.size(), 50U);
}

}  // namespace
}  // namespace sluice::dataplane
