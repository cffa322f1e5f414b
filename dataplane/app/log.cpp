#include "dataplane/app/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>

namespace sluice::dataplane {
namespace {

constexpr std::string_view kPattern = "time=%Y-%m-%dT%H:%M:%S.%e%z level=%l process=dataplane %v";

// spdlog's own file sinks throw when the disk is full; this one counts. One write(2) per line,
// appended, so that lines of several processes do not mix and a log can be rotated by copying.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  DescriptorSink(int fd, bool owned) : fd_(fd), owned_(owned) {}
  ~DescriptorSink() override {
    if (owned_) ::close(fd_);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (lost_ > 0) {
      const auto note =
          fmt::format("{}level=warn process=dataplane event=log_lines_lost lines={}\n",
                      torn_ ? "\n" : "", lost_);
      if (!write_whole(note)) {
        ++lost_;
        return;
      }
      lost_ = 0;
    }
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (!write_whole({line.data(), line.size()})) ++lost_;
  }
  void flush_() override {}

 private:
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

  int fd_;
  bool owned_;
  std::uint64_t lost_ = 0;
  bool torn_ = false;  // the last line ends in its middle, where the disk was full
};

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

Status open_log(const config::Log& log) {
  int fd = STDERR_FILENO;
  if (!log.file.empty()) {
    fd = ::open(log.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) {
      return fail(ErrorCode::kPermissionDenied,
                  fmt::format("log file {}: {}", log.file, std::strerror(errno)),
                  ErrorOrigin::kConfig);
    }
  }
  auto logger = std::make_shared<spdlog::logger>(
      "dataplane", std::make_shared<DescriptorSink>(fd, !log.file.empty()));
  logger->set_level(level_of(log.level));
  logger->set_pattern(std::string(kPattern));
  logger->set_error_handler([](const std::string&) {});  // a broken format must not end in stderr
  spdlog::set_default_logger(std::move(logger));
  return {};
}

std::string quoted_value(std::string_view text) {
  if (!text.empty() && text.find_first_of(" \"=\t\n") == std::string_view::npos)
    return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + '"';
}

}  // namespace sluice::dataplane
