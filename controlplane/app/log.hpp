// Where log lines go: standard error, or a file. One line per event, key=value. Any thread may log
// through spdlog; a full disk or a broken pipe loses lines, which are counted and told once writing
// works again, and never stops or delays anything else.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane {

class Log {
 public:
  // Becomes the process's logger. Main thread, once, before other threads.
  static Result<std::unique_ptr<Log>> open(const config::Log& log);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void set_level(config::LogLevel level);
  // After the file was moved away by a rotation. The old one stays open when that fails.
  Status reopen();
  std::uint64_t lost() const;  // lines, ever

 private:
  class Sink;
  explicit Log(std::shared_ptr<Sink> sink);
  std::shared_ptr<Sink> sink_;
};

// A line that others had a part in (names, reasons): without control characters, so that nobody can
// make up lines of their own.
std::string harmless(std::string_view text);
// A value between quotes when it needs them.
std::string quoted_value(std::string_view text);

}  // namespace sluice::controlplane
