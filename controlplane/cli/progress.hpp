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
  ProgressLine(const Context& context, std::string_view doing)
      : err_(context.environment.err),
        on_(context.environment.terminal && !context.json),
        doing_(doing) {}
  ~ProgressLine() { end(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(std::uint64_t done, std::uint64_t total) {
    if (!on_) return;
    // Changes meanwhile can make it more than all.
    if (done > total) done = total;
    err_(fmt::format(
        "\r{}: {} of {}, {:.0f} %\x1b[K", doing_, bytes_text(done), bytes_text(total),
        total == 0 ? 0 : 100.0 * static_cast<double>(done) / static_cast<double>(total)));
    shown_ = true;
  }
  void end() {
    if (shown_) err_("\r\x1b[K");
    shown_ = false;
  }

 private:
  const std::function<void(std::string_view)>& err_;
  bool on_;
  std::string doing_;
  bool shown_ = false;
};

}  // namespace sluice::cli
