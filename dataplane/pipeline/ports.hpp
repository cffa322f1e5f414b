// What the pipeline knows of the ports: facts fixed at start, and a bit per port whose link is up.
// Filled by io before the workers start; afterwards the manager thread changes only `up`. Read by
// all workers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "sluice/base/cacheline.hpp"
#include "sluice/route/limits.hpp"
#include "sluice/wire/inet.hpp"

struct rte_ring;

namespace sluice::dataplane {

inline constexpr std::uint16_t kNoPort = UINT16_MAX;

struct PortFacts {
  MacAddress mac{};
  std::uint16_t dpdk_port = kNoPort;
  std::uint16_t vlan = 0;  // 0: messages are untagged
  std::uint16_t mtu = 1500;
  // The driver sends frames of several segments (RTE_ETH_TX_OFFLOAD_MULTI_SEGS): copies for the
  // members of a group share their payload. Where it does not, copies are made in full.
  // RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE must not be enabled on any port: payloads are counted.
  bool sends_segments = false;
};

// Indexed by the port's position in the configuration, as in PortInfo and Adjacency::port.
struct PortTable {
  std::array<PortFacts, kMaxPorts> port{};
  std::array<std::uint16_t, kMaxPorts> index_of_dpdk_port;  // kNoPort: not ours
  std::uint16_t count = 0;
  alignas(kCacheLineBytes) std::atomic<std::uint32_t> up{0};  // bit: port index; a hint, relaxed

  PortTable() { index_of_dpdk_port.fill(kNoPort); }
};
static_assert(kMaxPorts == 32, "one bit per port");

inline constexpr std::uint16_t kNoQueue = UINT16_MAX;

// How one worker reaches a port: its own transmit queue, or the worker that owns one.
struct PortEgress {
  std::uint16_t tx_queue = kNoQueue;
  rte_ring* through = nullptr;       // used when tx_queue is kNoQueue; both unset: not reachable
  std::uint16_t through_worker = 0;  // whom to wake
};

}  // namespace sluice::dataplane
