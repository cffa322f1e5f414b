// Backup of an index with next to nothing in its log.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "controlplane/store/index.hpp"
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
  void back_up_and_restore(const std::string& backup) {
    const auto made = index_->maintenance().backup(backup, {});
    ASSERT_TRUE(made) << made.error().message();
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

}  // namespace
}  // namespace sluice::controlplane::store
