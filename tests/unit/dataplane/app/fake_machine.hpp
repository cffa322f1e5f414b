// A machine in a temporary folder: tests write its files and look at it through Machine. One per
// test, one thread; the folder goes with the object.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "config/config.hpp"
#include "dataplane/app/machine.hpp"

namespace sluice::dataplane {

class FakeMachine {
 public:
  // Four cores on node 0, all allowed, root, 8 GiB free, no huge pages, tun, the driver of net_tap.
  FakeMachine() {
    std::string pattern = std::filesystem::temp_directory_path() / "sluice-machine-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    write("/sys/devices/system/cpu/present", "0-4\n");
    write("/sys/devices/system/cpu/online", "0-3\n");
    write("/sys/devices/system/node/node0/cpulist", "0-3\n");
    status("0-3", "000001ffffffffff");
    write("/proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable:    8388608 kB\n");
    write("/proc/net/route", kRouteHeading);
    write("/dev/net/tun", "");
    write("/run/x", "");
    write("/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_tap.so", "");
    write("/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_af_packet.so", "");
  }
  ~FakeMachine() { std::filesystem::remove_all(root_); }
  FakeMachine(const FakeMachine&) = delete;
  FakeMachine& operator=(const FakeMachine&) = delete;

  Machine machine() const { return Machine(root_); }
  std::string path(const std::string& path) const { return root_ + path; }

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void link(const std::string& path, const std::string& target) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::filesystem::create_symlink(target, root_ + path);
  }
  void remove(const std::string& path) const { std::filesystem::remove_all(root_ + path); }

  void status(const std::string& allowed, const std::string& capabilities) const {
    write("/proc/self/status", "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t" + capabilities +
                                   "\nCpus_allowed_list:\t" + allowed + "\n");
  }
  void huge_pages(int node, const std::string& kib, int free_pages) const {
    write("/sys/devices/system/node/node" + std::to_string(node) + "/hugepages/hugepages-" + kib +
              "kB/free_hugepages",
          std::to_string(free_pages) + "\n");
  }
  void pci(const std::string& address, const std::string& driver, const std::string& group,
           const std::string& interface = "") const {
    const auto folder = "/sys/bus/pci/devices/" + address;
    write(folder + "/numa_node", "0\n");
    if (!driver.empty()) link(folder + "/driver", "../../../bus/pci/drivers/" + driver);
    if (!interface.empty()) write(folder + "/net/" + interface + "/address", "x");
    if (group.empty()) return;
    link(folder + "/iommu_group", "../../../kernel/iommu_groups/" + group);
    write("/sys/kernel/iommu_groups/" + group + "/devices/" + address, "");
  }
  void interface(const std::string& name, const std::string& tun_flags = "",
                 const std::string& carrier = "") const {
    const auto folder = "/sys/class/net/" + name;
    write(folder + "/address", "x");
    if (!tun_flags.empty()) write(folder + "/tun_flags", tun_flags + "\n");
    if (!carrier.empty()) write(folder + "/carrier", carrier + "\n");
  }
  void route(const std::string& lines) const { write("/proc/net/route", kRouteHeading + lines); }

 private:
  static inline const std::string kRouteHeading =
      "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
  std::string root_;
};

// One net_tap port served by core 1, run directory /run/sluice.
inline config::Config small_config() {
  config::Config config;
  config.router.name = std::string("r");
  config.dataplane.workers = {1};
  config::Port port;
  port.name = "p0";
  port.device = "net_tap0,iface=dtap0";
  port.host_interface = "sl-p0";
  port.workers = {1};
  config.ports.push_back(port);
  return config;
}

}  // namespace sluice::dataplane
