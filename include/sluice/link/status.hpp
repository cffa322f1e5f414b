// The status segment: counters and facts that the dataplane publishes for as long as it lives. A
// memfd of its own, mapped read-only by the control plane, so that counters go on over its
// restarts. Each counter has one writer (its worker; the last block belongs to the manager thread)
// and is a relaxed 64-bit store; readers may see a slightly old value, never a torn one.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "sluice/base/cacheline.hpp"
#include "sluice/link/drop_reason.hpp"
#include "sluice/route/limits.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::link {

// Per ingress port, unless it says egress. Invariant, whenever nothing waits in an egress queue:
//   messages + released == forwarded + replicated + held + punted + answered + sum(dropped)
// where `released` counts messages that came back from the hold queue into the pipeline. It holds
// in total, and per worker unless a port's transmit queue belongs to another worker: a message is
// counted as forwarded by the worker that hands it to the driver.
struct alignas(kCacheLineBytes) PortCounters {
  std::uint64_t frames;  // received from the port
  std::uint64_t bytes;
  std::uint64_t messages;         // addressed to the message port, or too broken to tell
  std::uint64_t to_host;          // frames passed to the kernel
  std::uint64_t to_host_dropped;  // its queue was full
  std::uint64_t released;
  std::uint64_t forwarded;  // messages that left as one
  std::uint64_t
      replicated;  // messages that left as several copies (or as none of a group of none else)
  std::uint64_t copies;  // of those, handed to a driver
  std::uint64_t held;
  std::uint64_t punted;
  std::uint64_t answered;
  std::uint64_t notices;          // sent back to senders
  std::uint64_t notices_limited;  // not sent: over the rate
  std::uint64_t egress_frames;    // egress: handed to this port's driver, anything
  std::uint64_t egress_bytes;
  std::uint64_t egress_queued;  // egress: messages that had to wait in a class queue
  std::array<std::uint64_t, kMaxDropReasons> dropped;  // by ingress port
  std::uint64_t copies_dropped;  // of replicated messages: member not reachable, no room
  std::uint64_t egress_dropped;  // egress: any frame that was ready to go and was dropped
  std::array<std::uint64_t, 13> reserved;
};
static_assert(sizeof(PortCounters) == 96 * 8);

struct alignas(kCacheLineBytes) WorkerCounters {
  std::uint64_t loops;
  std::uint64_t busy_loops;  // that received something
  std::uint64_t busy_tsc;    // cycles spent in those
  std::uint64_t sleeps;
  std::uint64_t slept_ns;
  std::uint64_t longest_loop_tsc;
  std::uint64_t negative_hits;  // unknown ids answered from the negative cache
  std::uint64_t traced;
  std::uint64_t discoveries_limited;
  // The one field that another thread writes: the manager adds one to ask for all counters of this
  // block to be set to zero. The owner does so in its housekeeping when the number has changed.
  std::uint64_t clear_requests;
  std::array<std::uint64_t, 6> reserved;
  std::array<PortCounters, kMaxPorts> port;
};

// The worker index under which the manager thread counts: hold queue, host interfaces, injected
// messages.
inline constexpr std::uint32_t kManagerCounters = kMaxWorkers;

enum class PortRole : std::uint8_t { kEdge = 0, kTrunk = 1 };

struct PortInfo {
  std::array<char, 16> name;
  std::array<char, 16> host_interface;
  std::array<char, 32> driver;
  std::array<char, 128> device;
  MacAddress mac;
  PortRole role;
  std::uint8_t source_guard;
  std::uint8_t link_up;
  std::uint8_t dispatch;  // 1: fewer queues than workers, software dispatch
  std::uint16_t rx_queues;
  std::uint16_t tx_queues;
  std::uint16_t mtu;
  std::uint16_t vlan;
  std::int32_t socket;  // NUMA node, -1 unknown
  std::uint32_t speed_mbps;
  std::uint32_t host_ifindex;  // in the dataplane's network namespace
  std::uint64_t workers;       // bit i: worker i serves it
  std::uint64_t missed;        // driver: imissed + rx_nombuf + ierrors
};

struct WorkerInfo {
  std::uint16_t core;
  std::uint8_t used;
  std::uint8_t sleeping;
  std::int32_t socket;
  std::uint32_t tid;
};

struct TableInfo {
  std::uint64_t routes;
  std::uint64_t routes_capacity;
  std::uint64_t route_table_bytes;
  std::uint64_t adjacencies;
  std::uint64_t adjacencies_capacity;
  std::uint64_t groups;
  std::uint64_t groups_capacity;
  std::uint64_t grace_pending;  // deleted entries whose slots wait for the workers
  std::uint64_t held;           // messages in the hold queue now
  std::uint64_t hold_capacity;
  std::uint64_t hold_expired;
  std::uint64_t hold_released;
  std::uint64_t commands_applied;  // over all connections
  std::uint64_t commands_refused;
  std::uint64_t mbufs;  // all pools
  std::uint64_t mbufs_free;
  // The base tier. `routes` above counts the delta, deletion marks included.
  std::uint64_t base_entries;
  std::uint64_t base_bytes;
  std::uint64_t base_number;   // 0: there is no base
  std::uint64_t base_loading;  // 1: a segment is being copied and checked
  std::uint64_t base_commits;
  std::uint64_t base_refused;    // segments
  std::uint64_t routes_deleted;  // deletion marks in the delta
};

inline constexpr std::uint64_t kStatusMagic = 0x3154415453434c53;  // "SLCSTAT1"
inline constexpr std::uint32_t kStatusVersion = 2;

struct alignas(4096) StatusSegment {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t bytes;
  std::uint64_t instance;    // random, of this start of the dataplane
  std::uint64_t started_ns;  // monotonic
  std::uint64_t tsc_hz;
  std::uint32_t pid;
  std::uint16_t ports;
  std::uint16_t workers;
  std::uint8_t huge_pages;
  std::uint8_t adaptive;
  std::array<std::uint8_t, 6> reserved;
  std::array<char, 16> hash_implementation;
  TableInfo tables;
  std::array<PortInfo, kMaxPorts> port;
  std::array<WorkerInfo, kMaxWorkers> worker;
  std::array<WorkerCounters, kMaxWorkers + 1> counters;
};
static_assert(std::is_trivially_copyable_v<StatusSegment>);

// The one way counters are written (by their owner) and read (by anyone).
inline void add(std::uint64_t& counter, std::uint64_t n) noexcept {
  std::atomic_ref ref(counter);
  ref.store(ref.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}
inline std::uint64_t read(const std::uint64_t& counter) noexcept {
  return std::atomic_ref(const_cast<std::uint64_t&>(counter)).load(std::memory_order_relaxed);
}

}  // namespace sluice::link
