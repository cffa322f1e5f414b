// Every refusal of the preflight: what is changed on a good machine or in a good configuration, and
// what must then be said. One row, one reason.
#include "dataplane/app/preflight.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <functional>

#include "tests/unit/dataplane/app/fake_machine.hpp"

namespace sluice::dataplane {
namespace {

struct Row {
  const char* name;
  std::function<void(FakeMachine&, config::Config&)> change;
  const char* check;
  Level level;
  const char* message;  // part of it
  const char* remedy;
};

void use_device(config::Config& config, const std::string& device) {
  config.ports[0].device = device;
}

constexpr const char* kNic = "0000:03:00.0";

const std::vector<Row>& rows() {
  using M = FakeMachine&;
  using C = config::Config&;
  static const std::vector<Row> kRows = {
      {"no such core", [](M, C c) { c.dataplane.workers = {64}; }, "cores", Level::kFail,
       "no core 64", "out of 0-3"},
      {"core offline", [](M, C c) { c.dataplane.workers = {4}; }, "cores", Level::kFail,
       "core 4 is offline", "echo 1 > /sys/devices/system/cpu/cpu4/online"},
      {"core not allowed", [](M m, C) { m.status("2-3", "000001ffffffffff"); }, "cores",
       Level::kFail, "core 1 is not allowed to this process, only 2-3", "AllowedCPUs="},
      {"two workers on a core", [](M, C c) { c.dataplane.workers = {1, 1}; }, "cores", Level::kFail,
       "two workers on core 1", "once"},
      {"manager on a worker's core", [](M, C c) { c.dataplane.manager_core = 1; }, "manager",
       Level::kFail, "core 1 is both the manager's and a worker's", "dataplane.manager-core"},
      {"manager's core missing", [](M, C c) { c.dataplane.manager_core = 77; }, "cores",
       Level::kFail, "no core 77", "dataplane.manager-core"},
      {"no core for the manager, workers poll",
       [](M, C c) {
         c.dataplane.workers = {0, 1, 2, 3};
         c.dataplane.idle = config::IdlePolicy::kPoll;
       },
       "manager", Level::kFail, "none is left for the manager", "adaptive"},
      {"no core for the manager, workers sleep", [](M, C c) { c.dataplane.workers = {0, 1, 2, 3}; },
       "manager", Level::kWarn, "the manager thread shares one", "take a core out"},
      {"reserve too small", [](M, C c) { c.dataplane.memory_mb = 64; }, "memory", Level::kFail,
       "dataplane.memory-mb is 64", "set dataplane.memory-mb to"},
      {"huge pages demanded, none there",
       [](M, C c) { c.dataplane.huge_pages = config::HugePages::kOn; }, "memory", Level::kFail,
       "512 MiB of huge pages needed on node 0, 0 MiB free",
       "echo $(($(cat /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages) + "
       "256)) > /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"},
      {"no huge pages, automatic", [](M, C) {}, "memory", Level::kWarn, "without huge pages",
       "nr_hugepages"},
      {"memory short", [](M m, C) { m.write("/proc/meminfo", "MemAvailable:    10240 kB\n"); },
       "memory", Level::kFail, "10 MiB available (MemAvailable)", "nr_hugepages"},
      {"too few buffers", [](M, C c) { c.hold.total = 40000; }, "buffers", Level::kFail,
       "there are 32768", "set dataplane.mbufs to"},
      {"no tun", [](M m, C) { m.remove("/dev/net/tun"); }, "tun", Level::kFail,
       "/dev/net/tun is missing", "modprobe tun"},
      {"not root", [](M m, C) { m.status("0-3", "0000000000000000"); }, "privileges", Level::kFail,
       "CAP_NET_ADMIN", "root"},
      {"run directory is a file", [](M m, C) { m.write("/run/sluice", "x"); }, "run-dir",
       Level::kFail, "/run/sluice is not a folder", "router.run-dir"},
      {"run directory below a file",
       [](M m, C) {
         m.remove("/run");
         m.write("/run", "x");
       },
       "run-dir", Level::kFail, "/run is not a folder", "router.run-dir"},
      {"run directory leads nowhere", [](M m, C) { m.link("/run/sluice", "nowhere"); }, "run-dir",
       Level::kFail, "/run/sluice is not a folder", "router.run-dir"},
      {"unknown driver", [](M, C c) { use_device(c, "net_magic0"); }, "port p0", Level::kFail,
       "'net_magic0' is neither a PCI address", "ports[].device"},
      {"driver not installed",
       [](M m, C) { m.remove("/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_tap.so"); },
       "port p0", Level::kFail, "driver net_tap is not installed", "apt install librte-net-tap23"},
      {"one device for two ports",
       [](M, C c) {
         c.ports.push_back(c.ports[0]);
         c.ports[1].name = "p1";
       },
       "port p1", Level::kFail, "net_tap0 is already port p0", "of its own"},
      {"interface missing", [](M, C c) { use_device(c, "net_af_packet0,iface=eth9"); }, "port p0",
       Level::kFail, "no interface eth9", "ip link"},
      {"interface not named", [](M, C c) { use_device(c, "net_af_packet0"); }, "port p0",
       Level::kFail, "net_af_packet needs iface=", "iface=eth1"},
      {"interface with the default route",
       [](M m, C c) {
         m.write("/sys/class/net/eth9/address", "x");
         m.route("eth9\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
         use_device(c, "net_af_packet0,iface=eth9");
       },
       "port p0", Level::kFail, "eth9 carries this machine's default route", "another device"},
      {"a wire that is there and is none",
       [](M m, C c) {
         m.interface("wire0");
         use_device(c, "net_tap0,iface=wire0");
       },
       "interfaces", Level::kFail,
       "ports[0].device: wire0 is there already and is no TAP interface",
       "ip link delete dev wire0"},
      {"a wire of one queue",
       [](M m, C c) {
         m.interface("wire0", "0x1802");
         use_device(c, "net_tap0,iface=wire0");
       },
       "interfaces", Level::kFail, "a TAP interface of one queue", "another iface="},
      {"a wire of another process",
       [](M m, C c) {
         m.interface("wire0", "0x1902", "1");
         use_device(c, "net_tap0,iface=wire0");
       },
       "interfaces", Level::kFail, "wire0 is there already, and another process has it", "fdinfo"},
      {"a companion that is there and is none", [](M m, C) { m.interface("sl-p0"); }, "interfaces",
       Level::kFail, "ports[0].host-interface: sl-p0 is there already and is no TAP interface",
       "set ports[0].host-interface"},
      {"a companion of many queues", [](M m, C) { m.interface("sl-p0", "0x1902"); }, "interfaces",
       Level::kFail, "a TAP interface of many queues", "ports[0].host-interface"},
      {"a companion of another process", [](M m, C) { m.interface("sl-p0", "0x1802", "1"); },
       "interfaces", Level::kFail, "sl-p0 is there already, and another process has it", "fdinfo"},
      {"no such PCI device", [](M, C c) { use_device(c, kNic); }, "port p0", Level::kFail,
       "no PCI device 0000:03:00.0", "--status-dev net"},
      {"kernel driver",
       [](M m, C c) {
         m.pci(kNic, "ixgbe", "7", "eth0");
         use_device(c, kNic);
       },
       "port p0", Level::kFail, "bound to ixgbe instead of vfio-pci",
       "dpdk-devbind.py -b vfio-pci 0000:03:00.0"},
      {"no driver at all",
       [](M m, C c) {
         m.pci(kNic, "", "7");
         use_device(c, kNic);
       },
       "port p0", Level::kFail, "bound to no driver", "driverctl"},
      {"device with the default route",
       [](M m, C c) {
         m.pci(kNic, "mlx5_core", "7", "eth0");
         m.route("eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
         use_device(c, kNic);
       },
       "port p0", Level::kFail, "eth0 carries this machine's default route", "another device"},
      {"no vfio",
       [](M m, C c) {
         m.pci(kNic, "vfio-pci", "7");
         use_device(c, kNic);
       },
       "port p0", Level::kFail, "/dev/vfio/vfio is missing", "modprobe vfio-pci"},
      {"group not viable",
       [](M m, C c) {
         m.write("/dev/vfio/vfio", "");
         m.pci(kNic, "vfio-pci", "7");
         m.pci("0000:03:00.1", "ixgbe", "7");
         use_device(c, kNic);
       },
       "port p0", Level::kFail, "IOMMU group 7 is not viable: 0000:03:00.1 in it is bound to ixgbe",
       "dpdk-devbind.py -b vfio-pci 0000:03:00.1"},
      {"no IOMMU",
       [](M m, C c) {
         m.write("/dev/vfio/vfio", "");
         m.pci(kNic, "vfio-pci", "");
         use_device(c, kNic);
       },
       "port p0", Level::kFail, "is in no IOMMU group", "intel_iommu=on"},
      {"no IOMMU, accepted",
       [](M m, C c) {
         m.write("/dev/vfio/vfio", "");
         m.write("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
         m.pci(kNic, "vfio-pci", "");
         use_device(c, kNic);
       },
       "port p0", Level::kWarn, "vfio without an IOMMU", "intel_iommu=on"},
  };
  return kRows;
}

class Preflight : public testing::TestWithParam<Row> {};

TEST_P(Preflight, SaysWhatIsWrongAndWhatToDo) {
  const auto& row = GetParam();
  FakeMachine fake;
  auto config = small_config();
  row.change(fake, config);
  const auto report = preflight(config, fake.machine());
  EXPECT_EQ(report.ok(), row.level != Level::kFail);
  bool found = false;
  std::string all;
  for (const auto& finding : report.findings) {
    all += to_string(finding) + "\n";
    found = found || (finding.check == row.check && finding.level == row.level &&
                      finding.message.find(row.message) != std::string::npos &&
                      finding.remedy.find(row.remedy) != std::string::npos);
  }
  EXPECT_TRUE(found) << all;
}

INSTANTIATE_TEST_SUITE_P(Rows, Preflight, testing::ValuesIn(rows()), [](const auto& row) {
  std::string name = row.param.name;
  for (auto& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
});

TEST(PreflightMachine, AGoodMachinePassesEverything) {
  const FakeMachine fake;
  fake.huge_pages(0, "2048", 256);
  const auto report = preflight(small_config(), fake.machine());
  for (const auto& finding : report.findings)
    EXPECT_EQ(finding.level, Level::kPass) << to_string(finding);
  EXPECT_EQ(report.findings.size(), 10U);
}

TEST(PreflightMachine, InterfacesThatWereLeftAreTakenOver) {
  const FakeMachine fake;
  fake.interface("sl-p0", "0x1802", "0");
  fake.interface("wire0", "0x1902", "0");
  auto config = small_config();
  use_device(config, "net_tap0,iface=wire0");
  EXPECT_TRUE(preflight(config, fake.machine()).ok());
}

TEST(PreflightMachine, AGoodNicPasses) {
  const FakeMachine fake;
  fake.write("/dev/vfio/vfio", "");
  fake.pci(kNic, "vfio-pci", "7");
  fake.pci("0000:00:01.0", "pcieport", "7");
  auto config = small_config();
  use_device(config, "03:00.0");
  EXPECT_TRUE(preflight(config, fake.machine()).ok());
}

TEST(PreflightMachine, AnotherDataplaneIsNamedByItsPid) {
  const FakeMachine fake;
  fake.write("/run/sluice/dataplane.lock", "4711\n");
  fake.interface("sl-p0", "0x1802", "0");
  EXPECT_TRUE(preflight(small_config(), fake.machine()).ok()) << "left by a dead one";
  const int fd = ::open(fake.path("/run/sluice/dataplane.lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(fd, LOCK_EX | LOCK_NB), 0);
  fake.interface("sl-p0", "0x1802", "1");  // its own, and so not complained about
  const auto report = preflight(small_config(), fake.machine());
  ::close(fd);
  EXPECT_FALSE(report.ok());
  for (const auto& finding : report.findings) {
    if (finding.level == Level::kFail) {
      EXPECT_NE(finding.message.find("pid 4711"), std::string::npos) << finding.message;
    }
  }
}

TEST(PreflightMachine, TheManagerTakesTheCoresThatNoWorkerHas) {
  const FakeMachine fake;
  auto config = small_config();
  EXPECT_EQ(manager_cores(config, fake.machine()), (CoreSet{0, 2, 3}));
  config.dataplane.manager_core = 2;
  EXPECT_EQ(manager_cores(config, fake.machine()), CoreSet{2});
}

TEST(PreflightMachine, FindingsReadAsOneLine) {
  EXPECT_EQ(to_string(Finding{Level::kPass, "tun", "/dev/net/tun", ""}), "PASS  tun: /dev/net/tun");
  EXPECT_EQ(to_string(Finding{Level::kFail, "tun", "missing", "modprobe tun"}),
            "FAIL  tun: missing; remedy: modprobe tun");
}

}  // namespace
}  // namespace sluice::dataplane
