// The control plane's side of the link: programmer, link and an io_context that the test drives.
// One thread, the test's.
#pragma once

#include <asio/io_context.hpp>
#include <cstdint>
#include <string>

#include "controlplane/link/link.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::testing {

inline Id route_id(std::uint64_t number) {
  Id id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  id.bytes[15] = 1;
  return id;
}

struct ControlSide {
  asio::io_context io;
  controlplane::Programmer programmer;
  controlplane::Link link;

  explicit ControlSide(const std::string& run_dir)
      : link(io, run_dir + "/dataplane.sock", programmer) {}

  // `hosts` adjacencies and `routes` routes spread over them, in an order that differs by `seed`,
  // so that two control planes number the same adjacencies differently.
  void want(std::uint32_t hosts, std::uint64_t routes, std::uint32_t seed);

  template <class Done>
  bool run_until(Done&& done, int milliseconds) {
    const std::uint64_t end = monotonic_ns() + static_cast<std::uint64_t>(milliseconds) * kNsPerMs;
    while (!done()) {
      if (monotonic_ns() > end) return false;
      io.run_for(std::chrono::microseconds(200));
      io.restart();
    }
    return true;
  }
  bool run_until_ready(int milliseconds) {
    return run_until([this] { return link.info().state == controlplane::LinkState::kReady; },
                     milliseconds);
  }
  // Everything wanted so far has taken effect.
  bool settle(int milliseconds);
};

// The address of host n, and where the route of agent r must lead when there are so many hosts.
IpAddress host_address(std::uint32_t host);
std::uint32_t host_of_route(std::uint64_t route, std::uint32_t hosts);
inline constexpr std::uint16_t kAgentPort = 9000;

}  // namespace sluice::testing
