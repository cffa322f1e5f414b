// What a real directory can do to an index: a process without descriptors left, a directory that is
// moved away or replaced. Each has a reason of its own, loses nothing, and is over by itself.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/index.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::uint8_t kTable = 1;
constexpr unsigned kBatches = 36;  // of 1 MiB: a file of the log has 32

// So many can be opened more while it lives.
class FewDescriptors {
 public:
  explicit FewDescriptors(unsigned free) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest = ::open("/dev/null", O_RDONLY);
    ::close(lowest);
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(lowest) + free;
    ::setrlimit(RLIMIT_NOFILE, &few);
  }
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

class RealDirectory : public testing::TestWithParam<unsigned> {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/store-real-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override {
    index_.reset();
    std::filesystem::remove_all(directory_);
  }
  void open() {
    index_.reset();
    auto opened = Index::open(*fs_, {.directory = directory_ + "/store",
                                     .tables = {{kTable, Kind::kRecord, "records"}},
                                     .lanes = 1,
                                     .verify_after_open = false});
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
  }
  static std::string key(unsigned batch, unsigned record) {
    return fmt::format("{}-{}", batch, record);
  }
  static Bytes bytes_of(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
  Status write(unsigned number) {
    WriteBatch batch;
    const std::string value(std::size_t{32} << 10, 'v');
    for (unsigned record = 0; record < 32; ++record)
      batch.put(kTable, 1, bytes_of(key(number, record)), bytes_of(value));
    return index_->write(batch);
  }

  Status wait_for_health(bool good) {
    while (index_->health().has_value() != good)
      std::this_thread::yield();
    return index_->health();
  }

  std::string directory_;
  std::unique_ptr<Fs> fs_ = make_posix_fs();
  std::unique_ptr<Index> index_;
};

TEST_F(RealDirectory, UsedUpDescriptorsAreNotAFullDisk) {
  const FewDescriptors none(0);
  const auto file = fs_->open(directory_ + "/a", OpenMode::kCreate);
  ASSERT_FALSE(file);
  EXPECT_TRUE(is_out_of_descriptors(file.error()));
  EXPECT_TRUE(may_work_later(file.error()));
  EXPECT_EQ(file.error().message(),
            fmt::format("creating {}/a: Too many open files (this process is at its limit: raise "
                        "ulimit -n, or LimitNOFILE of its unit)",
                        directory_));
}

// A file more is needed when one is full, and its name must be made sure.
TEST_P(RealDirectory, ALogGoesOnWhenThereAreDescriptorsAgain) {
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<unsigned> written;
  unsigned refused = 0;
  {
    const FewDescriptors few(GetParam());
    for (unsigned batch = 0; batch < kBatches; ++batch) {
      const Status done = write(batch);
      if (done) written.push_back(batch);
      if (done) continue;
      ++refused;
      EXPECT_TRUE(is_out_of_descriptors(done.error())) << done.error().message();
    }
  }
  EXPECT_EQ(refused != 0, GetParam() == 0);
  ASSERT_TRUE(index_->health()) << index_->health().error().message();
  const Status done = write(kBatches);
  ASSERT_TRUE(done) << done.error().message();
  written.push_back(kBatches);
  ASSERT_NO_FATAL_FAILURE(open());
  for (const unsigned batch : written) {
    const auto there = index_->record(kTable, 1, bytes_of(key(batch, 31)));
    ASSERT_TRUE(there && *there) << batch;
  }
}

TEST_F(RealDirectory, AWriteIsRefusedWhileItIsAway) {
  ASSERT_NO_FATAL_FAILURE(open());
  ASSERT_TRUE(write(0));
  std::filesystem::rename(directory_ + "/store", directory_ + "/aside");
  const Status lost = wait_for_health(false);
  EXPECT_TRUE(lost.error().message().contains("was moved away or removed"))
      << lost.error().message();
  EXPECT_FALSE(write(1));
  EXPECT_TRUE(index_->record(kTable, 1, bytes_of(key(0, 0))).value()) << "reads go on";
  EXPECT_EQ(index_->maintenance().verify({}).error().message(), lost.error().message());
  EXPECT_FALSE(index_->maintenance().compact({}));
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/store"));
  std::filesystem::rename(directory_ + "/aside", directory_ + "/store");
  wait_for_health(true);
  EXPECT_TRUE(write(2));
  ASSERT_NO_FATAL_FAILURE(open());
  EXPECT_TRUE(index_->record(kTable, 1, bytes_of(key(0, 0))).value());
  EXPECT_TRUE(index_->record(kTable, 1, bytes_of(key(2, 0))).value());
}

// Of a store that somebody put there nothing is changed, also at the end.
TEST_F(RealDirectory, AnotherInItsPlaceIsLeftAlone) {
  ASSERT_NO_FATAL_FAILURE(open());
  ASSERT_TRUE(write(0));
  ASSERT_TRUE(index_->maintenance().backup(directory_ + "/other", {}));
  const std::string stray = directory_ + "/other/seg-00000000000000ff";
  std::ofstream(stray) << "of another store";
  const auto before = fs_->list(directory_ + "/other").value();
  std::filesystem::rename(directory_ + "/store", directory_ + "/aside");
  std::filesystem::rename(directory_ + "/other", directory_ + "/store");
  const Status lost = wait_for_health(false);
  EXPECT_TRUE(lost.error().message().contains("was replaced by another folder"))
      << lost.error().message();
  EXPECT_FALSE(write(1));
  EXPECT_FALSE(index_->maintenance().compact({}));
  EXPECT_FALSE(index_->maintenance().backup(directory_ + "/no", {}));
  index_.reset();
  EXPECT_EQ(fs_->list(directory_ + "/store").value(), before);
}

// Of the old store files go when nobody needs them any more; the new one has some of these names.
TEST_F(RealDirectory, FilesOfAnotherInItsPlaceStayWhenOursGo) {
  ASSERT_NO_FATAL_FAILURE(open());
  for (unsigned batch = 0; batch < 4; ++batch) {
    ASSERT_TRUE(write(batch));
    ASSERT_TRUE(index_->maintenance().compact({}));
  }
  ASSERT_TRUE(index_->maintenance().backup(directory_ + "/other", {}));
  std::optional<Snapshot> holds(index_->snapshot());
  ASSERT_TRUE(write(4));
  ASSERT_TRUE(index_->maintenance().compact({}));
  const auto before = fs_->list(directory_ + "/other").value();
  std::filesystem::rename(directory_ + "/store", directory_ + "/aside");
  std::filesystem::rename(directory_ + "/other", directory_ + "/store");
  wait_for_health(false);
  index_.reset();
  holds.reset();
  EXPECT_EQ(fs_->list(directory_ + "/store").value(), before);
  ASSERT_NO_FATAL_FAILURE(open());
  for (unsigned batch = 0; batch < 4; ++batch)
    EXPECT_TRUE(index_->record(kTable, 1, bytes_of(key(batch, 0))).value()) << batch;
}

// What is acknowledged before anybody notices lies in the directory that was moved, all of it.
TEST_F(RealDirectory, MovedUnderWritesItIsWholeWhenItIsBack) {
  ASSERT_NO_FATAL_FAILURE(open());
  std::vector<unsigned> written;
  const auto write_while = [&](auto&& going) {
    for (unsigned batch = 0; going(batch); ++batch) {
      const auto number = static_cast<unsigned>(written.size());
      if (write(number)) written.push_back(number);
    }
  };
  write_while([](unsigned batch) { return batch < kBatches; });
  std::filesystem::rename(directory_ + "/store", directory_ + "/aside");
  write_while([&](unsigned) { return index_->health().has_value(); });
  std::filesystem::rename(directory_ + "/aside", directory_ + "/store");
  wait_for_health(true);
  write_while([](unsigned batch) { return batch < kBatches; });
  ASSERT_NO_FATAL_FAILURE(open());
  for (const unsigned batch : written)
    EXPECT_TRUE(index_->record(kTable, 1, bytes_of(key(batch, 31))).value()) << batch;
}

INSTANTIATE_TEST_SUITE_P(Free, RealDirectory, testing::Values(0U, 1U, 2U));

}  // namespace
}  // namespace sluice::controlplane::store
