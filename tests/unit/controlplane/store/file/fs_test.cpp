// PosixFs on a real directory: what the store relies on, and the texts of its errors.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "controlplane/store/file/file_copy.hpp"
#include "controlplane/store/file/fs.hpp"

namespace sluice::controlplane::store {
namespace {

using Bytes = std::vector<std::uint8_t>;

class PosixFsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/store-fs-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string at(const std::string& name) const { return dir_ + "/" + name; }

  void make(const std::string& name, const Bytes& bytes) {
    auto file = fs_->open(at(name), OpenMode::kCreate);
    ASSERT_TRUE(file) << file.error().message();
    ASSERT_TRUE((*file)->append(bytes));
  }

  std::string dir_;
  std::unique_ptr<Fs> fs_ = make_posix_fs();
};

TEST_F(PosixFsTest, WritesReadsTruncates) {
  auto file = fs_->open(at("a"), OpenMode::kCreate);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->append(Bytes{1, 2, 3, 4}));
  ASSERT_TRUE((*file)->append(Bytes{5}));
  ASSERT_TRUE((*file)->write_at(1, Bytes{9, 8}));
  ASSERT_TRUE((*file)->sync());
  Bytes got(10);
  EXPECT_EQ((*file)->read_at(0, got).value(), 5U);
  got.resize(5);
  EXPECT_EQ(got, (Bytes{1, 9, 8, 4, 5}));
  ASSERT_TRUE((*file)->truncate(2));
  EXPECT_EQ((*file)->size().value(), 2U);
  ASSERT_TRUE((*file)->reserve(4096));
  EXPECT_EQ((*file)->size().value(), 4096U);
  struct stat status{};
  ASSERT_EQ(::stat(at("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(PosixFsTest, OpenModesAndTheirErrors) {
  const auto missing = fs_->open(at("none"), OpenMode::kRead);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message(), "opening " + at("none") + ": No such file or directory");
  EXPECT_EQ(missing.error().origin(), ErrorOrigin::kStore);
  make("a", {1});
  const auto again = fs_->open(at("a"), OpenMode::kCreate);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::kAlreadyExists);
  ASSERT_EQ(::symlink(at("a").c_str(), at("link").c_str()), 0);
  EXPECT_FALSE(fs_->open(at("link"), OpenMode::kRead)) << "a symbolic link is not followed";
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  const auto pipe = fs_->open(at("pipe"), OpenMode::kRead);
  ASSERT_FALSE(pipe);
  EXPECT_EQ(pipe.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(PosixFsTest, WriteToReadOnlyFileIsAnError) {
  make("a", {1});
  auto file = fs_->open(at("a"), OpenMode::kRead);
  ASSERT_TRUE(file);
  EXPECT_FALSE((*file)->append(Bytes{2}));
  EXPECT_FALSE((*file)->truncate(0));
}

TEST_F(PosixFsTest, DevicesAreNotFilesOfTheStore) {
  const auto device = fs_->open("/dev/null", OpenMode::kWrite);
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(PosixFsTest, MappingOutlivesTheFile) {
  make("a", Bytes(10'000, 7));
  std::shared_ptr<const Mapping> view;
  {
    auto file = fs_->open(at("a"), OpenMode::kRead);
    ASSERT_TRUE(file);
    view = (*file)->map().value();
  }
  ASSERT_TRUE(fs_->remove(at("a")));
  view->advise(Advice::kWillNeed, 5000, 1'000'000);
  view->advise(Advice::kRandom, 20'000, 1);
  ASSERT_EQ(view->bytes().size(), 10'000U);
  EXPECT_EQ(view->bytes()[9'999], 7);
  make("empty", {});
  auto empty = fs_->open(at("empty"), OpenMode::kRead);
  EXPECT_EQ((*empty)->map().value()->bytes().size(), 0U);
}

TEST_F(PosixFsTest, Names) {
  ASSERT_TRUE(fs_->make_dir(at("x/y/z")));
  ASSERT_TRUE(fs_->make_dir(at("x/y/z")));
  make("b", {1});
  make("a", {2});
  ASSERT_TRUE(fs_->link(at("a"), at("c")));
  EXPECT_EQ(fs_->link(at("a"), at("c")).error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(fs_->list(dir_).value(), (std::vector<std::string>{"a", "b", "c", "x"}));
  ASSERT_TRUE(fs_->rename(at("b"), at("a")));
  EXPECT_EQ(read_file(*fs_, at("a"), 10).value(), Bytes{1});
  EXPECT_EQ(read_file(*fs_, at("c"), 10).value(), Bytes{2});
  EXPECT_TRUE(fs_->exists(at("a")).value());
  EXPECT_FALSE(fs_->exists(at("b")).value());
  EXPECT_EQ(fs_->file_size(at("a")).value(), 1U);
  EXPECT_EQ(fs_->remove(at("b")).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(fs_->remove_dir(at("x")).error().code(), ErrorCode::kAlreadyExists);
  ASSERT_TRUE(fs_->remove_dir(at("x/y/z")));
  ASSERT_TRUE(fs_->sync_dir(dir_));
  EXPECT_FALSE(fs_->make_dir(at("a"))) << "a file has the name";
  EXPECT_GT(fs_->space(dir_).value().total_bytes, 0U);
}

TEST_F(PosixFsTest, LockNamesItsHolder) {
  auto first = fs_->lock(at("lock"));
  ASSERT_TRUE(first);
  const auto second = fs_->lock(at("lock"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(second.error().message(), "locking " + at("lock") + ": process " +
                                          std::to_string(::getpid()) + " has this store open");
  first->reset();
  EXPECT_TRUE(fs_->lock(at("lock")));
}

// Who finds the disk read-only may have only the directory.
TEST_F(PosixFsTest, LockHasTheDirectoryToo) {
  auto first = fs_->lock(at("lock"));
  ASSERT_TRUE(first);
  std::filesystem::remove(at("lock"));
  EXPECT_EQ(fs_->lock(at("lock")).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(fs_->lock(at("other")).error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(fs_->exists(at("other")).value());
  first->reset();
  EXPECT_TRUE(fs_->lock(at("other")));
}

TEST_F(PosixFsTest, ManyReadADirectoryThatNobodyHasOpen) {
  auto first = fs_->lock_for_reading(dir_);
  auto second = fs_->lock_for_reading(dir_);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(fs_->lock(at("lock")).error().code(), ErrorCode::kUnavailable);
  EXPECT_TRUE(fs_->list(dir_).value().empty()) << "nothing is made";
  first->reset();
  second->reset();
  auto owner = fs_->lock(at("lock"));
  ASSERT_TRUE(owner);
  std::filesystem::remove(at("lock"));  // as of one who opened it on a read-only disk
  EXPECT_EQ(fs_->lock_for_reading(dir_).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(lock_if_there(*fs_, dir_).error().code(), ErrorCode::kUnavailable);
  owner->reset();
  EXPECT_TRUE(lock_if_there(*fs_, dir_).value());
  EXPECT_FALSE(lock_if_there(*fs_, at("missing")).value());
}

// On a read-only disk the holder cannot write its number over the one of its predecessor.
TEST_F(PosixFsTest, LockNamesNobodyWhoIsGone) {
  auto first = fs_->lock(at("lock"));
  ASSERT_TRUE(first);
  std::ofstream(at("lock")) << "2147483647\n";
  const auto second = fs_->lock(at("lock"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message(),
            "locking " + at("lock") + ": another process has this store open");
}

TEST_F(PosixFsTest, ReplaceFileLeavesNoTemporary) {
  make("m.new", Bytes(100, 3));
  ASSERT_TRUE(replace_file(*fs_, at("m"), Bytes{1, 2}));
  ASSERT_TRUE(replace_file(*fs_, at("m"), Bytes{3}));
  EXPECT_EQ(fs_->list(dir_).value(), std::vector<std::string>{"m"});
  EXPECT_EQ(read_file(*fs_, at("m"), 1).value(), Bytes{3});
  make("big", Bytes(11, 0));
  EXPECT_EQ(read_file(*fs_, at("big"), 10).error().code(), ErrorCode::kCorrupt);
}

TEST(ParentDir, Forms) {
  EXPECT_EQ(parent_dir("a/b"), "a");
  EXPECT_EQ(parent_dir("/b"), "/");
  EXPECT_EQ(parent_dir("b"), ".");
  EXPECT_EQ(parent_dir("/a/b/"), "/a");
  EXPECT_EQ(parent_dir("/"), "/");
}

}  // namespace
}  // namespace sluice::controlplane::store
