// The command line that both daemons have: what to do, and with which configuration. Main thread,
// before anything else; touches nothing but getopt's state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct Arguments {
  enum class Action : std::uint8_t { kRun, kCheck, kHelp, kVersion, kUsage };

  Action action = Action::kRun;
  std::string config;  // path
  std::string error;   // kUsage: what is wrong
};

// What is particular to one of them.
struct Program {
  std::string_view name;
  std::string_view version;
  std::string_view check;  // what --check does
  std::string_view notes;  // the end of the help, in lines
};

Arguments parse_arguments(int argc, char** argv);
std::string usage(const Program& program);

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

// Prints what was asked for, or what is wrong with the question; the status to exit with.
// nullopt: the program is to run, or to check.
std::optional<int> answer(const Arguments& arguments, const Program& program);
// Says on standard error why it goes no further; kExitFailed.
int complain(const Program& program, std::string_view message);

}  // namespace sluice
