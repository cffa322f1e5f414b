// sluice-dataplane: parse, check, run.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "config/config.hpp"
#include "config/process/arguments.hpp"
#include "config/process/log.hpp"
#include "dataplane/app/leftovers.hpp"
#include "dataplane/app/preflight.hpp"
#include "dataplane/app/router.hpp"

namespace sluice::dataplane {
namespace {

constexpr Program kProgram{
    .name = "sluice-dataplane",
    .version = SLUICE_VERSION,
    .check = "look at configuration and machine, say what is missing",
    .notes =
        "Runs in the foreground until SIGTERM or SIGINT. Exit status: 0 stopped in order (or "
        "checked\n"
        "and fit), 1 refused or failed, 2 usage.\n"};

int complain(std::string_view message) {
  return sluice::complain(kProgram, message);
}

int check(const config::Config& config, const Machine& machine) {
  const auto report = preflight(config, machine);
  for (const auto& finding : report.findings)
    fmt::print("{}\n", to_string(finding));
  return report.ok() ? kExitOk : kExitFailed;
}

// What is not so is said on standard error and in the log: whoever starts it by hand sees it, and
// so does whoever looks later.
bool refused(const config::Config& config, const Machine& machine) {
  const auto report = preflight(config, machine);
  for (const auto& finding : report.findings) {
    if (finding.level == Level::kPass) continue;
    const bool fails = finding.level == Level::kFail;
    spdlog::log(fails ? spdlog::level::err : spdlog::level::warn,
                "event=preflight check={} message={} remedy={}", quoted_value(finding.check),
                quoted_value(finding.message), quoted_value(finding.remedy));
    if (fails && !config.log.file.empty()) complain(to_string(finding));
  }
  return !report.ok();
}

int run(const config::Config& config, const Machine& machine) {
  const auto log = ProcessLog::open(config.log, "dataplane");
  if (!log) return complain(log.error().message());
  remove_leftover_pages(config, machine);
  if (refused(config, machine)) return kExitFailed;
  Router router(config, machine);
  if (auto ok = router.start(); !ok) {
    spdlog::error("event=start_failed message={}", quoted_value(ok.error().message()));
    if (!config.log.file.empty()) complain(ok.error().message());
    return kExitFailed;
  }
  router.run();
  return kExitOk;
}

int run_program(int argc, char** argv) {
  const auto arguments = parse_arguments(argc, argv);
  if (const auto status = answer(arguments, kProgram)) return *status;
  // The dataplane needs none of the other files that a configuration names.
  const auto config = config::load(arguments.config, config::Files::kSkip);
  if (!config) return complain(config.error().message());
  const Machine machine;
  return arguments.action == Arguments::Action::kCheck ? check(*config, machine)
                                                       : run(*config, machine);
}

}  // namespace
}  // namespace sluice::dataplane

int main(int argc, char** argv) {
  return sluice::dataplane::run_program(argc, argv);
}
