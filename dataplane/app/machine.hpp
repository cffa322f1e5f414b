// What this machine has, as far as the preflight must know it before DPDK starts: cores, memory,
// PCI devices, interfaces, privileges. Everything is read from files below a root folder, so that
// tests bring a machine of their own. No DPDK. One thread; nothing is cached.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::dataplane {

using CoreSet = std::set<std::uint32_t>;

// "0-3,8" as the kernel writes lists of cores. What cannot be read is left out.
CoreSet parse_core_list(std::string_view text);
std::string to_string(const CoreSet& cores);

struct PciDevice {
  std::string address;
  std::string driver;  // bound kernel driver; empty: none
  std::vector<std::string> interfaces;
  std::optional<std::string> iommu_group;
  int node = -1;
};

struct HugePageSize {
  std::uint64_t bytes = 0;
  std::uint64_t free_pages = 0;
};

enum class Capability : std::uint8_t {
  kNetAdmin = 12,
  kNetRaw = 13,
  kIpcLock = 14,
  kSysAdmin = 21
};

class Machine {
 public:
  explicit Machine(std::string root = "") : root_(std::move(root)) {}

  CoreSet online_cores() const;
  CoreSet present_cores() const;
  CoreSet allowed_cores() const;  // by affinity and cgroup
  int node_of_core(std::uint32_t core) const;
  std::vector<int> nodes() const;  // at least node 0

  std::uint64_t available_memory_bytes() const;
  std::vector<HugePageSize> huge_pages(int node) const;
  bool hugetlbfs_mounted() const;

  std::optional<PciDevice> pci_device(const std::string& address) const;
  std::vector<PciDevice> iommu_group_members(const std::string& group) const;
  bool vfio_without_iommu() const;

  bool has_capability(Capability capability) const;
  bool has_interface(const std::string& name) const;
  // IFF_TUN, IFF_TAP, IFF_MULTI_QUEUE, ... as it was made with; nullopt: made by no process.
  std::optional<unsigned> tun_flags(const std::string& name) const;
  // Of a TAP interface: a process has it. Cannot be seen while the interface is down.
  bool has_carrier(const std::string& name) const;
  // Interfaces that this machine is reached through: default routes, and the way of ssh sessions.
  std::set<std::string> lifelines() const;

  bool exists(const std::string& path) const;
  bool writable(const std::string& path) const;
  std::string read(const std::string& path) const;  // empty when it cannot be read
  std::vector<std::string> list(const std::string& folder) const;
  std::string link_name(const std::string& path) const;  // last part of a symbolic link's target
  std::string path(std::string_view path) const { return root_ + std::string(path); }

 private:
  std::string root_;
};

}  // namespace sluice::dataplane
