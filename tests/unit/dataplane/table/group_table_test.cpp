#include "dataplane/table/group_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::id_of;

class GroupTableTest : public ::testing::Test {
 protected:
  std::uint32_t adjacency(std::uint8_t host) {
    AdjacencyKey key{.port = 0, .vlan = 0, .family = Family::kIpv4, .destination = {host}};
    const std::uint32_t slot = *adjacencies_.find_or_allocate(key);
    Adjacency line{};
    line.state = AdjacencyState::kUp;
    line.backup = kNoIndex;
    adjacencies_.set(slot, line);
    return slot;
  }
  // `count` members that all say `tenant`.
  static std::unique_ptr<const Group> group(std::uint64_t capability, std::uint32_t adjacency,
                                            std::uint16_t tenant, std::size_t count = 3) {
    std::vector<GroupMember> members(count);
    for (std::size_t i = 0; i < count; ++i)
      members[i] = {.id = id_of(i), .adjacency = adjacency, .udp_port = 1, .tenant = tenant};
    return std::make_unique<const Group>(id_of(capability), GroupPolicy::kRoundRobin, members);
  }
  void reclaim() {
    groups_.reclaim(100);
    adjacencies_.reclaim(100);
  }

  Readers readers_;
  AdjacencyTable adjacencies_{std::move(*AdjacencyTable::allocate(kAnyNode)), 16, readers_};
  GroupTable groups_{std::move(*GroupTable::allocate(kAnyNode)), 4, adjacencies_, readers_};
};

TEST_F(GroupTableTest, PublishesAndReplaces) {
  const std::uint32_t hop = adjacency(1);
  EXPECT_EQ(groups_.at(kMaxGroups - 1), nullptr);
  const std::uint32_t slot = *groups_.find_or_allocate(id_of(7));
  EXPECT_EQ(groups_.at(slot), nullptr);
  groups_.publish(slot, group(7, hop, 1), 1);
  ASSERT_NE(groups_.at(slot), nullptr);
  EXPECT_EQ(groups_.at(slot)->members()[0].tenant, 1);
  groups_.publish(slot, group(7, hop, 2), 1);
  EXPECT_EQ(groups_.at(slot)->members()[0].tenant, 2);
  EXPECT_EQ(groups_.find(id_of(7)), slot);
  EXPECT_EQ(groups_.size(), 1U);
}

TEST_F(GroupTableTest, SaysFull) {
  for (std::uint64_t i = 0; i < 4; ++i)
    EXPECT_TRUE(groups_.find_or_allocate(id_of(i)));
  EXPECT_EQ(groups_.find_or_allocate(id_of(4)), std::nullopt);
}

TEST_F(GroupTableTest, OldGroupLivesUntilReadersAreDone) {
  const std::uint32_t slot = *groups_.find_or_allocate(id_of(7));
  groups_.publish(slot, group(7, adjacency(1), 1), 1);
  readers_.add(0);
  readers_.online(0);
  const Group* held = groups_.at(slot);
  groups_.publish(slot, group(7, adjacency(1), 2), 1);
  reclaim();
  EXPECT_EQ(groups_.pending(), 1U);
  EXPECT_EQ(held->members()[2].tenant, 1);  // ASan: still there
  readers_.quiescent(0);
  reclaim();
  EXPECT_EQ(groups_.pending(), 0U);
}

TEST_F(GroupTableTest, KeepsItsMembersAdjacencies) {
  const std::uint32_t hop = adjacency(1);
  const std::uint32_t slot = *groups_.find_or_allocate(id_of(7));
  groups_.publish(slot, group(7, hop, 1), 1);
  adjacencies_.erase(hop);
  reclaim();
  EXPECT_EQ(adjacencies_.pending(), 1U);
  EXPECT_TRUE(groups_.erase(slot));
  EXPECT_FALSE(groups_.erase(slot));
  EXPECT_EQ(groups_.at(slot), nullptr);
  reclaim();
  reclaim();
  EXPECT_EQ(adjacencies_.pending(), 0U);
  EXPECT_EQ(groups_.pending(), 0U);
}

TEST_F(GroupTableTest, SweepErasesOtherEpochs) {
  for (std::uint64_t i = 0; i < 4; ++i) {
    const std::uint32_t slot = *groups_.find_or_allocate(id_of(i));
    groups_.publish(slot, group(i, adjacency(1), 1), i < 3 ? 1 : 2);
  }
  std::size_t erased = 0;
  while (!groups_.sweep(2, 1, erased)) {
  }
  EXPECT_EQ(erased, 3U);
  EXPECT_TRUE(groups_.find(id_of(3)));
  EXPECT_FALSE(groups_.find(id_of(0)));
}

TEST_F(GroupTableTest, ReplacedUnderReadersIsAlwaysWhole) {
  const std::uint32_t slot = *groups_.find_or_allocate(id_of(7));
  groups_.publish(slot, group(7, adjacency(1), 0, 1), 1);
  std::atomic<bool> stop{false};
  std::atomic<unsigned> looks{0};
  std::atomic<int> mixed{0};
  std::thread reader([&] {
    readers_.add(0);
    readers_.online(0);
    while (!stop.load(std::memory_order_relaxed)) {
      const Group* now = groups_.at(slot);
      const std::uint16_t tenant = now->members()[0].tenant;
      if (now->members().size() != 1U + tenant % 60) ++mixed;
      for (const GroupMember& member : now->members())
        if (member.tenant != tenant) ++mixed;
      ++looks;
      readers_.quiescent(0);
      std::this_thread::yield();  // the writer may need this CPU
    }
    readers_.offline(0);
    readers_.remove(0);
  });
  for (std::uint16_t i = 0; i < 300 || looks < 300; ++i) {
    groups_.publish(slot, group(7, adjacency(1), i, 1 + i % 60), 1);
    reclaim();
  }
  stop = true;
  reader.join();
  EXPECT_EQ(mixed, 0);
  groups_.reclaim(UINT32_MAX);
  EXPECT_EQ(groups_.pending(), 0U);
}

}  // namespace
}  // namespace sluice::dataplane
