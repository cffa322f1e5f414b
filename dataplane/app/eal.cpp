#include "dataplane/app/eal.hpp"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "config/process/log.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::size_t kMaxLineBytes = 1000;
// DPDK gives a message's level as an int, and names the levels unsigned.
constexpr int kError = RTE_LOG_ERR;
constexpr int kInfo = RTE_LOG_INFO;

int rte_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::kTrace:
    case config::LogLevel::kDebug:
      return RTE_LOG_DEBUG;
    case config::LogLevel::kInfo:
      return RTE_LOG_NOTICE;  // its own "info" is a hundred lines a start
    case config::LogLevel::kWarn:
      return RTE_LOG_WARNING;
    case config::LogLevel::kError:
      return RTE_LOG_ERR;
  }
  return RTE_LOG_NOTICE;
}

spdlog::level::level_enum our_level(int level) {
  if (level < 0) return spdlog::level::info;  // printed by DPDK outside of its log calls
  if (level <= kError) return spdlog::level::err;
  if (level == RTE_LOG_WARNING) return spdlog::level::warn;
  if (level <= kInfo) return spdlog::level::info;
  return spdlog::level::debug;
}

// What drivers of 22.11 call errors and are none here: net_tap asks for a queueing discipline that
// it needs for flow rules only, and takes down interrupts before it has set them up; net_tap and
// net_memif look for secondary processes, which we do not have; queues without interrupts are
// polled.
constexpr std::array<std::string_view, 8> kHarmless = {
    "tap_nl_dump_ext_ack()",      "qdisc_create_multiq()",       "failed to create multiq qdisc",
    "Disabling rte flow support", "tap_mp_req_on_rxtx()",        "Rx Intr vector unset",
    "Rx Intr handle unset",       "Failed to register mp action"};

bool is_harmless(std::string_view line) {
  return std::ranges::any_of(kHarmless, [&](auto part) { return line.contains(part); });
}

}  // namespace

// A FILE* for rte_openlog_stream that makes each line one of ours. Any thread writes to it.
struct Eal::LogBridge {
  FILE* stream = nullptr;
  std::mutex mutex;
  std::string pending;     // a line that has no end yet
  std::string last_error;  // for the error of start()

  LogBridge() {
    const cookie_io_functions_t functions = {
        .read = nullptr, .write = &LogBridge::write, .seek = nullptr, .close = nullptr};
    stream = ::fopencookie(this, "w", functions);
    if (stream != nullptr) ::setvbuf(stream, nullptr, _IOLBF, 0);
  }
  ~LogBridge() {
    if (stream != nullptr) ::fclose(stream);
  }

  static ssize_t write(void* cookie, const char* data, std::size_t size) {
    static_cast<LogBridge*>(cookie)->take({data, size});
    return static_cast<ssize_t>(size);
  }

  void take(std::string_view text) {
    const std::lock_guard lock(mutex);
    for (const char c : text) {
      if (c != '\n' && pending.size() < kMaxLineBytes) {
        pending += c;
        continue;
      }
      if (!pending.empty()) line();
      pending.clear();
    }
  }

  void line() {
    if (is_harmless(pending)) {
      spdlog::debug("event=dpdk message={}", quoted_value(pending));
      return;
    }
    const int level = ::rte_log_cur_msg_loglevel();
    if (level > 0 && level <= kError) last_error = pending;
    spdlog::log(our_level(level), "event=dpdk message={}", quoted_value(pending));
  }
};

Eal::Eal(std::string file_prefix)
    : file_prefix_(std::move(file_prefix)), bridge_(std::make_unique<LogBridge>()) {}

Result<std::unique_ptr<Eal>> Eal::start(std::vector<std::string> arguments,
                                        const std::string& file_prefix, config::LogLevel level) {
  std::unique_ptr<Eal> eal(new Eal(file_prefix));
  if (eal->bridge_->stream == nullptr)
    return fail(ErrorCode::kExhausted, "no memory for the log of DPDK");
  ::rte_openlog_stream(eal->bridge_->stream);
  ::rte_log_set_global_level(static_cast<std::uint32_t>(rte_level(level)));

  eal->arguments_ = std::move(arguments);
  std::vector<char*> argv;
  std::string line;
  for (auto& argument : eal->arguments_) {
    argv.push_back(argument.data());
    line += (line.empty() ? "" : " ") + argument;
  }
  spdlog::debug("event=dpdk_start arguments={}", quoted_value(line));
  const int count = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  if (::rte_eal_init(count, argv.data()) < 0) {
    const std::string why =
        eal->bridge_->last_error.empty() ? ::rte_strerror(rte_errno) : eal->bridge_->last_error;
    return fail(ErrorCode::kUnavailable,
                fmt::format("DPDK did not start: {} (arguments: {})", why, line),
                ErrorOrigin::kDataplane);
  }
  return eal;
}

Eal::~Eal() {
  ::rte_eal_cleanup();
  ::rte_openlog_stream(nullptr);
  // It makes a folder for each prefix even when nothing is shared, and leaves it.
  std::error_code ignored;
  const auto folder = std::filesystem::path("/var/run/dpdk") / file_prefix_;
  std::filesystem::remove_all(folder, ignored);
  std::filesystem::remove(folder.parent_path(), ignored);  // only when it is empty
}

}  // namespace sluice::dataplane
