// Everything that app gives one worker before it starts: which queues it polls, where it may
// send, the tables it reads, and the rings to other threads. Written by app on the main thread,
// immutable while the worker runs. All pointers outlive the worker; nothing here is owned.
//
// Buffers in rings: mbuf->port is the DPDK port on which the frame came in, or, in rings that lead
// to transmission, on which it shall go out. Frames in to_hold and to_control are as they were
// received, and their mbuf tells where the envelope is: l2_len + l3_len + 8 (see envelope_offset).
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/pipeline/ports.hpp"
#include "dataplane/worker/waker.hpp"
#include "sluice/link/status.hpp"

namespace sluice::dataplane {

struct ServedPort {
  std::uint16_t port = 0;      // index in the configuration
  std::uint16_t rx_queue = 0;  // every entry is a queue that this worker alone polls
  // The port has fewer queues than workers: what this queue brings is spread over all workers that
  // have a ring in dispatch_out (and this one) by the hash of the UDP 4-tuple.
  bool dispatch = false;
};

enum class IdlePolicy : std::uint8_t {
  kPoll,      // never sleeps
  kAdaptive,  // spins, then pauses, then sleeps until a queue or ring has something
};

// Rings of pointers to mbufs unless it says otherwise; single producer, single consumer.
struct WorkerRings {
  // To the manager thread.
  rte_ring* to_host = nullptr;     // frames for the kernel
  rte_ring* to_hold = nullptr;     // messages that wait for their destination
  rte_ring* to_control = nullptr;  // punted messages
  rte_ring* trace = nullptr;       // elements of sizeof(link::TraceRecord), rte_ring_create_elem
  rte_ring* denied = nullptr;      // elements of sizeof(DeniedSource), small; may be missing
  // From the manager thread.
  rte_ring* release = nullptr;   // held messages: through the pipeline again, as from their port
  rte_ring* transmit = nullptr;  // complete frames to send
  // Between workers; index: worker; null for itself and where there is none.
  std::vector<rte_ring*> dispatch_in;   // received frames for this worker
  std::vector<rte_ring*> dispatch_out;  // received frames for others
  std::vector<rte_ring*> transmit_in;   // complete frames for ports whose queue this worker owns
};

struct WorkerContext {
  std::uint16_t index = 0;
  std::uint16_t core = 0;
  int socket = -1;
  std::uint16_t workers = 1;  // in all; tenant rates are divided by it
  std::uint16_t burst = 32;   // 1 .. 64
  IdlePolicy idle = IdlePolicy::kPoll;
  // Adaptive: first sleep after so long without work; longest sleep while some queue cannot wake
  // us.
  std::uint32_t idle_after_us = 200;
  std::uint32_t idle_sleep_us = 500;
  std::uint64_t tsc_hz = 0;

  std::vector<ServedPort> served;
  std::array<PortEgress, kMaxPorts> egress{};
  const PortTable* ports = nullptr;
  Tables* tables = nullptr;
  rte_mempool* mempool = nullptr;  // of the worker's node: notices, headers of copies

  link::WorkerCounters* counters = nullptr;
  link::WorkerInfo* info = nullptr;

  WorkerRings rings;
  Waker* waker = nullptr;        // this worker's own
  Waker* manager = nullptr;      // woken after pushing to a ring of the manager
  std::vector<Waker*> wakers{};  // of all workers, by index
};

// Where the envelope of a held or punted frame starts.
inline std::uint32_t envelope_offset(const rte_mbuf& frame) noexcept {
  return static_cast<std::uint32_t>(frame.l2_len + frame.l3_len + sizeof(UdpHeader));
}

}  // namespace sluice::dataplane
