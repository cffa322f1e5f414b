#include "config/process/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

namespace sluice {

namespace {

Result<int> open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd >= 0) return fd;
  return fail(ErrorCode::kPermissionDenied,
              fmt::format("log file {}: {}", path, std::strerror(errno)), ErrorOrigin::kConfig);
}

spdlog::level::level_enum level_of(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::kTrace:
      return spdlog::level::trace;
    case config::LogLevel::kDebug:
      return spdlog::level::debug;
    case config::LogLevel::kInfo:
      return spdlog::level::info;
    case config::LogLevel::kWarn:
      return spdlog::level::warn;
    case config::LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

// spdlog's own file sinks throw when the disk is full; this one counts. One write(2) per line,
// appended, so that lines of several processes do not mix.
class ProcessLog::Sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  Sink(std::string_view process, std::string path, int fd)
      : process_(process), path_(std::move(path)), fd_(fd) {}
  ~Sink() override {
    if (!path_.empty()) ::close(fd_);
  }

  Status reopen() {
    if (path_.empty()) return {};
    const auto fd = open_file(path_);
    if (!fd) return std::unexpected(fd.error());
    const std::lock_guard lock(mutex_);
    ::close(std::exchange(fd_, *fd));
    return {};
  }
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (untold_ > 0) {
      const auto note = fmt::format("{}level=warn process={} event=log_lines_lost lines={}\n",
                                    torn_ ? "\n" : "", process_, untold_);
      if (!write_whole(note)) return lose();
      untold_ = 0;
    }
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (!write_whole({line.data(), line.size()})) lose();
  }
  void flush_() override {}

 private:
  void lose() {
    ++untold_;
    lost_.fetch_add(1, std::memory_order_relaxed);
  }
  bool write_whole(std::string_view text) noexcept {
    while (!text.empty()) {
      const auto written = ::write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
      torn_ = !text.empty();
    }
    return true;
  }

  const std::string process_;
  const std::string path_;  // empty: standard error
  int fd_;
  std::uint64_t untold_ = 0;
  bool torn_ = false;  // the last line ends in its middle, where the disk was full
  std::atomic<std::uint64_t> lost_{0};
};

ProcessLog::ProcessLog(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}
ProcessLog::~ProcessLog() = default;

Result<std::unique_ptr<ProcessLog>> ProcessLog::open(const config::Log& log,
                                                     std::string_view process) {
  int fd = STDERR_FILENO;
  if (!log.file.empty()) {
    const auto file = open_file(log.file);
    if (!file) return std::unexpected(file.error());
    fd = *file;
  }
  auto sink = std::make_shared<Sink>(process, log.file, fd);
  auto logger = std::make_shared<spdlog::logger>(std::string(process), sink);
  logger->set_level(level_of(log.level));
  logger->set_pattern(fmt::format("time=%Y-%m-%dT%H:%M:%S.%e%z level=%l process={} %v", process));
  logger->set_error_handler([](const std::string&) {});  // a broken format must not end in stderr
  spdlog::set_default_logger(std::move(logger));
  return std::unique_ptr<ProcessLog>(new ProcessLog(std::move(sink)));
}

void ProcessLog::set_level(config::LogLevel level) {
  spdlog::default_logger()->set_level(level_of(level));
}
Status ProcessLog::reopen() {
  return sink_->reopen();
}
std::uint64_t ProcessLog::lost() const {
  return sink_->lost();
}

std::string harmless(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "; ";  // of several mistakes, one on each line
    } else {
      out += static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c;
    }
  }
  return out;
}

std::string quoted_value(std::string_view text) {
  if (!text.empty() && text.find_first_of(" \"=\t\n") == std::string_view::npos)
    return harmless(text);
  std::string out = "\"";
  for (const char c : harmless(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace sluice
