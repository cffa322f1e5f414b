#include "dataplane/app/eal_args.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "dataplane/io/device.hpp"

namespace sluice::dataplane {
namespace {

// Options whose value comes from the configuration proper, with the key that sets it.
struct OwnedOption {
  std::string_view option;
  std::string_view instead;
};
constexpr std::array kOwned = {
    OwnedOption{"-l", "dataplane.workers"},
    OwnedOption{"-c", "dataplane.workers"},
    OwnedOption{"--lcores", "dataplane.workers"},
    OwnedOption{"--main-lcore", "dataplane.manager-core"},
    OwnedOption{"-s", "dataplane.workers"},
    OwnedOption{"-S", "dataplane.workers"},
    OwnedOption{"-m", "dataplane.memory-mb"},
    OwnedOption{"--socket-mem", "dataplane.memory-mb"},
    OwnedOption{"--no-huge", "dataplane.huge-pages"},
    OwnedOption{"--in-memory", "dataplane.huge-pages"},
    OwnedOption{"--no-shconf", "router.run-dir"},
    OwnedOption{"--file-prefix", "router.run-dir"},
    OwnedOption{"--proc-type", "nothing: it is always a process of its own"},
    OwnedOption{"-a", "ports[].device"},
    OwnedOption{"-b", "ports[].device"},
    OwnedOption{"--allow", "ports[].device"},
    OwnedOption{"--block", "ports[].device"},
    OwnedOption{"--vdev", "ports[].device"},
    OwnedOption{"--no-pci", "ports[].device"},
};

Status check_extra(const std::vector<std::string>& extra) {
  for (const auto& argument : extra) {
    const auto option = std::string_view(argument).substr(0, argument.find('='));
    for (const auto& owned : kOwned) {
      // Short options may carry their value: "-m512".
      const bool short_form =
          owned.option.size() == 2 && !option.starts_with("--") && option.starts_with(owned.option);
      if (option != owned.option && !short_form) continue;
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("dataplane.eal-args: {} is not yours to set; use {}", argument,
                              owned.instead),
                  ErrorOrigin::kConfig);
    }
  }
  return {};
}

void add_cores(std::vector<std::string>& out, const config::Config& config,
               const CoreSet& manager) {
  auto lcores = fmt::format("{}@({})", kManagerLcore, fmt::join(manager, ","));
  const auto& workers = config.dataplane.workers;
  for (unsigned i = 0; i < workers.size(); ++i)
    lcores += fmt::format(",{}@{}", lcore_of_worker(i), workers[i]);
  out.push_back("--lcores=" + lcores);
  out.push_back(fmt::format("--main-lcore={}", kManagerLcore));
}

void add_memory(std::vector<std::string>& out, const MemoryPlan& memory, bool shares_memory) {
  const auto mib = memory.reserve_bytes / kMebibyte;
  if (!memory.huge_pages) {
    // --in-memory would be neater, but 22.11 refuses it together with --no-huge.
    out.insert(out.end(),
               {"--no-huge", fmt::format("-m{}", mib * memory.nodes.size()), "--no-shconf"});
    return;
  }
  std::vector<std::uint64_t> nodes(static_cast<std::size_t>(memory.nodes.back()) + 1, 0);
  for (const int node : memory.nodes)
    nodes[static_cast<std::size_t>(node)] = mib;
  out.push_back(fmt::format("--socket-mem={}", fmt::join(nodes, ",")));
  if (shares_memory) {
    // Another process maps our memory: few descriptors, and files behind them.
    out.insert(out.end(), {"--single-file-segments", "--no-shconf"});
  } else {
    out.push_back("--in-memory");  // nothing is left in hugetlbfs, whatever end we come to
  }
}

}  // namespace

std::string file_prefix(const std::string& run_dir) {
  std::string prefix = "sluice";
  for (const char c : run_dir)
    prefix += c == '/' ? '-' : c;
  return prefix;
}

Result<std::vector<std::string>> eal_arguments(const config::Config& config,
                                               const MemoryPlan& memory, const CoreSet& manager) {
  const auto& extra = config.dataplane.eal_args;
  if (auto ok = check_extra(extra); !ok) return std::unexpected(ok.error());
  std::vector<std::string> out = {"sluice-dataplane",
                                  "--file-prefix=" + file_prefix(config.router.run_dir)};
  add_cores(out, config, manager);

  std::vector<std::string> devices;
  bool pci = false;
  bool shares_memory = false;
  for (const auto& port : config.ports) {
    const auto device = parse_device(port.device);
    if (!device) return fail(device.error(), "port " + port.name);
    pci = pci || device->is_pci();
    shares_memory = shares_memory || (!device->is_pci() && device->driver->shares_memory);
    const auto arguments = device->arguments.empty() ? "" : "," + device->arguments;
    devices.push_back((device->is_pci() ? "--allow=" : "--vdev=") + device->name + arguments);
  }
  add_memory(out, memory, shares_memory);
  if (!pci) out.push_back("--no-pci");
  out.insert(out.end(), devices.begin(), devices.end());
  if (std::ranges::find(extra, "--telemetry") == extra.end()) out.push_back("--no-telemetry");
  out.insert(out.end(), extra.begin(), extra.end());
  return out;
}

}  // namespace sluice::dataplane
