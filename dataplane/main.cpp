// sluice-dataplane: parse, check, run.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstdio>

#include "config/config.hpp"
#include "dataplane/app/arguments.hpp"
#include "dataplane/app/leftovers.hpp"
#include "dataplane/app/log.hpp"
#include "dataplane/app/preflight.hpp"
#include "dataplane/app/router.hpp"

namespace sluice::dataplane {
namespace {

constexpr int kOk = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

int complain(const std::string& message) {
  fmt::print(stderr, "sluice-dataplane: {}\n", message);
  return kFailed;
}

int check(const config::Config& config, const Machine& machine) {
  const auto report = preflight(config, machine);
  for (const auto& finding : report.findings)
    fmt::print("{}\n", to_string(finding));
  return report.ok() ? kOk : kFailed;
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
  if (auto ok = open_log(config.log); !ok) return complain(ok.error().message());
  remove_leftover_pages(config, machine);
  if (refused(config, machine)) return kFailed;
  Router router(config, machine);
  if (auto ok = router.start(); !ok) {
    spdlog::error("event=start_failed message={}", quoted_value(ok.error().message()));
    if (!config.log.file.empty()) complain(ok.error().message());
    return kFailed;
  }
  router.run();
  return kOk;
}

int run_program(int argc, char** argv) {
  const auto arguments = parse_arguments(argc, argv);
  switch (arguments.action) {
    case Arguments::Action::kHelp:
      fmt::print("{}", usage());
      return kOk;
    case Arguments::Action::kVersion:
      fmt::print("sluice-dataplane {}\n", SLUICE_VERSION);
      return kOk;
    case Arguments::Action::kUsage:
      fmt::print(stderr, "sluice-dataplane: {}\n{}", arguments.error, usage());
      return kUsage;
    case Arguments::Action::kRun:
    case Arguments::Action::kCheck:
      break;
  }
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
