#include "dataplane/app/machine.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::dataplane {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> number(std::string_view text, int base = 10) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

// The rest of the line that begins with `key`.
std::string_view line_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    if (line.starts_with(key)) return line.substr(key.size());
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return {};
}

}  // namespace

CoreSet parse_core_list(std::string_view text) {
  // More cores than any machine has: a broken list must not fill the memory.
  constexpr std::uint64_t kMaxCore = 65535;
  CoreSet cores;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const auto first = number(part);
    if (!first) continue;
    const auto dash = part.find('-');
    const auto last = dash == std::string_view::npos ? first : number(part.substr(dash + 1));
    if (!last || *last > kMaxCore) continue;
    for (std::uint64_t core = *first; core <= *last; ++core)
      cores.insert(static_cast<std::uint32_t>(core));
  }
  return cores;
}

std::string to_string(const CoreSet& cores) {
  std::string text;
  for (auto at = cores.begin(); at != cores.end();) {
    const auto first = *at;
    auto last = first;
    for (++at; at != cores.end() && *at == last + 1; ++at)
      last = *at;
    text += fmt::format("{}{}", text.empty() ? "" : ",", first);
    if (last != first) text += fmt::format("-{}", last);
  }
  return text.empty() ? "none" : text;
}

std::string Machine::read(const std::string& file) const {
  std::ifstream in(path(file));
  if (!in) return {};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool Machine::exists(const std::string& file) const {
  return ::access(path(file).c_str(), F_OK) == 0;
}

bool Machine::writable(const std::string& file) const {
  return ::access(path(file).c_str(), W_OK) == 0;
}

std::vector<std::string> Machine::list(const std::string& folder) const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(path(folder), error), end; !error && at != end;
       at.increment(error))
    names.push_back(at->path().filename());
  std::ranges::sort(names);
  return names;
}

std::string Machine::link_name(const std::string& file) const {
  std::error_code error;
  const auto target = fs::read_symlink(path(file), error);
  return error ? std::string() : target.filename().string();
}

CoreSet Machine::online_cores() const {
  return parse_core_list(read("/sys/devices/system/cpu/online"));
}

CoreSet Machine::present_cores() const {
  return parse_core_list(read("/sys/devices/system/cpu/present"));
}

CoreSet Machine::allowed_cores() const {
  return parse_core_list(line_of(read("/proc/self/status"), "Cpus_allowed_list:"));
}

int Machine::node_of_core(std::uint32_t core) const {
  for (const int node : nodes()) {
    const auto list = read(fmt::format("/sys/devices/system/node/node{}/cpulist", node));
    if (parse_core_list(list).contains(core)) return node;
  }
  return -1;
}

std::vector<int> Machine::nodes() const {
  std::vector<int> nodes;
  for (const auto& name : list("/sys/devices/system/node")) {
    if (!name.starts_with("node")) continue;
    if (const auto node = number(std::string_view(name).substr(4))) nodes.push_back(int(*node));
  }
  std::ranges::sort(nodes);
  if (nodes.empty()) nodes.push_back(0);
  return nodes;
}

std::uint64_t Machine::available_memory_bytes() const {
  return number(line_of(read("/proc/meminfo"), "MemAvailable:")).value_or(0) * 1024;
}

std::vector<HugePageSize> Machine::huge_pages(int node) const {
  std::vector<HugePageSize> sizes;
  const auto folder = fmt::format("/sys/devices/system/node/node{}/hugepages", node);
  for (const auto& name : list(folder)) {
    constexpr std::string_view kPrefix = "hugepages-";
    if (!name.starts_with(kPrefix)) continue;
    const auto kib = number(std::string_view(name).substr(kPrefix.size()));
    const auto free_pages = number(read(folder + "/" + name + "/free_hugepages"));
    if (kib && free_pages) sizes.push_back({*kib * 1024, *free_pages});
  }
  return sizes;
}

bool Machine::hugetlbfs_mounted() const {
  return read("/proc/self/mounts").find(" hugetlbfs ") != std::string::npos;
}

std::optional<PciDevice> Machine::pci_device(const std::string& address) const {
  const auto folder = "/sys/bus/pci/devices/" + address;
  if (!exists(folder)) return std::nullopt;
  PciDevice device;
  device.address = address;
  device.driver = link_name(folder + "/driver");
  device.interfaces = list(folder + "/net");
  if (auto group = link_name(folder + "/iommu_group"); !group.empty()) device.iommu_group = group;
  device.node = static_cast<int>(number(read(folder + "/numa_node")).value_or(UINT64_MAX));
  return device;
}

std::vector<PciDevice> Machine::iommu_group_members(const std::string& group) const {
  std::vector<PciDevice> members;
  for (const auto& address : list("/sys/kernel/iommu_groups/" + group + "/devices")) {
    if (auto device = pci_device(address)) members.push_back(std::move(*device));
  }
  return members;
}

bool Machine::vfio_without_iommu() const {
  const auto setting = read("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
  return setting.starts_with('Y') || setting.starts_with('1');
}

bool Machine::has_capability(Capability capability) const {
  const std::string status = read("/proc/self/status");
  const auto held = number(line_of(status, "CapEff:"), 16).value_or(0);
  return (held >> static_cast<unsigned>(capability) & 1) != 0;
}

bool Machine::has_interface(const std::string& name) const {
  return exists("/sys/class/net/" + name);
}

std::optional<unsigned> Machine::tun_flags(const std::string& name) const {
  const auto text = read("/sys/class/net/" + name + "/tun_flags");
  if (!text.starts_with("0x")) return std::nullopt;
  const auto flags = number(std::string_view(text).substr(2), 16);
  return flags ? std::optional(static_cast<unsigned>(*flags)) : std::nullopt;
}

bool Machine::has_carrier(const std::string& name) const {
  return read("/sys/class/net/" + name + "/carrier").starts_with('1');
}

}  // namespace sluice::dataplane
