// Interfaces of the kernel that ports make or take over: each is there once, under a name that
// Linux takes.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/reader.hpp"

namespace sluice::config {
namespace {

constexpr std::size_t kMaxInterfaceBytes = 15;  // IFNAMSIZ, less the final NUL
constexpr std::string_view kTap = "net_tap";
constexpr std::string_view kXdp = "net_af_xdp";

// The value of key=value in device arguments; empty: none.
std::string_view argument(std::string_view device, std::string_view key) {
  for (auto comma = device.find(','); comma != device.npos; comma = device.find(',')) {
    device.remove_prefix(comma + 1);
    const auto part = device.substr(0, device.find(','));
    if (part.starts_with(key)) return part.substr(key.size());
  }
  return {};
}

// The interface that the device of a port makes or takes over; empty: none that is known here.
std::string_view interface_of(const Port& port) {
  constexpr std::array kDrivers{kTap, kXdp, std::string_view("net_af_packet")};
  const std::string_view device = port.device;
  const bool known =
      std::ranges::any_of(kDrivers, [&](auto name) { return device.starts_with(name); });
  return known ? argument(device, "iface=") : std::string_view();
}

// AF_XDP takes single queues of an interface: two ports may share it.
bool shares_by_queue(const Port& port) {
  return port.device.starts_with(kXdp) && !argument(port.device, "start_queue=").empty();
}

class InterfaceChecks {
 public:
  InterfaceChecks(const Node& document, Report& report, const Config& config)
      : document_(document), report_(report), ports_(config.ports) {}

  void run() {
    for (std::size_t i = 0; i < ports_.size(); ++i) {
      check_device(i);
      check_host_interface(i);
    }
  }

 private:
  void wrong(const Steps& where, std::string message) {
    report_.add(mark_of(document_, where), text_of(where), std::move(message));
  }

  void check_device(std::size_t i) {
    const auto name = interface_of(ports_[i]);
    const Steps where{"ports", i, "device"};
    if (name.size() > kMaxInterfaceBytes) {
      wrong(where,
            fmt::format("port {}, {}: the interface has a name of {} bytes; Linux takes at "
                        "most {}",
                        ports_[i].name, quoted(ports_[i].device), name.size(), kMaxInterfaceBytes));
    }
    for (std::size_t j = 0; j < i && !name.empty(); ++j) {
      if (interface_of(ports_[j]) != name) continue;
      if (shares_by_queue(ports_[i]) && shares_by_queue(ports_[j])) continue;
      wrong(where, fmt::format("the interface {} is that of ports[{}] already; must be unique",
                               quoted(name), j));
      break;
    }
  }

  // The companion is made by the router, so it cannot be one that a device makes or has.
  void check_host_interface(std::size_t i) {
    const std::string& name = ports_[i].host_interface;
    const Steps where{"ports", i, "host-interface"};
    if (name == "lo") wrong(where, "'lo' is the loopback interface; take another name");
    for (std::size_t j = 0; j < ports_.size() && !name.empty(); ++j) {
      if (interface_of(ports_[j]) != name) continue;
      wrong(where,
            fmt::format("{} is the interface that the device of ports[{}] {}; take another "
                        "name",
                        quoted(name), j, ports_[j].device.starts_with(kTap) ? "makes" : "has"));
    }
  }

  const Node& document_;
  Report& report_;
  const std::vector<Port>& ports_;
};

}  // namespace

void check_interfaces(const Node& document, Report& report, const Config& config) {
  InterfaceChecks(document, report, config).run();
}

}  // namespace sluice::config
