#include "tests/integration/link/control_side.hpp"

#include <vector>

namespace sluice::testing {

IpAddress host_address(std::uint32_t host) {
  return IpAddress::v4(Big32(0x0a000001u + host));
}

std::uint32_t host_of_route(std::uint64_t route, std::uint32_t hosts) {
  return static_cast<std::uint32_t>(route * 7 % hosts);
}

void ControlSide::want(std::uint32_t hosts, std::uint64_t routes, std::uint32_t seed) {
  programmer.set_hash_key({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  programmer.set_router_id(route_id(UINT64_MAX));
  std::vector<std::uint32_t> handles(hosts);
  for (std::uint32_t i = 0; i < hosts; ++i) {
    const std::uint32_t host = (i + seed) % hosts;
    const controlplane::AdjacencyValue value{.source = IpAddress::v4(Big32(0x0a0000feu)),
                                             .mac = {2, 1, 0, 0, 0, 1},
                                             .state = AdjacencyState::kUp};
    handles[host] =
        programmer.set_adjacency({.port = 1, .destination = host_address(host)}, value).value();
  }
  for (std::uint64_t r = 0; r < routes; ++r) {
    const controlplane::RouteSpec route{.kind = ActionKind::kAdjacency,
                                        .handle = handles[host_of_route(r, hosts)],
                                        .udp_port = kAgentPort};
    programmer.set_route(route_id(r), route).value();
  }
}

bool ControlSide::settle(int milliseconds) {
  bool done = false;
  bool good = false;
  link.when_applied([&](Status status) {
    done = true;
    good = status.has_value();
  });
  return run_until([&] { return done; }, milliseconds) && good;
}

}  // namespace sluice::testing
