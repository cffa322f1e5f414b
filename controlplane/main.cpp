// sluice-controlplane: parse, check, run.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <ranges>
#include <vector>

#include "config/config.hpp"
#include "config/process/arguments.hpp"
#include "config/process/log.hpp"
#include "controlplane/app/controlplane.hpp"

namespace sluice::controlplane {
namespace {

constexpr Program kProgram{
    .name = "sluice-controlplane",
    .version = SLUICE_VERSION,
    .check = "check the configuration, and the files and folders it names",
    .notes =
        "Runs in the foreground until SIGTERM or SIGINT; SIGHUP reloads the configuration and "
        "opens\n"
        "the log file anew. Needs the right to change addresses (CAP_NET_ADMIN) and the network\n"
        "namespace of the dataplane. Exit status: 0 stopped in order (or checked and fit), 1 "
        "refused\n"
        "or failed, 2 usage.\n"};

using Warnings = std::vector<config::Diagnostic>;

int run(config::Config config, const Warnings& warnings, const std::string& file) {
  auto control_plane = ControlPlane::create(std::move(config), file, SLUICE_VERSION);
  if (!control_plane) return complain(kProgram, control_plane.error().message());
  for (const auto& warning : warnings | std::views::take(config::kMaxInError))
    spdlog::warn("event=config_warning message={}", quoted_value(to_string(warning)));
  if (warnings.size() > config::kMaxInError) {
    spdlog::warn("event=config_warnings more={} remedy=\"sluice config check shows all\"",
                 warnings.size() - config::kMaxInError);
  }
  if (auto ok = (*control_plane)->run(); !ok) return complain(kProgram, ok.error().message());
  return kExitOk;
}

int parse_and_run(int argc, char** argv) {
  const auto arguments = parse_arguments(argc, argv);
  if (const auto status = answer(arguments, kProgram)) return *status;
  auto checked = config::check(arguments.config, config::Files::kStart);
  const Warnings warnings = std::move(checked.warnings);
  auto config = config::as_result(std::move(checked));
  if (!config) return complain(kProgram, config.error().message());
  if (arguments.action == Arguments::Action::kCheck) {
    for (const auto& warning : warnings)
      fmt::print("warning: {}\n", to_string(warning));
    fmt::print("{}: ok\n", arguments.config);
    return kExitOk;
  }
  return run(std::move(*config), warnings, arguments.config);
}

}  // namespace
}  // namespace sluice::controlplane

int main(int argc, char** argv) {
  return sluice::controlplane::parse_and_run(argc, argv);
}
