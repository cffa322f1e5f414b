// Where log lines go: standard error, or a file. One line per event, key=value. Any thread may log
// through spdlog; a full disk or a broken pipe loses lines, which are counted and told once
// writing works again, and never stops or delays anything else.
#pragma once

#include <string>

#include "config/config.hpp"
#include "sluice/base/result.hpp"

namespace sluice::dataplane {

// Makes the process's logger. Main thread, once, before other threads.
Status open_log(const config::Log& log);

// A value between quotes when it needs them.
std::string quoted_value(std::string_view text);

}  // namespace sluice::dataplane
