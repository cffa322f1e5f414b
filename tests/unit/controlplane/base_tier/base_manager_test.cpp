// Routes, base segments on a real file system, a dataplane of our own that can be lost at any time,
// and control planes that are restarted: whatever happened, the dataplane must end up with exactly
// the routes that are wanted.
#include <random>

#include "base_fixture.hpp"

namespace sluice::controlplane {
namespace {

namespace fs = std::filesystem;

TEST_F(BaseManagerTest, FewRoutesNeedNoBase) {
  start();
  for (unsigned n = 0; n < 100; ++n)
    set(n, n % 7);
  settle();
  expect_right(120);
  EXPECT_FALSE(dataplane_->has_base());
  EXPECT_EQ(files(), 0u);
}

TEST_F(BaseManagerTest, ManyRoutesMoveIntoABaseAndOnlyDifferencesAreLeft) {
  start();
  for (unsigned n = 0; n < 5000; ++n)
    set(n, n % 17);
  settle();
  expect_right(5100);
  EXPECT_TRUE(dataplane_->has_base());
  EXPECT_EQ(dataplane_->delta(), 0u);
  EXPECT_EQ(counts().uncovered, 0u);
  EXPECT_EQ(files(), 2u);
  set(1, 3, 9999);
  unreachable(2);
  remove(3);
  set(5050, 1);
  pump();
  expect_right(5100);
  EXPECT_EQ(dataplane_->delta(), 4u);
  EXPECT_EQ(counts().uncovered, 3u);
  EXPECT_EQ(counts().deleted, 1u);
}

TEST_F(BaseManagerTest, WhatWasDeletedForGoodLeavesTheFileAtOnce) {
  start();
  for (unsigned n = 0; n < 5000; ++n)
    set(n, n % 17);
  settle();
  remove(3);
  settle();
  EXPECT_EQ(counts().deleted, 1u) << "one is too few for a new one";
  const auto before = segment_file();
  manager().want_build();
  settle();
  EXPECT_EQ(counts().deleted, 0u);
  EXPECT_NE(segment_file(), before);
  EXPECT_EQ(files(), 2u);
  expect_right(5000);
}

TEST_F(BaseManagerTest, ADataplaneThatRestartsGetsTheBaseAndTheDifferences) {
  start();
  for (unsigned n = 0; n < 5000; ++n)
    set(n, n % 17);
  settle();
  remove(3);
  set(4, 2, 8);
  disconnect();
  remove(5);
  dataplane_ = std::make_unique<FakeDataplane>(kKey);
  settle();
  expect_right(5000);
  EXPECT_EQ(dataplane_->sent(), 3u) << "not five thousand";
}

TEST_F(BaseManagerTest, TheReplayWaitsForTheAnswerAndForTheKey) {
  start();
  for (unsigned n = 0; n < 500; ++n)
    set(n, n % 17);
  settle();
  disconnect();
  dataplane_ = std::make_unique<FakeDataplane>(kKey);
  connect();
  pump();
  EXPECT_EQ(dataplane_->sent(), 0u);
  EXPECT_TRUE(programmer().feed().replaying());
  answer(link::BaseRefusal::kNoHashKey);
  pump();
  EXPECT_EQ(dataplane_->sent(), 0u);
  ASSERT_TRUE(run_one()) << "offers again";
  answer();
  pump();
  expect_right(500);
}

TEST_F(BaseManagerTest, ARefusedBaseCostsNothingButTime) {
  start();
  for (unsigned n = 0; n < 500; ++n)
    set(n, n % 17);
  settle();
  remove(7);
  disconnect();
  dataplane_ = std::make_unique<FakeDataplane>(kKey);
  connect();
  pump();
  answer(link::BaseRefusal::kDamaged);
  pump();
  expect_right(500);
  EXPECT_EQ(dataplane_->sent(), 499u);
  EXPECT_EQ(warnings_.size(), 1u);
  EXPECT_FALSE(programmer().base().current());
}

TEST_F(BaseManagerTest, WithoutAnAnswerItGoesOnAlone) {
  start();
  for (unsigned n = 0; n < 500; ++n)
    set(n, n % 17);
  settle();
  disconnect();
  dataplane_ = std::make_unique<FakeDataplane>(kKey);
  connect();
  pump();
  now_ns_ += 31 * kNsPerSecond;
  manager().tick();
  pump();
  expect_right(500);
}

TEST_F(BaseManagerTest, ChangesWhileItIsBuiltAndLoadedAreNotLost) {
  start();
  for (unsigned n = 0; n < 3000; ++n)
    set(n, n % 17);
  connect();
  pump();
  manager().tick();  // begins the build; the first piece is taken at once
  set(1, 5, 1);
  remove(2);
  pump();
  run_until([this] { return !offers_.empty(); });
  remove(3);
  remove(1);
  set(2, 6, 2);
  pump();
  answer();
  remove(4);
  set(3, 7, 3);
  pump();
  settle();
  expect_right(3000);
}

TEST_F(BaseManagerTest, ARestartedControlPlaneTakesTheBaseOver) {
  start();
  for (unsigned n = 0; n < 5000; ++n)
    set(n, n % 17);
  settle();
  remove(10);
  set(11, 3, 12);
  unreachable(12);
  pump();
  kill();
  wanted_.erase(20);  // from the configuration, while nobody ran
  wanted_[6000] = {ActionKind::kAdjacency, neighbour(2), 4, 1};
  boot();
  start();
  EXPECT_EQ(manager().info().adopted, 4998u);
  EXPECT_EQ(counts().uncovered, 3u);
  EXPECT_EQ(counts().deleted, 2u);
  const auto before = dataplane_->sent();
  settle();
  expect_right(6100);
  EXPECT_EQ(dataplane_->sent() - before, 5u);
  EXPECT_EQ(files(), 2u);
}

TEST_F(BaseManagerTest, AfterAPowerCutTheFileIsEnough) {
  start();
  for (unsigned n = 0; n < 5000; ++n)
    set(n, n % 17);
  settle();
  kill();
  dataplane_ = std::make_unique<FakeDataplane>(kKey);
  boot();
  start();
  settle();
  expect_right(5000);
  EXPECT_EQ(dataplane_->sent(), 0u);
}

TEST_F(BaseManagerTest, RoutesThatAreStillToComeAreNotTakenAway) {
  start();
  for (unsigned n = 0; n < 500; ++n)
    set(n, n % 17);
  settle();
  kill();
  boot();
  late_ = {1, 2, 3};
  wanted_.erase(3);
  for (const unsigned n : {1u, 2u, 3u})
    programmer().delete_route(id_of(n));
  manager().start([](const Id& id) { return id != id_of(3); });
  run_until([this] { return manager().settled(); });
  connect();
  pump();
  answer();
  pump();
  EXPECT_EQ(dataplane_->lookup(id_of(1)), wanted_[1]) << "as it was, until its route is known";
  EXPECT_EQ(dataplane_->lookup(id_of(3)), Meaning{});
  set(1, 9, 9);
  remove(2);  // that never had a route in this process
  pump();
  expect_right(500);
  remove(1);
  disconnect();
  settle();
  expect_right(500);
}

TEST_F(BaseManagerTest, ADamagedFileIsNotBelieved) {
  start();
  for (unsigned n = 0; n < 500; ++n)
    set(n, n % 17);
  settle();
  kill();
  const auto file = segment_file();
  {
    const auto handle = fs_->open(file, store::OpenMode::kWrite);
    const std::uint8_t byte = 0x5a;
    ASSERT_TRUE((*handle)->write_at(fs::file_size(file) / 2, {&byte, 1}));
  }
  boot();
  start();
  EXPECT_FALSE(programmer().base().current());
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find(file.filename().string()), std::string::npos) << warnings_[0];
  settle();
  expect_right(500);
  EXPECT_TRUE(dataplane_->has_base()) << "another was built";
}

TEST_F(BaseManagerTest, WithoutTheIdsOfWhatIsUnknownTheBaseIsNotUsed) {
  start();
  for (unsigned n = 0; n < 500; ++n)
    set(n, n % 17);
  settle();
  kill();
  fs::resize_file(fs::path(segment_file()).replace_extension(".ids"), 100);
  wanted_.erase(1);
  boot();
  start();
  EXPECT_FALSE(programmer().base().current());
  settle();
  expect_right(500);
}

TEST_F(BaseManagerTest, StrayFilesGo) {
  start();
  for (unsigned n = 0; n < 500; ++n)
    set(n, n % 17);
  settle();
  kill();
  for (const char* name : {"aa.segment.new", "bb.ids", "cc.segment", "notes.txt"})
    ASSERT_TRUE((*fs_->open(directory_ + "/" + name, store::OpenMode::kCreate))->append({}));
  boot();
  start();
  EXPECT_EQ(files(), 3u) << "segment, ids, and what is not ours";
}

TEST_F(BaseManagerTest, MoreRoutesThanTheTableWaitForTheBase) {
  table_routes_ = 200;
  process_->manager->stop();
  for (unsigned n = 0; n < 1000; ++n)
    wanted_[n] = {ActionKind::kAdjacency, neighbour(n % 9), 1, 1};
  boot();
  manager().start([](const Id&) { return false; });
  EXPECT_FALSE(manager().settled());
  run_until([this] {
    manager().tick();
    return manager().settled();
  });
  settle();
  expect_right(1000);
  EXPECT_EQ(dataplane_->sent(), 0u);
}

TEST_F(BaseManagerTest, ADiskThatCannotTakeItIsTriedAgainLater) {
  start();
  fs::remove_all(directory_);
  {
    std::unique_ptr<store::File> in_the_way = *fs_->open(directory_, store::OpenMode::kCreate);
  }
  for (unsigned n = 0; n < 500; ++n)
    set(n, n % 17);
  settle();
  expect_right(500);
  EXPECT_EQ(manager().info().failed, 1u);
  fs::remove(directory_);
  fs::create_directories(directory_);
  now_ns_ += 61 * kNsPerSecond;
  settle();
  expect_right(500);
  EXPECT_TRUE(dataplane_->has_base());
}

// Whatever the order of changes, builds, losses and restarts.
TEST_F(BaseManagerTest, RandomHistories) {
  constexpr unsigned kUniverse = 400;
  delta_max_ = 20;
  process_->manager->stop();
  boot();
  start();
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](unsigned end) { return static_cast<unsigned>(random() % end); };
  for (int step = 0; step < 6000 && !HasFatalFailure(); ++step) {
    const unsigned n = below(kUniverse);
    const unsigned what = below(200);
    if (what < 40) {
      remove(n);
    } else if (what < 45) {
      unreachable(n);
    } else if (what < 70) {
      if (state_ != LinkState::kDisconnected) pump(below(200));
    } else if (what < 90) {
      manager().tick();
      run_one();
    } else if (what < 100) {
      if (!offers_.empty())
        answer(below(4) == 0 ? link::BaseRefusal::kDamaged : link::BaseRefusal::kNone);
    } else if (what < 105) {
      now_ns_ += 70 * kNsPerSecond;
    } else if (what < 107) {
      if (state_ == LinkState::kDisconnected) {
        connect();
        continue;
      }
      disconnect();
      offers_.clear();
      if (below(2) == 0) dataplane_ = std::make_unique<FakeDataplane>(kKey);
    } else if (what < 108) {
      kill();
      for (unsigned i = 0; i < 5; ++i)
        wanted_.erase(below(kUniverse));
      boot();
      start();
    } else if (what < 110) {
      settle();
      expect_right(kUniverse);
    } else if (what < 114) {
      const unsigned gone = below(20);
      programmer().delete_adjacency(neighbour(gone));
      for (auto& [number, meaning] : wanted_) {
        if (meaning.kind != ActionKind::kAdjacency || meaning.key != neighbour(gone)) continue;
        meaning.key = neighbour(gone + below(2));  // somewhere else, or there again
        program(number, meaning);
      }
    } else {
      set(n, below(20), static_cast<std::uint16_t>(1 + below(3)));
    }
  }
  now_ns_ += 70 * kNsPerSecond;
  settle();
  expect_right(kUniverse);
}

}  // namespace
}  // namespace sluice::controlplane
