#include "dataplane/table/adjacency_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

namespace sluice::dataplane {
namespace {

AdjacencyKey key_of(std::uint8_t host) {
  AdjacencyKey key{.port = 1, .vlan = 0, .family = Family::kIpv4, .destination = {10, 0, 0}};
  key.destination[3] = host;
  return key;
}

// Every byte that a worker uses says the same thing, so a torn line shows.
Adjacency content(std::uint8_t pattern, AdjacencyState state = AdjacencyState::kUp,
                  std::uint32_t backup = kNoIndex, std::uint8_t epoch = 1) {
  Adjacency line{};
  line.l2.fill(pattern);
  line.l2_bytes = 14;
  line.state = state;
  line.family = Family::kIpv4;
  line.epoch = epoch;
  line.port = pattern;
  line.source.fill(pattern);
  line.destination.fill(pattern);
  line.backup = backup;
  line.mtu = static_cast<std::uint16_t>(pattern << 8 | pattern);
  line.address_sum = line.mtu;
  return line;
}

bool is_whole(const Adjacency& line) {
  const std::uint8_t pattern = line.l2[0];
  const auto same = [&](const auto& bytes) {
    for (const std::uint8_t byte : bytes)
      if (byte != pattern) return false;
    return true;
  };
  return same(line.l2) && same(line.source) && same(line.destination) && line.port == pattern &&
         line.mtu == (pattern << 8 | pattern) && line.address_sum == line.mtu;
}

class AdjacencyTableTest : public ::testing::Test {
 protected:
  static NodeArray<Adjacency> lines() { return std::move(*AdjacencyTable::allocate(kAnyNode)); }
  AdjacencyState state(std::uint32_t slot) { return AdjacencyTable::state(table_.at(slot)); }
  std::uint32_t add(std::uint8_t host, const Adjacency& line) {
    const std::uint32_t slot = *table_.find_or_allocate(key_of(host));
    table_.set(slot, line);
    return slot;
  }

  Readers readers_;
  AdjacencyTable table_{lines(), 8, readers_};
};

TEST_F(AdjacencyTableTest, EveryIndexOfAnActionCanBeRead) {
  EXPECT_EQ(state(0), AdjacencyState::kFree);
  EXPECT_EQ(state(kMaxAdjacencies - 1), AdjacencyState::kFree);
}

TEST_F(AdjacencyTableTest, HoldsWhatWasSet) {
  const std::uint32_t slot = add(1, content(0x11));
  EXPECT_EQ(state(slot), AdjacencyState::kUp);
  EXPECT_TRUE(is_whole(table_.at(slot)));
  EXPECT_EQ(table_.at(slot).port, 0x11);
  EXPECT_EQ(table_.at(slot).backup, kNoIndex);
  EXPECT_EQ(table_.find(key_of(1)), slot);
  EXPECT_EQ(table_.find(key_of(2)), std::nullopt);
  table_.set_state(slot, AdjacencyState::kDown);
  EXPECT_EQ(state(slot), AdjacencyState::kDown);
}

TEST_F(AdjacencyTableTest, KeysDifferInEveryPart) {
  AdjacencyKey key = key_of(1);
  const auto first = table_.find_or_allocate(key);
  for (auto change : std::vector<void (*)(AdjacencyKey&)>{
           [](AdjacencyKey& k) { k.port = 2; }, [](AdjacencyKey& k) { k.vlan = 9; },
           [](AdjacencyKey& k) { k.family = Family::kIpv6; },
           [](AdjacencyKey& k) { k.destination[15] = 1; }}) {
    key = key_of(1);
    change(key);
    EXPECT_NE(table_.find_or_allocate(key), first);
  }
  EXPECT_EQ(table_.size(), 5U);
}

TEST_F(AdjacencyTableTest, SaysFull) {
  for (std::uint8_t host = 0; host < 8; ++host)
    EXPECT_TRUE(table_.find_or_allocate(key_of(host)));
  EXPECT_EQ(table_.find_or_allocate(key_of(8)), std::nullopt);
  EXPECT_EQ(table_.find_or_allocate(key_of(3)), table_.find(key_of(3)));
}

TEST_F(AdjacencyTableTest, SameContentDoesNotWaitForWorkers) {
  const std::uint32_t slot = add(1, content(0x11));
  readers_.add(0);
  readers_.online(0);  // never quiescent: synchronize() would not return
  table_.set(slot, content(0x11, AdjacencyState::kUp, kNoIndex, 2));
  table_.set(slot, content(0x11, AdjacencyState::kDown, kNoIndex, 3));
  EXPECT_EQ(state(slot), AdjacencyState::kDown);
  EXPECT_EQ(table_.at(slot).epoch, 3);
}

TEST_F(AdjacencyTableTest, ErasedIsUnusableAndItsSlotComesBackWhenUnnamed) {
  const std::uint32_t slot = add(1, content(0x11));
  table_.reference(slot);
  EXPECT_TRUE(table_.erase(slot));
  EXPECT_FALSE(table_.erase(slot));
  EXPECT_EQ(state(slot), AdjacencyState::kFree);
  table_.reclaim(10);
  EXPECT_EQ(table_.pending(), 1U);
  for (std::uint8_t host = 2; host < 9; ++host)
    EXPECT_NE(table_.find_or_allocate(key_of(host)), slot);
  table_.unreference(slot);
  table_.reclaim(10);
  EXPECT_EQ(table_.find_or_allocate(key_of(9)), slot);
}

TEST_F(AdjacencyTableTest, BackupKeepsItsSlot) {
  const std::uint32_t backup = add(2, content(0x22));
  const std::uint32_t slot = add(1, content(0x11, AdjacencyState::kUp, backup));
  EXPECT_EQ(table_.at(slot).backup, backup);
  table_.erase(backup);
  table_.reclaim(10);
  EXPECT_EQ(table_.pending(), 1U);
  EXPECT_EQ(state(backup), AdjacencyState::kFree);
  table_.set(slot, content(0x11));  // without backup
  table_.reclaim(10);
  EXPECT_EQ(table_.pending(), 0U);
  EXPECT_EQ(table_.at(slot).backup, kNoIndex);
}

TEST_F(AdjacencyTableTest, BackupsOfEachOtherAreFreed) {
  const std::uint32_t one = add(1, content(0x11));
  const std::uint32_t two = add(2, content(0x22, AdjacencyState::kUp, one));
  table_.set(one, content(0x11, AdjacencyState::kUp, two));
  table_.erase(one);
  table_.erase(two);
  table_.reclaim(10);
  EXPECT_EQ(table_.pending(), 0U);
}

TEST_F(AdjacencyTableTest, BackupThatIsNotInUseOrItselfIsNone) {
  EXPECT_EQ(table_.at(add(1, content(0x11, AdjacencyState::kUp, 5))).backup, kNoIndex);
  const std::uint32_t slot = *table_.find(key_of(1));
  table_.set(slot, content(0x11, AdjacencyState::kUp, slot));
  EXPECT_EQ(table_.at(slot).backup, kNoIndex);
  table_.set(slot, content(0x11, AdjacencyState::kUp, kMaxAdjacencies + 5));
  EXPECT_EQ(table_.at(slot).backup, kNoIndex);
}

TEST_F(AdjacencyTableTest, RevivedWithItsBackupHoldsItAgain) {
  const std::uint32_t backup = add(2, content(0x22));
  const std::uint32_t slot = add(1, content(0x11, AdjacencyState::kUp, backup));
  table_.erase(slot);
  EXPECT_EQ(table_.find_or_allocate(key_of(1)), slot);
  table_.set(slot, content(0x11, AdjacencyState::kUp, backup));
  table_.erase(backup);
  table_.reclaim(10);
  EXPECT_EQ(table_.pending(), 1U);
}

TEST_F(AdjacencyTableTest, SweepErasesOtherEpochs) {
  add(1, content(0x11, AdjacencyState::kUp, kNoIndex, 1));
  const std::uint32_t kept = add(2, content(0x22, AdjacencyState::kUp, kNoIndex, 2));
  add(3, content(0x33, AdjacencyState::kUp, kNoIndex, 1));
  std::size_t erased = 0;
  int steps = 0;
  while (!table_.sweep(2, 1, erased))
    ASSERT_LT(++steps, 10);
  EXPECT_EQ(erased, 2U);
  EXPECT_EQ(table_.size(), 1U);
  EXPECT_EQ(state(kept), AdjacencyState::kUp);
}

// A worker that found the line up goes on using it: nothing changes before it is quiescent.
TEST_F(AdjacencyTableTest, ChangeWaitsForAReaderInTheMiddle) {
  const std::uint32_t slot = add(1, content(1));
  readers_.add(0);
  readers_.online(0);
  ASSERT_EQ(state(slot), AdjacencyState::kUp);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    table_.set(slot, content(2));
    done = true;
  });
  while (state(slot) == AdjacencyState::kUp && !done)
    std::this_thread::yield();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(state(slot), AdjacencyState::kUnresolved);
    EXPECT_EQ(table_.at(slot).port, 1);
    std::this_thread::yield();
  }
  EXPECT_FALSE(done);
  readers_.offline(0);
  writer.join();
  EXPECT_EQ(state(slot), AdjacencyState::kUp);
  EXPECT_EQ(table_.at(slot).port, 2);
}

// A reader that uses a line only when its state says so sees it whole, while its content changes.
TEST_F(AdjacencyTableTest, NeverTorn) {
  const std::uint32_t slot = add(1, content(1));
  constexpr unsigned kReaders = 2;
  constexpr int kUses = 200;
  std::atomic<bool> stop{false};
  std::atomic<unsigned> started{0};
  std::atomic<int> torn{0};
  std::array<std::atomic<int>, kReaders> used{};
  std::vector<std::thread> threads;
  for (unsigned index = 0; index < kReaders; ++index) {
    threads.emplace_back([&, index] {
      readers_.add(index);
      readers_.online(index);
      ++started;
      while (!stop.load(std::memory_order_relaxed)) {
        for (int i = 0; i < 8; ++i) {
          if (AdjacencyTable::state(table_.at(slot)) != AdjacencyState::kUp) continue;
          const Adjacency copy = [&] {  // field by field but the state, as the rewrite stage does
            Adjacency to{};
            const Adjacency& from = table_.at(slot);
            to.l2 = from.l2;
            if (used[index] % 64 == 0) std::this_thread::yield();  // in the middle of it
            to.port = from.port;
            to.source = from.source;
            to.destination = from.destination;
            to.mtu = from.mtu;
            to.address_sum = from.address_sum;
            return to;
          }();
          if (!is_whole(copy)) ++torn;
          ++used[index];
        }
        readers_.quiescent(index);
        std::this_thread::yield();  // the writer may need this CPU
      }
      readers_.offline(index);
      readers_.remove(index);
    });
  }
  while (started != kReaders)
    std::this_thread::yield();
  const auto uses = [&] {
    int all = 0;
    for (const auto& count : used)
      all += count;
    return all;
  };
  const auto enough = [&] {
    for (const auto& count : used)
      if (count < kUses) return false;
    return true;
  };
  for (int change = 0; change < 30 || !enough(); ++change) {
    table_.set(slot, content(static_cast<std::uint8_t>(1 + change % 200)));
    const int before = uses();
    while (uses() == before)  // a reader may need this CPU to see it up at all
      std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace sluice::dataplane
