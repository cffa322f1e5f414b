// Opening on a disk that takes no writes, from the first operation or from any later one of the
// opening: what is there is served, nothing is written until all of the opening could be, and with
// room again it goes on by itself; a crash at any time loses nothing. Small disks of FaultFs.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
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
constexpr const char* kStray = "/store/seg-00000000000000ff";
constexpr std::uint8_t kExtra = 9;
// Operations that are tried; sanitizers make this slow.
#if defined(SLUICE_SANITIZED)
constexpr std::uint64_t kStep = 7;
#else
constexpr std::uint64_t kStep = 1;
#endif

enum class Fault : std::uint8_t { kFull, kReadOnly, kFailing };

Result<std::unique_ptr<Index>> open_index(FaultFs& fs, Fsync fsync = Fsync::kEach,
                                          bool with_extra_table = false) {
  auto tables = test::model_tables();
  if (with_extra_table) tables.push_back({kExtra, Kind::kNumber, "extra"});
  return Index::open(fs, {.directory = kDirectory,
                          .tables = tables,
                          .lanes = 2,
                          .fsync = fsync,
                          .overlay_bytes = 1 << 19,
                          .verify_after_open = false});
}

void break_disk(FaultFs& fs, Fault fault) {
  if (fault == Fault::kFull) fs.set_free_bytes(0);
  if (fault == Fault::kReadOnly) fs.set_read_only(true);
  if (fault == Fault::kFailing) fs.fail_writes_of(kDirectory);
}

void mend_disk(FaultFs& fs) {
  fs.on_operation({});
  fs.set_free_bytes(std::nullopt);
  fs.set_read_only(false);
  fs.fail_writes_of("");
}

ErrorCode code_of(Fault fault) {
  return fault == Fault::kFull       ? ErrorCode::kExhausted
         : fault == Fault::kReadOnly ? ErrorCode::kPermissionDenied
                                     : ErrorCode::kInternal;
}

// A store as a power cut leaves it: segments, a log whose end is torn in front of records that are
// whole, and files that nobody names. Every other one is opened with a table that is new to it.
class Remains {
 public:
  explicit Remains(std::uint64_t seed)
      : more_tables_(seed % 2 == 0), model_({.seed = seed, .keys = 60, .largest_batch = 12}) {
    std::mt19937_64 random(seed);
    auto index = open_index(fs_, Fsync::kNever);
    EXPECT_TRUE(index);
    write(**index, 20);
    EXPECT_TRUE((*index)->maintenance().compact({}));
    write(**index, 35);
    EXPECT_TRUE((*index)->sync());
    safe_ = written_;
    write(**index, 50);
    fs_.crash_now();
    index->reset();
    fs_.restart(seed % 3 == 0 ? Loss::kNone : Loss::kRandom, random());
    for (const std::string& name :
         {std::string(kStray), std::string(kDirectory) + "/MANIFEST.new"}) {
      auto file = fs_.open(name, OpenMode::kCreate);
      EXPECT_TRUE(file && (*file)->append(Buffer(100)));
    }
  }

  // The n-th operation of the next opening, and all after it, find the disk so.
  void break_at(std::uint64_t n, Fault fault) {
    const std::uint64_t at = fs_.operations() + n;
    fs_.on_operation([this, at, fault](std::uint64_t number, std::string_view, const std::string&) {
      const std::lock_guard lock(mutex_);
      if (number >= at && !mended_) break_disk(fs_, fault);
    });
  }
  // For good: also for an operation that has begun.
  void mend() {
    const std::lock_guard lock(mutex_);
    mended_ = true;
    mend_disk(fs_);
  }

  // As long as nothing but the history was written: what the kernel had and the disk had not may
  // be gone with a crash.
  void open() {
    auto opened = open_index(fs_, Fsync::kEach, more_tables_);
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
    const auto progress = StoreModel::progress_of(*index_);
    ASSERT_TRUE(progress) << progress.error().message();
    ASSERT_GE(*progress, safe_) << "an acknowledged batch is lost";
    ASSERT_LE(*progress, written_) << "what was never written is there";
    then_ = std::make_unique<StoreModel>(model_);
    then_->apply_history(*progress);
    written_ = *progress;
    expect_same();
  }

  void expect_same() { ASSERT_EQ(then_->compare(*index_, 1, 8), ""); }

  // Not of the history, so that old records which come back could not pass for it.
  Status write_other() {
    last_ = fmt::format("after the cut {}", others_++);
    const Status done = index_->write(other());
    if (done) then_->apply(other());
    return done;
  }
  // One that was cut off by a crash may be there, or not.
  void take_unconfirmed() {
    const auto there = index_->number(test::kNumbers, 1, test::bytes_of(last_));
    ASSERT_TRUE(there) << there.error().message();
    if (*there) then_->apply(other());
  }

  // After write_other() the history is over: all that is there was acknowledged.
  void reopen_and_expect_same() {
    ASSERT_NO_FATAL_FAILURE(reopen());
    expect_same();
  }
  void reopen() {
    auto opened = open_index(fs_, Fsync::kEach, more_tables_);
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
  }

  // And comes back with room.
  void crash(Loss loss) {
    fs_.crash_now();
    index_.reset();
    mend();
    fs_.restart(loss, 7);
  }

  // Temporary files of the running store may be there as well.
  void expect_no_strays() { EXPECT_FALSE(fs_.exists(kStray).value_or(true)) << kStray; }

  FaultFs fs_;
  std::unique_ptr<Index> index_;
  std::uint64_t safe_ = 0;

 private:
  WriteBatch other() const {
    WriteBatch batch;
    batch.put(test::kNumbers, 1, test::bytes_of(last_), others_);
    return batch;
  }
  void write(Index& index, std::uint64_t upto) {
    for (; written_ < upto; ++written_)
      EXPECT_TRUE(index.write(model_.batch(written_ + 1)));
  }

  const bool more_tables_;
  const StoreModel model_;
  std::unique_ptr<StoreModel> then_;
  std::uint64_t written_ = 0;
  std::uint64_t others_ = 0;
  std::string last_;
  std::mutex mutex_;
  bool mended_ = false;
};

// At least; some of the background may be in it.
std::uint64_t operations_of_opening(std::uint64_t seed) {
  Remains remains(seed);
  const std::uint64_t before = remains.fs_.operations();
  remains.reopen();
  return remains.fs_.operations() - before;
}

class IndexOpening : public ::testing::TestWithParam<Fault> {
 protected:
  // What was to be written there, to be refused for good; else it was open, or opens with room.
  static bool is_for_good(const Status& health) {
    return !health && health.error().message().contains("until the store is opened anew");
  }

  void everywhere(const std::function<void(Remains&)>& then) {
    unsigned refused = 0;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const std::uint64_t all = operations_of_opening(seed);
      ASSERT_GE(all, 10U);
      for (std::uint64_t n = 1; n <= all; n += kStep) {
        SCOPED_TRACE(fmt::format("seed {}, from operation {} of {}", seed, n, all));
        Remains remains(seed);
        remains.break_at(n, GetParam());
        remains.open();
        if (HasFatalFailure()) return;
        refused += remains.index_->health() ? 0 : 1;
        then(remains);
        if (HasFatalFailure()) return;
      }
    }
    EXPECT_GT(refused, 4U) << "the disk was not needed";
  }
};

TEST_P(IndexOpening, WithRoomAgainItTakesWritesByItself) {
  everywhere([](Remains& remains) {
    if (!remains.index_->health()) {
      const Status refused = remains.write_other();
      ASSERT_FALSE(refused);
      EXPECT_NE(refused.error().message().find('/'), std::string::npos) << "names no file";
      EXPECT_FALSE(remains.index_->sync());
      remains.expect_same();
    }
    const Status health = remains.index_->health();
    remains.mend();
    if (is_for_good(health)) {
      EXPECT_FALSE(remains.write_other());
      remains.index_.reset();
      remains.open();
    }
    for (int i = 0; i < 3; ++i) {
      const Status done = remains.write_other();
      ASSERT_TRUE(done) << done.error().message();
    }
    remains.expect_same();
    remains.expect_no_strays();
    EXPECT_EQ(read_manifest(remains.fs_, kDirectory)->tables, remains.index_->tables())
        << "an operation of a table that the store does not know would be damage";
    remains.crash(Loss::kAll);
    remains.reopen_and_expect_same();
    ASSERT_TRUE(remains.index_->maintenance().compact({}));
    ASSERT_TRUE(remains.write_other());
    remains.expect_same();
  });
}

TEST_P(IndexOpening, ACrashWithoutRoomChangesNothing) {
  everywhere([](Remains& remains) {
    if (remains.index_->health()) return;  // what a running store does is tested elsewhere
    (void)remains.write_other();
    remains.crash(Loss::kAll);
    remains.open();
    ASSERT_TRUE(remains.write_other());
    remains.crash(Loss::kAll);
    remains.reopen_and_expect_same();
  });
}

TEST_P(IndexOpening, AnOrderlyStopWithoutRoomChangesNothing) {
  everywhere([](Remains& remains) {
    remains.index_.reset();
    remains.open();
    remains.mend();
    remains.index_.reset();
    remains.open();
    ASSERT_TRUE(remains.write_other());
    remains.index_.reset();
    remains.reopen_and_expect_same();
  });
}

// The room comes back while the opening is tried, at any operation of it, and the power goes.
TEST_P(IndexOpening, ACrashOfTheLateOpeningLosesNothing) {
  const std::uint64_t all = operations_of_opening(2);
  for (const Loss loss : {Loss::kAll, Loss::kRandom, Loss::kNone}) {
    for (std::uint64_t n = 1; n <= all; n += kStep) {
      SCOPED_TRACE(fmt::format("at operation {} of about {}", n, all));
      Remains remains(2);
      remains.break_at(1, GetParam());
      ASSERT_NO_FATAL_FAILURE(remains.open());
      ASSERT_FALSE(remains.index_->health());
      remains.fs_.crash_at(n);
      remains.mend();
      const Status done = remains.write_other();
      remains.fs_.crash_now();
      remains.index_.reset();
      remains.fs_.restart(loss, n);
      ASSERT_NO_FATAL_FAILURE(remains.reopen());
      if (!done) {
        ASSERT_NO_FATAL_FAILURE(remains.take_unconfirmed());
      }
      ASSERT_NO_FATAL_FAILURE(remains.expect_same());
      ASSERT_TRUE(remains.write_other());
      remains.crash(Loss::kAll);
      ASSERT_NO_FATAL_FAILURE(remains.reopen_and_expect_same());
    }
  }
}

TEST_P(IndexOpening, NobodyHasToWriteForIt) {
  Remains remains(1);
  remains.break_at(1, GetParam());
  ASSERT_NO_FATAL_FAILURE(remains.open());
  ASSERT_FALSE(remains.index_->health());
  const Status health = remains.index_->health();
  EXPECT_EQ(health.error().code(), code_of(GetParam())) << health.error().message();
  EXPECT_EQ(remains.index_->metrics().failure, health.error().message());
  remains.mend();
  while (!remains.index_->health())
    std::this_thread::yield();
  EXPECT_EQ(remains.index_->metrics().failure, "");
}

// What a running index does in the background, or is asked to, waits as well.
TEST_P(IndexOpening, NothingElseIsWrittenMeanwhile) {
  Remains remains(1);
  remains.break_at(1, GetParam());
  ASSERT_NO_FATAL_FAILURE(remains.open());
  (void)remains.index_->snapshot();  // seals
  Maintenance& maintenance = remains.index_->maintenance();
  EXPECT_FALSE(maintenance.compact({}));
  EXPECT_FALSE(maintenance.migrate({.lanes = 3}, {}));
  EXPECT_EQ(remains.index_->metrics().manifest_generation,
            read_manifest(remains.fs_, kDirectory)->generation);
  remains.expect_same();
  remains.mend();
  ASSERT_TRUE(remains.write_other());
  EXPECT_TRUE(maintenance.migrate({.lanes = 3}, {}));
  remains.expect_same();
}

// Nothing to serve: whoever starts is told at once, whatever an attempt before has left.
TEST_P(IndexOpening, ANewStoreNeedsTheDisk) {
  for (std::uint64_t n = 1;; ++n) {
    SCOPED_TRACE(n);
    FaultFs fs;
    fs.on_operation([&](std::uint64_t number, std::string_view, const std::string&) {
      if (number >= n) break_disk(fs, GetParam());
    });
    auto opened = open_index(fs);
    const bool enough = opened.has_value() && (*opened)->health();
    if (enough) return;
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), code_of(GetParam())) << opened.error().message();
    // Made as far as that nothing of it is missing but the certainty: it is empty, and there.
    auto again = open_index(fs);
    EXPECT_FALSE(again && (*again)->health());
    if (again) again->reset();
    mend_disk(fs);
    opened = open_index(fs);
    ASSERT_TRUE(opened) << opened.error().message();
    StoreModel model({.seed = n});
    ASSERT_TRUE((*opened)->write(model.batch(1)));
    model.apply_history(1);
    EXPECT_EQ(model.compare(**opened, 1), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Disk, IndexOpening,
                         ::testing::Values(Fault::kFull, Fault::kReadOnly, Fault::kFailing),
                         [](const auto& fault) {
                           return fault.param == Fault::kFull       ? "Full"
                                  : fault.param == Fault::kReadOnly ? "ReadOnly"
                                                                    : "Failing";
                         });

TEST(IndexOpeningOnce, AReadOnlyStoreHasOneOwner) {
  Remains remains(1);
  remains.fs_.set_read_only(true);
  ASSERT_NO_FATAL_FAILURE(remains.open());
  const auto second = open_index(remains.fs_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable) << second.error().message();
  remains.fs_.set_read_only(false);
  EXPECT_FALSE(open_index(remains.fs_));
}

// As a restored one is: without a lock file.
TEST(IndexOpeningOnce, SoHasAReadOnlyStoreThatNobodyHadOpen) {
  Remains remains(1);
  ASSERT_TRUE(remains.fs_.remove(fmt::format("{}/{}", kDirectory, kLockName)));
  remains.fs_.set_read_only(true);
  ASSERT_NO_FATAL_FAILURE(remains.open());
  EXPECT_FALSE(open_index(remains.fs_));
  remains.fs_.set_read_only(false);
  EXPECT_FALSE(open_index(remains.fs_));
  EXPECT_TRUE(remains.write_other());
}

// A full disk may stay full for days, and each sync is work for it.
TEST(IndexOpeningOnce, WhatIsOnTheDiskIsNotSyncedWithEveryTry) {
  Remains remains(1);
  remains.break_at(1, Fault::kFull);
  ASSERT_NO_FATAL_FAILURE(remains.open());
  const std::uint64_t syncs = remains.fs_.syncs();
  for (int i = 0; i < 5; ++i)
    EXPECT_FALSE(remains.write_other());
  EXPECT_EQ(remains.fs_.syncs(), syncs);
}

TEST(IndexOpeningOnce, WhatAReadOnlyDiskHasIsNotTouched) {
  Remains remains(2);
  const auto look = [&] {
    std::vector<std::pair<std::string, std::vector<std::uint8_t>>> files;
    for (const std::string& file : remains.fs_.all_files())
      files.emplace_back(file, remains.fs_.contents(file));
    return files;
  };
  const auto before = look();
  remains.fs_.set_read_only(true);
  ASSERT_NO_FATAL_FAILURE(remains.open());
  remains.index_.reset();
  EXPECT_EQ(look(), before);
}

// After a failed fsync the kernel shows what the disk may not have, and the next fsync says
// nothing of it.
TEST(IndexOpeningOnce, AfterAFailedSyncItServesAndTakesNothing) {
  Remains remains(1);
  remains.fs_.fail_sync_at(1);
  ASSERT_NO_FATAL_FAILURE(remains.open());
  const Status health = remains.index_->health();
  ASSERT_FALSE(health);
  EXPECT_NE(health.error().message().find("until the store is opened anew"), std::string::npos)
      << health.error().message();
  EXPECT_FALSE(health.error().retryable());
  EXPECT_FALSE(remains.write_other());
  remains.expect_same();
  remains.crash(Loss::kAll);
  ASSERT_NO_FATAL_FAILURE(remains.open());
  EXPECT_TRUE(remains.write_other());
}

// Rights are not the disk's: somebody has to see to them.
TEST(IndexOpeningOnce, WithoutTheRightToWriteItDoesNotOpen) {
  Remains remains(1);
  remains.fs_.deny_changes(true);
  const auto opened = open_index(remains.fs_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), ErrorCode::kPermissionDenied);
  EXPECT_NE(opened.error().message().find("Permission denied"), std::string::npos)
      << opened.error().message();
  remains.fs_.deny_changes(false);
  ASSERT_NO_FATAL_FAILURE(remains.open());
}

// A migration that was under way cannot go on, and whoever asks for one does not wait for room.
TEST(IndexOpeningOnce, AMigrationIsRefusedLikeAWrite) {
  FaultFs fs;
  IndexOptions options{.directory = kDirectory,
                       .tables = test::model_tables(),
                       .lanes = 2,
                       .fsync = Fsync::kNever,
                       .verify_after_open = false};
  StoreModel model({.seed = 1});
  model.apply_history(5);
  options.bytes_per_second = 1;  // it does not get far
  auto index = Index::open(fs, options);
  ASSERT_TRUE(index);
  for (std::uint64_t number = 1; number <= 5; ++number)
    ASSERT_TRUE((*index)->write(model.batch(number)));
  ASSERT_FALSE((*index)->maintenance().migrate(
      {.lanes = 3}, [&](std::uint64_t, std::uint64_t) { return !(*index)->metrics().migrating; }));
  index->reset();

  options.bytes_per_second = 0;
  fs.set_read_only(true);
  index = Index::open(fs, options);
  ASSERT_TRUE(index);
  ASSERT_TRUE((*index)->metrics().migrating);
  bool waits = false;
  const Status refused = (*index)->maintenance().migrate({.lanes = 4}, [&](auto, auto) {
    waits = true;
    return false;
  });
  ASSERT_FALSE(refused);
  EXPECT_FALSE(waits) << refused.error().message();
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermissionDenied) << refused.error().message();
  EXPECT_EQ(model.compare(**index, 1, 8), "");

  fs.set_read_only(false);
  while (!(*index)->health())
    std::this_thread::yield();
  EXPECT_TRUE((*index)->maintenance().migrate({.lanes = 4}, {}));
  EXPECT_EQ((*index)->metrics().lanes, 4U);
  EXPECT_EQ(model.compare(**index, 1, 8), "");
}

}  // namespace
}  // namespace sluice::controlplane::store
