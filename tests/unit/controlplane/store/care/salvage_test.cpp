// Damaged stores: what verify_directory says of them, and what salvage() gets out of them.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "controlplane/store/care/salvage.hpp"
#include "controlplane/store/index.hpp"
#include "controlplane/store/manifest.hpp"
#include "controlplane/store/segment/segment_format.hpp"
#include "tests/support/fault_fs.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::controlplane::store {
namespace {

using test::FaultFs;
using test::StoreModel;

constexpr const char* kStore = "/store";
constexpr const char* kNew = "/new";

// A store with several segments, deletions in them, and a log.
class Salvage : public ::testing::Test {
 protected:
  void SetUp() override {
    {
      auto index = open(kStore);
      ASSERT_NE(index, nullptr);
      write(*index, 60);
      ASSERT_TRUE(index->maintenance().compact({}));
      write(*index, 90);
      (void)index->snapshot();
      write(*index, 120);
    }
    model_.apply_history(120);
    for (const auto& file : fs_.all_files())
      if (file.starts_with("/store/")) before_[file] = fs_.contents(file);
  }

  std::unique_ptr<Index> open(const std::string& directory) {
    auto opened = Index::open(fs_, {.directory = directory,
                                    .tables = test::model_tables(),
                                    .lanes = 2,
                                    .overlay_bytes = 1 << 19});
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? *std::move(opened) : nullptr;
  }
  void write(Index& index, std::uint64_t upto) {
    for (; written_ < upto; ++written_)
      ASSERT_TRUE(index.write(model_.batch(written_ + 1)));
  }

  std::vector<std::string> files(std::string_view prefix) const {
    std::vector<std::string> found;
    for (const auto& [path, bytes] : before_)
      if (path.starts_with(fmt::format("{}/{}", kStore, prefix))) found.push_back(path);
    return found;
  }
  std::string largest(std::string_view prefix) const {
    const auto all = files(prefix);
    return *std::ranges::max_element(all, {}, [&](const auto& path) { return size(path); });
  }
  std::size_t size(const std::string& path) const { return before_.at(path).size(); }
  void flip(const std::string& path, std::uint64_t offset) { fs_.flip_bit(path, offset, 3); }
  void spoil(const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
    for (std::uint64_t i = 0; i < bytes; ++i)
      for (unsigned bit : {0U, 3U, 5U})
        fs_.flip_bit(path, offset + i, bit);
  }

  Result<SalvageReport> salvaged() { return salvage(fs_, kStore, kNew, test::model_tables(), {}); }
  std::vector<Damage> verified() {
    const auto report = verify_directory(fs_, kStore, {});
    EXPECT_TRUE(report) << report.error().message();
    return report ? report->damaged : std::vector<Damage>{};
  }
  bool names(const std::vector<Damage>& damaged, const std::string& file) const {
    return std::ranges::any_of(damaged, [&](const Damage& d) { return d.file == file; });
  }
  void expect_untouched() {
    for (const auto& [path, bytes] : before_) {
      if (path.ends_with(kLockName)) continue;
      EXPECT_EQ(fs_.contents(path), bytes) << path;
    }
  }
  void remember() {
    for (auto& [path, bytes] : before_)
      bytes = fs_.contents(path);
  }

  // How many keys the new store has, of those that the old one had with the same value, and how
  // many it has that are otherwise.
  struct Kept {
    std::uint64_t same = 0;
    std::uint64_t other = 0;
  };
  Kept kept() {
    Kept kept;
    const auto index = open(kNew);
    if (index == nullptr) return kept;
    const Snapshot all = index->snapshot();
    for (const std::uint8_t table : {test::kNumbers, test::kRecords, test::kSets}) {
      auto cursor = all.cursor(table);
      Item item;
      while (cursor->next(item).value_or(false)) {
        const StoreModel::Name name{item.tenant, test::text_of(item.key)};
        bool same = false;
        if (table == test::kNumbers) {
          const auto at = model_.numbers().find(name);
          same = at != model_.numbers().end() && at->second == item.number;
        } else if (table == test::kRecords) {
          const auto at = model_.records().find(name);
          same = at != model_.records().end() && at->second == test::text_of(item.value);
        } else {
          const auto at = model_.sets().find(name);
          same = at != model_.sets().end() && at->second.contains(test::text_of(item.value));
        }
        ++(same ? kept.same : kept.other);
      }
    }
    return kept;
  }

  FaultFs fs_;
  StoreModel model_{{.seed = 11, .keys = 600, .largest_batch = 60}};
  std::uint64_t written_ = 0;
  std::map<std::string, std::vector<std::uint8_t>> before_;
};

TEST_F(Salvage, OfAHealthyStoreIsAllOfIt) {
  EXPECT_TRUE(verified().empty());
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(report->damaged.empty()) << report->damaged[0].file << report->damaged[0].what;
  EXPECT_EQ(report->lost_entries + report->lost_operations, 0U);
  EXPECT_TRUE(report->manifest);
  EXPECT_EQ(report->items, model_.items() + 1);  // and the number of the last batch
  const auto index = open(kNew);
  EXPECT_EQ(model_.compare(*index, 1), "");
  expect_untouched();
  EXPECT_FALSE(fs_.exists("/new.draft").value_or(true));
}

// The first flip in each file, and several at once: all are named, and what is not in the damaged
// blocks is there afterwards.
TEST_F(Salvage, NamesAllDamageAndKeepsTheRest) {
  const std::string segment = largest("seg-");
  auto others = files("seg-");
  std::erase(others, segment);
  const std::string other = others.at(0);
  const std::string log = largest("log-");
  flip(segment, kSegmentAlignment + 100);  // entries
  flip(segment, size(segment) - 2);        // the checksums
  flip(other, size(other) / 2);
  spoil(log, size(log) / 2, 3);
  remember();
  const auto damaged = verified();
  for (const auto& path : {segment, other, log})
    EXPECT_TRUE(names(damaged, path)) << path;
  EXPECT_EQ(std::ranges::count(damaged, segment, &Damage::file), 3);  // list, last block, entries
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GE(report->damaged.size(), damaged.size());
  EXPECT_GT(report->lost_operations, 0U);
  const Kept now = kept();
  EXPECT_GT(now.same, 0U);
  expect_untouched();
}

TEST_F(Salvage, ABlockOfEntriesIsLostNotTheFile) {
  const std::string segment = largest("seg-");
  spoil(segment, kSegmentAlignment + 10, 5);
  remember();
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GT(report->lost_entries, 0U);
  // Files of less than a block lose all their entries with it; larger ones the first 64 KiB.
  EXPECT_GT(kept().same, model_.items() / 3);
}

TEST_F(Salvage, WhatOnlyHelpsToFindEntriesCostsNothing) {
  const std::string segment = largest("seg-");
  const auto bytes = fs_.contents(segment);
  const auto header = load<SegmentHeader>(bytes.data());
  ASSERT_GE(header.checksum_count, 2U);
  flip(segment, header.pilots_offset);
  flip(segment, header.seeds_offset);
  remember();
  EXPECT_FALSE(verified().empty());
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  if (report->lost_entries == 0) {
    const auto index = open(kNew);
    EXPECT_EQ(model_.compare(*index, 1), "");
  }
}

TEST_F(Salvage, OneBitOfAHeaderIsMended) {
  std::mt19937_64 random(3);
  for (const auto& segment : files("seg-"))
    fs_.flip_bit(segment, random() % kSegmentAlignment, static_cast<unsigned>(random() % 8));
  remember();
  const auto damaged = verified();
  EXPECT_EQ(damaged.size(), files("seg-").size());
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_EQ(report->lost_entries, 0U);
  const auto index = open(kNew);
  EXPECT_EQ(model_.compare(*index, 1), "");
  expect_untouched();
}

TEST_F(Salvage, ADestroyedHeaderCostsItsFileOnly) {
  spoil(largest("seg-"), 20, 40);
  remember();
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GT(report->lost_entries, 0U);
  EXPECT_GT(kept().same, 0U);
}

TEST_F(Salvage, OneBitOfTheManifestIsMended) {
  const std::string manifest = fmt::format("{}/{}", kStore, kManifestName);
  std::mt19937_64 random(4);
  for (int i = 0; i < 20; ++i) {
    const auto offset = random() % size(manifest);
    const auto bit = static_cast<unsigned>(random() % 8);
    fs_.flip_bit(manifest, offset, bit);
    const auto damaged = verified();
    EXPECT_TRUE(names(damaged, manifest)) << offset;
    fs_.flip_bit(manifest, offset, bit);
  }
  flip(manifest, 40);
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_TRUE(report->manifest);
  const auto index = open(kNew);
  EXPECT_EQ(model_.compare(*index, 1), "");
}

TEST_F(Salvage, WithoutAManifestTheFilesSpeak) {
  const std::string manifest = fmt::format("{}/{}", kStore, kManifestName);
  spoil(manifest, 30, 20);
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_FALSE(report->manifest);
  const auto index = open(kNew);
  EXPECT_EQ(model_.compare(*index, 1), "");
}

TEST_F(Salvage, AMissingSegmentIsNamed) {
  const std::string segment = largest("seg-");
  ASSERT_TRUE(fs_.remove(segment));
  const auto damaged = verified();
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_EQ(damaged[0].file, segment);
  EXPECT_EQ(damaged[0].what, "is missing");
  const auto report = salvaged();
  ASSERT_TRUE(report) << report.error().message();
  EXPECT_GT(report->lost_entries, 0U);
}

TEST_F(Salvage, NeitherOverAnythingNorUnderAnybody) {
  {
    const auto index = open(kStore);
    const auto busy = salvaged();
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().code(), ErrorCode::kUnavailable) << busy.error().message();
  }
  const auto same = salvage(fs_, kStore, kStore, test::model_tables(), {});
  ASSERT_FALSE(same);
  EXPECT_EQ(same.error().code(), ErrorCode::kAlreadyExists);
  const auto nothing = salvage(fs_, "/", kNew, test::model_tables(), {});
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code(), ErrorCode::kNotFound) << nothing.error().message();
  EXPECT_FALSE(fs_.exists(kNew).value_or(true));
}

TEST_F(Salvage, CancelledItLeavesNothing) {
  const auto report = salvage(fs_, kStore, kNew, test::model_tables(),
                              [](std::uint64_t, std::uint64_t) { return false; });
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(fs_.exists(kNew).value_or(true));
  EXPECT_FALSE(fs_.exists("/new.draft").value_or(true));
}

// One bit anywhere: it is named, the salvage works, and nothing comes out of it that was never in.
TEST_F(Salvage, AnyFlippedBit) {
  std::mt19937_64 random(std::random_device{}());
  std::vector<std::string> all;
  for (const auto& [path, bytes] : before_)
    if (!bytes.empty() && !path.ends_with(kLockName)) all.push_back(path);
  for (int i = 0; i < 60; ++i) {
    const std::string& path = all[random() % all.size()];
    const std::uint64_t offset = random() % size(path);
    const auto bit = static_cast<unsigned>(random() % 8);
    SCOPED_TRACE(fmt::format("{} byte {} bit {}", path, offset, bit));
    fs_.flip_bit(path, offset, bit);
    const bool log = path.contains("/log-");
    if (!log) {  // of a log: not what was never written
      EXPECT_TRUE(names(verified(), path));
    }
    const auto report = salvaged();
    ASSERT_TRUE(report) << report.error().message();
    auto index = open(kNew);
    ASSERT_NE(index, nullptr);
    const auto progress = StoreModel::progress_of(*index);
    ASSERT_TRUE(progress);
    EXPECT_LE(*progress, written_);
    if (report->damaged.empty()) {
      EXPECT_EQ(model_.compare(*index, 1), "");
    }
    index.reset();
    fs_.flip_bit(path, offset, bit);
    for (const auto& file : fs_.all_files()) {
      if (!file.starts_with(fmt::format("{}/", kNew))) continue;
      ASSERT_TRUE(fs_.remove(file));
    }
    ASSERT_TRUE(fs_.remove_dir(kNew));
  }
}

}  // namespace
}  // namespace sluice::controlplane::store
