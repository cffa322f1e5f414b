// Verify and backup of an index that is written to meanwhile, and of one with next to nothing in
// it; migration between all formats.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "controlplane/store/index.hpp"
#include "controlplane/store/segment/segment_format.hpp"
#include "tests/support/fault_fs.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::controlplane::store {
namespace {

using test::FaultFs;
using test::StoreModel;

class IndexMaintenance : public ::testing::Test {
 protected:
  void SetUp() override { open("/store"); }

  void open(const std::string& directory) {
    index_.reset();
    auto opened = Index::open(fs_, {.directory = directory,
                                    .tables = test::model_tables(),
                                    .lanes = 2,
                                    .fsync = Fsync::kNever,
                                    .overlay_bytes = 1 << 20});
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
  }
  void write(unsigned batches) {
    for (; batches > 0; --batches) {
      const WriteBatch batch = model_.batch(++written_);
      const Status done = index_->write(batch);
      ASSERT_TRUE(done) << done.error().message();
      model_.apply(batch);
    }
  }
  // From now on the log grows whenever somebody begins to read a file of it.
  void write_while_the_log_is_read() {
    fs_.on_read([this](const std::string& path) {
      if (path.starts_with("/store/log-")) write(3);
    });
  }
  VerifyReport verify() {
    auto report = index_->maintenance().verify({});
    EXPECT_TRUE(report) << report.error().message();
    return report ? *std::move(report) : VerifyReport{};
  }
  std::string last_log() const {
    std::string last;
    for (const std::string& file : fs_.all_files())
      if (file.starts_with("/store/log-")) last = file;
    return last;
  }
  void back_up_and_restore(const std::string& backup) {
    const auto made = index_->maintenance().backup(backup, {});
    ASSERT_TRUE(made) << made.error().message();
    fs_.fail_writes_of("");
    const auto restored = restore_backup(fs_, backup, backup + "-restored", {});
    ASSERT_TRUE(restored) << restored.error().message();
    EXPECT_EQ(restored->sequence, made->sequence);
    open(backup + "-restored");
    EXPECT_EQ(model_.compare(*index_, 1), "");
    open("/store");
  }

  FaultFs fs_;
  StoreModel model_{{.seed = 7, .keys = 200, .largest_batch = 20}};
  std::unique_ptr<Index> index_;
  std::uint64_t written_ = 0;
};

TEST_F(IndexMaintenance, ALogThatGrowsIsNotDamaged) {
  write(10);
  write_while_the_log_is_read();
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t before = written_;
    for (const Damage& damage : verify().damaged)
      ADD_FAILURE() << damage.file << ": " << damage.what;
    EXPECT_GT(written_, before);
  }
}

TEST_F(IndexMaintenance, DamageInALogThatGrowsIsNamed) {
  write(10);
  const std::string damaged = last_log();
  fs_.flip_bit(damaged, 64 + 40, 3);  // in the first record
  write_while_the_log_is_read();
  const auto report = verify();
  ASSERT_EQ(report.damaged.size(), 1U);
  EXPECT_EQ(report.damaged[0].file, damaged);
}

// What was written before the call is no torn end, also when nothing comes behind it.
TEST_F(IndexMaintenance, DamageAtTheEndOfTheLogIsNamed) {
  write(1);
  const std::string damaged = last_log();
  fs_.flip_bit(damaged, 64 + 40, 3);
  const auto report = verify();
  ASSERT_EQ(report.damaged.size(), 1U);
  EXPECT_EQ(report.damaged[0].file, damaged);
}

// A compaction puts all of the log into segments, and ends with the removal of its files.
TEST_F(IndexMaintenance, LogFilesThatAreReadAreNotRemoved) {
  std::atomic<bool> compacting = true;
  const std::jthread compactor([&] {
    for (int i = 0; i < 200; ++i) {
      write(1);
      EXPECT_TRUE(index_->maintenance().compact({}));
    }
    compacting = false;
  });
  while (compacting) {
    for (const Damage& damage : verify().damaged)
      ADD_FAILURE() << damage.file << ": " << damage.what;
  }
}

// Ids and text keys, several overlays of each kind; then put, changed and deleted under the new
// one.
TEST_F(IndexMaintenance, EveryFormatCanBecomeEveryOther) {
  for (std::uint32_t from = kOldestSegmentFormat; from <= kNewestSegmentFormat; ++from) {
    for (std::uint32_t to = kOldestSegmentFormat; to <= kNewestSegmentFormat; ++to) {
      SCOPED_TRACE(fmt::format("from {} to {}", from, to));
      const std::string directory = fmt::format("/store-{}-{}", from, to);
      open(directory);
      model_ = StoreModel({.seed = 10 * from + to, .keys = 2000, .largest_batch = 200});
      ASSERT_TRUE(index_->maintenance().migrate({.format = from}, {}));
      write(50);
      const HashKey key = index_->hash_key();
      const Status migrated = index_->maintenance().migrate({.format = to}, {});
      ASSERT_TRUE(migrated) << migrated.error().message();
      EXPECT_EQ(index_->metrics().format, to);
      EXPECT_EQ(index_->hash_key() == key, (from < 3) == (to < 3));
      ASSERT_EQ(model_.compare(*index_, 1), "");
      write(50);
      ASSERT_EQ(model_.compare(*index_, 2), "");
      open(directory);
      ASSERT_EQ(model_.compare(*index_, 3), "");
    }
  }
}

TEST_F(IndexMaintenance, ABackupOfAnEmptyIndexCanBeRestored) {
  back_up_and_restore("/backup");
}

TEST_F(IndexMaintenance, ABackupOfAnIndexWithAllInSegmentsCanBeRestored) {
  write(20);
  ASSERT_TRUE(index_->maintenance().compact({}));
  back_up_and_restore("/backup-1");
  ASSERT_TRUE(index_->maintenance().compact({}));
  back_up_and_restore("/backup-2");
  const auto made = index_->maintenance().backup("/unused", {});
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_TRUE(index_->maintenance().compact({}));
  back_up_and_restore("/backup-3");
}

// On the store's disk, which is full, read-only or fails, while it runs or from its opening on.
TEST_F(IndexMaintenance, VerifyNeedsNoRoom) {
  write(10);
  const auto verify_so = [&](const std::function<void(bool)>& break_disk) {
    break_disk(true);
    EXPECT_TRUE(verify().damaged.empty());
    open("/store");
    EXPECT_FALSE(index_->health());
    const auto report = verify();
    EXPECT_TRUE(report.damaged.empty());
    EXPECT_GT(report.files, 1U);
    break_disk(false);
    while (!index_->health())
      std::this_thread::yield();
    write(10);
  };
  verify_so([&](bool on) { fs_.set_read_only(on); });
  verify_so(
      [&](bool on) { fs_.set_free_bytes(on ? std::optional<std::uint64_t>(0) : std::nullopt); });
  verify_so([&](bool on) { fs_.fail_writes_of(on ? "/store" : ""); });
}

TEST_F(IndexMaintenance, ABackupElsewhereNeedsNothingOfTheStoresDisk) {
  write(20);
  ASSERT_TRUE(index_->maintenance().compact({}));
  write(20);
  fs_.fail_writes_of("/store/");
  back_up_and_restore("/backup-1");
  fs_.fail_writes_of("/store/");
  open("/store");
  ASSERT_FALSE(index_->health());
  back_up_and_restore("/backup-2");
}

TEST_F(IndexMaintenance, ABackupMakesNoFolderButItsOwn) {
  const auto made = index_->maintenance().backup("/disk/monday/backup", {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(made.error().message().contains("the folder /disk/monday is not there"))
      << made.error().message();
  EXPECT_FALSE(fs_.exists("/disk").value());
}

// Every write that was confirmed before is in it, and what comes later changes nothing of it.
TEST_F(IndexMaintenance, ABackupStaysAsItWasMade) {
  write(20);
  const auto made = index_->maintenance().backup("/backup", {});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->sequence, index_->metrics().sequence);
  const StoreModel then = model_;
  write(50);
  index_.reset();
  ASSERT_TRUE(restore_backup(fs_, "/backup", "/restored", {}));
  open("/restored");
  EXPECT_EQ(then.compare(*index_, 1), "");
}

}  // namespace
}  // namespace sluice::controlplane::store
