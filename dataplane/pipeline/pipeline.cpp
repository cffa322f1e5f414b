#include "dataplane/pipeline/pipeline.hpp"

#include <bit>
#include <utility>

#include "dataplane/pipeline/run.hpp"

namespace sluice::dataplane {
namespace {

void process(Lane& lane, std::uint16_t port, rte_mbuf** frames, unsigned n, std::uint64_t now_tsc,
             Origin origin) noexcept {
  const Burst burst = begin_burst(lane, port, now_tsc, origin);
  if (burst.guard) {
    run_burst<true>(lane, burst, frames, n);
  } else {
    run_burst<false>(lane, burst, frames, n);
  }
}

// The index of the port that a frame came in on, kNoPort when it is none of ours.
std::uint16_t port_of(const Lane& lane, const rte_mbuf& frame) noexcept {
  return frame.port < kMaxPorts ? lane.config.ports->index_of_dpdk_port[frame.port] : kNoPort;
}

// Frames of several ports: runs of the same port are bursts of their own.
void process_mixed(Lane& lane, rte_mbuf** frames, unsigned n, std::uint64_t now_tsc,
                   Origin origin) noexcept {
  for (unsigned i = 0; i < n;) {
    unsigned end = i + 1;
    while (end < n && frames[end]->port == frames[i]->port)
      ++end;
    const std::uint16_t port = port_of(lane, *frames[i]);
    // Rings are filled by our own threads from ports that are in the table.
    if (port < kMaxPorts) {
      process(lane, port, frames + i, end - i, now_tsc, origin);
    } else {
      rte_pktmbuf_free_bulk(frames + i, end - i);
    }
    i = end;
  }
}

}  // namespace

Result<std::unique_ptr<Pipeline>> Pipeline::create(const PipelineConfig& config) {
  const bool complete = config.ports != nullptr && config.tables != nullptr &&
                        config.mempool != nullptr && config.counters != nullptr;
  if (!complete || config.tsc_hz == 0 || config.workers == 0) {
    return fail(ErrorCode::kInvalidArgument, "a worker's pipeline was given incomplete parts");
  }
  auto meters = NodeArray<Meter>::create(std::size_t{1} << 16, config.socket);
  if (!meters) return fail(std::move(meters.error()), "tenant meters of a worker");
  auto cursors = NodeArray<std::uint32_t>::create(kMaxGroups, config.socket);
  if (!cursors) return fail(std::move(cursors.error()), "group positions of a worker");
  // lint: allow allocation: at creation
  auto lane = std::make_unique<Lane>(config, std::move(*meters), std::move(*cursors));
  // lint: allow allocation: at creation
  return std::unique_ptr<Pipeline>(new Pipeline(std::move(lane)));
}

Pipeline::Pipeline(std::unique_ptr<Lane> lane) noexcept : lane_(std::move(lane)) {}
Pipeline::~Pipeline() = default;

void Pipeline::receive(std::uint16_t port, rte_mbuf** frames, unsigned n,
                       std::uint64_t now_tsc) noexcept {
  process(*lane_, port, frames, n, now_tsc, Origin::kQueue);
}
void Pipeline::receive_dispatched(rte_mbuf** frames, unsigned n, std::uint64_t now_tsc) noexcept {
  process_mixed(*lane_, frames, n, now_tsc, Origin::kDispatched);
}
void Pipeline::receive_released(rte_mbuf** frames, unsigned n, std::uint64_t now_tsc) noexcept {
  process_mixed(*lane_, frames, n, now_tsc, Origin::kReleased);
}

void Pipeline::transmit_foreign(rte_mbuf** frames, unsigned n) noexcept {
  lane_->egress.send_complete(frames, n, true);
}
void Pipeline::transmit_passed(rte_mbuf** frames, unsigned n) noexcept {
  lane_->egress.send_complete(frames, n, false);
}

void Pipeline::count_dispatched(std::uint16_t port, std::uint64_t frames,
                                std::uint64_t bytes) noexcept {
  link::add(lane_->config.counters->port[port].frames, frames);
  link::add(lane_->config.counters->port[port].bytes, bytes);
}

void Pipeline::drop(std::uint16_t port, rte_mbuf** frames, unsigned n, DropReason reason) noexcept {
  link::PortCounters& counters = lane_->config.counters->port[port];
  link::add(counters.messages, n);
  link::add(counters.dropped[static_cast<std::size_t>(reason)], n);
  rte_pktmbuf_free_bulk(frames, n);
}

void Pipeline::shut_out(rte_mbuf** frames, unsigned n, bool released) noexcept {
  for (unsigned i = 0; i < n; ++i) {
    const std::uint16_t port = port_of(*lane_, *frames[i]);
    if (port < kMaxPorts) {
      link::PortCounters& counters = lane_->config.counters->port[port];
      link::add(released ? counters.released : counters.messages, 1);
      link::add(counters.dropped[static_cast<std::size_t>(DropReason::kShutdown)], 1);
    }
    rte_pktmbuf_free(frames[i]);
  }
}

void Pipeline::drain_egress() noexcept {
  lane_->egress.drain();
}
bool Pipeline::egress_idle() const noexcept {
  return lane_->egress.idle();
}

void Pipeline::set_clock(std::uint64_t now_tsc, std::uint64_t wall_ns) noexcept {
  lane_->clock.set(now_tsc, wall_ns);
  lane_->adopted_state = nullptr;
}

void Pipeline::stop() noexcept {
  lane_->egress.drop_all();
}

std::uint64_t Pipeline::take_worker_wakeups() noexcept {
  return lane_->egress.take_wakeups();
}
bool Pipeline::take_manager_wakeup() noexcept {
  return std::exchange(lane_->manager_has_work, false);
}

}  // namespace sluice::dataplane
