#include "dataplane/pipeline/egress.hpp"

#include <rte_ethdev.h>
#include <rte_ring.h>

namespace sluice::dataplane {
namespace {

constexpr unsigned ingress_of(std::uint32_t tag) noexcept {
  return tag & 0xff;
}
constexpr FrameRole role_of(std::uint32_t tag) noexcept {
  return static_cast<FrameRole>(tag >> 8 & 0xff);
}
constexpr unsigned class_of(std::uint32_t tag) noexcept {
  return tag >> 16 & (kTrafficClasses - 1);
}
// Frames of the kernel and of the control plane (neighbour discovery, replies) queue with the best.
constexpr unsigned kForeignClass = kTrafficClasses - 1;

std::uint64_t sum_bytes(rte_mbuf* const* frames, unsigned n) noexcept {
  std::uint64_t bytes = 0;
  for (unsigned i = 0; i < n; ++i)
    bytes += frames[i]->pkt_len;
  return bytes;
}

}  // namespace

Egress::Egress(const PortTable& ports, const std::array<PortEgress, kMaxPorts>& ways,
               link::WorkerCounters& counters)
    : ports_(ports), counters_(counters), ways_(ways) {
  for (unsigned port = 0; port < kMaxPorts; ++port) {
    if (ways_[port].tx_queue == kNoQueue && ways_[port].through == nullptr) continue;
    reachable_ |= 1u << port;
    // lint: allow allocation: at creation
    queue_[port] = std::make_unique<ClassQueue>();
  }
}

// To the driver or to the ring; returns how many of the frames, `bytes` long together, were taken.
// Only the driver's counter is the port's.
unsigned Egress::transmit(unsigned port, rte_mbuf** frames, unsigned n,
                          std::uint64_t bytes) noexcept {
  const PortEgress& way = ways_[port];
  const std::uint16_t dpdk_port = ports_.port[port].dpdk_port;
  if (!own_queue(port)) {
    for (unsigned i = 0; i < n; ++i)
      frames[i]->port = dpdk_port;
    const unsigned taken =
        rte_ring_sp_enqueue_burst(way.through, reinterpret_cast<void* const*>(frames), n, nullptr);
    if (taken != 0) wakeups_ |= std::uint64_t{1} << way.through_worker;
    return taken;
  }
  const unsigned sent =
      rte_eth_tx_burst(dpdk_port, way.tx_queue, frames, static_cast<std::uint16_t>(n));
  link::PortCounters& counters = counters_.port[port];
  link::add(counters.egress_frames, sent);
  link::add(counters.egress_bytes, bytes - sum_bytes(frames + sent, n - sent));
  return sent;
}

void Egress::flush_port(unsigned port, Tally& tally) noexcept {
  Buffer& buffer = buffer_[port];
  const std::uint32_t n = buffer.count;
  if (n == 0) return;
  std::array<std::uint32_t, kBuffer> tags;
  const bool through = !own_queue(port);
  if (through) [[unlikely]] {
    for (std::uint32_t i = 0; i < n; ++i)
      tags[i] = buffer.frame[i]->hash.usr;
  }
  std::uint32_t sent = 0;
  if ((backlogged_ >> port & 1) == 0) [[likely]]
    sent = transmit(port, buffer.frame.data(), n, buffer.bytes);
  if (through) [[unlikely]] {
    for (std::uint32_t i = 0; i < sent; ++i)
      tally.of(role_of(tags[i])) -= 1;  // the other worker counts it
  }
  for (std::uint32_t i = sent; i < n; ++i) {
    tally.of(role_of(buffer.frame[i]->hash.usr)) -= 1;
    wait(port, buffer.frame[i]);
  }
  buffer.count = 0;
  buffer.bytes = 0;
}

void Egress::wait(unsigned port, rte_mbuf* frame) noexcept {
  backlogged_ |= 1u << port;
  link::add(counters_.port[port].egress_queued, 1);
  rte_mbuf* out = queue_[port]->push(frame, class_of(frame->hash.usr));
  if (out != nullptr) lose(out, port, DropReason::kEgressFull);
}

void Egress::lose(rte_mbuf* frame, unsigned port, DropReason reason) noexcept {
  const std::uint32_t tag = frame->hash.usr;
  link::PortCounters& ingress = counters_.port[ingress_of(tag)];
  switch (role_of(tag)) {
    case FrameRole::kForwarded:
    case FrameRole::kAnswer:
      link::add(ingress.dropped[static_cast<std::size_t>(reason)], 1);
      break;
    case FrameRole::kCopy:
      link::add(ingress.copies_dropped, 1);
      break;
    case FrameRole::kNotice:
    case FrameRole::kForeign:
      break;
  }
  link::add(counters_.port[port].egress_dropped, 1);
  rte_pktmbuf_free(frame);
}

void Egress::count_sent(std::uint32_t tag) noexcept {
  link::PortCounters& ingress = counters_.port[ingress_of(tag)];
  switch (role_of(tag)) {
    case FrameRole::kForwarded:
      return link::add(ingress.forwarded, 1);
    case FrameRole::kCopy:
      return link::add(ingress.copies, 1);
    case FrameRole::kAnswer:
      return link::add(ingress.answered, 1);
    case FrameRole::kNotice:
      return link::add(ingress.notices, 1);
    case FrameRole::kForeign:
      return;
  }
}

void Egress::drain_all() noexcept {
  const std::uint32_t up = ports_.up.load(std::memory_order_relaxed);
  for (std::uint32_t left = backlogged_; left != 0; left &= left - 1) {
    const auto port = static_cast<unsigned>(std::countr_zero(left));
    if ((up >> port & 1) != 0) {
      drain_port(port);
    } else {
      drop_port(port, DropReason::kPortDown);
    }
  }
}

void Egress::drain_port(unsigned port) noexcept {
  ClassQueue& queue = *queue_[port];
  const bool own = own_queue(port);
  while (!queue.empty()) {
    std::array<rte_mbuf*, kMaxBurst> frames;
    std::array<std::uint32_t, kMaxBurst> tags;
    const unsigned n = queue.front(frames.data(), kMaxBurst);
    for (unsigned i = 0; i < n; ++i)
      tags[i] = frames[i]->hash.usr;
    const unsigned sent = transmit(port, frames.data(), n, sum_bytes(frames.data(), n));
    queue.pop(sent);
    for (unsigned i = 0; own && i < sent; ++i)
      count_sent(tags[i]);
    if (sent < n) return;
  }
  backlogged_ &= ~(1u << port);
}

void Egress::drop_port(unsigned port, DropReason reason) noexcept {
  ClassQueue& queue = *queue_[port];
  while (!queue.empty()) {
    rte_mbuf* frame = nullptr;
    queue.front(&frame, 1);
    queue.pop(1);
    lose(frame, port, reason);
  }
  backlogged_ &= ~(1u << port);
}

void Egress::drop_all() noexcept {
  for (std::uint32_t left = backlogged_; left != 0; left &= left - 1)
    drop_port(static_cast<unsigned>(std::countr_zero(left)), DropReason::kShutdown);
}

void Egress::send_complete(rte_mbuf** frames, unsigned n, bool foreign) noexcept {
  for (unsigned i = 0; foreign && i < n; ++i)
    frames[i]->hash.usr = tag(0, FrameRole::kForeign, kForeignClass);
  for (unsigned i = 0; i < n;) {
    unsigned end = i + 1;
    while (end < n && frames[end]->port == frames[i]->port)
      ++end;
    const std::uint16_t dpdk_port = frames[i]->port;
    const unsigned port =
        dpdk_port < kMaxPorts ? ports_.index_of_dpdk_port[dpdk_port] : std::uint32_t{kNoPort};
    if (port < kMaxPorts && (usable_ports() >> port & 1) != 0) {
      send_run(port, frames + i, end - i);
    } else {
      for (; i < end; ++i)
        lose(frames[i], port < kMaxPorts ? port : 0, DropReason::kPortDown);
    }
    i = end;
  }
}

void Egress::send_run(unsigned port, rte_mbuf** frames, unsigned n) noexcept {
  std::array<std::uint32_t, kMaxBurst> tags;
  for (unsigned i = 0; i < n; ++i)
    tags[i] = frames[i]->hash.usr;
  unsigned sent = 0;
  if ((backlogged_ >> port & 1) == 0) sent = transmit(port, frames, n, sum_bytes(frames, n));
  for (unsigned i = 0; own_queue(port) && i < sent; ++i)
    count_sent(tags[i]);
  for (unsigned i = sent; i < n; ++i)
    wait(port, frames[i]);
}

}  // namespace sluice::dataplane
