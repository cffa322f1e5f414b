// What each port needs: its device, the device's driver, privileges, and that nobody is cut off.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "dataplane/app/preflight.hpp"
#include "dataplane/io/device.hpp"

namespace sluice::dataplane::detail {
namespace {

constexpr std::string_view kVfio = "vfio-pci";
// Kernel drivers through which DPDK reaches a device: those that hand it over whole, and those that
// share it (mlx: the kernel keeps the interface).
constexpr std::array<std::string_view, 5> kUsableDrivers = {kVfio, "uio_pci_generic", "igb_uio",
                                                            "mlx5_core", "mlx4_core"};

std::string first_common(const std::vector<std::string>& interfaces,
                         const std::set<std::string>& lifelines) {
  for (const auto& name : interfaces) {
    if (lifelines.contains(name)) return name;
  }
  return {};
}

bool refuse_lifeline(const PreflightContext& context, const std::string& check,
                     const std::vector<std::string>& interfaces) {
  const auto name = first_common(interfaces, context.machine.lifelines());
  if (name.empty()) return false;
  context.fail(check,
               fmt::format("{} carries this machine's default route or an ssh session; taking it "
                           "would cut the machine off",
                           name),
               "choose another device, or move the route and the sessions to another interface "
               "first");
  return true;
}

// All other devices of the IOMMU group must be without a kernel driver too, or vfio refuses it.
bool check_iommu(const PreflightContext& context, const std::string& check,
                 const PciDevice& device) {
  if (device.driver != kVfio) return true;
  if (!device.iommu_group) {
    if (context.machine.vfio_without_iommu()) {
      context.warn(check, "vfio without an IOMMU: the device can write to all memory",
                   "switch the IOMMU on: kernel command line intel_iommu=on or amd_iommu=on");
      return true;
    }
    context.fail(check, fmt::format("{} is in no IOMMU group", device.address),
                 "switch the IOMMU on (BIOS, and kernel command line intel_iommu=on iommu=pt), or "
                 "echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
    return false;
  }
  for (const auto& member : context.machine.iommu_group_members(*device.iommu_group)) {
    if (member.driver.empty() || member.driver == kVfio || member.driver == "pci-stub" ||
        member.driver == "pcieport") {
      continue;
    }
    context.fail(check,
                 fmt::format("IOMMU group {} is not viable: {} in it is bound to {}",
                             *device.iommu_group, member.address, member.driver),
                 fmt::format("dpdk-devbind.py -b vfio-pci {} (or put the device in another slot)",
                             member.address));
    return false;
  }
  return true;
}

bool check_pci(const PreflightContext& context, const std::string& check, const Device& wanted) {
  const auto device = context.machine.pci_device(wanted.name);
  if (!device) {
    context.fail(check, fmt::format("no PCI device {}", wanted.name),
                 "dpdk-devbind.py --status-dev net lists what there is");
    return false;
  }
  if (refuse_lifeline(context, check, device->interfaces)) return false;
  if (std::ranges::find(kUsableDrivers, device->driver) == kUsableDrivers.end()) {
    context.fail(
        check,
        device->driver.empty()
            ? fmt::format("{} is bound to no driver instead of vfio-pci", wanted.name)
            : fmt::format("{} is bound to {} instead of vfio-pci", wanted.name, device->driver),
        fmt::format("modprobe vfio-pci; dpdk-devbind.py -b vfio-pci {} (for good: "
                    "driverctl set-override {} vfio-pci)",
                    wanted.name, wanted.name));
    return false;
  }
  if (device->driver == kVfio && !context.machine.exists("/dev/vfio/vfio")) {
    context.fail(check, "/dev/vfio/vfio is missing", "modprobe vfio-pci");
    return false;
  }
  return check_iommu(context, check, *device);
}

bool check_interface(const PreflightContext& context, const std::string& check,
                     const Device& wanted) {
  const auto key = wanted.driver->interface_argument;
  if (key.empty()) return true;
  const auto name = wanted.argument(key);
  if (!name) {
    context.fail(check, fmt::format("{} needs {}=<interface>", wanted.driver->name, key),
                 fmt::format("device: {},{}=eth1", wanted.name, key));
    return false;
  }
  if (!context.machine.has_interface(*name)) {
    context.fail(check, fmt::format("no interface {}", *name), "ip link lists what there is");
    return false;
  }
  return !refuse_lifeline(context, check, {*name});
}

bool check_software(const PreflightContext& context, const std::string& check,
                    const Device& wanted) {
  const auto& driver = *wanted.driver;
  const auto& machine = context.machine;
  const auto library = fmt::format("{}/{}", kPluginFolder, driver.library);
  if (!machine.exists(library)) {
    context.fail(check, fmt::format("driver {} is not installed ({})", driver.name, library),
                 fmt::format("apt install {}", driver.package));
    return false;
  }
  if (driver.needs_net_raw && !machine.has_capability(Capability::kNetRaw)) {
    context.fail(check, fmt::format("CAP_NET_RAW is missing for {}", driver.name),
                 "run it as root, or add CAP_NET_RAW to its capabilities");
    return false;
  }
  if (driver.needs_bpf && !machine.has_capability(Capability::kSysAdmin)) {
    context.fail(
        check, fmt::format("CAP_SYS_ADMIN is missing for {} (it loads a BPF program)", driver.name),
        "run it as root");
    return false;
  }
  return check_interface(context, check, wanted);
}

bool check_privileges_of_pci(const PreflightContext& context, const std::string& check) {
  if (context.machine.has_capability(Capability::kIpcLock)) return true;
  context.fail(check, "CAP_IPC_LOCK is missing: the device's memory cannot be locked",
               "run it as root, or add CAP_IPC_LOCK to its capabilities");
  return false;
}

}  // namespace

void check_ports(const PreflightContext& context) {
  std::map<std::string, std::string> taken;  // device name to port name
  for (const auto& port : context.config.ports) {
    const auto check = "port " + port.name;
    const auto device = parse_device(port.device);
    if (!device) {
      context.fail(check, device.error().message(), "correct ports[].device");
      continue;
    }
    const auto [other, fresh] = taken.emplace(device->name, port.name);
    if (!fresh) {
      context.fail(check, fmt::format("{} is already port {}", device->name, other->second),
                   "give each port a device of its own");
      continue;
    }
    const bool ok = device->is_pci() ? check_privileges_of_pci(context, check) &&
                                           check_pci(context, check, *device)
                                     : check_software(context, check, *device);
    if (ok) context.pass(check, port.device);
  }
}

}  // namespace sluice::dataplane::detail
