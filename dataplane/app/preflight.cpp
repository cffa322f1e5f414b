#include "dataplane/app/preflight.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace sluice::dataplane {
namespace detail {

void PreflightContext::pass(std::string check, std::string message) const {
  findings.push_back({Level::kPass, std::move(check), std::move(message), {}});
}
void PreflightContext::warn(std::string check, std::string message, std::string remedy) const {
  findings.push_back({Level::kWarn, std::move(check), std::move(message), std::move(remedy)});
}
void PreflightContext::fail(std::string check, std::string message, std::string remedy) const {
  findings.push_back({Level::kFail, std::move(check), std::move(message), std::move(remedy)});
}

}  // namespace detail

namespace {

using detail::PreflightContext;

// One core: there, switched on, and ours to use.
bool check_core(const PreflightContext& context, std::uint32_t core, std::string_view key) {
  const auto& machine = context.machine;
  const auto present = machine.present_cores();
  if (!present.contains(core)) {
    context.fail("cores", fmt::format("this machine has no core {}", core),
                 fmt::format("choose {} out of {}", key, to_string(machine.online_cores())));
    return false;
  }
  if (!machine.online_cores().contains(core)) {
    context.fail("cores", fmt::format("core {} is offline", core),
                 fmt::format("echo 1 > /sys/devices/system/cpu/cpu{}/online", core));
    return false;
  }
  if (const auto allowed = machine.allowed_cores(); !allowed.contains(core)) {
    context.fail("cores",
                 fmt::format("core {} is not allowed to this process, only {} (affinity or cgroup)",
                             core, to_string(allowed)),
                 fmt::format("start it without taskset, or widen CPUAffinity= and AllowedCPUs= of "
                             "its systemd unit, or choose {} out of {}",
                             key, to_string(allowed)));
    return false;
  }
  return true;
}

void check_workers(const PreflightContext& context) {
  CoreSet seen;
  bool ok = true;
  for (const auto core : context.config.dataplane.workers) {
    ok = check_core(context, core, "dataplane.workers") && ok;
    if (!seen.insert(core).second) {
      context.fail("cores", fmt::format("two workers on core {}", core),
                   "name every core once in dataplane.workers");
      ok = false;
    }
  }
  if (ok) context.pass("cores", fmt::format("workers on {}", to_string(seen)));
}

void check_manager(const PreflightContext& context) {
  const auto& dataplane = context.config.dataplane;
  const CoreSet workers(dataplane.workers.begin(), dataplane.workers.end());
  if (dataplane.manager_core) {
    if (workers.contains(*dataplane.manager_core)) {
      context.fail(
          "manager",
          fmt::format("core {} is both the manager's and a worker's", *dataplane.manager_core),
          "give the manager another core: dataplane.manager-core, or leave it out");
      return;
    }
    if (!check_core(context, *dataplane.manager_core, "dataplane.manager-core")) return;
  }
  const auto cores = manager_cores(context.config, context.machine);
  const bool shared = std::ranges::any_of(cores, [&](auto core) { return workers.contains(core); });
  if (shared && dataplane.idle == config::IdlePolicy::kPoll) {
    context.fail("manager", "the workers poll on every core, none is left for the manager thread",
                 "take a core out of dataplane.workers, or set dataplane.idle to adaptive");
  } else if (shared) {
    context.warn("manager", "no core without a worker: the manager thread shares one",
                 "for steady latency take a core out of dataplane.workers");
  } else {
    context.pass("manager", fmt::format("on {}", to_string(cores)));
  }
}

void check_memory(const PreflightContext& context) {
  const auto& dataplane = context.config.dataplane;
  const auto plan = plan_memory(context.config, context.machine);
  const auto mib = [](std::uint64_t bytes) { return (bytes + kMebibyte - 1) / kMebibyte; };
  if (plan.need_bytes > plan.reserve_bytes) {
    context.fail("memory",
                 fmt::format("{} MiB needed for {} buffers, {} routes, {} adjacencies; "
                             "dataplane.memory-mb is {}",
                             mib(plan.need_bytes), dataplane.mbufs, dataplane.routes,
                             dataplane.adjacencies, dataplane.memory_mb),
                 fmt::format("set dataplane.memory-mb to {} or more, or lower dataplane.mbufs or "
                             "dataplane.routes",
                             mib(plan.need_bytes)));
    return;
  }
  if (plan.huge_pages && !plan.huge_shortage.empty()) {  // demanded, not there
    context.fail("memory", plan.huge_shortage,
                 plan.huge_remedy + " (or set dataplane.huge-pages to auto)");
    return;
  }
  if (plan.huge_pages) {
    context.pass("memory",
                 fmt::format("{} MiB of huge pages on each of {} nodes, {} MiB needed",
                             mib(plan.reserve_bytes), plan.nodes.size(), mib(plan.need_bytes)));
    return;
  }
  const auto total = plan.need_bytes * plan.nodes.size();
  if (total > plan.available_bytes) {
    context.fail(
        "memory",
        fmt::format("{} MiB needed, {} MiB available (MemAvailable), and no huge pages: {}",
                    mib(total), plan.available_bytes / kMebibyte,
                    plan.huge_shortage.empty() ? "switched off" : plan.huge_shortage),
        plan.huge_remedy.empty() ? "free memory, or lower dataplane.mbufs or "
                                   "dataplane.routes"
                                 : plan.huge_remedy);
    return;
  }
  if (dataplane.huge_pages == config::HugePages::kOff) {
    context.pass("memory", fmt::format("{} MiB needed, {} MiB available, without huge pages",
                                       mib(total), plan.available_bytes / kMebibyte));
    return;
  }
  context.warn("memory",
               fmt::format("without huge pages, slower: {}; {} MiB of ordinary memory needed, {} "
                           "MiB available",
                           plan.huge_shortage, mib(total), plan.available_bytes / kMebibyte),
               plan.huge_remedy);
}

void check_buffers(const PreflightContext& context) {
  const auto needed = mbufs_in_use(context.config);
  const auto mbufs = context.config.dataplane.mbufs;
  if (needed > mbufs) {
    context.fail("buffers",
                 fmt::format("queues, rings and held messages can take {} buffers, there are {}",
                             needed, mbufs),
                 fmt::format("set dataplane.mbufs to {} or more, or lower ports[].descriptors or "
                             "hold.total",
                             needed));
    return;
  }
  context.pass("buffers", fmt::format("{} of {} can be out at once", needed, mbufs));
}

void check_privileges(const PreflightContext& context) {
  if (!context.machine.has_capability(Capability::kNetAdmin)) {
    context.fail("privileges", "CAP_NET_ADMIN is missing: host interfaces cannot be made",
                 "run it as root, or with AmbientCapabilities=CAP_NET_ADMIN in its systemd unit");
    return;
  }
  context.pass("privileges", "CAP_NET_ADMIN");
}

void check_tun(const PreflightContext& context) {
  if (!context.machine.exists("/dev/net/tun")) {
    context.fail("tun", "/dev/net/tun is missing: host interfaces cannot be made", "modprobe tun");
    return;
  }
  context.pass("tun", "/dev/net/tun");
}

// The folder itself when it is there, else whether the nearest parent lets us make it.
void check_run_dir(const PreflightContext& context) {
  namespace fs = std::filesystem;
  const auto& run_dir = context.config.router.run_dir;
  fs::path at = run_dir;
  std::error_code ignored;
  // A link that leads nowhere is there, and nothing can be made in its place.
  while (!context.machine.exists(at) && at.has_relative_path() &&
         !fs::is_symlink(context.machine.path(at.string()), ignored)) {
    at = at.parent_path();
  }
  struct stat info{};
  const bool found = ::stat(context.machine.path(at.string()).c_str(), &info) == 0;
  if (!found || !S_ISDIR(info.st_mode)) {
    context.fail("run-dir", fmt::format("{} is not a folder", at.string()),
                 "choose another router.run-dir");
  } else if (!context.machine.writable(at)) {
    context.fail("run-dir", fmt::format("{} cannot be written by this user", at.string()),
                 fmt::format("install -d -o $(id -un) -m 0755 {}", run_dir));
  } else {
    context.pass("run-dir", run_dir);
  }
}

std::string lock_file(const config::Config& config) {
  return config.router.run_dir + "/dataplane.lock";
}

void check_other(const PreflightContext& context) {
  const auto& run_dir = context.config.router.run_dir;
  if (other_dataplane_runs(context.config, context.machine)) {
    auto pid = context.machine.read(lock_file(context.config));
    pid.erase(std::ranges::find(pid, '\n'), pid.end());
    context.fail("single", fmt::format("another dataplane runs in {} (pid {})", run_dir, pid),
                 "stop it first (systemctl stop sluice-dataplane), or choose another "
                 "router.run-dir");
    return;
  }
  context.pass("single", "no other dataplane in " + run_dir);
}

struct Check {
  std::string_view name;
  void (*run)(const PreflightContext& context);
};

// In the order in which a person would mend things.
constexpr std::array kChecks = {
    Check{"privileges", check_privileges}, Check{"run-dir", check_run_dir},
    Check{"single", check_other},          Check{"cores", check_workers},
    Check{"manager", check_manager},       Check{"memory", check_memory},
    Check{"buffers", check_buffers},       Check{"tun", check_tun},
    Check{"ports", detail::check_ports},   Check{"interfaces", detail::check_interfaces},
};

}  // namespace

bool PreflightReport::ok() const noexcept {
  return std::ranges::none_of(findings, [](const auto& f) { return f.level == Level::kFail; });
}

bool other_dataplane_runs(const config::Config& config, const Machine& machine) {
  const int fd = ::open(machine.path(lock_file(config)).c_str(), O_RDONLY | O_CLOEXEC);
  const bool taken = fd >= 0 && ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  if (fd >= 0) ::close(fd);
  return taken;
}

CoreSet manager_cores(const config::Config& config, const Machine& machine) {
  if (config.dataplane.manager_core) return {*config.dataplane.manager_core};
  const auto allowed = machine.allowed_cores();
  CoreSet free = allowed;
  for (const auto core : config.dataplane.workers)
    free.erase(core);
  return free.empty() ? allowed : free;
}

PreflightReport preflight(const config::Config& config, const Machine& machine) {
  PreflightReport report;
  const PreflightContext context{config, machine, report.findings};
  for (const auto& check : kChecks)
    check.run(context);
  return report;
}

std::string to_string(const Finding& finding) {
  constexpr std::array kNames = {"PASS", "WARN", "FAIL"};
  return fmt::format("{}  {}: {}{}", kNames[static_cast<std::size_t>(finding.level)], finding.check,
                     finding.message,
                     finding.remedy.empty() ? "" : fmt::format("; remedy: {}", finding.remedy));
}

}  // namespace sluice::dataplane
