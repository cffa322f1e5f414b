// The arguments that DPDK's environment abstraction layer is started with, made from the
// configuration and the memory plan. No DPDK; pure.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "dataplane/app/machine.hpp"
#include "dataplane/app/memory_plan.hpp"
#include "sluice/base/result.hpp"

namespace sluice::dataplane {

// Lcore ids are ours: 0 is the manager (which may roam over several cores), 1 + i is worker i.
inline constexpr unsigned kManagerLcore = 0;
constexpr unsigned lcore_of_worker(unsigned index) noexcept {
  return 1 + index;
}

// One for each run directory, so that several dataplanes on a machine keep apart.
std::string file_prefix(const std::string& run_dir);

// First the program name. Refuses dataplane.eal-args that would undo what is decided here.
Result<std::vector<std::string>> eal_arguments(const config::Config& config,
                                               const MemoryPlan& memory, const CoreSet& manager);

}  // namespace sluice::dataplane
