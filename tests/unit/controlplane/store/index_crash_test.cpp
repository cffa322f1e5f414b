// Power lost at operations of the disk, in all that an index does: what was acknowledged is there
// afterwards, as a prefix of the history, and the index opens by itself. SLUICE_STORE_CRASHES sets
// how many crash points are tried (CI: some; 0: every one), SLUICE_STORE_SEED repeats a run.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "controlplane/store/index.hpp"
#include "controlplane/store/manifest.hpp"
#include "tests/support/fault_fs.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::controlplane::store {
namespace {

using test::FaultFs;
using test::Loss;
using test::StoreModel;

constexpr const char* kDirectory = "/store";

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class CrashRun {
 public:
  CrashRun(std::uint64_t seed, Fsync fsync)
      : fsync_(fsync), model_({.seed = seed, .keys = 300, .largest_batch = 30}) {}

  FaultFs& fs() { return fs_; }

  // The whole history, or until the disk fails. True: it came to its end.
  bool write_history() {
    if (!open()) return false;
    while (written_ < kBatches) {
      if (!index_->write(model_.batch(written_ + 1))) return false;
      ++written_;
      if (fsync_ == Fsync::kEach) safe_ = written_;
      if (!disturb()) return false;
    }
    return true;
  }

  // After a restart of the disk.
  void check() {
    index_.reset();
    ASSERT_TRUE(open()) << error_;
    const auto progress = StoreModel::progress_of(*index_);
    ASSERT_TRUE(progress) << progress.error().message();
    ASSERT_GE(*progress, safe_) << "an acknowledged batch is lost";
    ASSERT_LE(*progress, written_ + 1);
    StoreModel then = model_;
    then.apply_history(*progress);
    ASSERT_EQ(then.compare(*index_, *progress), "") << "after batch " << *progress;
    // It works on.
    for (std::uint64_t next = *progress + 1; next < *progress + 5; ++next)
      ASSERT_TRUE(index_->write(model_.batch(next)));
    then.apply_history(*progress + 4);
    ASSERT_TRUE(index_->maintenance().compact({}));
    ASSERT_EQ(then.compare(*index_, *progress), "") << "written after the crash";
    index_.reset();
    check_no_strays();
  }

  void close() { index_.reset(); }

 private:
  static constexpr std::uint64_t kBatches = 120;

  bool open() {
    auto opened = Index::open(fs_, {.directory = kDirectory,
                                    .tables = test::model_tables(),
                                    .lanes = 2,
                                    .fsync = fsync_,
                                    .fsync_interval = std::chrono::milliseconds(1),
                                    .overlay_bytes = 1 << 19});
    if (!opened) {
      error_ = opened.error().message();
      return false;
    }
    index_ = *std::move(opened);
    return true;
  }

  // All that writes files, at fixed places of the history.
  bool disturb() {
    Maintenance& maintenance = index_->maintenance();
    switch (written_) {
      case 20:
      case 30:
      case 40:
      case 50:
        (void)index_->snapshot();  // seals
        return true;
      case 60:
        return maintenance.compact({}).has_value();
      case 70: {
        HashKey key;
        key.bytes.fill(7);
        return maintenance.migrate({.lanes = 3, .key = key, .format = kOldestFormat}, {})
            .has_value();
      }
      case 80:
        return maintenance.backup("/backup", {}).has_value();
      case 90:
        if (!index_->sync()) return false;
        safe_ = written_;
        return true;
      case 100:
        index_.reset();
        return open();
      default:
        return true;
    }
  }

  void check_no_strays() {
    const auto manifest = read_manifest(fs_, kDirectory);
    ASSERT_TRUE(manifest) << manifest.error().message();
    std::set<std::string> named;
    for (const LayoutState& layout : manifest->layouts) {
      for (const TreeState& tree : layout.trees) {
        for (const SegmentRef& segment : tree.segments)
          named.insert(segment_file_name(segment.file));
      }
    }
    const auto names = fs_.list(kDirectory);
    ASSERT_TRUE(names);
    for (const std::string& name : *names) {
      const bool log = name.starts_with("log-");
      ASSERT_TRUE(log || name == kManifestName || name == kLockName || named.contains(name))
          << "stray file " << name;
    }
  }

  static constexpr std::uint32_t kOldestFormat = 1;

  FaultFs fs_;
  const Fsync fsync_;
  StoreModel model_;
  std::unique_ptr<Index> index_;
  std::uint64_t written_ = 0;  // acknowledged
  std::uint64_t safe_ = 0;     // acknowledged, and promised to survive
  std::string error_;
};

// The number of operations that a run without a crash takes.
std::uint64_t operations_of(std::uint64_t seed, Fsync fsync) {
  CrashRun run(seed, fsync);
  EXPECT_TRUE(run.write_history());
  run.close();
  return run.fs().operations();
}

void crash_everywhere(Fsync fsync, Loss loss, std::uint64_t points) {
  const std::uint64_t seed =
      from_environment("SLUICE_STORE_SEED", std::random_device{}() % 1'000'000);
  points = from_environment("SLUICE_STORE_CRASHES", points);
  const std::uint64_t all = operations_of(seed, fsync);
  ASSERT_GT(all, 100U);
  const std::uint64_t step = points == 0 ? 1 : std::max<std::uint64_t>(1, all / points);
  fmt::print("seed {} operations {} every {}\n", seed, all, step);
  std::mt19937_64 random(seed);
  for (std::uint64_t at = 1 + random() % step; at <= all; at += step) {
    SCOPED_TRACE(fmt::format("seed {}, power lost at operation {} of about {}", seed, at, all));
    CrashRun run(seed, fsync);
    run.fs().crash_at(at);
    run.write_history();
    run.fs().crash_now();
    run.close();
    run.fs().restart(loss, random());
    run.check();
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(IndexCrash, FsyncEachUnsyncedLost) {
  crash_everywhere(Fsync::kEach, Loss::kAll, 15);
}
TEST(IndexCrash, FsyncEachAnyPartOfTheUnsyncedLost) {
  crash_everywhere(Fsync::kEach, Loss::kRandom, 25);
}
TEST(IndexCrash, FsyncEachNothingLost) {
  crash_everywhere(Fsync::kEach, Loss::kNone, 10);
}
TEST(IndexCrash, FsyncNeverKeepsAPrefix) {
  crash_everywhere(Fsync::kNever, Loss::kRandom, 20);
}
TEST(IndexCrash, FsyncIntervalKeepsAPrefix) {
  crash_everywhere(Fsync::kInterval, Loss::kAll, 10);
}

}  // namespace
}  // namespace sluice::controlplane::store
