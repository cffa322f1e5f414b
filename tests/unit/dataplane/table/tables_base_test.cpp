// Delta and base together: what wins, deletion marks, commits, pruning, sweeps, references.
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <random>
#include <vector>

#include "dataplane/table/tables.hpp"
#include "tests/support/base_file.hpp"
#include "tests/support/eal.hpp"
#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::BaseFile;
using testing::BaseRoute;
using testing::id_of;

constexpr HashKey kKey{{1}};
constexpr std::uint32_t kHosts = 4;

class TablesBaseTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { testing::start_eal(); }

  void SetUp() override { start(2000); }
  void start(std::size_t routes) {
    tables_ = std::move(*Tables::create({.routes = routes, .adjacencies = 16, .groups = 4}));
    ASSERT_TRUE(tables_->set_hash_key(kKey));
    slots_.clear();
    for (std::uint8_t host = 0; host < kHosts; ++host)
      slots_.push_back(adjacency(host));
  }
  std::uint32_t adjacency(std::uint8_t host, std::uint8_t epoch = 1) {
    const AdjacencyKey key{.port = 0, .vlan = 0, .family = Family::kIpv4, .destination = {host, 1}};
    const std::uint32_t slot = *tables_->adjacencies.find_or_allocate(key);
    Adjacency line{};
    line.state = AdjacencyState::kUp;
    line.backup = kNoIndex;
    line.epoch = epoch;
    tables_->adjacencies.set(slot, line);
    return slot;
  }

  // Action towards a host: with its slot, or, for a base, with its position.
  Action to(std::uint32_t host, std::uint16_t udp_port, std::uint8_t epoch = 1) const {
    return {ActionKind::kAdjacency, slots_[host], udp_port, 0, epoch};
  }
  static Action at(std::uint32_t position, std::uint16_t udp_port) {
    return {ActionKind::kAdjacency, position, udp_port, 0, 0};
  }
  RouteChange set(std::uint64_t id, Action action) {
    const Id key = id_of(id);
    RouteChange change;
    tables_->set_routes(&key, &action, 1, &change);
    return change;
  }
  RouteOutcome erase(std::uint64_t id, std::uint8_t epoch = 1) {
    return tables_->erase_route(id_of(id), epoch);
  }
  std::shared_ptr<LoadedBase> load(const std::vector<BaseRoute>& routes, std::uint8_t number,
                                   const HashKey& key = kKey) {
    const BaseFile file(key, routes, kHosts, number);
    const std::atomic<bool> cancel{false};
    const int descriptor = file.open();
    auto loaded = load_base(descriptor, file.id(), -1, cancel);
    ::close(descriptor);
    EXPECT_TRUE(loaded);
    return std::make_shared<LoadedBase>(std::move(*loaded));
  }
  void commit(const std::vector<BaseRoute>& routes, std::uint8_t number, std::uint8_t epoch = 1) {
    ASSERT_TRUE(tables_->commit_base(load(routes, number), slots_, number, epoch));
  }
  std::size_t prune() {
    std::size_t erased = 0;
    while (!tables_->prune(64, erased)) {
    }
    return erased;
  }
  void sweep(std::uint8_t epoch) {
    std::size_t erased = 0;
    while (!tables_->sweep(epoch, 64, erased)) {
    }
  }
  // What a worker gets, by burst and one by one; without the epoch.
  Action look(std::uint64_t id) {
    const Routes& routes = *tables_->routes.load();
    const Id key = id_of(id);
    Action out;
    routes.lookup_burst(&key, 1, &out);
    EXPECT_EQ(out, routes.find(key));
    if (out.kind() == ActionKind::kDeleted) return {};
    return Action::from_bits(out.bits() & index::kValueMask);
  }
  static Action plain(Action action) {
    return Action::from_bits(action.bits() & index::kValueMask);
  }
  void reclaim() {
    for (int i = 0; i < 5; ++i)
      tables_->reclaim(1000);
  }

  std::unique_ptr<Tables> tables_;
  std::vector<std::uint32_t> slots_;
};

TEST_F(TablesBaseTest, TheDeltaWins) {
  set(1, to(0, 100));
  set(2, to(0, 200));
  commit({{id_of(2), at(1, 222)}, {id_of(3), at(2, 333)}}, 1);
  EXPECT_EQ(look(1), plain(to(0, 100)));
  EXPECT_EQ(look(2), plain(to(0, 200)));
  EXPECT_EQ(look(3), plain(to(2, 333)));
  EXPECT_EQ(look(4), Action{});
  EXPECT_EQ(tables_->base()->number(), 1U);
}

TEST_F(TablesBaseTest, DeletingWhatTheBaseHasLeavesAMark) {
  commit({{id_of(1), at(1, 111)}}, 1);
  EXPECT_EQ(erase(1), RouteOutcome::kInserted);
  EXPECT_EQ(look(1), Action{});
  EXPECT_EQ(tables_->route_table()->find(id_of(1)).kind(), ActionKind::kDeleted);
  EXPECT_EQ(tables_->deletion_marks(), 1U);
  EXPECT_EQ(erase(1), RouteOutcome::kReplaced) << "again: the mark stays";
  EXPECT_EQ(look(1), Action{});
  EXPECT_EQ(tables_->deletion_marks(), 1U);
  EXPECT_EQ(erase(2), RouteOutcome::kReplaced) << "what nobody has leaves none";
  EXPECT_EQ(tables_->route_table()->size(), 1U);
  set(1, to(0, 5));
  EXPECT_EQ(look(1), plain(to(0, 5)));
  EXPECT_EQ(tables_->deletion_marks(), 0U);
}

TEST_F(TablesBaseTest, AFullDeltaRefusesTheMark) {
  start(1);
  commit({{id_of(1), at(0, 1)}, {id_of(2), at(0, 2)}}, 1);
  EXPECT_EQ(erase(1), RouteOutcome::kInserted);
  EXPECT_EQ(erase(2), RouteOutcome::kFull);
  EXPECT_EQ(look(2), plain(to(0, 2))) << "the route stays in force";
}

TEST_F(TablesBaseTest, PruningForgetsWhatTheBaseSays) {
  set(1, to(0, 100));  // the same in the base
  set(2, to(0, 200));  // elsewhere in the base
  set(3, to(0, 300));  // not in the base
  set(4, Action(ActionKind::kUnreachable, 0, 0, 9, 1));
  commit({{id_of(1), at(0, 100)},
          {id_of(2), at(1, 200)},
          {id_of(4), Action(ActionKind::kUnreachable, 0, 0, 9, 0)}},
         1);
  EXPECT_EQ(prune(), 2U);
  EXPECT_EQ(tables_->route_table()->size(), 2U);
  EXPECT_EQ(look(1), plain(to(0, 100)));
  EXPECT_EQ(look(2), plain(to(0, 200)));
  EXPECT_EQ(look(3), plain(to(0, 300)));
  EXPECT_EQ(look(4), Action(ActionKind::kUnreachable, 0, 0, 9, 0));
}

TEST_F(TablesBaseTest, MarksOfWhatTheNextBaseLacksGo) {
  commit({{id_of(1), at(0, 1)}, {id_of(2), at(0, 2)}}, 1);
  erase(1);
  erase(2);
  commit({{id_of(2), at(0, 2)}}, 2);  // built before 2 was deleted
  EXPECT_EQ(prune(), 1U);
  EXPECT_EQ(look(1), Action{});
  EXPECT_EQ(look(2), Action{});
  EXPECT_EQ(tables_->deletion_marks(), 1U);
}

// A worker that went on between the filter's retirement and the change of the pointer would read
// freed memory.
TEST_F(TablesBaseTest, TheFilterOutlivesItsReaders) {
  tables_->readers.add(0);
  tables_->readers.online(0);
  commit({{id_of(1), at(0, 1)}}, 1);
  const auto settle = [&] {
    tables_->readers.quiescent(0);
    prune();
    while (!tables_->tend_filter(100)) {
    }
    tables_->readers.quiescent(0);
    tables_->reclaim(100);
  };
  settle();
  const Routes* seen = tables_->routes.load();
  ASSERT_NE(seen->filter(), nullptr);
  tables_->drop_base();
  for (int i = 0; i < 10; ++i)
    tables_->reclaim(100);
  EXPECT_EQ(seen->find(id_of(1)), plain(to(0, 1)));
  Id id = id_of(1);
  Action out;
  seen->lookup_burst(&id, 1, &out);
  EXPECT_EQ(out, plain(to(0, 1)));
  tables_->readers.quiescent(0);
  tables_->readers.remove(0);
}

// Deleted while a worker may still look under the base before, which has it, and the next has not.
TEST_F(TablesBaseTest, DeletedWhileABaseSettles) {
  tables_->readers.add(0);
  tables_->readers.online(0);
  commit({{id_of(1), at(0, 1)}}, 1);
  tables_->readers.quiescent(0);
  set(1, to(2, 9));
  const Routes* seen = tables_->routes.load();
  commit({}, 2);
  erase(1);
  EXPECT_NE(seen->find(id_of(1)).kind(), ActionKind::kAdjacency) << "not the old base's";
  EXPECT_EQ(look(1), Action{});
  tables_->readers.quiescent(0);
  EXPECT_EQ(prune(), 1U);
  EXPECT_EQ(tables_->route_table()->size(), 0U);
  tables_->readers.remove(0);
}

TEST_F(TablesBaseTest, ReplacingAndDeletingWhatTheBaseHasFindsRoom) {
  start(3200);
  std::vector<BaseRoute> routes;
  for (std::uint64_t id = 0; id < 100; ++id)
    routes.push_back({id_of(id), at(0, 1)});
  commit(routes, 1);
  std::size_t taken = 0;
  for (std::uint64_t id = 1000; id < 5000; ++id)
    taken += set(id, to(0, 1)).outcome == RouteOutcome::kInserted ? 1 : 0;
  EXPECT_EQ(taken, 3100U);
  for (std::uint64_t id = 0; id < 100; ++id)
    ASSERT_EQ(id % 2 == 0 ? set(id, to(1, 2)).outcome : erase(id), RouteOutcome::kInserted) << id;
  EXPECT_EQ(set(1000, to(3, 3)).outcome, RouteOutcome::kReplaced) << "what is there changes always";
  EXPECT_EQ(look(2), plain(to(1, 2)));
  EXPECT_EQ(look(3), Action{});
}

// A reader that has not been quiescent may still be looking under the base before.
TEST_F(TablesBaseTest, PruningWaitsForTheWorkers) {
  tables_->readers.add(0);
  tables_->readers.online(0);
  set(1, to(0, 100));
  const Routes* seen = tables_->routes.load();
  commit({{id_of(1), at(0, 100)}}, 1);
  std::size_t erased = 0;
  for (int i = 0; i < 100; ++i)
    EXPECT_FALSE(tables_->prune(1000, erased));
  EXPECT_EQ(erased, 0U);
  EXPECT_EQ(seen->find(id_of(1)), to(0, 100));
  tables_->readers.quiescent(0);
  EXPECT_EQ(prune(), 1U);
  tables_->readers.remove(0);
}

TEST_F(TablesBaseTest, WithoutABaseOnlyMarksArePruned) {
  set(1, to(0, 100));
  commit({{id_of(2), at(0, 2)}}, 1);
  erase(2);
  tables_->drop_base();
  EXPECT_EQ(look(2), Action{});
  EXPECT_EQ(prune(), 1U);
  EXPECT_EQ(tables_->route_table()->size(), 1U);
  EXPECT_EQ(look(1), plain(to(0, 100)));
}

TEST_F(TablesBaseTest, ABaseOfAnotherEpochIsSwept) {
  commit({{id_of(1), at(0, 1)}}, 1, 1);
  set(2, to(0, 2, 2));
  sweep(2);
  EXPECT_EQ(tables_->base(), nullptr);
  EXPECT_EQ(look(1), Action{});
  EXPECT_EQ(look(2), plain(to(0, 2)));
}

TEST_F(TablesBaseTest, CommittedAgainItOutlivesTheSweep) {
  commit({{id_of(1), at(0, 1)}}, 1, 1);
  set(1, to(3, 9, 1));  // of the old epoch: only the base counts after the sweep
  for (std::uint8_t host = 0; host < kHosts; ++host)
    adjacency(host, 2);
  ASSERT_TRUE(tables_->commit_base(tables_->base()->loaded(), slots_, 1, 2));
  sweep(2);
  ASSERT_NE(tables_->base(), nullptr);
  EXPECT_EQ(look(1), plain(to(0, 1)));
  reclaim();
  EXPECT_EQ(tables_->pending(), 0U);
  EXPECT_EQ(look(1), plain(to(0, 1))) << "the segment's memory is still there";
}

TEST_F(TablesBaseTest, CommittedAgainPositionsMayMeanOtherHosts) {
  commit({{id_of(1), at(0, 1)}, {id_of(2), at(1, 2)}}, 1);
  const std::vector<std::uint32_t> slots = {slots_[3], kNoIndex, slots_[0], slots_[1]};
  ASSERT_TRUE(tables_->commit_base(tables_->base()->loaded(), slots, 1, 1));
  EXPECT_EQ(look(1), plain(to(3, 1)));
  EXPECT_EQ(look(2).kind(), ActionKind::kUnreachable);
}

// An adjacency that only the base names keeps its slot until the base is gone.
TEST_F(TablesBaseTest, TheBaseHoldsItsSlots) {
  commit({{id_of(1), at(0, 1)}}, 1);
  tables_->adjacencies.erase(slots_[0]);
  reclaim();
  const AdjacencyKey other{.port = 1, .vlan = 0, .family = Family::kIpv4, .destination = {99}};
  EXPECT_NE(tables_->adjacencies.find_or_allocate(other), slots_[0]);
  tables_->drop_base();
  reclaim();
  const AdjacencyKey third{.port = 1, .vlan = 0, .family = Family::kIpv4, .destination = {98}};
  EXPECT_EQ(tables_->adjacencies.find_or_allocate(third), slots_[0]);
}

TEST_F(TablesBaseTest, AnotherHashKeyDropsTheBase) {
  commit({{id_of(1), at(0, 1)}}, 1);
  set(2, to(0, 2));
  erase(1);
  ASSERT_TRUE(tables_->set_hash_key(HashKey{{2}}));
  EXPECT_EQ(tables_->base(), nullptr);
  EXPECT_EQ(look(1), Action{});
  EXPECT_EQ(look(2), plain(to(0, 2)));
  prune();
  EXPECT_EQ(tables_->deletion_marks(), 0U);
  reclaim();
  EXPECT_EQ(tables_->pending(), 0U);
}

// Random histories against a map. The base of each commit is the map's state some steps ago, as the
// control plane's would be; ids that changed since are in the delta.
TEST_F(TablesBaseTest, RandomHistories) {
  constexpr std::uint64_t kIds = 600;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::map<std::uint64_t, Action> model;  // meaning, by id
  std::map<std::uint64_t, Action> snapshot;
  std::uint8_t number = 0;
  const auto check = [&] {
    const Routes& routes = *tables_->routes.load();
    std::array<Id, Routes::kMaxBurst> ids;
    std::array<Action, Routes::kMaxBurst> out;
    for (std::uint64_t first = 0; first < kIds; first += ids.size()) {
      for (unsigned i = 0; i < ids.size(); ++i)
        ids[i] = id_of(first + i);
      routes.lookup_burst(ids.data(), ids.size(), out.data());
      for (unsigned i = 0; i < ids.size(); ++i) {
        const auto wanted = model.find(first + i);
        Action found = plain(out[i]);
        if (found.kind() == ActionKind::kDeleted) found = {};
        ASSERT_EQ(found, wanted == model.end() ? Action{} : wanted->second) << first + i;
      }
    }
  };
  for (int step = 0; step < 30'000; ++step) {
    const std::uint64_t id = random() % kIds;
    const auto what = static_cast<unsigned>(random() % 1000);
    if (what < 600) {
      const Action action = to(static_cast<std::uint32_t>(random() % kHosts),
                               static_cast<std::uint16_t>(1 + random() % 3));
      ASSERT_NE(set(id, action).outcome, RouteOutcome::kFull);
      model[id] = plain(action);
    } else if (what < 990) {
      ASSERT_NE(erase(id), RouteOutcome::kFull);
      model.erase(id);
    } else if (what < 994) {
      std::vector<BaseRoute> routes;
      for (const auto& [key, action] : snapshot) {
        const auto position =
            static_cast<std::uint32_t>(std::ranges::find(slots_, action.index()) - slots_.begin());
        routes.push_back({id_of(key), at(position, action.udp_port())});
      }
      // As the control plane must: what the new base does not say is in the delta before, what it
      // has and the state has not is deleted after.
      for (const auto& [key, action] : model)
        if (const auto old = snapshot.find(key); old == snapshot.end() || old->second != action)
          set(key, Action(action.kind(), action.index(), action.udp_port(), 0, 1));
      commit(routes, ++number == 0 ? ++number : number);
      for (const auto& [key, action] : snapshot)
        if (!model.contains(key)) erase(key);
      check();
    } else if (what < 998) {
      snapshot = model;
    } else {
      std::size_t erased = 0;
      tables_->prune(static_cast<unsigned>(random() % 300), erased);
      for (auto i = static_cast<unsigned>(random() % 20); i > 0; --i)
        tables_->tend_filter(static_cast<unsigned>(random() % 300));
      check();
      tables_->reclaim(10);
    }
  }
  prune();
  while (!tables_->tend_filter(100)) {
  }
  check();
  EXPECT_NE(tables_->routes.load()->filter(), nullptr);
  EXPECT_GT(number, 20);
}

TEST_F(TablesBaseTest, TheFilterComesAfterPruning) {
  commit({{id_of(1), at(0, 1)}}, 1);
  EXPECT_TRUE(tables_->tend_filter(1000)) << "not yet";
  EXPECT_EQ(tables_->routes.load()->filter(), nullptr);
  prune();
  for (std::uint64_t id = 10; id < 500; ++id)
    set(id, to(0, 5));
  EXPECT_FALSE(tables_->tend_filter(100)) << "half made";
  for (std::uint64_t id = 500; id < 900; ++id)
    set(id, to(1, 6));
  erase(1);
  while (!tables_->tend_filter(100)) {
  }
  ASSERT_NE(tables_->routes.load()->filter(), nullptr);
  for (std::uint64_t id = 10; id < 900; ++id)
    ASSERT_EQ(look(id), plain(id < 500 ? to(0, 5) : to(1, 6))) << id;
  EXPECT_EQ(look(1), Action{}) << "deletion marks are in it too";
  EXPECT_EQ(look(900), Action{});
  set(900, to(2, 7));
  EXPECT_EQ(look(900), plain(to(2, 7)));
}

// With ids coming and going a filter fills up; the next one knows only those that are left.
TEST_F(TablesBaseTest, AWornFilterIsReplaced) {
  commit({{id_of(1), at(0, 1)}}, 1);
  prune();
  while (!tables_->tend_filter(100)) {
  }
  const DeltaFilter* first = tables_->routes.load()->filter();
  for (std::uint64_t id = 10; id < 6000; ++id) {
    set(id, to(0, 5));
    if (id >= 110) erase(id - 100);
    tables_->tend_filter(100);
    tables_->reclaim(10);
  }
  while (!tables_->tend_filter(100)) {
  }
  EXPECT_NE(tables_->routes.load()->filter(), first);
  for (std::uint64_t id = 5900; id < 6000; ++id)
    ASSERT_EQ(look(id), plain(to(0, 5))) << id;
  EXPECT_EQ(look(5000), Action{});
}

TEST(DeltaFilter, NeverForgets) {
  auto filter = std::move(*DeltaFilter::create(10'000, -1));
  const IdHasher hasher = IdHasher::create(kKey);
  for (std::uint64_t id = 0; id < 10'000; ++id)
    filter->add(hasher(id_of(id)));
  EXPECT_FALSE(filter->worn());
  unsigned wrong = 0;
  for (std::uint64_t id = 0; id < 10'000; ++id)
    ASSERT_TRUE(filter->may_have(hasher(id_of(id)))) << id;
  for (std::uint64_t id = 10'000; id < 110'000; ++id)
    wrong += filter->may_have(hasher(id_of(id))) ? 1 : 0;
  EXPECT_LT(wrong, 8'000U) << "of 100 000";
  for (int i = 0; i < 10; ++i)
    for (std::uint64_t id = 0; id < 10'000; ++id)
      filter->add(hasher(id_of(id)));
  EXPECT_FALSE(filter->worn()) << "the same again does not count";
  for (std::uint64_t id = 10'000; id < 12'000; ++id)
    filter->add(hasher(id_of(id)));
  EXPECT_TRUE(filter->worn());
}

}  // namespace
}  // namespace sluice::dataplane
