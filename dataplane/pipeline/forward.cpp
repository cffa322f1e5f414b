#include "dataplane/pipeline/forward.hpp"

#include <rte_ring.h>
#include <rte_ring_elem.h>

namespace sluice::dataplane {
namespace {

using link::TraceStage;
using link::Verdict;

struct Sender {
  IpAddress address;
  std::uint16_t udp_port;
};

Sender sender_of(const std::uint8_t* start, const Parsed& parsed) noexcept {
  const std::uint8_t* ip = start + parsed.l2_bytes;
  const auto udp = load<UdpHeader>(ip + parsed.l3_bytes);
  Sender sender{.address = {}, .udp_port = udp.source_port.get()};
  if (parsed.family() == Family::kIpv4) {
    sender.address = IpAddress::v4(load<Ipv4Header>(ip).source);
  } else {
    sender.address = IpAddress::v6(load<Ipv6Header>(ip).source);
  }
  return sender;
}

enum class Admission : std::uint8_t { kForward, kPunt, kRefuse };

// What a port takes of each type. Control messages of agents go to the control plane; replies and
// notices are made by routers, so they come in on trunks only.
Admission admission(MessageType type, bool trunk) noexcept {
  switch (type) {
    case MessageType::kData:
    case MessageType::kEcho:
    case MessageType::kEchoReply:
      return Admission::kForward;
    case MessageType::kRegister:
    case MessageType::kUnregister:
    case MessageType::kResolve:
      return trunk ? Admission::kRefuse : Admission::kPunt;
    case MessageType::kRegisterReply:
    case MessageType::kResolveReply:
    case MessageType::kNotice:
      return trunk ? Admission::kForward : Admission::kRefuse;
    case MessageType::kLinkProbe:
      return Admission::kRefuse;
  }
  return Admission::kRefuse;
}

// For the log of the control plane; lost when the manager is behind.
void report_denied(Lane& lane, const Burst& burst, const Envelope& envelope,
                   const Sender& sender) noexcept {
  rte_ring* ring = lane.config.exits.denied;
  if (ring == nullptr) return;
  DeniedSource denied{.what = {.source = envelope.source,
                               .address = sender.address,
                               .udp_port = sender.udp_port,
                               .port = burst.ingress,
                               .tenant = envelope.tenant.get()},
                      .reserved = 0};
  if (rte_ring_sp_enqueue_elem(ring, &denied, sizeof denied) == 0) lane.manager_has_work = true;
}

// By the source of the message: kCount when it may send.
DropReason check_source(Lane& lane, const Burst& burst, unsigned i, const Sender& sender,
                        std::uint16_t tenant) noexcept {
  if (burst.guard) {
    const Action route = lane.batch.action[i * burst.stride() + 1];
    if (!source_matches(*lane.config.tables, route, burst, sender.address, sender.udp_port,
                        tenant)) {
      return DropReason::kSourceDenied;
    }
  }
  if (burst.metered && !within_rate(lane, burst, tenant)) return DropReason::kRateLimited;
  return DropReason::kCount;
}

void follow_route(Lane& lane, const Burst& burst, unsigned i, Action action,
                  const Envelope& envelope) noexcept {
  const auto refuse = [&](DropReason reason) {
    drop(lane, burst, i, reason, TraceStage::kResolve);
  };
  switch (action.kind()) {
    case ActionKind::kNone:
    case ActionKind::kDeleted:
      return hold_unknown(lane, burst, i);
    case ActionKind::kUnreachable:
      return refuse(DropReason::kUnreachable);
    case ActionKind::kLocal:
      if (envelope.type == static_cast<std::uint8_t>(MessageType::kEcho)) {
        return answer_echo(lane, burst, i);
      }
      return refuse(DropReason::kTypeNotAllowed);
    case ActionKind::kGroup:
      // Whoever offers a capability that is named like an agent must not get the agent's messages.
      if ((envelope.flags & message_flag::kCapability) == 0) {
        return refuse(DropReason::kUnknownDestination);
      }
      // A capability belongs to no tenant; each of its members does.
      return deliver_to_group(lane, burst, i, action);
    case ActionKind::kAdjacency:
      break;
  }
  if (!tenant_may_address(burst, envelope.tenant.get(), action.tenant())) {
    return drop(lane, burst, i, DropReason::kTenantDenied, TraceStage::kPolice);
  }
  const NextHop hop = next_hop(lane, burst, action.index());
  if (hop.hold) return hold(lane, burst, i);
  if (hop.adjacency == nullptr) return refuse(hop.reason);
  send_message(lane, burst, i, *hop.adjacency, action.udp_port());
}

}  // namespace

NextHop next_hop(const Lane& lane, const Burst& burst, std::uint32_t index) noexcept {
  const AdjacencyTable& table = lane.config.tables->adjacencies;
  const auto port_is_up = [&](const Adjacency& adjacency) {
    return (burst.usable_ports >> (adjacency.port & (kMaxPorts - 1)) & 1) != 0;
  };
  const Adjacency& first = table.at(index);
  NextHop hop;
  switch (AdjacencyTable::state(first)) {
    case AdjacencyState::kFree:
      hop.reason = DropReason::kUnreachable;
      return hop;
    case AdjacencyState::kUnresolved:
      hop.hold = true;
      return hop;
    case AdjacencyState::kUp:
      if (port_is_up(first)) {
        hop.adjacency = &first;
        return hop;
      }
      hop.reason = DropReason::kPortDown;
      break;
    case AdjacencyState::kDown:
      hop.reason = DropReason::kAdjacencyDown;
      break;
  }
  if (first.backup >= kMaxAdjacencies) return hop;
  const Adjacency& backup = table.at(first.backup);
  if (AdjacencyTable::state(backup) == AdjacencyState::kUp && port_is_up(backup)) {
    hop.adjacency = &backup;
  }
  return hop;
}

void send_message(Lane& lane, const Burst& burst, unsigned i, const Adjacency& adjacency,
                  std::uint16_t udp_port) noexcept {
  const auto refuse = [&](DropReason reason, TraceStage stage) {
    drop(lane, burst, i, reason, stage);
  };
  rte_mbuf* frame = lane.batch.frame[i];
  const Parsed parsed = lane.batch.layout[i].parsed();
  std::uint8_t* start = frame_start(*frame);
  const auto envelope = load<Envelope>(start + parsed.envelope_offset());
  const std::size_t headers = header_bytes(adjacency);
  if (ip_bytes(adjacency.family) + parsed.udp_bytes > adjacency.mtu) {
    return refuse(DropReason::kTooBig, TraceStage::kRewrite);
  }
  if (frame->data_off + parsed.udp_offset() < headers) {
    return refuse(DropReason::kNoBuffer, TraceStage::kRewrite);
  }
  // Told here, while the message still is as it came, so that its sender can get a notice.
  if (lane.egress.refuses(adjacency.port, envelope.traffic_class())) {
    return refuse(DropReason::kEgressFull, TraceStage::kEgress);
  }
  std::uint8_t* moved = rewrite(start, parsed, adjacency,
                                {.source = burst.state->message_port, .destination = udp_port});
  set_frame(*frame, moved, static_cast<std::uint32_t>(headers + parsed.udp_bytes));
  if (is_traced(lane, i)) {
    trace_step(lane, i, {.stage = TraceStage::kRewrite, .verdict = Verdict::kForward});
    lane.trace.after(i, moved, frame->data_len, adjacency.port);
    trace_end(
        lane, i,
        {.stage = TraceStage::kEgress, .verdict = Verdict::kForward, .detail = adjacency.port});
  }
  ++lane.tally.of(FrameRole::kForwarded);
  lane.egress.add(adjacency.port, frame, frame->pkt_len,
                  Egress::tag(burst.ingress, FrameRole::kForwarded, envelope.traffic_class()));
}

void forward_general(Lane& lane, const Burst& burst, unsigned i) noexcept {
  const auto refuse = [&](DropReason reason) { drop(lane, burst, i, reason, TraceStage::kPolice); };
  const std::uint8_t* start = frame_start(*lane.batch.frame[i]);
  const Parsed parsed = lane.batch.layout[i].parsed();
  const auto envelope = load<Envelope>(start + parsed.envelope_offset());
  const Sender sender = sender_of(start, parsed);
  const Action action = lane.batch.action[i * burst.stride()];
  if (is_traced(lane, i)) {
    trace_step(lane, i,
               {.stage = TraceStage::kResolve,
                .verdict = Verdict::kForward,
                .detail = action.index(),
                .action = action.bits()});
  }
  if (burst.trunk && !burst.state->peers->contains(sender.address)) {
    return refuse(DropReason::kUnknownPeer);
  }
  switch (admission(static_cast<MessageType>(envelope.type), burst.trunk)) {
    case Admission::kPunt:
      return punt(lane, burst, i);
    case Admission::kRefuse:
      return refuse(DropReason::kTypeNotAllowed);
    case Admission::kForward:
      break;
  }
  if (burst.routes == nullptr) return refuse(DropReason::kNoRouteTable);
  const DropReason reason = check_source(lane, burst, i, sender, envelope.tenant.get());
  if (reason == DropReason::kSourceDenied) report_denied(lane, burst, envelope, sender);
  if (reason != DropReason::kCount) return refuse(reason);
  trace_step(lane, i, {.stage = TraceStage::kPolice, .verdict = Verdict::kForward});
  follow_route(lane, burst, i, action, envelope);
}

}  // namespace sluice::dataplane
