// Random histories against plain maps: writes of every kind, flushes, compaction, snapshots,
// reopening, backup and restore, migration of lanes, hash key and file format. SLUICE_STORE_BATCHES
// sets how many batches (of 13 operations on average) are written, SLUICE_STORE_SEED repeats a
// history.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "controlplane/store/index.hpp"
#include "controlplane/store/segment/segment_format.hpp"
#include "tests/support/fault_fs.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::controlplane::store {
namespace {

using test::FaultFs;
using test::StoreModel;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class History {
 public:
  explicit History(std::uint64_t seed)
      : random_(seed), model_({.seed = seed, .keys = 1500, .largest_batch = 24}) {
    open();
  }

  void run(std::uint64_t batches) {
    for (std::uint64_t i = 0; i < batches && !::testing::Test::HasFatalFailure(); ++i) {
      const WriteBatch batch = model_.batch(++number_);
      const Status written = index_->write(batch);
      ASSERT_TRUE(written) << written.error().message();
      model_.apply(batch);
      if (random_() % 64 == 0) disturb();
    }
    check("at the end");
  }

 private:
  void open() {
    index_.reset();
    auto opened = Index::open(fs_, {.directory = directory_,
                                    .tables = test::model_tables(),
                                    .lanes = 2,
                                    .fsync = Fsync::kNever,
                                    .overlay_bytes = 1 << 20,
                                    .workers = 2});
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
  }

  void check(const std::string& when) {
    const std::string difference = model_.compare(*index_, random_());
    ASSERT_EQ(difference, "") << when << ", after batch " << number_;
    for (const TreeMetrics& tree : index_->metrics().trees)
      ASSERT_LE(tree.segment_entries.size(), 4U);
  }

  void disturb() {
    Maintenance& maintenance = index_->maintenance();
    switch (random_() % 10) {
      case 0:
        open();
        return check("reopened");
      case 1:
        ASSERT_TRUE(maintenance.compact({}));
        return check("compacted");
      case 2:
        return keep_snapshot();
      case 3:
        return backup_and_restore();
      case 4:
        return migrate();
      case 5: {
        const auto deleted = maintenance.delete_tenant(1, {});
        ASSERT_TRUE(deleted) << deleted.error().message();
        model_.delete_tenant(1);
        ASSERT_TRUE(maintenance.usage(1, {}).value().empty());
        return check("tenant deleted");
      }
      case 6: {
        check_usage();
        const auto report = maintenance.verify({});
        ASSERT_TRUE(report) << report.error().message();
        ASSERT_TRUE(report->damaged.empty())
            << report->damaged[0].file << ": " << report->damaged[0].what;
        return;
      }
      default:
        // Seals: the snapshot is let go at once.
        (void)index_->snapshot();
        return check("sealed");
    }
  }

  // Of all tenants together, and the export of one, are what the model has.
  void check_usage() {
    const auto all = index_->maintenance().usage(std::nullopt, {});
    ASSERT_TRUE(all) << all.error().message();
    std::uint64_t keys = 0;
    std::uint64_t of_700 = 0;
    for (const auto& [tenant, tables] : *all) {
      for (const auto& [table, usage] : tables) {
        if (table == test::kProgress) continue;
        keys += usage.keys;
        if (tenant == 700) of_700 += usage.keys;
      }
    }
    ASSERT_EQ(keys, model_.items());
    std::uint64_t items = 0;
    const auto report = index_->maintenance().export_tenant(700,
                                                            [&](const Item& item) {
                                                              items += item.tenant == 700 ? 1 : 0;
                                                              return Status{};
                                                            },
                                                            {});
    ASSERT_TRUE(report) << report.error().message();
    ASSERT_EQ(items, of_700);
    ASSERT_EQ(report->items, of_700);
  }

  // Must show what was there when it was taken, whatever is written later.
  void keep_snapshot() {
    const Snapshot snapshot = index_->snapshot();
    const StoreModel then = model_;
    for (int i = 0; i < 20; ++i) {
      const WriteBatch batch = model_.batch(++number_);
      ASSERT_TRUE(index_->write(batch));
      model_.apply(batch);
    }
    if (random_() % 2 == 0) {
      ASSERT_TRUE(index_->maintenance().compact({}));
    }
    ASSERT_EQ(then.compare(snapshot), "") << "old snapshot";
  }

  // The history goes on in the restored store.
  void backup_and_restore() {
    const std::string backup = fmt::format("/backup-{}", number_);
    const auto made = index_->maintenance().backup(backup, {});
    ASSERT_TRUE(made) << made.error().message();
    const std::string restored = fmt::format("/store-{}", number_);
    const WriteBatch lost = model_.batch(number_ + 1'000'000);
    ASSERT_TRUE(index_->write(lost));
    index_.reset();
    const auto report = restore_backup(fs_, backup, restored, {});
    ASSERT_TRUE(report) << report.error().message();
    directory_ = restored;
    open();
    check("restored");
  }

  void migrate() {
    MigrateTarget target;
    if (random_() % 2 == 0) target.lanes = 1 + random_() % 5;
    if (random_() % 2 == 0) {
      HashKey key;
      for (auto& byte : key.bytes)
        byte = static_cast<std::uint8_t>(random_());
      target.key = key;
    }
    if (random_() % 2 == 0) target.format = 1 + random_() % kNewestSegmentFormat;
    const Status done = index_->maintenance().migrate(target, {});
    ASSERT_TRUE(done) << done.error().message();
    if (target.key) {
      ASSERT_EQ(index_->hash_key(), *target.key);
    }
    if (target.lanes) {
      ASSERT_EQ(index_->metrics().lanes, *target.lanes);
    }
    if (target.format) {
      ASSERT_EQ(index_->metrics().format, *target.format);
    }
    check("migrated");
  }

  std::mt19937_64 random_;
  FaultFs fs_;
  StoreModel model_;
  std::string directory_ = "/store";
  std::unique_ptr<Index> index_;
  std::uint64_t number_ = 0;
};

TEST(IndexModel, RandomHistoriesAgreeWithMaps) {
  const std::uint64_t seed =
      from_environment("SLUICE_STORE_SEED", std::random_device{}() % 1'000'000);
  const std::uint64_t batches = from_environment("SLUICE_STORE_BATCHES", 1500);
  fmt::print("seed {} batches {} (SLUICE_STORE_SEED, SLUICE_STORE_BATCHES)\n", seed, batches);
  History(seed).run(batches);
}

}  // namespace
}  // namespace sluice::controlplane::store
