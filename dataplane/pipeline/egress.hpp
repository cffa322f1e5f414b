// The way out of one worker: a buffer per port that is sent at the end of each burst, and, behind a
// port that takes no more, a class queue that is emptied first the next time. A message costs
// nothing here while no port is congested. Ports whose transmit queue is another worker's are
// reached through that worker's ring. Worker only; never allocates after creation.
//
// Frames that are added count as sent at once (in the burst's tally); whatever then has to wait is
// taken back and counts when it leaves or is dropped. The role, class and ingress port that this
// needs lie in the mbuf (hash.usr), which nothing else uses on the way out.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>

#include "dataplane/pipeline/batch.hpp"
#include "dataplane/pipeline/class_queue.hpp"
#include "dataplane/pipeline/ports.hpp"
#include "dataplane/pipeline/tally.hpp"

namespace sluice::dataplane {

class Egress {
 public:
  // As many as a burst can leave in one buffer: it is sent early when copies have made it longer
  // than a burst, so at most one short of that, and what follows in the burst.
  static constexpr std::uint32_t kBuffer = 2 * kMaxBurst - 2;

  // `counters` and `ports` outlive this.
  Egress(const PortTable& ports, const std::array<PortEgress, kMaxPorts>& ways,
         link::WorkerCounters& counters);

  // Ports that take a frame now without queueing: link up, way there, nothing waiting. Once per
  // burst.
  std::uint32_t clear_ports() const noexcept {
    return reachable_ & ~backlogged_ & ports_.up.load(std::memory_order_relaxed);
  }
  // Ports that can be used at all: bit per port.
  std::uint32_t usable_ports() const noexcept {
    return reachable_ & ports_.up.load(std::memory_order_relaxed);
  }
  // The port is so congested that a message of this class would be dropped at once.
  bool refuses(unsigned port, unsigned traffic_class) const noexcept {
    return (backlogged_ >> port & 1) != 0 && queue_[port]->refuses(traffic_class);
  }

  // `port` is usable, `bytes` the frame's length. The caller has counted the frame under its role.
  void add(unsigned port, rte_mbuf* frame, std::uint32_t bytes, std::uint32_t tag) noexcept {
    append(port, frame, bytes, tag);
    touch(1u << port);
  }
  // add() in two halves, for a run of frames: touch() with a bit per port comes before flush().
  void append(unsigned port, rte_mbuf* frame, std::uint32_t bytes, std::uint32_t tag) noexcept {
    Buffer& buffer = buffer_[port];
    frame->hash.usr = tag;
    buffer.bytes += bytes;
    buffer.frame[buffer.count++] = frame;
  }
  void touch(std::uint32_t ports) noexcept { touched_ |= ports; }
  static constexpr std::uint32_t tag(unsigned ingress, FrameRole role,
                                     unsigned traffic_class) noexcept {
    return ingress | static_cast<std::uint32_t>(role) << 8 | traffic_class << 16;
  }
  std::uint32_t buffered(unsigned port) const noexcept { return buffer_[port].count; }

  // Sends every buffer. At the end of each burst, before the tally is published.
  void flush(Tally& tally) noexcept {
    for (std::uint32_t left = touched_; left != 0; left &= left - 1)
      flush_port(static_cast<unsigned>(std::countr_zero(left)), tally);
    touched_ = 0;
  }
  void flush_port(unsigned port, Tally& tally) noexcept;

  // Complete frames, mbuf->port their DPDK port of egress: of the manager (foreign), or of other
  // workers, tagged.
  void send_complete(rte_mbuf** frames, unsigned n, bool foreign) noexcept;

  // Tries to empty the class queues; drops what waits for a port whose link went down.
  void drain() noexcept {
    if (backlogged_ != 0) [[unlikely]]
      drain_all();
  }
  bool idle() const noexcept { return backlogged_ == 0; }
  // At the end: everything that still waits is dropped (kShutdown).
  void drop_all() noexcept;

  // Bit per worker that has got something through a ring since the last call.
  std::uint64_t take_wakeups() noexcept { return std::exchange(wakeups_, 0); }

 private:
  struct alignas(kCacheLineBytes) Buffer {
    std::uint32_t count = 0;
    std::uint32_t bytes = 0;
    std::array<rte_mbuf*, kBuffer> frame;
  };
  static_assert(sizeof(Buffer) == 1024, "a power of two is found by a shift");

  bool own_queue(unsigned port) const noexcept { return ways_[port].tx_queue != kNoQueue; }
  unsigned transmit(unsigned port, rte_mbuf** frames, unsigned n, std::uint64_t bytes) noexcept;
  void wait(unsigned port, rte_mbuf* frame) noexcept;
  void lose(rte_mbuf* frame, unsigned port, DropReason reason) noexcept;
  void drain_all() noexcept;
  void drain_port(unsigned port) noexcept;
  void drop_port(unsigned port, DropReason reason) noexcept;
  void count_sent(std::uint32_t tag) noexcept;
  void send_run(unsigned port, rte_mbuf** frames, unsigned n) noexcept;

  const PortTable& ports_;
  link::WorkerCounters& counters_;
  std::uint32_t touched_ = 0;     // bit per port with a buffer that is not empty
  std::uint32_t backlogged_ = 0;  // bit per port with a queue that is not empty
  std::uint32_t reachable_ = 0;
  std::uint64_t wakeups_ = 0;
  std::array<PortEgress, kMaxPorts> ways_;
  std::array<std::unique_ptr<ClassQueue>, kMaxPorts> queue_;  // of reachable ports
  std::array<Buffer, kMaxPorts> buffer_;
};

}  // namespace sluice::dataplane
