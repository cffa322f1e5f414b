#include "dataplane/io/placement.hpp"

#include <fmt/format.h>
#include <numa.h>
#include <numaif.h>

#include <algorithm>

namespace sluice::dataplane {
namespace {

std::string node_text(int node) {
  return node < 0 ? "any" : std::to_string(node);
}

}  // namespace

std::vector<PlacementLine> placement_report(const std::vector<PlacedPort>& ports,
                                            const std::vector<PlacedWorker>& workers) {
  std::vector<PlacementLine> lines;
  for (const auto& worker : workers) {
    const bool crosses =
        worker.node >= 0 && worker.mempool_node >= 0 && worker.node != worker.mempool_node;
    lines.push_back(
        {crosses, fmt::format("event=placement worker={} core={} socket={} "
                              "mempool_socket={}{}",
                              worker.index, worker.core, node_text(worker.node),
                              node_text(worker.mempool_node), crosses ? " crosses=yes" : "")});
  }
  for (const auto& port : ports) {
    std::string far;
    for (const auto index : port.workers) {
      const auto worker = std::ranges::find(workers, index, &PlacedWorker::index);
      if (worker == workers.end() || worker->node < 0 || port.node < 0) continue;
      if (worker->node != port.node)
        far += fmt::format("{}{}", far.empty() ? "" : ",", worker->core);
    }
    lines.push_back(
        {!far.empty(),
         fmt::format("event=placement port={} socket={}{}", port.name, node_text(port.node),
                     far.empty() ? ""
                                 : fmt::format(" crosses=yes far_cores={} remedy=\"serve it by "
                                               "cores of socket {}: ports[].workers\"",
                                               far, port.node))});
  }
  return lines;
}

std::vector<int> nodes_in_use(const std::vector<PlacedWorker>& workers) {
  std::vector<int> nodes;
  for (const auto& worker : workers)
    nodes.push_back(std::max(worker.node, 0));
  std::ranges::sort(nodes);
  const auto doubles = std::ranges::unique(nodes);
  nodes.erase(doubles.begin(), doubles.end());
  if (nodes.empty()) nodes.push_back(0);
  return nodes;
}

int node_of_memory(const void* address) noexcept {
  if (::numa_available() < 0) return -1;
  void* page = const_cast<void*>(address);
  int node = -1;
  // Without a list of target nodes move_pages only asks where the page is.
  if (::numa_move_pages(0, 1, &page, nullptr, &node, 0) != 0) return -1;
  return node;
}

}  // namespace sluice::dataplane
