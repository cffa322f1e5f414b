#include "dataplane/app/wiring.hpp"

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/app/sizes.hpp"
#include "sluice/link/messages.hpp"

namespace sluice::dataplane {

Result<std::unique_ptr<Wiring>> Wiring::create(const Parts& parts) {
  std::unique_ptr<Wiring> wiring(new Wiring);
  const auto count = parts.worker_nodes.size();
  if (auto ok = wiring->make_wakers(count); !ok) return std::unexpected(ok.error());
  for (std::uint16_t i = 0; i < count; ++i) {
    if (auto ok = wiring->make_context(parts, i); !ok) return std::unexpected(ok.error());
    if (auto ok = wiring->make_rings(parts, i); !ok) return std::unexpected(ok.error());
  }
  if (auto ok = wiring->connect_workers(parts); !ok) return std::unexpected(ok.error());
  return wiring;
}

Wiring::~Wiring() {
  std::size_t left = 0;
  for (auto* ring : mbuf_rings_) {
    std::array<void*, 64> frames;
    while (const unsigned n =
               ::rte_ring_dequeue_burst(ring, frames.data(), frames.size(), nullptr)) {
      ::rte_pktmbuf_free_bulk(reinterpret_cast<rte_mbuf**>(frames.data()), n);
      left += n;
    }
    ::rte_ring_free(ring);
  }
  for (auto* ring : element_rings_)
    ::rte_ring_free(ring);
  for (const int fd : event_fds_)
    ::close(fd);
  if (left > 0) spdlog::debug("event=rings_emptied frames={}", left);
}

std::vector<const WorkerContext*> Wiring::worker_pointers() const {
  std::vector<const WorkerContext*> pointers;
  for (const auto& worker : workers_)
    pointers.push_back(worker.get());
  return pointers;
}

Status Wiring::make_wakers(std::size_t workers) {
  for (std::size_t i = 0; i <= workers; ++i) {
    const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
      return fail(ErrorCode::kExhausted, fmt::format("eventfd: {}", std::strerror(errno)));
    event_fds_.push_back(fd);
    auto waker = std::make_unique<Waker>(fd);
    if (i == workers) {
      manager_ = std::move(waker);
    } else {
      wakers_.push_back(std::move(waker));
    }
  }
  return {};
}

Status Wiring::make_context(const Parts& parts, std::uint16_t index) {
  const auto& dataplane = parts.config.dataplane;
  auto context = std::make_unique<WorkerContext>();
  context->index = index;
  context->core = static_cast<std::uint16_t>(dataplane.workers[index]);
  context->socket = parts.worker_nodes[index];
  context->workers = static_cast<std::uint16_t>(parts.worker_nodes.size());
  context->burst = static_cast<std::uint16_t>(dataplane.burst);
  context->idle =
      dataplane.idle == config::IdlePolicy::kPoll ? IdlePolicy::kPoll : IdlePolicy::kAdaptive;
  context->idle_after_us = dataplane.idle_after_us;
  context->idle_sleep_us = dataplane.idle_sleep_us;
  context->tsc_hz = ::rte_get_tsc_hz();
  context->ports = &parts.ports.table();
  context->tables = &parts.tables;
  context->mempool = parts.mempools.of(context->socket);
  context->counters = &parts.status.counters[index];
  context->info = &parts.status.worker[index];
  context->waker = wakers_[index].get();
  context->manager = manager_.get();
  for (const auto& waker : wakers_)
    context->wakers.push_back(waker.get());

  for (std::uint16_t port = 0; port < parts.ports.count(); ++port) {
    const auto& queues = parts.ports.queues(port);
    for (std::uint16_t queue = 0; queue < queues.rx_queues; ++queue) {
      if (queues.poller[queue] == index) context->served.push_back({port, queue, queues.dispatch});
    }
    if (queues.own_tx(index)) context->egress[port].tx_queue = index;
  }
  auto& info = parts.status.worker[index];
  info.core = context->core;
  info.socket = context->socket;
  info.used = 1;
  workers_.push_back(std::move(context));
  return {};
}

Result<rte_ring*> Wiring::make_ring(const std::string& name, std::uint32_t count, int socket) {
  auto* ring = ::rte_ring_create(name.c_str(), count, socket, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (ring == nullptr) {
    return fail(ErrorCode::kExhausted, fmt::format("ring {}: {}; raise dataplane.memory-mb", name,
                                                   ::rte_strerror(rte_errno)));
  }
  mbuf_rings_.push_back(ring);
  return ring;
}

Result<rte_ring*> Wiring::make_element_ring(const std::string& name, std::uint32_t bytes,
                                            std::uint32_t count, int socket) {
  auto* ring =
      ::rte_ring_create_elem(name.c_str(), bytes, count, socket, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (ring == nullptr) {
    return fail(ErrorCode::kExhausted, fmt::format("ring {}: {}; raise dataplane.memory-mb", name,
                                                   ::rte_strerror(rte_errno)));
  }
  element_rings_.push_back(ring);
  return ring;
}

Status Wiring::make_rings(const Parts& parts, std::uint16_t index) {
  auto& context = *workers_[index];
  const int socket = parts.huge_pages ? context.socket : SOCKET_ID_ANY;
  struct Wanted {
    rte_ring** ring;
    const char* name;
    std::uint32_t count;
  };
  auto& rings = context.rings;
  const std::array wanted = {Wanted{&rings.to_host, "host", kToHostRing},
                             Wanted{&rings.to_hold, "hold", kToHoldRing},
                             Wanted{&rings.to_control, "control", kToControlRing},
                             Wanted{&rings.release, "release", kReleaseRing},
                             Wanted{&rings.transmit, "transmit", kTransmitRing}};
  for (const auto& want : wanted) {
    auto ring = make_ring(fmt::format("{}-{}", want.name, index), want.count, socket);
    if (!ring) return std::unexpected(ring.error());
    *want.ring = *ring;
  }
  auto trace = make_element_ring(fmt::format("trace-{}", index), sizeof(link::TraceRecord),
                                 kTraceRing, socket);
  if (!trace) return std::unexpected(trace.error());
  rings.trace = *trace;
  auto denied =
      make_element_ring(fmt::format("denied-{}", index), sizeof(DeniedSource), kDeniedRing, socket);
  if (!denied) return std::unexpected(denied.error());
  rings.denied = *denied;
  const auto count = parts.worker_nodes.size();
  rings.dispatch_in.resize(count);
  rings.dispatch_out.resize(count);
  rings.transmit_in.resize(count);
  return {};
}

// The ring from one worker to another, made when it is first asked for. `made`: by sender and
// receiver.
Result<rte_ring*> Wiring::ring_between(const Parts& parts, std::vector<rte_ring*>& made,
                                       const char* what, std::uint16_t from, std::uint16_t to) {
  auto& ring = made[from * parts.worker_nodes.size() + to];
  if (ring == nullptr) {
    const int socket = parts.huge_pages ? workers_[to]->socket : SOCKET_ID_ANY;
    auto fresh = make_ring(fmt::format("{}-{}-{}", what, from, to), kWorkerRing, socket);
    if (!fresh) return fresh;
    ring = *fresh;
  }
  return ring;
}

Status Wiring::connect_workers(const Parts& parts) {
  const auto count = static_cast<std::uint16_t>(workers_.size());
  std::vector<rte_ring*> dispatch(std::size_t{count} * count);
  std::vector<rte_ring*> transmit(std::size_t{count} * count);
  for (std::uint16_t port = 0; port < parts.ports.count(); ++port) {
    const auto& queues = parts.ports.queues(port);
    for (const auto from : queues.poller) {
      for (const auto to : parts.ports.serving(port)) {
        if (!queues.dispatch || to == from) continue;
        auto ring = ring_between(parts, dispatch, "dispatch", from, to);
        if (!ring) return std::unexpected(ring.error());
        workers_[from]->rings.dispatch_out[to] = *ring;
        workers_[to]->rings.dispatch_in[from] = *ring;
      }
    }
    for (std::uint16_t from = 0; from < count; ++from) {
      if (queues.own_tx(from)) continue;
      const auto to = queues.sender[from];
      auto ring = ring_between(parts, transmit, "transmit", from, to);
      if (!ring) return std::unexpected(ring.error());
      workers_[from]->egress[port].through = *ring;
      workers_[from]->egress[port].through_worker = to;
      workers_[to]->rings.transmit_in[from] = *ring;
    }
  }
  return {};
}

}  // namespace sluice::dataplane
