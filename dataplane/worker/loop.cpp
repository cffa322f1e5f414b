#include "dataplane/worker/loop.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {
namespace {

std::vector<rte_ring*> present(const std::vector<rte_ring*>& rings) {
  std::vector<rte_ring*> found;
  std::ranges::copy_if(rings, std::back_inserter(found),
                       [](const rte_ring* ring) { return ring != nullptr; });
  return found;
}

unsigned take(rte_ring* ring, rte_mbuf** frames, unsigned n) noexcept {
  if (ring == nullptr) return 0;
  return rte_ring_sc_dequeue_burst(ring, reinterpret_cast<void**>(frames), n, nullptr);
}

}  // namespace

Worker::Loop::Loop(const WorkerContext& context, std::unique_ptr<Pipeline> pipeline)
    : context_(context),
      counters_(*context.counters),
      pipeline_(std::move(pipeline)),
      dispatched_(present(context.rings.dispatch_in)),
      passed_(present(context.rings.transmit_in)),
      dispatcher_(context.index, context.rings.dispatch_out),
      idler_(std::make_unique<Idler>(context)),
      burst_(context.burst),
      clears_seen_(link::read(context.counters->clear_requests)) {
  for (const ServedPort& served : context.served) {
    sources_.push_back({.port = served.port,
                        .dpdk_port = context.ports->port[served.port].dpdk_port,
                        .queue = served.rx_queue,
                        .dispatch = served.dispatch});
  }
}

void Worker::Loop::run(const std::atomic<bool>& stop) noexcept {
  Readers& readers = context_.tables->readers;
  readers.add(context_.index);
  readers.online(context_.index);
  housekeep(rte_rdtsc());
  // Relaxed: nothing else is handed over with the flag.
  while (!stop.load(std::memory_order_relaxed)) {
    const std::uint64_t now_tsc = rte_rdtsc();
    account(now_tsc);
    const unsigned work = poll(now_tsc);
    busy_since_tsc_ = work != 0 ? now_tsc : 0;
    readers.quiescent(context_.index);
    if ((++loops_ & (kHousekeepingLoops - 1)) == 0) housekeep(now_tsc);
    if (work != 0) {
      idler_->busy();
    } else if (idler_->step(now_tsc) == Idler::Step::kSleep) {
      rest(now_tsc);
    }
  }
  finish();
  readers.offline(context_.index);
  readers.remove(context_.index);
}

unsigned Worker::Loop::poll(std::uint64_t now_tsc) noexcept {
  unsigned work = poll_queues(now_tsc) + poll_rings(now_tsc);
  pipeline_->drain_egress();
  if (!pipeline_->egress_idle()) ++work;  // somebody has to try again
  wake_others();
  return work;
}

unsigned Worker::Loop::poll_queues(std::uint64_t now_tsc) noexcept {
  unsigned work = 0;
  for (const Source& source : sources_) {
    const unsigned received = rte_eth_rx_burst(source.dpdk_port, source.queue, frames_.data(),
                                               static_cast<std::uint16_t>(burst_));
    if (received == 0) continue;
    work += received;
    unsigned own = received;
    if (source.dispatch)
      own = dispatcher_.spread(*pipeline_, source.port, frames_.data(), received);
    if (own != 0) pipeline_->receive(source.port, frames_.data(), own, now_tsc);
  }
  return work;
}

unsigned Worker::Loop::poll_rings(std::uint64_t now_tsc) noexcept {
  unsigned work = 0;
  for (rte_ring* ring : dispatched_) {
    if (const unsigned n = take(ring, frames_.data(), burst_); n != 0) {
      pipeline_->receive_dispatched(frames_.data(), n, now_tsc);
      work += n;
    }
  }
  for (rte_ring* ring : passed_) {
    if (const unsigned n = take(ring, frames_.data(), burst_); n != 0) {
      pipeline_->transmit_passed(frames_.data(), n);
      work += n;
    }
  }
  if (const unsigned n = take(context_.rings.release, frames_.data(), burst_); n != 0) {
    pipeline_->receive_released(frames_.data(), n, now_tsc);
    work += n;
  }
  if (const unsigned n = take(context_.rings.transmit, frames_.data(), burst_); n != 0) {
    pipeline_->transmit_foreign(frames_.data(), n);
    work += n;
  }
  return work;
}

void Worker::Loop::wake_others() noexcept {
  if (pipeline_->take_manager_wakeup() && context_.manager != nullptr) context_.manager->wake();
  std::uint64_t workers = pipeline_->take_worker_wakeups() | dispatcher_.take_wakeups();
  for (; workers != 0; workers &= workers - 1) {
    const auto worker = static_cast<std::size_t>(std::countr_zero(workers));
    if (worker < context_.wakers.size() && context_.wakers[worker] != nullptr) {
      context_.wakers[worker]->wake();
    }
  }
}

// The loop that ended just now, if it had something to do; one look at the TSC serves both.
void Worker::Loop::account(std::uint64_t now_tsc) noexcept {
  if (busy_since_tsc_ == 0) return;
  const std::uint64_t took_tsc = now_tsc - busy_since_tsc_;
  ++busy_loops_;
  busy_tsc_ += took_tsc;
  longest_tsc_ = std::max(longest_tsc_, took_tsc);
}

void Worker::Loop::housekeep(std::uint64_t now_tsc) noexcept {
  pipeline_->set_clock(now_tsc, realtime_ns());
  if (const std::uint64_t clears = link::read(counters_.clear_requests); clears != clears_seen_) {
    clears_seen_ = clears;
    clear_counters();
  }
  link::add(counters_.loops, loops_ - std::exchange(loops_published_, loops_));
  link::add(counters_.busy_loops, std::exchange(busy_loops_, 0));
  link::add(counters_.busy_tsc, std::exchange(busy_tsc_, 0));
  if (longest_tsc_ > link::read(counters_.longest_loop_tsc)) {
    std::atomic_ref(counters_.longest_loop_tsc).store(longest_tsc_, std::memory_order_relaxed);
  }
}

// Every counter of this worker but the request itself, which is the manager's.
void Worker::Loop::clear_counters() noexcept {
  auto* words = reinterpret_cast<std::uint64_t*>(&counters_);
  for (std::size_t i = 0; i < sizeof counters_ / sizeof *words; ++i) {
    if (&words[i] == &counters_.clear_requests) continue;
    std::atomic_ref(words[i]).store(0, std::memory_order_relaxed);
  }
  longest_tsc_ = 0;
}

// One sleep. The last look at queues and rings comes after the wakers are armed, so that nothing
// that arrives in between is slept over.
void Worker::Loop::rest(std::uint64_t now_tsc) noexcept {
  Readers& readers = context_.tables->readers;
  idler_->prepare();
  if (poll(now_tsc) != 0) {
    idler_->cancel();
    idler_->busy();
    return;
  }
  readers.offline(context_.index);
  if (context_.info != nullptr) {
    std::atomic_ref(context_.info->sleeping).store(1, std::memory_order_relaxed);
  }
  const std::uint64_t slept_ns = idler_->sleep();
  if (context_.info != nullptr) {
    std::atomic_ref(context_.info->sleeping).store(0, std::memory_order_relaxed);
  }
  readers.online(context_.index);
  link::add(counters_.sleeps, 1);
  link::add(counters_.slept_ns, slept_ns);
  housekeep(rte_rdtsc());
}

void Worker::Loop::finish() noexcept {
  drain_rings();
  for (unsigned i = 0; i < kFinalDrains && !pipeline_->egress_idle(); ++i)
    pipeline_->drain_egress();
  pipeline_->stop();
  housekeep(rte_rdtsc());
}

void Worker::Loop::drain_rings() noexcept {
  const auto discard = [&](rte_ring* ring, auto&& with) {
    while (const unsigned n = take(ring, frames_.data(), kMaxBurst))
      with(n);
  };
  for (rte_ring* ring : dispatched_)
    discard(ring, [&](unsigned n) { pipeline_->shut_out(frames_.data(), n, false); });
  discard(context_.rings.release,
          [&](unsigned n) { pipeline_->shut_out(frames_.data(), n, true); });
  for (rte_ring* ring : passed_)
    discard(ring, [&](unsigned n) { pipeline_->transmit_passed(frames_.data(), n); });
  discard(context_.rings.transmit,
          [&](unsigned n) { pipeline_->transmit_foreign(frames_.data(), n); });
}

}  // namespace sluice::dataplane
