// A directory that is moved away or replaced under an index: it is noticed, loses nothing, and is
// over by itself.
#include <fstream>
#include <optional>
#include <vector>

#include "tests/unit/controlplane/store/real_directory.hpp"

namespace sluice::controlplane::store {
namespace {

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

}  // namespace
}  // namespace sluice::controlplane::store
