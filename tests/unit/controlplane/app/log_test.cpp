#include "controlplane/app/log.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::controlplane {
namespace {

std::string read(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    std::string pattern = ::testing::TempDir() + "log-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~LogTest() override {
    spdlog::set_default_logger(spdlog::default_logger()->clone("done"));
    std::filesystem::remove_all(folder_);
  }
  config::Log options(const std::string& file) const {
    config::Log log;
    log.file = file;
    return log;
  }
  std::string folder_;
};

TEST_F(LogTest, WritesOneLineForEachEventFromItsLevelOn) {
  const std::string file = folder_ + "/log";
  auto log = Log::open(options(file));
  ASSERT_TRUE(log);
  spdlog::info("event=one");
  spdlog::debug("event=hidden");
  (*log)->set_level(config::LogLevel::kDebug);
  spdlog::debug("event=shown");
  const std::string text = read(file);
  EXPECT_NE(text.find("level=info process=controlplane event=one\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_NE(text.find("event=shown\n"), std::string::npos);
}

TEST_F(LogTest, FullDiskIsSurvivedAndCounted) {
  auto log = Log::open(options("/dev/full"));
  ASSERT_TRUE(log);
  for (int i = 0; i < 5; ++i)
    spdlog::info("event=lost");
  EXPECT_EQ((*log)->lost(), 5u);
}

TEST_F(LogTest, ReopensAfterARotation) {
  const std::string file = folder_ + "/log";
  auto log = Log::open(options(file));
  ASSERT_TRUE(log);
  spdlog::info("event=before");
  std::filesystem::rename(file, file + ".1");
  spdlog::info("event=between");
  ASSERT_TRUE((*log)->reopen());
  spdlog::info("event=after");
  EXPECT_NE(read(file + ".1").find("event=between"), std::string::npos);
  EXPECT_EQ(read(file).find("event=between"), std::string::npos);
  EXPECT_NE(read(file).find("event=after"), std::string::npos);
}

TEST_F(LogTest, FileThatCannotBeOpenedIsAnError) {
  const auto log = Log::open(options(folder_ + "/no/such/folder/log"));
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message().find("/no/such/folder/log"), std::string::npos);
}

TEST(LogValues, CannotMakeUpLinesOrFields) {
  EXPECT_EQ(quoted_value("plain"), "plain");
  EXPECT_EQ(quoted_value("two words"), "\"two words\"");
  EXPECT_EQ(quoted_value("say \"x\""), "\"say \\\"x\\\"\"");
  EXPECT_EQ(quoted_value(""), "\"\"");
  EXPECT_EQ(harmless("a\nb\x1b[31m"), "a; b?[31m");
}

}  // namespace
}  // namespace sluice::controlplane
