#include "controlplane/app/state_dir.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::controlplane {
namespace {

class StateDirTest : public ::testing::Test {
 protected:
  StateDirTest() {
    std::string pattern = ::testing::TempDir() + "state-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~StateDirTest() override { std::filesystem::remove_all(folder_); }
  std::string file() const { return folder_ + "/hash.key"; }
  void overwrite(const std::string& content) {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << content;
  }
  std::string folder_;
};

TEST_F(StateDirTest, KeyIsMadeOnceAndKept) {
  const auto first = load_or_make_hash_key(folder_);
  ASSERT_TRUE(first) << first.error().message();
  const auto second = load_or_make_hash_key(folder_);
  ASSERT_TRUE(second);
  EXPECT_EQ(*first, *second);
  EXPECT_NE(*first, RouterKey{});
  struct stat facts{};
  ASSERT_EQ(::stat(file().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(file() + ".new"));
}

TEST_F(StateDirTest, KeysOfTwoRoutersDiffer) {
  const auto first = load_or_make_hash_key(folder_);
  std::filesystem::remove(file());
  const auto second = load_or_make_hash_key(folder_);
  EXPECT_NE(*first, *second);
}

TEST_F(StateDirTest, DamagedKeyIsAnErrorThatNamesTheFileAndTheRemedy) {
  ASSERT_TRUE(load_or_make_hash_key(folder_));
  std::ifstream in(file(), std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, good.size() - 1}) {
    overwrite(good.substr(0, size));
    EXPECT_EQ(load_or_make_hash_key(folder_).error().code(), ErrorCode::kCorrupt) << size;
  }
  overwrite(good + "x");
  EXPECT_EQ(load_or_make_hash_key(folder_).error().code(), ErrorCode::kCorrupt);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    overwrite(bad);
    const auto result = load_or_make_hash_key(folder_);
    ASSERT_FALSE(result) << at;
    EXPECT_NE(result.error().message().find(file()), std::string::npos);
    EXPECT_NE(result.error().message().find("remove it"), std::string::npos);
  }
}

TEST_F(StateDirTest, UnreadableKeyIsNotOverwritten) {
  std::filesystem::create_directory(file());
  EXPECT_FALSE(load_or_make_hash_key(folder_));
  EXPECT_TRUE(std::filesystem::is_directory(file()));
}

TEST_F(StateDirTest, KeyThatOthersCouldReadIsClosedToThem) {
  const auto first = load_or_make_hash_key(folder_);
  ASSERT_EQ(::chmod(file().c_str(), 0644), 0);
  const auto second = load_or_make_hash_key(folder_);
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(*first, *second);
  struct stat facts{};
  ASSERT_EQ(::stat(file().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(StateDirTest, PipeInsteadOfAKeyDoesNotStopTheStart) {
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  EXPECT_EQ(load_or_make_hash_key(folder_).error().code(), ErrorCode::kCorrupt);
}

TEST_F(StateDirTest, SecondControlPlaneIsRefusedWithTheFirstOnesNumber) {
  auto first = LockFile::take(folder_ + "/deep/er", "lock");
  ASSERT_TRUE(first) << first.error().message();
  const auto second = LockFile::take(folder_ + "/deep/er", "lock");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_NE(second.error().message().find(std::to_string(::getpid())), std::string::npos);
  first->reset();
  EXPECT_TRUE(LockFile::take(folder_ + "/deep/er", "lock"));
}

}  // namespace
}  // namespace sluice::controlplane
