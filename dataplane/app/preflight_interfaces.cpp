// Interfaces of the kernel that a start makes: the wire of each TAP port, and its companion. One of
// that name may be there already, left by a dataplane that was killed or made by hand to stay; it
// is taken over when it is of the same kind and nobody has it.
#include <fmt/format.h>
#include <linux/if_tun.h>

#include "dataplane/app/preflight.hpp"
#include "dataplane/io/device.hpp"

namespace sluice::dataplane::detail {
namespace {

struct Wanted {
  std::string name;
  std::string key;        // of the configuration
  bool many_queues;       // as DPDK makes its TAP interfaces; the companions have one
  std::string elsewhere;  // how to take another name
};

std::vector<Wanted> wanted_interfaces(const config::Config& config) {
  std::vector<Wanted> wanted;
  for (std::size_t i = 0; i < config.ports.size(); ++i) {
    const auto& port = config.ports[i];
    const auto device = parse_device(port.device);
    const bool makes = device && !device->is_pci() && device->driver->needs_tun;
    const auto wire = makes ? device->argument("iface") : std::nullopt;
    if (wire) {
      wanted.push_back({*wire, fmt::format("ports[{}].device", i), true,
                        fmt::format("give ports[{}].device another iface=", i)});
    }
    wanted.push_back({port.host_interface, fmt::format("ports[{}].host-interface", i), false,
                      fmt::format("set ports[{}].host-interface to another name", i)});
  }
  return wanted;
}

bool check_interface(const PreflightContext& context, const Wanted& wanted) {
  if (!context.machine.has_interface(wanted.name)) return true;
  const auto flags = context.machine.tun_flags(wanted.name).value_or(0);
  const bool tap = (flags & IFF_TAP) != 0;
  const bool same_kind = tap && ((flags & IFF_MULTI_QUEUE) != 0) == wanted.many_queues;
  if (!same_kind) {
    context.fail("interfaces",
                 fmt::format("{}: {} is there already and is {}; it cannot be taken over",
                             wanted.key, wanted.name,
                             !tap                 ? "no TAP interface"
                             : wanted.many_queues ? "a TAP interface of one queue"
                                                  : "a TAP interface of many queues"),
                 fmt::format("{}, or remove that one: ip link delete dev {}", wanted.elsewhere,
                             wanted.name));
    return false;
  }
  if (!context.machine.has_carrier(wanted.name)) return true;
  context.fail(
      "interfaces",
      fmt::format("{}: {} is there already, and another process has it", wanted.key, wanted.name),
      fmt::format("stop that process (grep -l {} /proc/[0-9]*/fdinfo/* names it), or {}",
                  wanted.name, wanted.elsewhere));
  return false;
}

}  // namespace

void check_interfaces(const PreflightContext& context) {
  // Then they are that one's, and it has been named.
  if (other_dataplane_runs(context.config, context.machine)) return;
  bool ok = true;
  for (const auto& wanted : wanted_interfaces(context.config))
    ok = check_interface(context, wanted) && ok;
  if (ok) context.pass("interfaces", "those of the ports can be made, or taken over");
}

}  // namespace sluice::dataplane::detail
