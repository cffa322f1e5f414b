// The configuration that `sluice store estimate` prints for a fleet, against what the dataplane
// says that it needs: the estimator's constants are copies of the dataplane's, which it may not
// include.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "controlplane/store/estimator.hpp"
#include "dataplane/app/memory_plan.hpp"
#include "dataplane/table/route_table.hpp"

namespace sluice::dataplane {
namespace {

namespace store = controlplane::store;

config::Config router_of(const store::FleetSize& fleet) {
  const auto sizes = store::router_sizes(fleet);
  config::Config config;
  config.dataplane.memory_mb = static_cast<std::uint32_t>(sizes.memory_mb);
  config.dataplane.mbufs = static_cast<std::uint32_t>(fleet.mbufs);
  config.dataplane.routes = static_cast<std::uint32_t>(sizes.routes);
  config.dataplane.adjacencies = static_cast<std::uint32_t>(sizes.adjacencies);
  config.dataplane.groups = static_cast<std::uint32_t>(sizes.groups);
  config.dataplane.workers.resize(16);
  std::iota(config.dataplane.workers.begin(), config.dataplane.workers.end(), 1U);
  config.ports.resize(1);
  config.ports[0].mtu = 2026;
  return config;
}

TEST(Fleet, MemoryIsEnoughForTheTablesOfAnEstimate) {
  for (const bool base : {true, false}) {
    for (const std::uint64_t agents : {1UL, 100'000UL, 1'000'000UL, 7'000'000UL, 30'000'000UL}) {
      for (const std::uint64_t capabilities : {0UL, 5'000UL, 1UL << 20}) {
        const auto config =
            router_of({.agents = agents, .capabilities = capabilities, .base = base});
        const auto need = memory_need(config);
        const auto reserved = config.dataplane.memory_mb * kMebibyte;
        EXPECT_LE(need.bytes(), reserved) << agents << " " << capabilities << " " << base;
        // A table under another key is made beside the old one.
        const std::uint64_t tables = 2 * RouteTable::memory_needed(config.dataplane.routes);
        EXPECT_LE(need.mbuf_bytes + need.other_bytes + tables, reserved) << agents << " " << base;
      }
    }
  }
}

TEST(Fleet, PacketBuffersAreEnoughForTheQueues) {
  for (const std::size_t ports : {1, 3, 32}) {
    for (const std::size_t workers : {1, 4, 64}) {
      const auto sizes = store::router_sizes({.ports = ports, .workers = workers});
      const auto in_use = [&](std::uint64_t mbufs) {
        config::Config config;
        config.dataplane.workers.resize(workers);
        config.ports.resize(ports);
        for (auto& port : config.ports)
          port.workers.resize(workers);
        config.hold.total = static_cast<std::uint32_t>(std::min<std::uint64_t>(65536, mbufs / 4));
        return mbufs_in_use(config);
      };
      EXPECT_LE(in_use(sizes.mbufs_least), sizes.mbufs_least) << ports << " " << workers;
      EXPECT_GT(in_use(sizes.mbufs_least - 1), sizes.mbufs_least - 1) << ports << " " << workers;
    }
  }
}

}  // namespace
}  // namespace sluice::dataplane
