// The disk that breaks as told must break as Linux would, or the crash tests prove nothing.
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/fault_fs.hpp"

namespace sluice::test {
namespace {

using store::File;
using store::OpenMode;
using Data = std::vector<std::uint8_t>;

class FaultFsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fs_.make_dir("/d"));
    ASSERT_TRUE(fs_.sync_dir("/"));
  }

  std::unique_ptr<File> create(const std::string& path) {
    auto file = fs_.open(path, OpenMode::kCreate);
    EXPECT_TRUE(file) << file.error().message();
    return std::move(*file);
  }

  // A file with name and bytes safe.
  std::unique_ptr<File> create_safe(const std::string& path, const Data& bytes) {
    auto file = create(path);
    EXPECT_TRUE(file->append(bytes));
    EXPECT_TRUE(file->sync());
    EXPECT_TRUE(fs_.sync_dir("/d"));
    return file;
  }

  FaultFs fs_;
};

TEST_F(FaultFsTest, UnsyncedBytesAreLostSyncedOnesAreNot) {
  auto file = create_safe("/d/a", Data(600, 1));
  ASSERT_TRUE(file->append(Data(600, 2)));
  ASSERT_TRUE(file->write_at(0, Data{9}));
  EXPECT_EQ(fs_.contents("/d/a").size(), 1200U);
  fs_.restart(Loss::kAll, 1);
  EXPECT_EQ(fs_.contents("/d/a"), Data(600, 1));
  EXPECT_FALSE(file->append(Data{1})) << "a file of before the crash";
}

TEST_F(FaultFsTest, NamesNeedTheirDirectorySynced) {
  auto file = create("/d/a");
  ASSERT_TRUE(file->append(Data{1}));
  ASSERT_TRUE(file->sync());
  fs_.restart(Loss::kAll, 1);
  EXPECT_TRUE(fs_.all_files().empty());
  create_safe("/d/a", {1});
  create_safe("/d/b", {2});
  ASSERT_TRUE(fs_.rename("/d/b", "/d/a"));
  fs_.restart(Loss::kAll, 1);
  EXPECT_EQ(fs_.contents("/d/a"), Data{1});
  EXPECT_EQ(fs_.contents("/d/b"), Data{2});
  ASSERT_TRUE(fs_.rename("/d/b", "/d/a"));
  ASSERT_TRUE(fs_.sync_dir("/d"));
  fs_.restart(Loss::kAll, 1);
  EXPECT_EQ(fs_.all_files(), std::vector<std::string>{"/d/a"});
  EXPECT_EQ(fs_.contents("/d/a"), Data{2});
}

TEST_F(FaultFsTest, KillLosesNothing) {
  auto file = create("/d/a");
  ASSERT_TRUE(file->append(Data(3, 7)));
  fs_.restart(Loss::kNone, 1);
  EXPECT_EQ(fs_.contents("/d/a"), Data(3, 7));
  fs_.restart(Loss::kAll, 1);
  EXPECT_TRUE(fs_.all_files().empty()) << "and makes nothing safe";
}

TEST_F(FaultFsTest, RandomLossTearsAndReorders) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    FaultFs fs;
    ASSERT_TRUE(fs.make_dir("/d"));
    auto file = std::move(*fs.open("/d/a", OpenMode::kCreate));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(fs.sync_dir("/"));
    ASSERT_TRUE(fs.sync_dir("/d"));
    ASSERT_TRUE(file->append(Data(512, 1)));
    ASSERT_TRUE(file->append(Data(512, 2)));
    fs.restart(Loss::kRandom, seed);
    const auto left = fs.contents("/d/a");
    seen.insert(std::string(left.begin(), left.end()));
  }
  const std::string first(512, '\1');
  const std::string second(512, '\2');
  EXPECT_TRUE(seen.contains("")) << "nothing";
  EXPECT_TRUE(seen.contains(first)) << "the first only";
  EXPECT_TRUE(seen.contains(std::string(512, '\0') + second)) << "the second only";
  EXPECT_TRUE(seen.contains(first + second));
}

TEST_F(FaultFsTest, PowerGoesAtTheOperationAsked) {
  auto file = create_safe("/d/a", {1});
  const auto before = fs_.operations();
  fs_.crash_at(2);
  EXPECT_TRUE(file->append(Data{2}));
  const auto second = file->append(Data{3});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message(), "writing /d/a: power lost");
  EXPECT_EQ(fs_.operations(), before + 2);
  EXPECT_TRUE(fs_.crashed());
  EXPECT_FALSE(file->sync());
  EXPECT_FALSE(fs_.open("/d/a", OpenMode::kRead));
  EXPECT_FALSE(fs_.list("/d"));
  fs_.restart(Loss::kNone, 1);
  EXPECT_EQ(fs_.contents("/d/a"), (Data{1, 2}));
  EXPECT_TRUE(fs_.open("/d/a", OpenMode::kRead));
}

TEST_F(FaultFsTest, FullDiskTakesWhatFits) {
  auto file = create_safe("/d/a", Data(100, 1));
  fs_.set_free_bytes(10);
  const auto done = file->append(Data(25, 2));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(fs_.contents("/d/a").size(), 110U);
  EXPECT_TRUE(file->write_at(0, Data(110, 3))) << "overwriting needs no room";
  EXPECT_FALSE(fs_.open("/d/b", OpenMode::kCreate));
  ASSERT_TRUE(file->truncate(100));
  EXPECT_TRUE(file->append(Data(10, 2)));
  EXPECT_FALSE(file->reserve(200));
  fs_.set_free_bytes(std::nullopt);
  EXPECT_TRUE(file->append(Data(1000, 2)));
}

TEST_F(FaultFsTest, ReadOnlyDisk) {
  auto file = create_safe("/d/a", {1});
  fs_.set_read_only(true);
  EXPECT_EQ(file->append(Data{1}).error().code(), ErrorCode::kPermissionDenied);
  EXPECT_FALSE(fs_.remove("/d/a"));
  EXPECT_FALSE(fs_.open("/d/a", OpenMode::kWrite));
  EXPECT_TRUE(fs_.open("/d/a", OpenMode::kRead));
  EXPECT_TRUE(fs_.make_dir("/d"));
}

TEST_F(FaultFsTest, FailedSyncCannotBeMadeGood) {
  auto file = create_safe("/d/a", {1});
  ASSERT_TRUE(file->append(Data{2}));
  fs_.fail_sync_at(1);
  EXPECT_EQ(file->sync().error().code(), ErrorCode::kInternal);
  EXPECT_TRUE(file->sync());
  EXPECT_EQ(fs_.contents("/d/a"), (Data{1, 2}));
  fs_.restart(Loss::kAll, 1);
  EXPECT_EQ(fs_.contents("/d/a"), Data{1});
}

TEST_F(FaultFsTest, MappingKeepsItsBytesAndLinksShareThem) {
  auto file = create_safe("/d/a", {1, 2});
  const auto view = file->map().value();
  ASSERT_TRUE(fs_.link("/d/a", "/d/b"));
  ASSERT_TRUE(file->write_at(0, Data{9}));
  ASSERT_TRUE(fs_.remove("/d/a"));
  EXPECT_EQ(fs_.contents("/d/b"), (Data{9, 2}));
  EXPECT_EQ(view->bytes()[0], 1);
  fs_.flip_bit("/d/b", 1, 0);
  EXPECT_EQ(fs_.contents("/d/b"), (Data{9, 3}));
  fs_.fail_reads_of("/b");
  EXPECT_FALSE(fs_.open("/d/b", OpenMode::kRead));
}

TEST_F(FaultFsTest, LocksAndDirectories) {
  {
    auto held = fs_.lock("/d/LOCK");
    ASSERT_TRUE(held);
    EXPECT_EQ(fs_.lock("/d/LOCK").error().code(), ErrorCode::kUnavailable);
  }
  EXPECT_TRUE(fs_.lock("/d/LOCK"));
  EXPECT_FALSE(fs_.remove_dir("/d"));
  ASSERT_TRUE(fs_.make_dir("/d/e/f"));
  EXPECT_EQ(fs_.list("/d").value(), (std::vector<std::string>{"LOCK", "e"}));
  ASSERT_TRUE(fs_.remove_dir("/d/e/f"));
  EXPECT_FALSE(fs_.open("/none/a", OpenMode::kCreate));
}

TEST_F(FaultFsTest, HookSeesEveryOperation) {
  std::vector<std::string> names;
  fs_.on_operation([&](std::uint64_t, std::string_view name, const std::string& path) {
    names.push_back(std::string(name) + " " + path);
  });
  create_safe("/d/a", {1});
  EXPECT_EQ(names,
            (std::vector<std::string>{"create /d/a", "write /d/a", "sync /d/a", "sync_dir /d"}));
}

}  // namespace
}  // namespace sluice::test
