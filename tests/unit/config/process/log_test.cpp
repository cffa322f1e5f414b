#include "config/process/log.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace sluice {
namespace {

class ProcessLogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "sluice-log-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override {
    spdlog::shutdown();
    std::filesystem::remove_all(folder_);
  }
  std::string text(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(folder_ + "/" + name).rdbuf();
    return out.str();
  }
  // A full disk, as far as this process sees it: files cannot grow beyond. Returns the old limit.
  static rlim_t limit_files(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
    const auto before = std::exchange(limit.rlim_cur, bytes);
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    return before;
  }

  std::string folder_;
};

TEST_F(ProcessLogTest, LinesAreKeysAndValuesAndRespectTheLevel) {
  config::Log settings;
  settings.file = folder_ + "/log";
  settings.level = config::LogLevel::kWarn;
  ASSERT_TRUE(ProcessLog::open(settings, "dataplane"));
  spdlog::info("event=quiet");
  spdlog::warn("event=loud a={}", 1);
  const auto written = text("log");
  EXPECT_EQ(written.find("quiet"), std::string::npos);
  EXPECT_NE(written.find("level=warning process=dataplane event=loud a=1\n"), std::string::npos)
      << written;
  EXPECT_TRUE(written.starts_with("time="));
}

TEST_F(ProcessLogTest, LinesLostToAFullDiskAreCountedAndTold) {
  config::Log settings;
  settings.file = folder_ + "/log";
  ASSERT_TRUE(ProcessLog::open(settings, "dataplane"));
  spdlog::error("event=before");
  {
    const auto full = limit_files(std::filesystem::file_size(settings.file));
    for (int i = 0; i < 3; ++i)
      spdlog::error("event=lost");
    limit_files(full);
  }
  spdlog::error("event=after");
  const auto written = text("log");
  EXPECT_EQ(written.find("event=lost\n"), std::string::npos);
  EXPECT_NE(written.find("event=log_lines_lost lines=3\n"), std::string::npos) << written;
  EXPECT_TRUE(written.ends_with("event=after\n"));
}

TEST_F(ProcessLogTest, AfterALineTornByAFullDiskANewOneBegins) {
  config::Log settings;
  settings.file = folder_ + "/log";
  ASSERT_TRUE(ProcessLog::open(settings, "dataplane"));
  spdlog::error("event=before");
  const auto full = limit_files(std::filesystem::file_size(settings.file) + 10);
  spdlog::error("event=torn");
  limit_files(full);
  spdlog::error("event=after");
  const auto written = text("log");
  EXPECT_EQ(written.find("event=torn"), std::string::npos);
  EXPECT_NE(written.find("\nlevel=warn process=dataplane event=log_lines_lost lines=1\n"),
            std::string::npos)
      << written;
}

TEST_F(ProcessLogTest, AFileThatCannotBeOpenedIsNamed) {
  config::Log settings;
  settings.file = folder_ + "/missing/log";
  const auto ok = ProcessLog::open(settings, "dataplane");
  ASSERT_FALSE(ok);
  EXPECT_NE(ok.error().message().find("/missing/log"), std::string::npos);
}

TEST_F(ProcessLogTest, TheLevelCanChangeAndLossesAreCounted) {
  config::Log settings;
  settings.file = "/dev/full";
  const auto log = ProcessLog::open(settings, "controlplane");
  ASSERT_TRUE(log);
  spdlog::debug("event=hidden");
  EXPECT_EQ((*log)->lost(), 0u);
  (*log)->set_level(config::LogLevel::kDebug);
  for (int i = 0; i < 5; ++i)
    spdlog::debug("event=lost");
  EXPECT_EQ((*log)->lost(), 5u);
}

TEST_F(ProcessLogTest, ReopensAfterARotation) {
  config::Log settings;
  settings.file = folder_ + "/log";
  const auto log = ProcessLog::open(settings, "controlplane");
  ASSERT_TRUE(log);
  spdlog::info("event=before");
  std::filesystem::rename(settings.file, settings.file + ".1");
  spdlog::info("event=between");
  ASSERT_TRUE((*log)->reopen());
  spdlog::info("event=after");
  EXPECT_NE(text("log.1").find("event=between"), std::string::npos);
  EXPECT_EQ(text("log").find("event=between"), std::string::npos);
  EXPECT_NE(text("log").find("process=controlplane event=after"), std::string::npos);
}

TEST(LogValues, AreQuotedOnlyWhereItIsNeeded) {
  EXPECT_EQ(quoted_value("plain"), "plain");
  EXPECT_EQ(quoted_value("two words"), "\"two words\"");
  EXPECT_EQ(quoted_value("say \"x\""), "\"say \\\"x\\\"\"");
  EXPECT_EQ(quoted_value(""), "\"\"");
}

TEST(LogValues, CannotMakeUpLinesOrFields) {
  EXPECT_EQ(harmless("a\nb\x1b[31m"), "a; b?[31m");
  EXPECT_EQ(quoted_value("a\"b\nc"), "\"a\\\"b; c\"");
}

}  // namespace
}  // namespace sluice
