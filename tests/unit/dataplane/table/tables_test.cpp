#include "dataplane/table/tables.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/support/eal.hpp"
#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::id_of;

class TablesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { testing::start_eal(); }

  void SetUp() override {
    auto tables = Tables::create({.routes = 1000, .adjacencies = 16, .groups = 4});
    ASSERT_TRUE(tables) << tables.error().message();
    tables_ = std::move(*tables);
    ASSERT_TRUE(tables_->set_hash_key(HashKey{{1}}));
  }
  std::uint32_t adjacency(std::uint8_t host, std::uint8_t epoch = 1) {
    const AdjacencyKey key{.port = 0, .vlan = 0, .family = Family::kIpv4, .destination = {host}};
    const std::uint32_t slot = *tables_->adjacencies.find_or_allocate(key);
    Adjacency line{};
    line.state = AdjacencyState::kUp;
    line.backup = kNoIndex;
    line.epoch = epoch;
    tables_->adjacencies.set(slot, line);
    return slot;
  }
  std::uint32_t group(std::uint64_t capability, std::uint32_t hop, std::uint8_t epoch = 1) {
    const std::uint32_t slot = *tables_->groups.find_or_allocate(id_of(capability));
    const std::array members = {GroupMember{.id = id_of(1), .adjacency = hop}};
    tables_->groups.publish(
        slot, std::make_unique<const Group>(id_of(capability), GroupPolicy::kHash, members), epoch);
    return slot;
  }
  RouteChange set(std::uint64_t id, Action action) {
    const Id key = id_of(id);
    RouteChange change;
    tables_->set_routes(&key, &action, 1, &change);
    return change;
  }
  static Action to_adjacency(std::uint32_t slot, std::uint8_t epoch = 1) {
    return {ActionKind::kAdjacency, slot, 7600, 0, epoch};
  }
  static Action to_group(std::uint32_t slot, std::uint8_t epoch = 1) {
    return {ActionKind::kGroup, slot, 0, 0, epoch};
  }
  void reclaim() {
    for (int i = 0; i < 3; ++i)
      tables_->reclaim(1000);
  }

  std::unique_ptr<Tables> tables_;
};

TEST_F(TablesTest, StartsEmpty) {
  const auto fresh = Tables::create({});
  ASSERT_TRUE(fresh);
  EXPECT_EQ((*fresh)->routes.load(), nullptr);
  ASSERT_NE((*fresh)->forwarding.load(), nullptr);
  EXPECT_FALSE((*fresh)->forwarding.load()->ready);
  EXPECT_EQ((*fresh)->trace.load(), nullptr);
  EXPECT_EQ((*fresh)->pending(), 0U);
}

TEST_F(TablesTest, RefusesImpossibleLimits) {
  for (const TableLimits& limits :
       {TableLimits{.routes = 0}, TableLimits{.routes = RouteTable::kMaxCapacity + 1},
        TableLimits{.adjacencies = 0}, TableLimits{.adjacencies = kMaxAdjacencies + 1},
        TableLimits{.groups = 0}, TableLimits{.groups = kMaxGroups + 1}}) {
    const auto tables = Tables::create(limits);
    ASSERT_FALSE(tables);
    EXPECT_EQ(tables.error().code(), ErrorCode::kInvalidArgument);
  }
}

TEST_F(TablesTest, HashKeyAgainKeepsTheTableAnotherOneRehashes) {
  set(1, Action(ActionKind::kLocal, 0, 0, 0, 1));
  const Routes* before = tables_->routes.load();
  EXPECT_TRUE(tables_->set_hash_key(HashKey{{1}}));
  EXPECT_EQ(tables_->routes.load(), before);
  EXPECT_TRUE(tables_->set_hash_key(HashKey{{2}}));
  EXPECT_NE(tables_->routes.load(), before);
  EXPECT_EQ(&tables_->routes.load()->delta(), tables_->route_table());
  EXPECT_EQ(tables_->routes.load()->find(id_of(1)).kind(), ActionKind::kLocal);
  EXPECT_EQ(tables_->pending(), 2U) << "the table and what named it";
  reclaim();
  EXPECT_EQ(tables_->pending(), 0U);
}

// A route that was forgotten keeps its adjacency's slot from strangers.
TEST_F(TablesTest, SlotsAreNotGivenAwayWhileRoutesNameThem) {
  const std::uint32_t hop = adjacency(1);
  const std::uint32_t capability = group(50, adjacency(2));
  set(1, to_adjacency(hop));
  set(2, to_adjacency(hop));
  set(3, to_group(capability));
  tables_->adjacencies.erase(hop);
  tables_->groups.erase(capability);
  reclaim();
  EXPECT_EQ(tables_->adjacencies.pending(), 1U);
  EXPECT_EQ(tables_->groups.pending(), 1U);
  set(1, to_adjacency(adjacency(2)));  // replaced
  tables_->erase_route(id_of(2), 1);
  tables_->erase_route(id_of(2), 1);  // gone already: nothing to give back
  tables_->erase_route(id_of(3), 1);
  reclaim();
  EXPECT_EQ(tables_->pending(), 0U);
}

TEST_F(TablesTest, RefusedRouteHoldsNothing) {
  const std::uint32_t hop = adjacency(1);
  for (std::uint64_t i = 0; i < 1000; ++i)
    set(i, Action(ActionKind::kUnreachable, 0, 0, 0, 1));
  EXPECT_EQ(set(5000, to_adjacency(hop)).outcome, RouteOutcome::kFull);
  tables_->adjacencies.erase(hop);
  reclaim();
  EXPECT_EQ(tables_->adjacencies.pending(), 0U);
}

TEST_F(TablesTest, SweepForgetsEverythingOfOtherEpochs) {
  for (std::uint8_t host = 0; host < 8; ++host) {
    const std::uint8_t epoch = host % 2 == 0 ? 1 : 2;
    const std::uint32_t hop = adjacency(host, epoch);
    for (std::uint64_t i = 0; i < 10; ++i)
      set(host * 10 + i, to_adjacency(hop, epoch));
    if (host < 4) set(900 + host, to_group(group(700 + host, hop, epoch), epoch));
  }
  std::size_t erased = 0;
  int steps = 0;
  while (!tables_->sweep(2, 7, erased)) {
    tables_->reclaim(7);
    ASSERT_LT(++steps, 1000);
  }
  EXPECT_EQ(erased, 40U + 2 + 2 + 4);  // routes, routes to groups, groups, adjacencies
  reclaim();
  EXPECT_EQ(tables_->pending(), 0U);
  EXPECT_EQ(tables_->routes.load()->delta().size(), 42U);
  EXPECT_EQ(tables_->groups.size(), 2U);
  EXPECT_EQ(tables_->adjacencies.size(), 4U);
  erased = 0;
  while (!tables_->sweep(2, 7, erased)) {
  }
  EXPECT_EQ(erased, 0U);
}

TEST_F(TablesTest, SnapshotsLiveUntilReadersAreDone) {
  tables_->readers.add(0);
  tables_->readers.online(0);
  const ForwardingState* held = tables_->forwarding.load();
  auto next = std::make_unique<ForwardingState>(*held);
  next->ready = true;
  tables_->publish(std::unique_ptr<const ForwardingState>(std::move(next)));
  tables_->publish(std::make_unique<const TraceFilter>(Id{}, Id{}, 1, 1));
  tables_->publish(std::unique_ptr<const TraceFilter>());
  EXPECT_EQ(tables_->trace.load(), nullptr);
  EXPECT_TRUE(tables_->forwarding.load()->ready);
  reclaim();
  EXPECT_EQ(tables_->pending(), 2U);
  EXPECT_FALSE(held->ready);
  tables_->readers.quiescent(0);
  reclaim();
  EXPECT_EQ(tables_->pending(), 0U);
}

}  // namespace
}  // namespace sluice::dataplane
