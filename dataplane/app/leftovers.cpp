#include "dataplane/app/leftovers.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <sstream>

#include "dataplane/app/eal_args.hpp"
#include "dataplane/app/preflight.hpp"

namespace sluice::dataplane {

std::size_t remove_leftover_pages(const config::Config& config, const Machine& machine) {
  if (other_dataplane_runs(config, machine)) return 0;
  const auto prefix = file_prefix(config.router.run_dir) + "map_";  // as DPDK names its files
  std::size_t removed = 0;
  std::istringstream mounts(machine.read("/proc/self/mounts"));
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream words(line);
    std::string device;
    std::string folder;
    std::string type;
    if (!(words >> device >> folder >> type) || type != "hugetlbfs") continue;
    for (const auto& name : machine.list(folder)) {
      std::error_code ignored;
      if (name.starts_with(prefix) &&
          std::filesystem::remove(machine.path(folder + "/" + name), ignored)) {
        ++removed;
      }
    }
  }
  if (removed > 0) spdlog::info("event=leftover_pages_removed files={}", removed);
  return removed;
}

}  // namespace sluice::dataplane
