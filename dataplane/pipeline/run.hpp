// The pipeline over one burst: A classify, B resolve, C police, rewrite and egress. The stages are
// inline functions of their own headers; this is the one place that says in which order. Worker
// only.
#pragma once

#include "dataplane/pipeline/classify.hpp"
#include "dataplane/pipeline/forward.hpp"
#include "dataplane/pipeline/resolve.hpp"

namespace sluice::dataplane {

template <bool kGuard>
inline void police_rewrite_egress(Lane& lane, const Burst& burst) noexcept {
  PlainWay way(lane, burst);
  const unsigned count = lane.batch.count;
  for (unsigned i = 0; i < count; ++i) {
    const bool plain = (lane.batch.plain >> i & 1) != 0;
    if (plain && forward_plain<kGuard>(lane, burst, way, i)) [[likely]]
      continue;
    ++way.not_sent;
    forward_general(lane, burst, i);
  }
  lane.egress.touch(way.used_ports);
  lane.tally.of(FrameRole::kForwarded) += count - way.not_sent;
}

template <bool kGuard>
inline void run_burst(Lane& lane, const Burst& burst, rte_mbuf** frames, unsigned n) noexcept {
  classify<kGuard>(lane, burst, frames, n);
  // Everything that is not for the kernel counts as a message, also what was too broken to tell.
  const unsigned messages = n - lane.for_host_count;
  (burst.released ? lane.tally.released : lane.tally.messages) += messages;
  if (burst.trace != nullptr) [[unlikely]]
    begin_traces(lane, burst);
  // Recorded messages take the general way, which writes down its steps; so do all of the burst
  // while there are no routes.
  lane.batch.plain = burst.routes == nullptr ? 0 : lane.batch.plain & ~lane.batch.traced;
  resolve<kGuard>(lane, burst);
  police_rewrite_egress<kGuard>(lane, burst);
  flush_host(lane);
  lane.egress.flush(lane.tally);
  lane.tally.publish(lane.config.counters->port[burst.ingress]);
}

}  // namespace sluice::dataplane
