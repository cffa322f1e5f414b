#include "dataplane/app/memory_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataplane/app/sizes.hpp"
#include "dataplane/io/device.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::uint32_t kEthernetOverhead = 14 + 4 + 4;  // header, VLAN tag, checksum
constexpr std::uint32_t kHeadroom = 128;                 // RTE_PKTMBUF_HEADROOM
constexpr std::uint32_t kDefaultRoom = 2048;
// struct rte_mbuf, the mempool's own header of an object, padding that spreads the channels.
constexpr std::uint64_t kBytesBesidesRoom = 128 + 64 + 64;
// Measured with 22.11: 45-52 bytes an entry of rte_hash in use. While the table is made anew under
// another key there are two.
constexpr std::uint64_t kBytesPerRoute = 72;
constexpr std::uint64_t kBytesPerAdjacency = 64 + 16;
constexpr std::uint64_t kBytesPerGroup = 16;
constexpr std::uint64_t kBytesOfDpdk = 32 * kMebibyte;

// Another process maps our memory (net_memif, net_virtio_user): DPDK then wants files behind it.
bool shares_memory(const config::Config& config) {
  return std::ranges::any_of(config.ports, [](const auto& port) {
    const auto device = parse_device(port.device);
    return device && !device->is_pci() && device->driver->shares_memory;
  });
}

std::uint64_t ring_bytes(const config::Config& config) {
  const std::uint64_t workers = config.dataplane.workers.size();
  const std::uint64_t per_worker =
      (kToHostRing + kToHoldRing + kToControlRing + kReleaseRing + kTransmitRing) * sizeof(void*) +
      kTraceRing * 576ULL;
  return workers * per_worker + workers * workers * 2 * kWorkerRing * sizeof(void*);
}

HugePageNode huge_pages_of(const Machine& machine, int node) {
  HugePageNode found{.node = node};
  for (const auto& size : machine.huge_pages(node)) {
    const auto bytes = size.bytes * size.free_pages;
    if (bytes <= found.free_bytes) continue;
    found.page_bytes = size.bytes;
    found.free_bytes = bytes;
  }
  return found;
}

}  // namespace

std::uint32_t mbuf_data_room(const config::Config& config) {
  std::uint32_t largest = kDefaultRoom;
  for (const auto& port : config.ports)
    largest = std::max(largest, port.mtu + kEthernetOverhead);
  return (largest + 63) / 64 * 64 + kHeadroom;
}

MemoryNeed memory_need(const config::Config& config) {
  const auto& dataplane = config.dataplane;
  MemoryNeed need;
  need.mbuf_bytes = dataplane.mbufs * (mbuf_data_room(config) + kBytesBesidesRoom);
  need.table_bytes = dataplane.routes * kBytesPerRoute +
                     dataplane.adjacencies * kBytesPerAdjacency + dataplane.groups * kBytesPerGroup;
  need.other_bytes = ring_bytes(config) + kBytesOfDpdk;
  return need;
}

std::uint64_t mbufs_in_use(const config::Config& config) {
  const std::uint64_t workers = config.dataplane.workers.size();
  std::uint64_t descriptors = 0;
  for (const auto& port : config.ports) {
    std::uint64_t per_queue = port.descriptors;
    if (const auto device = parse_device(port.device); device && !device->is_pci()) {
      const auto limit = device->driver->max_descriptors;
      if (limit != 0) per_queue = std::min<std::uint64_t>(per_queue, limit);
    }
    descriptors += per_queue * (port.queue_count() + workers);
  }
  return descriptors + (workers + 1) * kMempoolCache * 3 / 2 + workers * kToHostRing +
         config.hold.total;
}

std::vector<int> nodes_of_workers(const config::Config& config, const Machine& machine) {
  std::vector<int> nodes;
  for (const auto core : config.dataplane.workers)
    nodes.push_back(std::max(machine.node_of_core(core), 0));
  std::ranges::sort(nodes);
  const auto doubles = std::ranges::unique(nodes);
  nodes.erase(doubles.begin(), doubles.end());
  return nodes;
}

MemoryPlan plan_memory(const config::Config& config, const Machine& machine) {
  MemoryPlan plan;
  plan.nodes = nodes_of_workers(config, machine);
  plan.need_bytes = memory_need(config).bytes();
  plan.reserve_bytes = config.dataplane.memory_mb * kMebibyte;
  plan.available_bytes = machine.available_memory_bytes();
  for (const int node : plan.nodes) {
    const auto pages = huge_pages_of(machine, node);
    plan.huge.push_back(pages);
    if (pages.free_bytes >= plan.reserve_bytes || !plan.huge_shortage.empty()) continue;
    constexpr std::uint64_t kUsualPage = 2 * kMebibyte;
    const auto page = pages.page_bytes == 0 ? kUsualPage : pages.page_bytes;
    plan.huge_shortage =
        fmt::format("{} MiB of huge pages needed on node {}, {} MiB free",
                    plan.reserve_bytes / kMebibyte, node, pages.free_bytes / kMebibyte);
    const auto missing = (plan.reserve_bytes - pages.free_bytes + page - 1) / page;
    const auto file = fmt::format(
        "/sys/devices/system/node/node{}/hugepages/hugepages-{}kB/nr_hugepages", node, page / 1024);
    plan.huge_remedy = fmt::format("echo $(($(cat {}) + {})) > {}", file, missing, file);
  }
  if (plan.huge_shortage.empty() && shares_memory(config) && !machine.hugetlbfs_mounted()) {
    plan.huge_shortage = "no hugetlbfs is mounted, and another process shall map our memory";
    plan.huge_remedy = "mount -t hugetlbfs hugetlbfs /dev/hugepages";
  }
  plan.huge_pages =
      config.dataplane.huge_pages != config::HugePages::kOff &&
      (plan.huge_shortage.empty() || config.dataplane.huge_pages == config::HugePages::kOn);
  return plan;
}

}  // namespace sluice::dataplane
