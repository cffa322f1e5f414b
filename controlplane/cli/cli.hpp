// The `sluice` command: run() parses the words, does what they say and gives the exit status: 0
// done, 1 failed, 2 wrong usage. What a process gets from outside is injected, so tests see
// everything that would be printed. One thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "config/config.hpp"

namespace sluice::cli {

struct Environment {
  // Standard output. 0, or the errno of what keeps it from being written.
  std::function<int(std::string_view)> out;
  std::function<void(std::string_view)> err;  // standard error
  bool terminal = false;                      // standard output is one: colours, progress lines
  std::function<void(std::chrono::nanoseconds)> sleep;
  std::string default_config = std::string(config::kDefaultPath);
  std::string default_socket = "/run/sluice/api.sock";
};

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;

int run(std::span<const std::string> words, const Environment& environment);

// For Environment::out: everything, or the errno.
int write_all(int fd, std::string_view text);

}  // namespace sluice::cli
