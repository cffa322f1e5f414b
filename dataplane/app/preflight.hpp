// Looks at configuration and machine before anything is started, and says of each thing whether it
// is there and, if not, what to do about it. The same list serves `--check` and every start: DPDK
// would refuse most of these too, but late, without a remedy, or by aborting. No DPDK; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "dataplane/app/machine.hpp"
#include "dataplane/app/memory_plan.hpp"

namespace sluice::dataplane {

enum class Level : std::uint8_t { kPass, kWarn, kFail };

struct Finding {
  Level level = Level::kPass;
  std::string check;    // "cores", "port p0", ...
  std::string message;  // what is so
  std::string remedy;   // what to do; empty when passed
};

struct PreflightReport {
  std::vector<Finding> findings;

  bool ok() const noexcept;
};

PreflightReport preflight(const config::Config& config, const Machine& machine);

// "FAIL  cores: no core 9 ... (do this: ...)"
std::string to_string(const Finding& finding);

// Cores of the manager thread: the configured one, else every allowed core that no worker has;
// when the workers have them all, all allowed ones.
CoreSet manager_cores(const config::Config& config, const Machine& machine);

// Whether a dataplane lives in the run directory. Its lock is taken for good by the link server and
// only tried here.
bool other_dataplane_runs(const config::Config& config, const Machine& machine);

// Where Debian's DPDK looks for its drivers.
inline constexpr std::string_view kPluginFolder = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0";

namespace detail {

struct PreflightContext {
  const config::Config& config;
  const Machine& machine;
  std::vector<Finding>& findings;

  void pass(std::string check, std::string message) const;
  void warn(std::string check, std::string message, std::string remedy) const;
  void fail(std::string check, std::string message, std::string remedy) const;
};

void check_interfaces(const PreflightContext& context);  // preflight_interfaces.cpp
void check_ports(const PreflightContext& context);       // preflight_ports.cpp

}  // namespace detail
}  // namespace sluice::dataplane
