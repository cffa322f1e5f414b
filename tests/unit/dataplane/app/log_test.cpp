#include "dataplane/app/log.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

namespace sluice::dataplane {
namespace {

class Log : public testing::Test {
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

TEST_F(Log, LinesAreKeysAndValuesAndRespectTheLevel) {
  config::Log settings;
  settings.file = folder_ + "/log";
  settings.level = config::LogLevel::kWarn;
  ASSERT_TRUE(open_log(settings));
  spdlog::info("event=quiet");
  spdlog::warn("event=loud a={}", 1);
  const auto written = text("log");
  EXPECT_EQ(written.find("quiet"), std::string::npos);
  EXPECT_NE(written.find("level=warning process=dataplane event=loud a=1\n"), std::string::npos)
      << written;
  EXPECT_TRUE(written.starts_with("time="));
}

TEST_F(Log, LinesLostToAFullDiskAreCountedAndTold) {
  config::Log settings;
  settings.file = folder_ + "/log";
  ASSERT_TRUE(open_log(settings));
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

TEST_F(Log, AfterALineTornByAFullDiskANewOneBegins) {
  config::Log settings;
  settings.file = folder_ + "/log";
  ASSERT_TRUE(open_log(settings));
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

TEST_F(Log, AFileThatCannotBeOpenedIsNamed) {
  config::Log settings;
  settings.file = folder_ + "/missing/log";
  const auto ok = open_log(settings);
  ASSERT_FALSE(ok);
  EXPECT_NE(ok.error().message().find("/missing/log"), std::string::npos);
}

TEST(QuotedValue, OnlyWhereItIsNeeded) {
  EXPECT_EQ(quoted_value("plain"), "plain");
  EXPECT_EQ(quoted_value("two words"), "\"two words\"");
  EXPECT_EQ(quoted_value("a\"b\nc"), "\"a\\\"b c\"");
  EXPECT_EQ(quoted_value(""), "\"\"");
}

}  // namespace
}  // namespace sluice::dataplane
