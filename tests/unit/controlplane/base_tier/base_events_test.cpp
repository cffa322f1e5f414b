// Orders of events that are rare and must not cost anything: what comes while a base is built or
// taken over, a table that is smaller than what may differ, agents that come and go.
#include <thread>

#include "base_fixture.hpp"

namespace sluice::controlplane {
namespace {

class BaseEventsTest : public BaseManagerTest {
 protected:
  // A snapshot and an adoption go over the routes in pieces, which are smaller.
  static constexpr unsigned kMoreThanAPiece = 40'000;

  void fill(unsigned from, unsigned to) {
    for (unsigned n = from; n < to; ++n)
      set(n, n % 17);
  }
  bool building() { return manager().info().state == BaseManagerInfo::State::kBuilding; }
  std::size_t files_being_made() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      if (entry.path().extension() == ".new") ++count;
    return count;
  }
  // A new process whose adoption of the base has seen the first piece of the routes.
  void adopt_one_piece() {
    manager().start([](const Id&) { return false; });
    wait_until([this] { return !posted_empty(); });
    ASSERT_TRUE(run_one());
    ASSERT_EQ(manager().info().state, BaseManagerInfo::State::kAdopting);
    ASSERT_TRUE(programmer().base().adopting());
  }
  // Without running anything meanwhile.
  template <class Condition>
  void wait_until(Condition&& condition) {
    const auto give_up = monotonic_ns() + 20 * kNsPerSecond;
    while (!condition()) {
      ASSERT_LT(monotonic_ns(), give_up);
      std::this_thread::yield();
    }
  }
  bool posted_empty() {
    const std::lock_guard lock(mutex_);
    return posted_.empty();
  }
  void adopt_the_rest() {
    run_until([this] { return manager().settled(); });
    ASSERT_TRUE(programmer().base().current());
  }
  // A small table, a base of so many routes, and an hour until the interval allows another.
  void base_and_long_interval(unsigned routes) {
    kill();
    table_routes_ = 2000;
    delta_max_ = 500;
    interval_ns_ = 3600 * kNsPerSecond;
    boot();
    start();
    fill(0, routes);
    settle();
    ASSERT_EQ(manager().info().built, 1U);
  }
  void restart_dataplane() {
    disconnect();
    offers_.clear();
    dataplane_ = std::make_unique<FakeDataplane>(kKey);
  }
};

TEST_F(BaseEventsTest, ABaseComesBeforeTheTableIsFull) {
  kill();
  table_routes_ = 2000;
  delta_max_ = 100'000;  // larger than the table
  boot();
  start();
  fill(0, 1500);
  settle();
  expect_right(1500);
  EXPECT_TRUE(dataplane_->has_base());
}

TEST_F(BaseEventsTest, ATenthOfALargeBaseMayBeMoreThanTheTable) {
  start();
  fill(0, 20'000);
  settle();
  kill();
  table_routes_ = 1000;
  boot();
  start();
  const auto before = manager().info().built;
  for (unsigned n = 0; n < 800; ++n)
    set(n, 1 + n % 17, 9);
  now_ns_ += 70 * kNsPerSecond;
  settle();
  expect_right(20'000);
  EXPECT_EQ(manager().info().built, before + 1);
  EXPECT_EQ(counts().uncovered, 0u);
}

// Deletions of agents that a base has take places, too; what finds none would go on being served.
TEST_F(BaseEventsTest, WhatFindsNoPlaceDoesNotWaitForTheInterval) {
  base_and_long_interval(5000);
  for (unsigned n = 0; n < 1000; ++n)
    remove(n);
  settle();
  EXPECT_EQ(manager().info().built, 1U) << "the table has room for these";
  for (unsigned n = 1000; n < 4990; ++n)
    remove(n);
  settle();
  EXPECT_EQ(manager().info().built, 2U);
  EXPECT_EQ(counts().deleted, 0U);
  expect_right(5000);
}

TEST_F(BaseEventsTest, GrowthPastTheTableWaitsForABaseWhateverTheInterval) {
  base_and_long_interval(1000);
  fill(1000, 6000);
  EXPECT_FALSE(manager().settled());
  settle();
  EXPECT_EQ(manager().info().built, 2U);
  expect_right(6000);
}

// Only the control plane was restarted after dataplane.routes was raised.
TEST_F(BaseEventsTest, TheTableThatIsThereCounts) {
  kill();
  delta_max_ = 5000;
  boot();
  start();
  table_there_ = 2000;
  fill(0, 999);
  settle();
  EXPECT_FALSE(dataplane_->has_base());
  fill(999, 1500);
  settle();
  EXPECT_TRUE(dataplane_->has_base());
  expect_right(1500);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("event=table_is_smaller routes=2000 configured=1000000"),
            std::string::npos)
      << warnings_[0];
}

// Groups and the router's own take places of the table that no base takes away.
TEST_F(BaseEventsTest, RoutesThatNoBaseCanHaveCountToo) {
  kill();
  table_routes_ = 2000;
  delta_max_ = 500;
  boot();
  start();
  for (unsigned n = 50'000; n < 51'200; ++n)
    ASSERT_TRUE(programmer().set_route(id_of(n), {ActionKind::kLocal, kNoIndex, 0, 0}));
  fill(0, 350);
  settle();
  EXPECT_FALSE(dataplane_->has_base());
  fill(350, 450);
  settle();
  EXPECT_TRUE(dataplane_->has_base());
}

TEST_F(BaseEventsTest, ABaseThatIsBuiltKeepsItsFilesWhenAnotherIsDone) {
  start();
  fill(0, kMoreThanAPiece);
  settle();
  ASSERT_EQ(manager().info().built, 1u);
  now_ns_ += 70 * kNsPerSecond;
  fill(100'000, 100'000 + kMoreThanAPiece);
  pump();
  manager().tick();
  ASSERT_TRUE(building());
  wait_until([this] { return files_being_made() > 0; });
  // The link is lost and found: the dataplane is done with the base in use once more.
  disconnect();
  connect();
  pump();
  answer();
  pump();
  ASSERT_TRUE(building());
  EXPECT_GT(files_being_made(), 0u);
  settle();
  EXPECT_EQ(manager().info().failed, 0u);
  EXPECT_EQ(manager().info().built, 2u);
  EXPECT_EQ(files(), 2u);
  expect_right(100);
}

TEST_F(BaseEventsTest, ABaseThatWaitsToBeOfferedKeepsItsFileWhenAnotherIsDone) {
  start();
  fill(0, 500);
  settle();
  now_ns_ += 70 * kNsPerSecond;
  fill(1000, 1500);
  pump();
  manager().tick();
  ASSERT_TRUE(building());
  run_until([this] { return !offers_.empty(); });
  restart_dataplane();
  connect();  // before the next tick
  pump();
  answer();
  pump();
  settle();
  EXPECT_EQ(manager().info().failed, 0u);
  EXPECT_EQ(manager().info().built, 2u);
  EXPECT_EQ(counts().uncovered, 0u);
  EXPECT_EQ(files(), 2u);
  expect_right(1500);
}

TEST_F(BaseEventsTest, AnAgentThatComesAndGoesTakesOnePlace) {
  start();
  fill(0, 500);
  settle();
  const auto turns = [this](unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      remove(7);
      pump();
      set(7, 3, 8);
      pump();
    }
  };
  turns(10);
  const auto before = programmer().route_memory_bytes();
  turns(2000);
  EXPECT_EQ(programmer().route_memory_bytes(), before);
  EXPECT_EQ(counts().deleted, 0u);
  remove(7);
  pump();
  EXPECT_EQ(counts().deleted, 1u);
  restart_dataplane();
  settle();
  expect_right(500);
}

TEST_F(BaseEventsTest, AnAgentThatCameDuringTheAdoptionDoesNotComeBack) {
  constexpr unsigned kLast = kMoreThanAPiece;
  start();
  fill(1, kLast);
  settle();
  kill();
  const Meaning late = wanted_[kLast - 1];
  wanted_.erase(kLast - 1);
  wanted_[0] = late;  // a place that no route of the base has
  boot();
  adopt_one_piece();
  remove(0);
  wanted_[kLast - 1] = late;
  program(kLast - 1, late);  // takes the place that was left
  adopt_the_rest();
  settle();
  expect_right(kLast);
  remove(kLast - 1);
  settle();
  expect_right(kLast);
  restart_dataplane();
  settle();
  expect_right(kLast);
}

TEST_F(BaseEventsTest, ADeletionDuringTheAdoptionDoesNotComeBackEither) {
  constexpr unsigned kLast = kMoreThanAPiece;
  start();
  fill(1, kLast);
  settle();
  kill();
  const Meaning late = wanted_[kLast - 1];
  wanted_.erase(kLast - 1);
  wanted_[0] = late;
  boot();
  adopt_one_piece();
  remove(0);
  program(kLast - 1, late);
  programmer().delete_route(id_of(kLast - 1));
  adopt_the_rest();
  restart_dataplane();
  settle();
  expect_right(kLast);
}

// A handle may become another neighbour's while the routes are compared.
TEST_F(BaseEventsTest, NeighboursThatChangeDuringTheAdoptionAreToldApart) {
  constexpr unsigned kLast = kMoreThanAPiece;
  start();
  fill(0, kLast);
  settle();
  kill();
  const unsigned moved = kLast - 1;
  const AdjacencyKey before = wanted_[moved].key;
  for (auto& [n, meaning] : wanted_)
    if (meaning.key == before) meaning.key = neighbour(18);
  boot();
  // There, but nobody's.
  ASSERT_TRUE(programmer().set_adjacency(
      before,
      {.source = before.destination.is_v4() ? *parse_ip("10.0.0.254") : *parse_ip("fd00::fe"),
       .state = AdjacencyState::kUp}));
  adopt_one_piece();
  programmer().delete_adjacency(before);
  set(moved, 19, wanted_[moved].udp_port);
  adopt_the_rest();
  settle();
  expect_right(kLast);
}

// A large segment on a slow disk takes its time; giving up would send millions of routes one by
// one.
TEST_F(BaseEventsTest, AnOfferThatCannotBeMadeNowIsMadeAgain) {
  start();
  fill(0, 500);
  settle();
  restart_dataplane();
  offers_fail_ = 2;
  connect();
  pump();
  EXPECT_EQ(offers_.size(), 0u);
  run_until([this] { return !offers_.empty(); });
  EXPECT_EQ(dataplane_->sent(), 0u);
  answer();
  pump();
  expect_right(500);
  EXPECT_TRUE(dataplane_->has_base());
}

TEST_F(BaseEventsTest, RoutesThatDoNotFitDoNotWaitWhenTheirBaseIsLost) {
  kill();
  table_routes_ = 200;
  for (unsigned n = 0; n < 1000; ++n)
    wanted_[n] = {ActionKind::kAdjacency, neighbour(n % 9), 1, 1};
  boot();
  manager().set_policy(delta_max_, 30 * kNsPerSecond);
  start();
  settle();
  restart_dataplane();
  connect();
  pump();
  answer(link::BaseRefusal::kDamaged);
  pump();
  ASSERT_EQ(state(), LinkState::kReady);
  manager().tick();
  EXPECT_TRUE(building());
  settle();
  expect_right(1000);
  EXPECT_EQ(dataplane_->delta(), 0u);
}

TEST_F(BaseEventsTest, ABaseIsOfferedWhoeverTookItsFileAway) {
  start();
  fill(0, 500);
  settle();
  std::filesystem::remove_all(directory_);
  restart_dataplane();
  connect();
  pump();
  ASSERT_EQ(offers_.size(), 1u);
  EXPECT_TRUE(programmer().base().current());
  EXPECT_EQ(dataplane_->sent(), 0u);
}

}  // namespace
}  // namespace sluice::controlplane
