// The power goes at every write, fsync, rename and other operation of a history that uses all of
// the store (store_history.hpp), and at every operation of the recovery after it. A run without a
// crash tells the operations; each is then the last one of a run of its own, so none is left out.
// Under sanitizers, which make this slow, one of some tens is tried, another one each time.
// SLUICE_STORE_SEED repeats a run, SLUICE_STORE_EVERY thins it.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/store_history.hpp"

namespace sluice::test {
namespace {

using store::Fsync;

#if defined(SLUICE_SANITIZED)
constexpr std::uint64_t kEvery = 40;
#else
constexpr std::uint64_t kEvery = 1;
#endif
constexpr int kTries = 100;  // until a run reaches an operation
// Runs are independent, and wait more than they work.
constexpr unsigned kAtOnce = 8;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// The n-th time that something is done with a file.
struct Point {
  std::string name;
  std::string path;
  unsigned n = 0;

  std::string text() const { return fmt::format("{} {} ({})", name, path, n); }
  auto operator<=>(const Point&) const = default;
};

// Counts what is done with each file.
class Counter {
 public:
  Point next(std::string_view name, const std::string& path) {
    Point point{std::string(name), path, 0};
    point.n = ++seen_[{point.name, path}];
    return point;
  }

 private:
  std::map<std::pair<std::string, std::string>, unsigned> seen_;
};

FaultFs::Chooser recorder(std::vector<Point>& points) {
  return [&points, counter = Counter()](std::string_view name, const std::string& path) mutable {
    points.push_back(counter.next(name, path));
    return false;
  };
}

FaultFs::Chooser crash_at(const Point& point) {
  return [&point, counter = Counter()](std::string_view name, const std::string& path) mutable {
    return counter.next(name, path) == point;
  };
}

class EveryCrash : public ::testing::Test {
 protected:
  void SetUp() override {
    seed_ = from_environment("SLUICE_STORE_SEED", std::random_device{}() % 1'000'000);
    every_ = from_environment("SLUICE_STORE_EVERY", kEvery);
  }

  std::vector<Point> points(Fsync fsync) const {
    FaultFs fs;
    std::vector<Point> points;
    fs.crash_when(recorder(points));
    StoreHistory history(fs, fsync, seed_);
    EXPECT_TRUE(history.run()) << history.step();
    return points;
  }

  // Loses the power at that point of the history; afterwards the disk is as a restarted machine
  // finds it. False: a thread in the background was late, and the point did not come.
  bool crash(FaultFs& fs, StoreHistory& history, const Point& point, Loss loss) const {
    fs.crash_when(crash_at(point));
    history.run();
    const bool crashed = fs.crashed();
    history.close();
    if (crashed) fs.restart(loss, seed_);
    return crashed;
  }

  void crash_and_check(const Point& point, Fsync fsync, Loss loss) {
    for (int i = 0; i < kTries; ++i) {
      FaultFs fs;
      StoreHistory history(fs, fsync, seed_);
      if (!crash(fs, history, point, loss)) continue;
      count(history.step());
      const std::string wrong = history.check();
      ASSERT_EQ(wrong, "") << "during " << history.step();
      return;
    }
    ++not_reached_;
  }

  void everywhere(Fsync fsync, Loss loss) {
    const std::vector<Point> all = points(fsync);
    ASSERT_GT(all.size(), 300U);
    at_once((all.size() - seed_ % every_ + every_ - 1) / every_, [&](std::uint64_t n) {
      const Point& point = all[seed_ % every_ + n * every_];
      SCOPED_TRACE(fmt::format("seed {}, power lost at {}", seed_, point.text()));
      crash_and_check(point, fsync, loss);
    });
    expect_reached(all.size());
    tell(all.size());
  }

  // What opening does after a crash at that point.
  std::vector<Point> points_of_recovery(const Point& first) const {
    std::vector<Point> points;
    FaultFs fs;
    StoreHistory history(fs, Fsync::kEach, seed_);
    if (!crash(fs, history, first, Loss::kNone)) return points;
    fs.crash_when(recorder(points));
    EXPECT_TRUE(history.reopen());
    history.close();
    return points;
  }

  // Once more during the recovery, then all unsynced is lost.
  void crash_again(const Point& first, const Point& second) {
    for (int i = 0; i < kTries; ++i) {
      FaultFs fs;
      StoreHistory history(fs, Fsync::kEach, seed_);
      if (!crash(fs, history, first, Loss::kNone)) continue;
      fs.crash_when(crash_at(second));
      history.reopen();
      history.close();
      if (!fs.crashed()) continue;
      fs.restart(Loss::kAll, seed_);
      count(history.step());
      const std::string wrong = history.check();
      ASSERT_EQ(wrong, "") << "after " << history.step();
      return;
    }
    ++not_reached_;
  }

  // one(0) to one(count - 1), until the first that fails.
  static void at_once(std::uint64_t count, const std::function<void(std::uint64_t)>& one) {
    std::atomic<std::uint64_t> next = 0;
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < kAtOnce; ++i) {
      threads.emplace_back([&] {
        for (auto n = next++; n < count && !HasFatalFailure(); n = next++)
          one(n);
      });
    }
  }

  // What a history does depends a little on threads in the background: how many segments there are
  // when the backup links them, say. So a few points of the recorded run may not come again.
  void expect_reached(std::size_t tried) const {
    EXPECT_LE(not_reached_.load(), tried / 50 + 1) << "seed " << seed_;
  }

  void count(std::string_view step) {
    const std::lock_guard lock(mutex_);
    ++by_step_[std::string(step)];
  }

  void tell(std::size_t all) const {
    fmt::print("seed {} operations {} every {}:", seed_, all, every_);
    for (const auto& [step, crashes] : by_step_)
      fmt::print(" {}={}", step, crashes);
    fmt::print("\n");
  }

  std::uint64_t seed_ = 0;
  std::uint64_t every_ = 1;
  std::atomic<std::size_t> not_reached_ = 0;
  std::mutex mutex_;
  std::map<std::string, unsigned> by_step_;
};

TEST_F(EveryCrash, UnsyncedLost) {
  everywhere(Fsync::kEach, Loss::kAll);
}
TEST_F(EveryCrash, AnyPartOfTheUnsyncedLost) {
  everywhere(Fsync::kEach, Loss::kRandom);
}
TEST_F(EveryCrash, NothingLost) {
  everywhere(Fsync::kEach, Loss::kNone);
}
TEST_F(EveryCrash, WithoutFsyncPerBatch) {
  everywhere(Fsync::kNever, Loss::kRandom);
}

TEST_F(EveryCrash, AgainDuringTheRecovery) {
  constexpr std::size_t kFirst = 12;  // crashes, all over the history
  const std::vector<Point> all = points(Fsync::kEach);
  ASSERT_GT(all.size(), 300U);
  std::uint64_t recoveries = 0;
  std::vector<std::pair<Point, Point>> tried;
  for (std::size_t i = 0; i < kFirst; ++i) {
    const Point& first = all[(i * all.size() + seed_ % all.size()) / kFirst];
    const std::vector<Point> second = points_of_recovery(first);
    for (const Point& again : second) {
      if (recoveries++ % every_ == seed_ % every_) tried.emplace_back(first, again);
    }
  }
  at_once(tried.size(), [&](std::uint64_t n) {
    const auto& [first, again] = tried[n];
    SCOPED_TRACE(
        fmt::format("seed {}, power lost at {}, again at {}", seed_, first.text(), again.text()));
    crash_again(first, again);
  });
  EXPECT_GT(recoveries, 10 * kFirst);
  expect_reached(tried.size());
  tell(recoveries);
}

}  // namespace
}  // namespace sluice::test
