// The public face of the pipeline: bursts of received frames in, everything that becomes of them
// out. classify -> resolve -> police -> rewrite -> egress in three passes over a batch (run.cpp).
// One object per worker. Made on the main thread; then that worker only, between its quiescent
// reports. After creation it never allocates, locks or enters the kernel.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <array>
#include <cstdint>
#include <memory>

#include "dataplane/pipeline/ports.hpp"
#include "sluice/base/result.hpp"
#include "sluice/link/messages.hpp"
#include "sluice/link/status.hpp"

namespace sluice::dataplane {

class Tables;
struct Lane;

// What the manager is told of a message that source guard refused (of as many as the ring takes).
struct DeniedSource {
  link::SourceDenied what;
  std::uint16_t reserved;  // ring elements are multiples of four bytes
};
static_assert(sizeof(DeniedSource) % 4 == 0);

// Single producer rings; a missing one counts as full.
struct PipelineExits {
  rte_ring* to_host = nullptr;
  rte_ring* to_hold = nullptr;
  rte_ring* to_control = nullptr;
  rte_ring* trace = nullptr;   // elements of sizeof(link::TraceRecord)
  rte_ring* denied = nullptr;  // elements of sizeof(DeniedSource)
};

struct PipelineConfig {
  std::uint16_t worker = 0;
  std::uint16_t workers = 1;  // rates are divided among them
  int socket = -1;
  std::uint64_t tsc_hz = 0;
  std::uint64_t seed = 0;  // of the negative cache's hash; any random number
  const PortTable* ports = nullptr;
  const Tables* tables = nullptr;
  rte_mempool* mempool = nullptr;  // for copies
  link::WorkerCounters* counters = nullptr;
  PipelineExits exits;
  std::array<PortEgress, kMaxPorts> egress{};
};

class Pipeline {
 public:
  static Result<std::unique_ptr<Pipeline>> create(const PipelineConfig& config);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // n <= 64 frames that came in on one port (its index in the configuration). Takes them all.
  void receive(std::uint16_t port, rte_mbuf** frames, unsigned n, std::uint64_t now_tsc) noexcept;
  // The same for frames that another worker received and counted (frames, bytes), or that the
  // manager held back and now releases. mbuf->port tells where each came in.
  void receive_dispatched(rte_mbuf** frames, unsigned n, std::uint64_t now_tsc) noexcept;
  void receive_released(rte_mbuf** frames, unsigned n, std::uint64_t now_tsc) noexcept;
  // Complete frames to send, mbuf->port the DPDK port of egress. From the manager, or from another
  // worker's pipeline.
  void transmit_foreign(rte_mbuf** frames, unsigned n) noexcept;
  void transmit_passed(rte_mbuf** frames, unsigned n) noexcept;

  // Received, but handed to another worker: counts frames and bytes here, messages there.
  void count_dispatched(std::uint16_t port, std::uint64_t frames, std::uint64_t bytes) noexcept;
  // Received, but there was no room to hand it over: counted as a message dropped; frees them.
  void drop(std::uint16_t port, rte_mbuf** frames, unsigned n, DropReason reason) noexcept;
  // At the end: what still lay in a ring (dispatched or released) is dropped (kShutdown).
  void shut_out(rte_mbuf** frames, unsigned n, bool released) noexcept;

  // Once per loop: empties what waits behind congested ports.
  void drain_egress() noexcept;
  bool egress_idle() const noexcept;
  // Every few milliseconds, and after a sleep.
  void set_clock(std::uint64_t now_tsc, std::uint64_t wall_ns) noexcept;
  // At the end: what still waits is dropped (kShutdown).
  void stop() noexcept;

  // Whom to wake: bit per worker, and whether the manager has something new. Clears both.
  std::uint64_t take_worker_wakeups() noexcept;
  bool take_manager_wakeup() noexcept;

 private:
  explicit Pipeline(std::unique_ptr<Lane> lane) noexcept;
  std::unique_ptr<Lane> lane_;
};

}  // namespace sluice::dataplane
