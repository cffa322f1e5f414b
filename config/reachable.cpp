#include "config/reachable.hpp"

#include <fmt/format.h>

namespace sluice::config {

std::string why_unreachable(const Config& config, const IpAddress& address) {
  if (const auto why = why_no_host(address); !why.empty()) return std::string(why);
  for (const Port& port : config.ports) {
    for (const Prefix& own : port.addresses) {
      if (own.address == address) {
        return fmt::format("this router's own address on port {}", port.name);
      }
      if (is_broadcast_of(address, own.address, own.length)) {
        return fmt::format("the broadcast address of the network of port {}", port.name);
      }
    }
  }
  return {};
}

}  // namespace sluice::config
