// Software dispatch for ports with fewer queues than workers: spreads received frames over workers
// by the UDP 4-tuple, as RSS would, so that the messages of one sender keep their order. Worker
// only; never allocates after creation.
#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "dataplane/pipeline/batch.hpp"
#include "dataplane/pipeline/pipeline.hpp"

namespace sluice::dataplane {

// Of addresses and ports when the frame is UDP over IP, of addresses when it is other IP or a
// fragment, else 0. Reads nothing beyond `bytes`.
std::uint32_t flow_hash(const std::uint8_t* frame, std::uint32_t bytes) noexcept;

class Dispatcher {
 public:
  // rings[w] leads to worker w; null for this worker (`self`) and for those that take no part.
  Dispatcher(std::uint16_t self, const std::vector<rte_ring*>& rings);

  // Hands frames of `port` to their workers; those of this worker are moved to the front, and their
  // number is returned. What finds its ring full is dropped (kDispatchFull).
  unsigned spread(Pipeline& pipeline, std::uint16_t port, rte_mbuf** frames, unsigned n) noexcept;

  // Bit per worker that was given something since the last call.
  std::uint64_t take_wakeups() noexcept { return std::exchange(wakeups_, 0); }

 private:
  struct Target {
    std::uint16_t worker;
    rte_ring* ring;  // null: this worker
    unsigned count = 0;
    std::array<rte_mbuf*, kMaxBurst> frame{};
  };

  std::vector<Target> targets_;  // by worker index, so that all dispatchers choose alike
  std::uint64_t wakeups_ = 0;
};

}  // namespace sluice::dataplane
