// The poll loop of one worker: received frames, rings from other threads, egress, and, when there
// is nothing, the idle policy. Owned by Worker; runs on the worker's lcore only.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/pipeline/batch.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/worker/context.hpp"
#include "dataplane/worker/dispatch.hpp"
#include "dataplane/worker/idle.hpp"
#include "dataplane/worker/worker.hpp"

namespace sluice::dataplane {

class Worker::Loop {
 public:
  // Housekeeping comes after so many loops, and after every sleep.
  static constexpr std::uint64_t kHousekeepingLoops = 1024;
  // At the end, attempts to send what still waits for a congested port.
  static constexpr unsigned kFinalDrains = 64;

  Loop(const WorkerContext& context, std::unique_ptr<Pipeline> pipeline);

  void run(const std::atomic<bool>& stop) noexcept;
  // Sends or drops whatever lies in the rings that lead here and in the egress queues.
  void finish() noexcept;

 private:
  struct Source {
    std::uint16_t port;
    std::uint16_t dpdk_port;
    std::uint16_t queue;
    bool dispatch;
  };
  using Frames = std::array<rte_mbuf*, kMaxBurst>;

  unsigned poll(std::uint64_t now_tsc) noexcept;
  unsigned poll_queues(std::uint64_t now_tsc) noexcept;
  unsigned poll_rings(std::uint64_t now_tsc) noexcept;
  void wake_others() noexcept;
  void account(std::uint64_t now_tsc) noexcept;
  void housekeep(std::uint64_t now_tsc) noexcept;
  void clear_counters() noexcept;
  void rest(std::uint64_t now_tsc) noexcept;
  void drain_rings() noexcept;

  const WorkerContext& context_;
  link::WorkerCounters& counters_;
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<Source> sources_;
  std::vector<rte_ring*> dispatched_;
  std::vector<rte_ring*> passed_;
  Dispatcher dispatcher_;
  std::unique_ptr<Idler> idler_;
  unsigned burst_;
  Frames frames_;

  std::uint64_t loops_ = 0;
  std::uint64_t busy_since_tsc_ = 0;  // start of the last loop; 0: it found nothing
  std::uint64_t loops_published_ = 0;
  std::uint64_t busy_loops_ = 0;
  std::uint64_t busy_tsc_ = 0;
  std::uint64_t longest_tsc_ = 0;
  std::uint64_t clears_seen_ = 0;
};

}  // namespace sluice::dataplane
