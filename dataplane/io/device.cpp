#include "dataplane/io/device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace sluice::dataplane {
namespace {

constexpr std::array kSoftwareDrivers = {
    SoftwareDriver{.name = "net_tap",
                   .library = "librte_net_tap.so",
                   .package = "librte-net-tap23",
                   .needs_tun = true,
                   .equal_queues = true,
                   .neighbour_mac = true,
                   .max_descriptors = 64},
    SoftwareDriver{.name = "net_af_xdp",
                   .library = "librte_net_af_xdp.so",
                   .package = "librte-net-af-xdp23",
                   .needs_net_raw = true,
                   .needs_bpf = true,
                   .equal_queues = true,
                   .interface_argument = "iface"},
    SoftwareDriver{.name = "net_af_packet",
                   .library = "librte_net_af_packet.so",
                   .package = "librte-net-af-packet23",
                   .needs_net_raw = true,
                   .equal_queues = true,
                   .interface_argument = "iface"},
    SoftwareDriver{.name = "net_memif",
                   .library = "librte_net_memif.so",
                   .package = "librte-net-memif23",
                   .shares_memory = true,
                   .start_hint = "the side with role=server must be started first"},
    SoftwareDriver{.name = "net_vhost",
                   .library = "librte_net_vhost.so",
                   .package = "librte-net-vhost23",
                   .equal_queues = true},
    SoftwareDriver{.name = "net_virtio_user",
                   .library = "librte_net_virtio.so",
                   .package = "librte-net-virtio23",
                   .shares_memory = true,
                   .equal_queues = true,
                   .start_hint = "the vhost server of its path must be started first"},
    SoftwareDriver{
        .name = "net_null", .library = "librte_net_null.so", .package = "librte-net-null23"},
    SoftwareDriver{
        .name = "net_ring", .library = "librte_net_ring.so", .package = "librte-net-ring23"},
    SoftwareDriver{
        .name = "net_pcap", .library = "librte_net_pcap.so", .package = "librte-net-pcap23"},
};

bool is_hex(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
}

// "[dddd:]bb:dd.f" with the domain filled in, lower case, as sysfs spells it.
std::optional<std::string> pci_address(std::string_view text) {
  std::string full(text);
  if (std::ranges::count(text, ':') == 1) full.insert(0, "0000:");
  if (full.size() != 12 || full[4] != ':' || full[7] != ':' || full[10] != '.') return std::nullopt;
  const std::string_view view = full;
  if (!is_hex(view.substr(0, 4)) || !is_hex(view.substr(5, 2)) || !is_hex(view.substr(8, 2)) ||
      view[11] < '0' || view[11] > '7') {
    return std::nullopt;
  }
  std::ranges::transform(full, full.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return full;
}

std::string driver_names() {
  std::string names;
  for (const auto& driver : kSoftwareDrivers)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", driver.name);
  return names;
}

}  // namespace

std::span<const SoftwareDriver> software_drivers() noexcept {
  return kSoftwareDrivers;
}

std::optional<std::string> Device::argument(std::string_view key) const {
  std::string_view rest = arguments;
  while (!rest.empty()) {
    const auto part = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const auto equals = part.find('=');
    if (equals != std::string_view::npos && part.substr(0, equals) == key)
      return std::string(part.substr(equals + 1));
  }
  return std::nullopt;
}

namespace {

// DPDK takes any name that begins with a driver's; one that goes on with a letter is misspelt.
bool is_of_driver(std::string_view device, std::string_view driver) noexcept {
  if (!device.starts_with(driver)) return false;
  const auto rest = device.substr(driver.size());
  return rest.empty() || std::isalpha(static_cast<unsigned char>(rest.front())) == 0;
}

}  // namespace

Result<Device> parse_device(std::string_view text) {
  Device device;
  device.text = text;
  const auto comma = text.find(',');
  const auto name = text.substr(0, comma);
  if (comma != std::string_view::npos) device.arguments = text.substr(comma + 1);
  if (auto address = pci_address(name)) {
    device.name = std::move(*address);
    return device;
  }
  device.name = name;
  for (const auto& driver : kSoftwareDrivers) {
    if (is_of_driver(name, driver.name)) device.driver = &driver;
  }
  if (device.driver != nullptr) return device;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is neither a PCI address (0000:03:00.0) nor begins with a known "
                          "driver: {}",
                          name, driver_names()),
              ErrorOrigin::kConfig);
}

}  // namespace sluice::dataplane
