// The power goes at every write, fsync, rename and other operation of a history that uses all of
// the store (store_history.hpp), and at every operation of the recovery after it. A run without a
// crash tells the operations; each is then the last one of a run of its own, so none is left out.
// Under sanitizers, which make this slow, one of some tens is tried, another one each time.
// SLUICE_STORE_SEED repeats a run, SLUICE_STORE_EVERY thins it.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/store_history.hpp"

namespace sluice::test {
namespace {

using store::Fsync;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kEvery = 40;
#else
constexpr std::uint64_t kEvery = 1;
#endif
constexpr int kTries = 20;  // until a run reaches an operation

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
      ++by_step_[std::string(history.step())];
      const std::string wrong = history.check();
      ASSERT_EQ(wrong, "") << "during " << history.step();
      return;
    }
    FAIL() << "no run came to it";
  }

  void everywhere(Fsync fsync, Loss loss) {
    const std::vector<Point> all = points(fsync);
    ASSERT_GT(all.size(), 300U);
    for (std::uint64_t i = seed_ % every_; i < all.size(); i += every_) {
      SCOPED_TRACE(fmt::format("seed {}, power lost at {}", seed_, all[i].text()));
      crash_and_check(all[i], fsync, loss);
      if (HasFatalFailure()) return;
    }
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
      ++by_step_[std::string(history.step())];
      const std::string wrong = history.check();
      ASSERT_EQ(wrong, "") << "after " << history.step();
      return;
    }
    FAIL() << "no run came to it";
  }

  void tell(std::size_t all) const {
    fmt::print("seed {} operations {} every {}:", seed_, all, every_);
    for (const auto& [step, crashes] : by_step_)
      fmt::print(" {}={}", step, crashes);
    fmt::print("\n");
  }

  std::uint64_t seed_ = 0;
  std::uint64_t every_ = 1;
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
  for (std::size_t i = 0; i < kFirst; ++i) {
    const Point& first = all[(i * all.size() + seed_ % all.size()) / kFirst];
    const std::vector<Point> second = points_of_recovery(first);
    for (const Point& again : second) {
      if (recoveries++ % every_ != seed_ % every_) continue;
      SCOPED_TRACE(
          fmt::format("seed {}, power lost at {}, again at {}", seed_, first.text(), again.text()));
      crash_again(first, again);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(recoveries, 10 * kFirst);
  tell(recoveries);
}

}  // namespace
}  // namespace sluice::test
