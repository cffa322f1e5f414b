// The command line of sluice-controlplane. Main thread, before anything else. Pure: what is wrong
// comes back as text, nothing is printed or ended.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::controlplane {

struct Arguments {
  enum class Action : std::uint8_t { kRun, kCheck, kHelp, kVersion, kUsage };

  Action action = Action::kRun;
  std::string config;  // path
  std::string error;   // kUsage: what is wrong
};

Arguments parse_arguments(int argc, char** argv);
std::string usage();

}  // namespace sluice::controlplane
