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

namespace sluice {

class ProcessLog {
 public:
  // Becomes the logger of the process, which every line names. Main thread, once, before other
  // threads. Logging goes on after the object has gone.
  static Result<std::unique_ptr<ProcessLog>> open(const config::Log& log, std::string_view process);
  ~ProcessLog();
  ProcessLog(const ProcessLog&) = delete;
  ProcessLog& operator=(const ProcessLog&) = delete;

  void set_level(config::LogLevel level);
  // After the file was moved away by a rotation. The old one stays open when that fails.
  Status reopen();
  std::uint64_t lost() const;  // lines, ever

 private:
  class Sink;
  explicit ProcessLog(std::shared_ptr<Sink> sink);
  std::shared_ptr<Sink> sink_;
};

// A line that others had a part in (names, reasons): without control characters, so that nobody can
// make up lines of their own.
std::string harmless(std::string_view text);
// A value between quotes when it needs them.
std::string quoted_value(std::string_view text);

}  // namespace sluice
