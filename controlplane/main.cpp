// sluice-controlplane: parse, check, run.
#include <fmt/format.h>

#include <cstdio>

#include "config/config.hpp"
#include "controlplane/app/arguments.hpp"
#include "controlplane/app/controlplane.hpp"

namespace sluice::controlplane {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

int complain(const std::string& message) {
  fmt::print(stderr, "sluice-controlplane: {}\n", message);
  return kFailed;
}

int run(config::Config config, const std::string& file) {
  auto control_plane = ControlPlane::create(std::move(config), file, SLUICE_VERSION);
  if (!control_plane) return complain(control_plane.error().message());
  if (auto ok = (*control_plane)->run(); !ok) return complain(ok.error().message());
  return kOk;
}

int parse_and_run(int argc, char** argv) {
  const auto arguments = parse_arguments(argc, argv);
  switch (arguments.action) {
    case Arguments::Action::kHelp:
      fmt::print("{}", usage());
      return kOk;
    case Arguments::Action::kVersion:
      fmt::print("sluice-controlplane {}\n", SLUICE_VERSION);
      return kOk;
    case Arguments::Action::kUsage:
      fmt::print(stderr, "sluice-controlplane: {}\n{}", arguments.error, usage());
      return kUsage;
    case Arguments::Action::kRun:
    case Arguments::Action::kCheck:
      break;
  }
  auto config = config::load(arguments.config);
  if (!config) return complain(config.error().message());
  if (arguments.action == Arguments::Action::kCheck) {
    fmt::print("{}: ok\n", arguments.config);
    return kOk;
  }
  return run(std::move(*config), arguments.config);
}

}  // namespace
}  // namespace sluice::controlplane

int main(int argc, char** argv) {
  return sluice::controlplane::parse_and_run(argc, argv);
}
