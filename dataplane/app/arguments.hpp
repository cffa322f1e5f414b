// The command line of sluice-dataplane: what to do, and with which configuration. Main thread,
// before anything else; touches nothing but getopt's state.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::dataplane {

struct Arguments {
  enum class Action : std::uint8_t { kRun, kCheck, kHelp, kVersion, kUsage };

  Action action = Action::kRun;
  std::string config;  // path
  std::string error;   // kUsage: what is wrong
};

Arguments parse_arguments(int argc, char** argv);
std::string usage();

}  // namespace sluice::dataplane
