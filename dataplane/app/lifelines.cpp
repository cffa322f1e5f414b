// Which interfaces this machine is administered through: taking one of them away would cut off the
// person who starts the router.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "dataplane/app/machine.hpp"

namespace sluice::dataplane {
namespace {

struct Route4 {
  std::string interface;
  std::uint32_t destination = 0;  // as the kernel prints it: memory order
  std::uint32_t mask = 0;
};

std::uint32_t hex(const std::string& text) {
  std::uint32_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

// Columns of /proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask ...
std::vector<Route4> routes4(const std::string& text) {
  std::vector<Route4> routes;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);  // heading
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    Route4 route;
    std::string destination;
    std::string mask;
    std::string skip;
    words >> route.interface >> destination >> skip >> skip >> skip >> skip >> skip >> mask;
    if (!words) continue;
    route.destination = hex(destination);
    route.mask = hex(mask);
    routes.push_back(std::move(route));
  }
  return routes;
}

// Local addresses of established connections to the ssh port, from /proc/net/tcp.
std::set<std::uint32_t> ssh_addresses4(const std::string& text) {
  constexpr std::uint32_t kSshPort = 22;
  std::set<std::uint32_t> addresses;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string index;
    std::string local;
    std::string remote;
    std::string state;
    words >> index >> local >> remote >> state;
    const auto colon = local.find(':');
    if (!words || state != "01" || colon == std::string::npos) continue;
    if (hex(local.substr(colon + 1)) == kSshPort) addresses.insert(hex(local.substr(0, colon)));
  }
  return addresses;
}

// The last column of a default route of /proc/net/ipv6_route is its interface. `lo` carries the
// kernel's own "unreachable" default.
void add_default_routes6(const std::string& text, std::set<std::string>& interfaces) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.starts_with(std::string(32, '0') + " 00 ")) continue;
    const auto name = line.substr(line.find_last_of(' ') + 1);
    if (name != "lo") interfaces.insert(name);
  }
}

// A route over a bridge, bond or VLAN hangs on the interfaces below it: lower_<name> in sysfs.
void add_lower_interfaces(const Machine& machine, const std::string& interface,
                          std::set<std::string>& interfaces) {
  constexpr std::string_view kLower = "lower_";
  for (const auto& name : machine.list("/sys/class/net/" + interface)) {
    if (!name.starts_with(kLower)) continue;
    const auto lower = name.substr(kLower.size());
    if (interfaces.insert(lower).second) add_lower_interfaces(machine, lower, interfaces);
  }
}

}  // namespace

std::set<std::string> Machine::lifelines() const {
  std::set<std::string> interfaces;
  const auto routes = routes4(read("/proc/net/route"));
  for (const auto& route : routes) {
    if (route.destination == 0 && route.mask == 0) interfaces.insert(route.interface);
  }
  for (const auto address : ssh_addresses4(read("/proc/net/tcp"))) {
    for (const auto& route : routes) {
      if (route.mask != 0 && (address & route.mask) == route.destination)
        interfaces.insert(route.interface);
    }
  }
  add_default_routes6(read("/proc/net/ipv6_route"), interfaces);
  const auto upper = interfaces;
  for (const auto& interface : upper)
    add_lower_interfaces(*this, interface, interfaces);
  return interfaces;
}

}  // namespace sluice::dataplane
