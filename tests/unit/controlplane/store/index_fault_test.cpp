// Disks that are full, read-only or damaged, and two who want the same store.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/store/index.hpp"
#include "tests/support/fault_fs.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::controlplane::store {
namespace {

using test::FaultFs;
using test::StoreModel;

class IndexFault : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Index>> try_open(const std::string& directory = "/store") {
    return Index::open(fs_, {.directory = directory,
                             .tables = test::model_tables(),
                             .lanes = 2,
                             .fsync = Fsync::kEach,
                             .overlay_bytes = 1 << 19});
  }
  void open() {
    auto opened = try_open();
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
  }
  void write(std::uint64_t upto) {
    for (; written_ < upto; ++written_) {
      const Status done = index_->write(model_.batch(written_ + 1));
      ASSERT_TRUE(done) << done.error().message();
    }
    model_.apply_history(written_);
  }
  void expect_same() { EXPECT_EQ(model_.compare(*index_, written_), ""); }

  FaultFs fs_;
  StoreModel model_{{.seed = 5, .keys = 400, .largest_batch = 30}};
  std::unique_ptr<Index> index_;
  std::uint64_t written_ = 0;
};

TEST_F(IndexFault, AFullDiskRefusesWritesAndLetsReadsGoOn) {
  open();
  write(50);
  fs_.set_free_bytes(100);
  // What the log had reserved before may still be used up.
  Status refused;
  while (written_ < 20'000) {
    refused = index_->write(model_.batch(written_ + 1));
    if (!refused) break;
    ++written_;
  }
  model_.apply_history(written_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kExhausted) << refused.error().message();
  EXPECT_EQ(refused.error().origin(), ErrorOrigin::kStore);
  expect_same();
  fs_.set_free_bytes(std::nullopt);
  write(written_ + 50);
  expect_same();
  index_.reset();
  open();
  expect_same();
}

TEST_F(IndexFault, AFullDiskDuringCompactionIsToldAndMadeGoodLater) {
  open();
  write(80);
  fs_.set_free_bytes(2000);
  const Status full = index_->maintenance().compact({});
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), ErrorCode::kExhausted) << full.error().message();
  expect_same();
  fs_.set_free_bytes(std::nullopt);
  ASSERT_TRUE(index_->maintenance().compact({}));
  write(120);
  expect_same();
  index_.reset();
  open();
  expect_same();
}

// A migration is tried again every other second, and must not fill the disk with its attempts.
TEST_F(IndexFault, AMigrationThatFailsLeavesNoFilesBehind) {
  open();
  write(120);
  ASSERT_TRUE(index_->maintenance().compact({}));
  std::set<std::string> known;
  for (const std::string& file : fs_.all_files())
    known.insert(file);
  // The disk is full when the third of the new segments is begun.
  std::set<std::string> begun;
  fs_.on_operation([&](std::uint64_t, std::string_view name, const std::string& path) {
    if (name != "create" || !path.contains("/seg-")) return;
    begun.insert(path);
    if (begun.size() == 3) fs_.set_free_bytes(0);
  });
  const Status refused = index_->maintenance().migrate({.lanes = 4}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable) << refused.error().message();
  fs_.on_operation({});
  for (const std::string& file : fs_.all_files())
    EXPECT_TRUE(known.contains(file) || !file.contains("/seg-")) << file;
  expect_same();
  fs_.set_free_bytes(std::nullopt);
  index_.reset();
  open();
  ASSERT_TRUE(index_->maintenance().migrate({.lanes = 4}, {}));
  EXPECT_EQ(index_->metrics().lanes, 4U);
  expect_same();
}

TEST_F(IndexFault, ACompactionCanBeInterrupted) {
  open();
  write(2000);
  index_.reset();
  auto slow = Index::open(fs_, {.directory = "/store",
                                .tables = test::model_tables(),
                                .overlay_bytes = 1 << 19,
                                .bytes_per_second = 1024});
  ASSERT_TRUE(slow) << slow.error().message();
  index_ = *std::move(slow);
  Status compacted;
  std::thread compacting([&] { compacted = index_->maintenance().compact({}); });
  index_->maintenance().interrupt();
  compacting.join();  // it would take minutes
  ASSERT_FALSE(compacted);
  EXPECT_EQ(compacted.error().code(), ErrorCode::kUnavailable);
  expect_same();
}

TEST_F(IndexFault, AReadOnlyDiskIsNamedAsSuch) {
  open();
  write(50);
  fs_.set_read_only(true);
  const Status refused = index_->write(model_.batch(51));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermissionDenied) << refused.error().message();
  expect_same();
  fs_.set_read_only(false);
}

TEST_F(IndexFault, AFailedFsyncIsNeverTakenForSuccess) {
  open();
  write(50);
  fs_.fail_sync_at(1);
  EXPECT_FALSE(index_->write(model_.batch(51)));
  // Nothing is known about the file any more: refused until the store is opened anew.
  EXPECT_FALSE(index_->write(model_.batch(51)));
  EXPECT_NE(index_->metrics().failure, "");
  expect_same();
  fs_.crash_now();
  index_.reset();
  fs_.restart(test::Loss::kAll, 1);
  open();
  expect_same();
}

TEST_F(IndexFault, ASecondOpenerIsRefusedAndTheFirstWorksOn) {
  open();
  write(10);
  const auto second = try_open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable) << second.error().message();
  EXPECT_NE(second.error().message().find("/store"), std::string::npos);
  write(20);
  expect_same();
  index_.reset();
  open();
  expect_same();
}

// Wherever a bit is flipped: the answer is right, or there is an error that names the file.
TEST_F(IndexFault, FlippedBitsAreNeverServed) {
  open();
  write(150);
  ASSERT_TRUE(index_->maintenance().compact({}));
  write(200);
  (void)index_->snapshot();
  write(250);
  index_.reset();
  const char* const text = std::getenv("SLUICE_STORE_FLIPS");
  const int flips = text == nullptr ? 60 : std::atoi(text);
  std::mt19937_64 random(static_cast<std::uint64_t>(std::random_device{}()));
  int noticed = 0;
  for (int i = 0; i < flips; ++i) {
    const std::vector<std::string> files = fs_.all_files();
    const std::string& file = files[random() % files.size()];
    const std::uint64_t size = fs_.contents(file).size();
    if (size == 0) continue;  // the lock
    const std::uint64_t offset = random() % size;
    const auto bit = static_cast<unsigned>(random() % 8);
    SCOPED_TRACE(fmt::format("{} byte {} bit {}", file, offset, bit));
    fs_.flip_bit(file, offset, bit);
    auto opened = try_open();
    std::string said;
    if (opened) {
      said = model_.compare(**opened, random());
      opened->reset();
    } else {
      EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt) << opened.error().message();
      said = opened.error().message();
    }
    if (!said.empty()) {
      ++noticed;
      EXPECT_NE(said.find(file.substr(file.rfind('/') + 1)), std::string::npos) << said;
    }
    if (fs_.contents(file).size() == size) fs_.flip_bit(file, offset, bit);
    auto healthy = try_open();
    ASSERT_TRUE(healthy) << healthy.error().message();
    ASSERT_EQ(model_.compare(**healthy, random()), "");
  }
  EXPECT_GT(noticed, 0);
}

TEST_F(IndexFault, VerifyNamesEveryDamagedFile) {
  open();
  write(100);
  ASSERT_TRUE(index_->maintenance().compact({}));
  index_.reset();
  std::vector<std::string> segments;
  for (const std::string& file : fs_.all_files()) {
    if (file.find("/seg-") == std::string::npos) continue;
    segments.push_back(file);
    fs_.flip_bit(file, fs_.contents(file).size() / 2, 3);
  }
  ASSERT_GE(segments.size(), 2U);
  open();
  const auto report = index_->maintenance().verify({});
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->damaged.size(), segments.size());
  EXPECT_EQ(index_->metrics().damaged_segments, segments.size());
  const auto refused = model_.compare(*index_, 1);
  EXPECT_NE(refused.find("damaged"), std::string::npos) << refused;
}

TEST_F(IndexFault, ABackupOrRestoreThatFailsLeavesNothingBehind) {
  open();
  write(100);
  ASSERT_TRUE(index_->maintenance().compact({}));
  const auto left = [&](std::string_view directory) {
    return std::ranges::any_of(
               fs_.all_files(),
               [&](const std::string& file) { return file.starts_with(directory); }) ||
           fs_.exists(std::string(directory)).value_or(true);
  };
  fs_.fail_writes_of("/backup/");
  EXPECT_FALSE(index_->maintenance().backup("/backup", {}));
  EXPECT_FALSE(left("/backup"));
  fs_.fail_writes_of("");
  ASSERT_TRUE(index_->maintenance().backup("/backup", {}));
  // One that cannot be made where something lies leaves that alone.
  EXPECT_FALSE(index_->maintenance().backup("/backup", {}));
  EXPECT_TRUE(left("/backup"));
  fs_.set_free_bytes(3000);
  EXPECT_FALSE(restore_backup(fs_, "/backup", "/restored", {}));
  EXPECT_FALSE(left("/restored"));
  fs_.set_free_bytes(std::nullopt);
  EXPECT_TRUE(restore_backup(fs_, "/backup", "/restored", {}));
}

TEST_F(IndexFault, ADamagedBackupIsNotRestored) {
  open();
  write(100);
  ASSERT_TRUE(index_->maintenance().compact({}));
  ASSERT_TRUE(index_->maintenance().backup("/backup", {}));
  for (const std::string& file : fs_.all_files()) {
    if (!file.starts_with("/backup/seg-")) continue;
    fs_.flip_bit(file, fs_.contents(file).size() / 2, 3);
    const auto restored = restore_backup(fs_, "/backup", "/restored", {});
    ASSERT_FALSE(restored);
    EXPECT_EQ(restored.error().code(), ErrorCode::kCorrupt);
    EXPECT_FALSE(fs_.exists("/restored/MANIFEST").value_or(true));
    return;
  }
  FAIL() << "the backup has no segment";
}

}  // namespace
}  // namespace sluice::controlplane::store
