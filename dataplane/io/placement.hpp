// Which NUMA node everything lies on, as lines for the log and warnings where a worker reaches
// across nodes. Pure: the facts are given, so that it can be tested without such a machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::dataplane {

struct PlacedWorker {
  std::uint16_t index = 0;
  std::uint32_t core = 0;
  int node = -1;          // of the core
  int mempool_node = -1;  // where libnuma finds the buffers it allocates from
};

struct PlacedPort {
  std::string name;
  int node = -1;                       // of the device; -1: none of its own (software)
  std::vector<std::uint16_t> workers;  // indexes of those that serve it
};

struct PlacementLine {
  bool crosses = false;  // a warning
  std::string text;      // key=value
};

std::vector<PlacementLine> placement_report(const std::vector<PlacedPort>& ports,
                                            const std::vector<PlacedWorker>& workers);

// Nodes of everything in use, ascending, without doubles; {0} on a machine without NUMA.
std::vector<int> nodes_in_use(const std::vector<PlacedWorker>& workers);

// The node on which the page at `address` lies, asked of the kernel; -1 when it cannot tell.
int node_of_memory(const void* address) noexcept;

}  // namespace sluice::dataplane
