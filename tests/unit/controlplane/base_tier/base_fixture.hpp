// A process with routes and a base manager on a real file system, and a dataplane of our own that
// can be lost at any time: what the tests of the manager share. One thread, but for the manager's
// own.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "controlplane/base_tier/base_manager.hpp"
#include "fake_dataplane.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {

inline const HashKey kKey{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

inline AdjacencyKey neighbour(unsigned n) {
  return {static_cast<std::uint16_t>(n % 3), static_cast<std::uint16_t>(n % 2 * 100),
          n % 5 == 4 ? *parse_ip("fd00::" + std::to_string(n + 1))
                     : *parse_ip("10.0.0." + std::to_string(n + 1))};
}
inline Id id_of(unsigned n) {
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
    std::filesystem::create_directories(directory_);
    boot();
  }
  ~BaseManagerTest() override {
    if (process_) process_->manager->stop();
    process_.reset();
    std::filesystem::remove_all(directory_);
  }

  // ---- BaseLink
  LinkState state() const override { return state_; }
  Status offer(const link::SegmentId& segment, int file) override {
    if (offers_fail_ > 0) {
      --offers_fail_;
      return fail(ErrorCode::kExhausted, "not now", ErrorOrigin::kDataplane, true);
    }
    offers_.emplace_back(segment,
                         std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file)));
    return {};
  }

  std::uint64_t table_routes() const override { return table_there_; }

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
                                                         .delta_max = delta_max_,
                                                         .interval_ns = interval_ns_});
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
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(directory_),
                                                  std::filesystem::directory_iterator()));
  }
  std::filesystem::path segment_file() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      if (entry.path().extension() == ".segment") return entry.path();
    return {};
  }

  const std::string directory_ =
      std::filesystem::temp_directory_path() / ("sluice-base-" + std::to_string(::getpid()));
  std::unique_ptr<store::Fs> fs_ = store::make_posix_fs();
  std::uint64_t table_routes_ = 1'000'000;
  std::uint64_t table_there_ = 0;
  std::uint64_t delta_max_ = 100;
  std::uint64_t interval_ns_ = 0;
  std::uint64_t now_ns_ = 1000 * kNsPerSecond;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void()>> posted_;
  std::unique_ptr<FakeDataplane> dataplane_ = std::make_unique<FakeDataplane>(kKey);
  std::unique_ptr<Process> process_;
  LinkState state_ = LinkState::kDisconnected;
  std::uint8_t epoch_ = 0;
  std::deque<std::pair<link::SegmentId, std::string>> offers_;
  unsigned offers_fail_ = 0;  // as many of the next
  std::map<unsigned, Meaning> wanted_;
  std::set<unsigned> late_;  // known, but without a route when a process starts
  std::vector<std::string> warnings_;
};

}  // namespace sluice::controlplane
