// How much memory a configuration needs, computed before DPDK takes any, and whether huge pages
// will be used. No DPDK; pure functions over the configuration and the machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "dataplane/app/machine.hpp"
#include "sluice/base/result.hpp"

namespace sluice::dataplane {

inline constexpr std::uint64_t kMebibyte = 1024 * 1024;

struct MemoryNeed {
  std::uint64_t mbuf_bytes = 0;  // of each node
  std::uint64_t table_bytes = 0;
  std::uint64_t other_bytes = 0;  // rings, queues, DPDK's own

  std::uint64_t bytes() const noexcept { return mbuf_bytes + table_bytes + other_bytes; }
};

// Room for a frame in one buffer: the largest MTU of all ports, so that no message is ever chained.
std::uint32_t mbuf_data_room(const config::Config& config);

// Of one node: buffers everywhere, the tables on the first.
MemoryNeed memory_need(const config::Config& config);

// Buffers that can be out at the same time on one node: descriptors, rings, caches, held messages.
std::uint64_t mbufs_in_use(const config::Config& config);

struct HugePageNode {
  int node = 0;
  std::uint64_t page_bytes = 0;  // the size that is used there; 0: none free
  std::uint64_t free_bytes = 0;
};

struct MemoryPlan {
  bool huge_pages = false;
  std::vector<int> nodes;             // in use, ascending
  std::uint64_t need_bytes = 0;       // of each node
  std::uint64_t reserve_bytes = 0;    // of each node: dataplane.memory-mb
  std::vector<HugePageNode> huge;     // what there is, per node in use
  std::uint64_t available_bytes = 0;  // ordinary memory
  std::string huge_shortage;          // why huge pages cannot be used; empty: they can
  std::string huge_remedy;            // the command that makes enough of them
};

// Nodes of the workers' cores, ascending.
std::vector<int> nodes_of_workers(const config::Config& config, const Machine& machine);

MemoryPlan plan_memory(const config::Config& config, const Machine& machine);

}  // namespace sluice::dataplane
