// Held messages: when they wait, when they go, what becomes of those whose time is over.
#include "dataplane/apply/bridge_state.hpp"
#include "dataplane/pipeline/hold_deadline.hpp"
#include "dataplane/pipeline/notice.hpp"

namespace sluice::dataplane {

namespace {

constexpr unsigned kBurst = 64;
constexpr unsigned kBurstsPerTurn = 8;

DropReason reason_of(HoldDrop why) noexcept {
  switch (why) {
    case HoldDrop::kExpired:
      return DropReason::kHoldExpired;
    case HoldDrop::kFull:
      return DropReason::kHoldFull;
    case HoldDrop::kShutdown:
      break;
  }
  return DropReason::kShutdown;
}

}  // namespace

bool ControlBridge::State::take_held(const WorkerContext& worker) {
  if (worker.rings.to_hold == nullptr) return false;
  std::array<void*, kBurst> frames;
  for (unsigned round = 0; round < kBurstsPerTurn; ++round) {
    const unsigned n =
        rte_ring_sc_dequeue_burst(worker.rings.to_hold, frames.data(), kBurst, nullptr);
    for (unsigned i = 0; i < n; ++i)
      hold_or_release(static_cast<rte_mbuf*>(frames[i]), worker.index);
    if (n < kBurst) return false;
  }
  return true;
}

// The table may have changed since the worker looked: then nobody would ever release the message.
void ControlBridge::State::hold_or_release(rte_mbuf* frame, std::uint16_t worker) {
  const auto view = view_of(*frame);
  if (!view) {
    drop(frame, worker, HoldDrop::kShutdown);  // cannot be: the worker has parsed it
    return;
  }
  const Id& destination = view->envelope.destination;
  const Outlook now = outlook(view->envelope);
  const std::uint64_t deadline_ns = deadline_of(*frame, view->envelope);
  const bool goes = now == Outlook::kGoes && now_ns < deadline_ns;
  // Not past those that came before it.
  if (goes && !hold.holds(destination) && release(frame, worker)) return;
  hold.hold(destination, view->envelope.tenant.get(), frame, worker, now_ns, deadline_ns,
            now != Outlook::kNoRoute);
  // No room in the worker's ring just now: it is offered again with the next turn.
  if (goes) hold.release(destination);
}

// The time of its first hold counts, and it is not held beyond its lifetime.
std::uint64_t ControlBridge::State::deadline_of(rte_mbuf& frame, const Envelope& envelope) const {
  if (const auto first = hold_deadline_ns(frame); first != kNotHeldBefore) return first;
  std::uint64_t deadline_ns = now_ns + settings.hold_ms * kNsPerMs;
  if (const auto code = envelope.lifetime_code(); code != 0) {
    const std::uint64_t end = envelope.timestamp_ns.get() + lifetime_ns(code);
    const std::uint64_t left = end > realtime_now ? end - realtime_now : 0;
    deadline_ns = std::min(deadline_ns, now_ns + left);
  }
  set_hold_deadline(frame, deadline_ns);
  return deadline_ns;
}

ControlBridge::State::Outlook ControlBridge::State::outlook(const Envelope& envelope) const {
  const Routes* routes = options.tables->routes.load(std::memory_order_relaxed);
  if (routes == nullptr) return Outlook::kNoRoute;
  const Action action = routes->find(envelope.destination);
  switch (action.kind()) {
    case ActionKind::kNone:
    case ActionKind::kDeleted:
      return Outlook::kNoRoute;
    case ActionKind::kAdjacency:
      return AdjacencyTable::state(options.tables->adjacencies.at(action.index())) ==
                     AdjacencyState::kUnresolved
                 ? Outlook::kUnresolved
                 : Outlook::kGoes;
    case ActionKind::kGroup: {
      const Group* group = options.tables->groups.at(action.index());
      return group == nullptr ? Outlook::kGoes : outlook(envelope, *group);
    }
    case ActionKind::kUnreachable:
    case ActionKind::kLocal:
      break;
  }
  return Outlook::kGoes;
}

bool ControlBridge::State::waits_on(void* message) {
  const auto view = view_of(*static_cast<const rte_mbuf*>(message));
  return view && outlook(view->envelope) == Outlook::kUnresolved;
}

// As the pipeline sees it (deliver.cpp): a group's message waits while none of those who may get it
// can be reached and one of them is unresolved. Told otherwise here, it would go to and fro between
// manager and worker for ever.
ControlBridge::State::Outlook ControlBridge::State::outlook(const Envelope& envelope,
                                                            const Group& group) const {
  const Tables& tables = *options.tables;
  const Tenants& tenants = *tables.forwarding.load(std::memory_order_relaxed)->tenants;
  const std::uint32_t ports_up = options.ports->up.load(std::memory_order_relaxed);
  const auto usable = [&](const Adjacency& adjacency) {
    return AdjacencyTable::state(adjacency) == AdjacencyState::kUp &&
           (ports_up >> (adjacency.port & (kMaxPorts - 1)) & 1) != 0;
  };
  Outlook outlook = Outlook::kGoes;
  for (const GroupMember& member : group.members()) {
    if (member.id == envelope.source || !tenants.allowed(envelope.tenant.get(), member.tenant))
      continue;
    const Adjacency& first = tables.adjacencies.at(member.adjacency);
    if (AdjacencyTable::state(first) == AdjacencyState::kUnresolved) {
      outlook = Outlook::kUnresolved;
    } else if (usable(first) ||
               (first.backup < kMaxAdjacencies && usable(tables.adjacencies.at(first.backup)))) {
      return Outlook::kGoes;
    }
  }
  return outlook;
}

std::uint16_t ControlBridge::State::ingress(const rte_mbuf& frame) const {
  const std::uint16_t port =
      frame.port < kMaxPorts ? options.ports->index_of_dpdk_port[frame.port] : kNoPort;
  return port < kMaxPorts ? port : 0;
}

bool ControlBridge::State::release(void* message, std::uint16_t worker) {
  rte_ring* ring = options.workers[worker]->rings.release;
  if (ring == nullptr || rte_ring_sp_enqueue(ring, message) != 0) return false;
  to_wake |= std::uint64_t{1} << worker;
  return true;
}

void ControlBridge::State::drop(void* message, std::uint16_t worker, HoldDrop why) {
  auto* frame = static_cast<rte_mbuf*>(message);
  const std::uint16_t port = ingress(*frame);
  const DropReason reason = reason_of(why);
  // It came out of the hold queue and ended here: the worker counted it as held.
  link::add(counters.port[port].released, 1);
  link::add(counters.port[port].dropped[static_cast<std::size_t>(reason)], 1);
  tell_sender(frame, worker, port, reason);
}

// Sends the frame back as a notice when its sender asked for one, else frees it.
void ControlBridge::State::tell_sender(rte_mbuf* frame, std::uint16_t worker, std::uint16_t port,
                                       DropReason reason) {
  const NoticeReason notice = info(reason).notice;
  const auto view = view_of(*frame);
  if (notice == NoticeReason::kNone || !view || !wants_notice(view->envelope)) {
    rte_pktmbuf_free(frame);
    return;
  }
  if (!notices.take(now_ns)) {
    link::add(counters.port[port].notices_limited, 1);
    rte_pktmbuf_free(frame);
    return;
  }
  const ForwardingState& state = *options.tables->forwarding.load(std::memory_order_relaxed);
  rte_ring* ring = options.workers[worker]->rings.transmit;
  if (ring == nullptr ||
      !make_notice(*frame, parsed_of_held(*frame), state, notice, realtime_now) ||
      rte_ring_sp_enqueue(ring, frame) != 0) {
    rte_pktmbuf_free(frame);
    return;
  }
  link::add(counters.port[port].notices, 1);
  to_wake |= std::uint64_t{1} << worker;
}

bool ControlBridge::State::discover(const Id& destination, void* message) {
  if (region == nullptr) return false;
  const auto* frame = static_cast<const rte_mbuf*>(message);
  const auto view = view_of(*frame);
  if (!view) return false;
  if (!discoveries.take(now_ns)) {
    link::add(counters.discoveries_limited, 1);
    return false;
  }
  link::Event event{};
  event.kind = link::EventKind::kUnknownDestination;
  auto& body = event.body.unknown_destination;
  body.destination = destination;
  body.source = view->envelope.source;
  body.tenant = view->envelope.tenant.get();
  body.port = ingress(*frame);
  body.capability = (view->envelope.flags & message_flag::kCapability) != 0 ? 1 : 0;
  return events.send(event);
}

}  // namespace sluice::dataplane
