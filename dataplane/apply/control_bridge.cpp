#include "dataplane/apply/control_bridge.hpp"

#include <rte_ring_elem.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "dataplane/apply/bridge_state.hpp"
#include "dataplane/pipeline/pipeline.hpp"

namespace sluice::dataplane {

namespace {

constexpr unsigned kBurst = 64;
constexpr unsigned kPuntsPerTurn = 256;
constexpr unsigned kTracesPerTurn = 64;
constexpr unsigned kInjectsPerTurn = 128;
constexpr std::uint32_t kHeldPerTurn = 1024;
// Held messages must never starve reception of buffers.
constexpr std::uint32_t kHeldShare = 2;

// A worker that polls the port, else one that can reach it.
std::uint16_t sender_for(const BridgeOptions& options, std::uint16_t port) {
  for (const WorkerContext* worker : options.workers) {
    if (std::ranges::any_of(worker->served, [&](const auto& s) { return s.port == port; }))
      return worker->index;
  }
  for (const WorkerContext* worker : options.workers) {
    const PortEgress& egress = worker->egress[port];
    if (egress.tx_queue != kNoQueue || egress.through != nullptr) return worker->index;
  }
  return 0;
}

bool waiting(const rte_ring* ring) {
  return ring != nullptr && rte_ring_empty(ring) == 0;
}

}  // namespace

ControlBridge::State::State(const BridgeOptions& o, EventSender& e)
    : options(o),
      events(e),
      counters(o.status->counters[link::kManagerCounters]),
      hold(o.mbufs / kHeldShare, *this) {
  for (std::uint16_t port = 0; port < kMaxPorts; ++port)
    sender[port] = sender_for(options, port);
}

ControlBridge::ControlBridge(const BridgeOptions& options, EventSender& events)
    : state_(std::make_unique<State>(options, events)) {}
ControlBridge::~ControlBridge() = default;

void ControlBridge::attach(link::Region& region) {
  State& s = *state_;
  s.region = &region;
  s.punts.emplace(region.punts);
  s.injects.emplace(region.injects);
  s.punts_lost = 0;
  s.punted = s.corrupt = false;
}

void ControlBridge::detach() {
  State& s = *state_;
  s.region = nullptr;
  s.punts.reset();
  s.injects.reset();
  s.corrupt = false;  // it was the peer's that is gone
  if (s.trace_left == 0) return;
  s.trace_left = 0;  // nobody reads it any more
  s.options.tables->publish(std::unique_ptr<const TraceFilter>());
}

ControlBridge::Progress ControlBridge::run(std::uint64_t now_ns) {
  State& s = *state_;
  s.now_ns = now_ns;
  s.realtime_now = realtime_ns();
  bool more = false;
  for (const WorkerContext* worker : s.options.workers) {
    more |= s.take_held(*worker);
    more |= s.take_punts(*worker);
    more |= s.take_traces(*worker);
    s.take_denied(*worker);
  }
  more |= s.take_injects();
  more |= s.hold.advance(now_ns, kHeldPerTurn);
  s.wake_workers();
  if (s.corrupt) return Progress::kCorrupt;
  return more ? Progress::kMore : Progress::kIdle;
}

void ControlBridge::State::wake_workers() {
  for (; to_wake != 0; to_wake &= to_wake - 1) {
    Waker* waker = options.workers[static_cast<std::size_t>(std::countr_zero(to_wake))]->waker;
    if (waker != nullptr) waker->wake();
  }
}

bool ControlBridge::State::take_punts(const WorkerContext& worker) {
  if (worker.rings.to_control == nullptr) return false;
  std::array<void*, kBurst> frames;
  for (unsigned done = 0; done < kPuntsPerTurn; done += kBurst) {
    const unsigned n =
        rte_ring_sc_dequeue_burst(worker.rings.to_control, frames.data(), kBurst, nullptr);
    for (unsigned i = 0; i < n; ++i)
      punt(static_cast<rte_mbuf*>(frames[i]));
    if (n < kBurst) return false;
  }
  return true;
}

void ControlBridge::State::punt(rte_mbuf* frame) {
  const auto view = view_of(*frame);
  link::Slot* slot = nullptr;
  if (view && view->bytes <= sizeof(link::Slot::data)) slot = next_slot();
  if (slot != nullptr) {
    const auto* bytes = rte_pktmbuf_mtod(frame, const std::uint8_t*);
    slot->header =
        punt_header(bytes, frame->l2_len, frame->l3_len, *view, ingress(*frame), realtime_now);
    std::memcpy(slot->data.data(), bytes + view->offset, view->bytes);
    punts->commit(1);
    punted = true;
  } else {
    lose_punt();
  }
  rte_pktmbuf_free(frame);
}

link::Slot* ControlBridge::State::next_slot() {
  if (!punts) return nullptr;
  bool ok = true;
  link::Slot* slot = punts->reserve(ok);
  corrupt = corrupt || !ok;
  return slot;
}

void ControlBridge::State::lose_punt() {
  if (region == nullptr) return;
  // Read by the control plane for its metrics.
  std::atomic_ref(region->punts_lost).store(++punts_lost, std::memory_order_relaxed);
}

bool ControlBridge::State::take_traces(const WorkerContext& worker) {
  if (worker.rings.trace == nullptr) return false;
  link::TraceRecord record;
  for (unsigned i = 0; i < kTracesPerTurn; ++i) {
    if (rte_ring_sc_dequeue_elem(worker.rings.trace, &record, sizeof record) != 0) return false;
    forward_trace(record);
  }
  return true;
}

void ControlBridge::State::forward_trace(const link::TraceRecord& record) {
  if (trace_left == 0 || record.token != trace_token) return;  // of a trace that was stopped
  if (link::Slot* slot = next_slot(); slot != nullptr) {
    slot->header = {};
    slot->header.kind = link::SlotKind::kTrace;
    slot->header.bytes = sizeof record;
    std::memcpy(slot->data.data(), &record, sizeof record);
    punts->commit(1);
    punted = true;
  } else {
    lose_punt();
  }
  if (--trace_left > 0) return;
  options.tables->publish(std::unique_ptr<const TraceFilter>());
  link::Event event{};
  event.kind = link::EventKind::kTraceDone;
  event.body.counted.count = trace_count;
  event.body.counted.epoch_or_token = trace_token;
  events.send(event);
}

// Who sent with an id that is not registered there; told as far as the rate allows.
void ControlBridge::State::take_denied(const WorkerContext& worker) {
  if (worker.rings.denied == nullptr) return;
  DeniedSource denied;
  for (unsigned i = 0; i < kBurst; ++i) {
    if (rte_ring_sc_dequeue_elem(worker.rings.denied, &denied, sizeof denied) != 0) return;
    if (region == nullptr || !denied_events.take(now_ns)) continue;
    link::Event event{};
    event.kind = link::EventKind::kSourceDenied;
    event.body.source_denied = denied.what;
    events.send(event);
  }
}

bool ControlBridge::State::take_injects() {
  if (!injects) return false;
  bool ok = true;
  const std::uint32_t ready = injects->available(ok);
  corrupt = corrupt || !ok;
  const std::uint32_t n = std::min(ready, kInjectsPerTurn);
  for (std::uint32_t i = 0; i < n; ++i) {
    const link::Slot& slot = injects->peek(0);
    inject(slot, slot.header);  // the header is copied before it is checked
    injects->release(1);
  }
  return ready > n;
}

void ControlBridge::State::inject(const link::Slot& slot, const link::SlotHeader& shared) {
  const link::SlotHeader header = load<link::SlotHeader>(&shared);
  const std::uint16_t port = header.port;
  if (port >= options.ports->count ||
      !valid_inject(header, options.ports->count, options.ports->port[port].mtu)) {
    lose_inject("refused: a field is out of range or it is longer than the MTU");
    return;
  }
  if (options.workers.empty()) return lose_inject("no worker");
  const std::size_t headers = inject_header_bytes(header);
  rte_mbuf* frame = rte_pktmbuf_alloc(options.mempool);
  if (frame == nullptr) return lose_inject("no packet buffer");
  auto* start = reinterpret_cast<std::uint8_t*>(
      rte_pktmbuf_append(frame, static_cast<std::uint16_t>(headers + header.bytes)));
  rte_ring* ring = options.workers[sender[port]]->rings.transmit;
  if (start == nullptr || ring == nullptr) {
    rte_pktmbuf_free(frame);
    return lose_inject("no room in the buffer, or no ring");
  }
  std::memcpy(start + headers, slot.data.data(), header.bytes);
  write_inject_headers(header, options.ports->port[port].mac, start);
  frame->port = options.ports->port[port].dpdk_port;
  if (rte_ring_sp_enqueue(ring, frame) != 0) {
    rte_pktmbuf_free(frame);
    return lose_inject("the worker's ring is full");
  }
  to_wake |= std::uint64_t{1} << sender[port];
}

void ControlBridge::State::lose_inject(std::string_view why) {
  ++injects_lost;
  if (inject_log.take(now_ns))
    spdlog::warn("event=inject_lost reason=\"{}\" lost={}", why, injects_lost);
}

bool ControlBridge::prepare_wait() {
  State& s = *state_;
  if (s.injects && !s.injects->prepare_wait()) return false;
  return std::ranges::none_of(s.options.workers, [](const WorkerContext* worker) {
    const WorkerRings& rings = worker->rings;
    return waiting(rings.to_hold) || waiting(rings.to_control) || waiting(rings.trace) ||
           waiting(rings.denied);
  });
}

void ControlBridge::cancel_wait() {
  if (state_->injects) state_->injects->cancel_wait();
}

std::uint64_t ControlBridge::next_deadline_ns() const {
  return state_->hold.next_deadline_ns();
}

bool ControlBridge::take_wakeup() {
  State& s = *state_;
  if (!s.punted || !s.punts) return false;
  s.punted = false;
  return s.punts->needs_wakeup();
}

void ControlBridge::stop() {
  State& s = *state_;
  for (const WorkerContext* worker : s.options.workers) {
    while (s.take_held(*worker)) {
    }
    while (s.take_punts(*worker)) {
    }
  }
  s.hold.drop_all(HoldDrop::kShutdown);
  s.wake_workers();
}

void ControlBridge::publish_status() {
  auto& info = state_->options.status->tables;
  const auto put = [](std::uint64_t& field, std::uint64_t value) {
    std::atomic_ref(field).store(value, std::memory_order_relaxed);
  };
  const HoldQueue& hold = state_->hold;
  put(info.held, hold.size());
  put(info.hold_capacity, std::min(hold.capacity(), state_->settings.hold_total));
  put(info.hold_expired, hold.expired());
  put(info.hold_released, hold.released());
}

void ControlBridge::route_appeared(const Id& id) {
  state_->hold.release(id);
}
void ControlBridge::base_changed() {
  const Routes* routes = state_->options.tables->routes.load(std::memory_order_relaxed);
  if (routes == nullptr) return;
  state_->hold.release_known([&](const Id& id) {
    const ActionKind kind = routes->find(id).kind();
    return kind != ActionKind::kNone && kind != ActionKind::kDeleted;
  });
}

void ControlBridge::adjacencies_changed() {
  state_->hold.release_unresolved();
}

void ControlBridge::settings_changed(const link::Settings& settings) {
  State& s = *state_;
  s.settings = settings;
  s.hold.set_limits({.per_id = settings.hold_per_id, .total = settings.hold_total});
  s.notices.set_rate(settings.notices_per_second, std::max(settings.notices_per_second / 10, 1u));
  s.discoveries.set_rate(settings.discoveries_per_second,
                         std::max(settings.discoveries_per_second / 10, 1u));
}

void ControlBridge::trace_changed(std::uint32_t token, std::uint32_t count) {
  state_->trace_token = token;
  state_->trace_left = state_->trace_count = count;
}

}  // namespace sluice::dataplane
