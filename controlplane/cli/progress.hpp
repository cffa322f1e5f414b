// One line on the terminal that is written over again and again while something takes long, on
// standard error, so that the result can be piped. Nothing without a terminal or with --json. One
// thread; lives as long as the work.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/cli/context.hpp"

namespace sluice::cli {

class ProgressLine {
 public:
  // `unit`: what is counted, like "entries"; none: bytes.
  ProgressLine(const Context& context, std::string_view doing, std::string_view unit = {})
      : err_(context.environment.err),
        on_(context.environment.terminal && !context.json),
        doing_(doing),
        unit_(unit) {}
  ~ProgressLine() { end(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(std::uint64_t done, std::uint64_t total) {
    // Changes meanwhile can make it more than all.
    if (done > total) done = total;
    say(fmt::format(
        "{} of {}, {:.0f} %", text(done), text(total),
        total == 0 ? 0 : 100.0 * static_cast<double>(done) / static_cast<double>(total)));
  }
  void say(std::string_view how_far) {
    if (!on_) return;
    err_(fmt::format("\r{}: {}\x1b[K", doing_, how_far));
    shown_ = true;
  }
  void end() {
    if (shown_) err_("\r\x1b[K");
    shown_ = false;
  }

 private:
  std::string text(std::uint64_t amount) const {
    return unit_.empty() ? bytes_text(amount) : with_commas(amount) + " " + unit_;
  }

  const std::function<void(std::string_view)>& err_;
  bool on_;
  std::string doing_;
  std::string unit_;
  bool shown_ = false;
};

}  // namespace sluice::cli
