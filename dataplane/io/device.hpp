// DPDK device arguments as this router understands them, and what is known of each software
// driver before DPDK is started: what it needs of the machine and how it wants to be configured.
// No DPDK here, so that the preflight and its tests do without. Any thread; plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sluice/base/result.hpp"

namespace sluice::dataplane {

// A driver of virtual devices. The quirks are those of DPDK 22.11.
struct SoftwareDriver {
  std::string_view name;     // the device is called by it and a suffix: "net_tap0"
  std::string_view library;  // plug-in file without its version
  std::string_view package;  // of Debian 12
  bool needs_tun = false;
  bool needs_net_raw = false;
  bool needs_bpf = false;
  // The other process maps our packet memory: huge pages must then be backed by files.
  bool shares_memory = false;
  // As many receive as transmit queues, or it does not start.
  bool equal_queues = false;
  // The MAC address it reports is that of the kernel's end, our neighbour: we need another.
  bool neighbour_mac = false;
  // It takes a buffer for each descriptor at once without using them: so many are enough.
  std::uint32_t max_descriptors = 0;
  std::string_view start_hint;  // what it usually is when it does not start
  // The argument that names the kernel interface which it takes over; empty: none.
  std::string_view interface_argument;
};

std::span<const SoftwareDriver> software_drivers() noexcept;

struct Device {
  std::string text;                        // as configured
  std::string name;                        // "0000:03:00.0" or "net_tap0"
  std::string arguments;                   // behind the first comma
  const SoftwareDriver* driver = nullptr;  // null: a PCI device

  bool is_pci() const noexcept { return driver == nullptr; }
  // The value of key=value in the arguments.
  std::optional<std::string> argument(std::string_view key) const;
};

// PCI addresses may leave out the domain. Anything that is neither a PCI address nor begins with
// the name of a known driver is refused, and the message lists the drivers.
Result<Device> parse_device(std::string_view text);

}  // namespace sluice::dataplane
