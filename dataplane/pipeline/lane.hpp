// Everything one worker needs to move messages: its scratch, its way out, its limits and caches,
// and the tables it reads. The stages are functions over a Lane. One per worker, that worker only,
// except that app makes it on the main thread before the worker starts.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <vector>

#include "dataplane/obs/trace_recorder.hpp"
#include "dataplane/pipeline/batch.hpp"
#include "dataplane/pipeline/clock.hpp"
#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/meter.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/pipeline/plain_pattern.hpp"
#include "dataplane/pipeline/tally.hpp"
#include "dataplane/table/negative_cache.hpp"
#include "dataplane/table/tables.hpp"

namespace sluice::dataplane {

// How frames came to this worker.
enum class Origin : std::uint8_t {
  kQueue,       // out of a receive queue of its own
  kDispatched,  // from the worker that received and counted them
  kReleased,    // out of the hold queue; counted when they came in
};

// What stays the same during one burst. Pointers to tables are loaded once, here.
struct Burst {
  const ForwardingState* state = nullptr;
  const Routes* routes = nullptr;      // null: not programmed yet
  const TraceFilter* trace = nullptr;  // null: off
  const PortForwarding* port = nullptr;
  std::uint16_t ingress = 0;  // port index
  bool trunk = false;
  bool guard = false;         // source ids are looked up and checked
  bool metered = false;       // some tenant has a rate, and this port enforces it
  bool extra_checks = false;  // trunk or metered
  bool counted = false;       // frames and bytes were counted where they were received
  bool released = false;      // messages that waited for their destination; metered before
  std::uint64_t now_tsc = 0;
  std::uint64_t now_ns = 0;        // since the Unix epoch
  std::uint32_t clear_ports = 0;   // Egress::clear_ports()
  std::uint32_t usable_ports = 0;  // Egress::usable_ports()
  Reception reception;
  // Ids per message in Batch::id.
  unsigned stride() const noexcept { return guard ? 2 : 1; }
};

struct Lane {
  explicit Lane(const PipelineConfig& config, NodeArray<Meter> tenant_meters,
                NodeArray<std::uint32_t> cursors);

  // Settings of the worker's share of limits; only when the snapshot changed.
  void adopt(const ForwardingState& state, std::uint64_t now_tsc) noexcept;

  PipelineConfig config;
  Batch batch;
  Tally tally;
  Egress egress;
  WallClock clock;

  // The snapshot that was adopted last. Never followed (it may be freed already), and forgotten now
  // and then, because another one may get its address.
  const void* adopted_state = nullptr;
  std::array<PlainPattern, kMaxPorts> plain_pattern;
  bool notices_allowed = false;
  bool punts_allowed = false;
  NegativeCacheTimes hold_times;
  Meter notices;
  Meter punts;
  NodeArray<Meter> tenants;  // by dense tenant index
  NegativeCache negative;
  NodeArray<std::uint32_t> group_cursors;  // by group index
  TraceRecorder trace;

  std::array<rte_mbuf*, kMaxBurst> for_host;
  unsigned for_host_count = 0;
  bool manager_has_work = false;
};

// Loads the tables' pointers and everything else that a burst of `port` goes by.
Burst begin_burst(Lane& lane, std::uint16_t port, std::uint64_t now_tsc, Origin origin) noexcept;

}  // namespace sluice::dataplane
