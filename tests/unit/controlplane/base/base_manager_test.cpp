// Routes, base segments on a real file system, a dataplane of our own that can be lost at any time,
// and control planes that are restarted: whatever happened, the dataplane must end up with exactly
// the routes that are wanted.
#include "controlplane/base/base_manager.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <random>

#include "fake_dataplane.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {
namespace {

namespace fs = std::filesystem;

const HashKey kKey{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

AdjacencyKey neighbour(unsigned n) {
  return {static_cast<std::uint16_t>(n % 3), static_cast<std::uint16_t>(n % 2 * 100),
          n % 5 == 4 ? *parse_ip("fd00::" + std::to_string(n + 1))
                     : *parse_ip("10.0.0." + std::to_string(n + 1))};
}
Id id_of(unsigned n) {
  return id_of_name("a/b/c/" + std::to_string(n));
}

// A control plane's part of it: lives as long as its process would.
struct Process {
  Programmer programmer;
  std::unique_ptr<BaseManager> manager;
};

class BaseManagerTest : public ::testing::Test, public BaseLink {
 protected:
  BaseManagerTest() {
    fs::create_directories(directory_);
    boot();
  }
  ~BaseManagerTest() override {
    if (process_) process_->manager->stop();
    process_.reset();
    fs::remove_all(directory_);
  }

  // ---- BaseLink
  LinkState state() const override { return state_; }
  Status offer(const link::SegmentId& segment, int file) override {
    offers_.emplace_back(segment, fs::read_symlink("/proc/self/fd/" + std::to_string(file)));
    return {};
  }

  // ---- the event loop
  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    arrived_.notify_all();
  }
  bool run_one() {
    std::function<void()> work;
    {
      const std::lock_guard lock(mutex_);
      if (posted_.empty()) return false;
      work = std::move(posted_.front());
      posted_.pop_front();
    }
    work();
    return true;
  }
  // Until the threads have said what they had to say.
  template <class Condition>
  void run_until(Condition&& condition) {
    const auto give_up = monotonic_ns() + 20 * kNsPerSecond;
    while (!condition()) {
      ASSERT_LT(monotonic_ns(), give_up);
      if (run_one()) continue;
      std::unique_lock lock(mutex_);
      arrived_.wait_for(lock, std::chrono::milliseconds(50), [this] { return !posted_.empty(); });
    }
  }

  // ---- the control plane
  void boot() {
    process_ = std::make_unique<Process>();
    BaseLoop loop{[this](auto work) { post(std::move(work)); },
                  [this](auto, auto work) { post(std::move(work)); }, [this] { return now_ns_; }};
    process_->manager =
        std::make_unique<BaseManager>(process_->programmer, *this, *fs_, std::move(loop),
                                      BaseManagerOptions{.directory = directory_,
                                                         .key = kKey,
                                                         .table_routes = table_routes_,
                                                         .delta_max = delta_max_});
    process_->manager->on_log([this](const std::string& line, bool warn) {
      if (warn) warnings_.push_back(line);
    });
    for (const auto& [n, meaning] : wanted_)
      if (!late_.contains(n)) program(n, meaning);
  }
  void start() {
    manager().start([this](const Id& id) {
      return std::ranges::any_of(late_, [&](unsigned n) { return id_of(n) == id; });
    });
    run_until([this] {
      manager().tick();
      return manager().settled();
    });
    for (const auto n : std::exchange(late_, {}))
      if (wanted_.contains(n)) program(n, wanted_[n]);
  }
  void kill() {
    disconnect();
    process_->manager->stop();
    process_.reset();
    posted_.clear();
    offers_.clear();
  }
  Programmer& programmer() { return process_->programmer; }
  BaseManager& manager() { return *process_->manager; }
  RouteBase::Counts counts() { return programmer().base().counts(); }

  void program(unsigned n, const Meaning& meaning) {
    RouteSpec spec{meaning.kind, kNoIndex, meaning.udp_port, meaning.tenant};
    if (meaning.kind == ActionKind::kAdjacency) {
      const bool v4 = meaning.key.destination.is_v4();
      const auto source = *parse_ip(v4 ? "10.0.0.254" : "fd00::fe");
      spec.handle = *programmer().set_adjacency(meaning.key,
                                                {.source = source, .state = AdjacencyState::kUp});
    }
    ASSERT_TRUE(programmer().set_route(id_of(n), spec));
  }
  void set(unsigned n, unsigned neighbour_number, std::uint16_t udp_port = 7600) {
    wanted_[n] = {ActionKind::kAdjacency, neighbour(neighbour_number), udp_port, 1};
    program(n, wanted_[n]);
  }
  void unreachable(unsigned n) {
    wanted_[n] = {ActionKind::kUnreachable, {}, 0, 1};
    program(n, wanted_[n]);
  }
  void remove(unsigned n) {
    wanted_.erase(n);
    programmer().delete_route(id_of(n));
  }

  // ---- the link
  void connect() {
    state_ = LinkState::kSyncing;
    epoch_ = static_cast<std::uint8_t>(epoch_ % 255 + 1);
    dataplane_->connect(epoch_);
    programmer().feed().start_replay(epoch_);
    manager().on_state(state_);
  }
  void disconnect() {
    state_ = LinkState::kDisconnected;
    programmer().feed().stop();
    manager().on_state(state_);
  }
  void pump(std::uint32_t budget = UINT32_MAX) {
    programmer().feed().pump(*dataplane_, budget, now_ns_);
    for (const auto& event : dataplane_->take_events())
      if (state_ != LinkState::kDisconnected) manager().on_event(event);
    if (state_ == LinkState::kSyncing && !programmer().feed().replaying()) {
      state_ = LinkState::kReady;
      manager().on_state(state_);
    }
  }
  void answer(link::BaseRefusal refusal = link::BaseRefusal::kNone) {
    ASSERT_FALSE(offers_.empty());
    const auto [segment, path] = offers_.front();
    offers_.pop_front();
    link::Event event{};
    if (refusal == link::BaseRefusal::kNone) {
      auto file = store::BaseFile::open(*fs_, path);
      ASSERT_TRUE(file) << file.error().message();
      dataplane_->load(segment, std::move(*file));
      event.kind = link::EventKind::kBaseLoaded;
      event.body.base_loaded.segment = segment;
    } else {
      event.kind = link::EventKind::kBaseRefused;
      event.body.base_refused = {segment, 0, refusal};
    }
    manager().on_event(event);
  }
  // Until nothing is left to do.
  void settle() {
    if (state_ == LinkState::kDisconnected) connect();
    for (int idle = 0; idle < 3;) {
      manager().tick();
      pump();
      bool busy = manager().info().state == BaseManagerInfo::State::kBuilding;
      while (run_one())
        busy = true;
      while (!offers_.empty()) {
        answer();
        busy = true;
      }
      idle = busy ? 0 : idle + 1;
    }
  }
  void expect_right(unsigned universe) {
    for (unsigned n = 0; n < universe; ++n) {
      const auto at = wanted_.find(n);
      const Meaning wanted = at == wanted_.end() ? Meaning{} : at->second;
      ASSERT_EQ(dataplane_->lookup(id_of(n)), wanted)
          << "route " << n << ", wanted kind " << int(wanted.kind) << ", there is "
          << int(dataplane_->lookup(id_of(n)).kind);
    }
    EXPECT_EQ(programmer().route_count(), wanted_.size());
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory_), fs::directory_iterator()));
  }
  fs::path segment_file() const {
    for (const auto& entry : fs::directory_iterator(directory_))
      if (entry.path().extension() == ".segment") return entry.path();
    return {};
  }

  const std::string directory_ =
      fs::temp_directory_path() / ("sluice-base-" + std::to_string(::getpid()));
  std::unique_ptr<store::Fs> fs_ = store::make_posix_fs();
  std::uint64_t table_routes_ = 1'000'000;
  std::uint64_t delta_max_ = 100;
  std::uint64_t now_ns_ = 1000 * kNsPerSecond;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
  std::unique_ptr<FakeDataplane> dataplane_ = std::make_unique<FakeDataplane>(kKey);
  std::unique_ptr<Process> process_;
  LinkState state_ = LinkState::kDisconnected;
  std::uint8_t epoch_ = 0;
  std::deque<std::pair<link::SegmentId, std::string>> offers_;
  std::map<unsigned, Meaning> wanted_;
  std::set<unsigned> late_;  // known, but without a route when a process starts
  std::vector<std::string> warnings_;
};

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
