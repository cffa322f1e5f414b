// Messages for a group: to one member that the group's policy chooses, or to every member. Copies
// share the message from its envelope on; only the headers in front are each copy's own.
#include <array>

#include "dataplane/pipeline/forward.hpp"
#include "dataplane/pipeline/rewrite.hpp"

namespace sluice::dataplane {
namespace {

using link::TraceStage;
using link::Verdict;

struct Target {
  const Adjacency* adjacency;
  std::uint16_t udp_port;
};

struct Targets {
  unsigned count = 0;
  unsigned refused = 0;     // members that should get it, but cannot now
  bool unresolved = false;  // one of those only waits for its link-layer address
  DropReason reason = DropReason::kEmptyGroup;  // why, of the last one refused
  std::array<Target, kMaxGroupMembers> at;
};

bool may_get(const Burst& burst, const Envelope& envelope, const GroupMember& member) noexcept {
  return member.id != envelope.source &&
         tenant_may_address(burst, envelope.tenant.get(), member.tenant);
}

void deliver_to_one(Lane& lane, const Burst& burst, unsigned i, const Group& group,
                    std::uint32_t& cursor, const Envelope& envelope) noexcept {
  NextHop hop;
  bool unresolved = false;
  const auto usable = [&](const GroupMember& member) {
    if (!may_get(burst, envelope, member)) return false;
    const NextHop candidate = next_hop(lane, burst, member.adjacency);
    unresolved |= candidate.hold;
    if (candidate.adjacency == nullptr) return false;
    hop = candidate;
    return true;
  };
  const GroupMember* member = group.choose(envelope.routing_key.get(), cursor, usable);
  if (member == nullptr) {
    if (unresolved) return hold(lane, burst, i);
    return drop(lane, burst, i, DropReason::kEmptyGroup, TraceStage::kResolve);
  }
  send_message(lane, burst, i, *hop.adjacency, member->udp_port);
}

Targets find_targets(const Lane& lane, const Burst& burst, const Group& group,
                     const Envelope& envelope, const Parsed& parsed) noexcept {
  Targets targets;
  const auto refuse = [&](DropReason reason) {
    ++targets.refused;
    targets.reason = reason;
  };
  for (const GroupMember& member : group.members()) {
    if (member.id == envelope.source) continue;
    if (!tenant_may_address(burst, envelope.tenant.get(), member.tenant)) {
      refuse(DropReason::kTenantDenied);
      continue;
    }
    const NextHop hop = next_hop(lane, burst, member.adjacency);
    if (hop.adjacency == nullptr) {
      targets.unresolved |= hop.hold;
      refuse(hop.hold ? DropReason::kAdjacencyDown : hop.reason);
    } else if (ip_bytes(hop.adjacency->family) + parsed.udp_bytes > hop.adjacency->mtu) {
      refuse(DropReason::kTooBig);
    } else {
      targets.at[targets.count++] = {hop.adjacency, member.udp_port};
    }
  }
  return targets;
}

// Header buffer in front of a second one that only points at the message's envelope and payload.
rte_mbuf* shared_copy(Lane& lane, rte_mbuf* message, const Parsed& parsed) noexcept {
  std::array<rte_mbuf*, 2> buffers;
  if (rte_pktmbuf_alloc_bulk(lane.config.mempool, buffers.data(), 2) != 0) return nullptr;
  auto [head, body] = buffers;
  rte_pktmbuf_attach(body, message);
  const auto payload = static_cast<std::uint16_t>(parsed.udp_bytes - sizeof(UdpHeader));
  body->data_off = static_cast<std::uint16_t>(message->data_off + parsed.envelope_offset());
  body->data_len = payload;
  body->pkt_len = payload;
  head->next = body;
  head->nb_segs = 2;
  head->data_len = sizeof(UdpHeader);
  head->pkt_len = parsed.udp_bytes;
  return head;
}

// For a port whose driver cannot send several segments. Starts at the UDP header.
rte_mbuf* full_copy(Lane& lane, rte_mbuf* message, const Parsed& parsed) noexcept {
  rte_mbuf* copy =
      rte_pktmbuf_copy(message, lane.config.mempool, parsed.udp_offset(), parsed.udp_bytes);
  if (copy == nullptr || copy->nb_segs == 1) return copy;
  rte_pktmbuf_free(copy);  // the pool's buffers are smaller than the message
  return nullptr;
}

struct Copying {
  const Burst& burst;
  rte_mbuf* message;
  Parsed parsed;
  OldHeaders old;
  std::uint8_t traffic_class;
};

void send_copy(Lane& lane, const Copying& from, rte_mbuf* frame, const Target& target) noexcept {
  const std::uint8_t* payload = frame_start(*from.message) + from.parsed.envelope_offset();
  std::uint8_t* udp = frame_start(*frame);
  store(udp, outgoing_udp(from.old, *target.adjacency,
                          {from.burst.state->message_port, target.udp_port}, payload));
  std::uint8_t* start =
      write_headers(udp, *target.adjacency, from.old.service, from.parsed.udp_bytes);
  const auto headers = static_cast<std::uint32_t>(udp - start);
  frame->data_off = static_cast<std::uint16_t>(frame->data_off - headers);
  frame->data_len = static_cast<std::uint16_t>(frame->data_len + headers);
  frame->pkt_len += headers;
  const unsigned port = target.adjacency->port;
  ++lane.tally.of(FrameRole::kCopy);
  lane.egress.add(port, frame, frame->pkt_len,
                  Egress::tag(from.burst.ingress, FrameRole::kCopy, from.traffic_class));
  if (lane.egress.buffered(port) >= kMaxBurst) lane.egress.flush_port(port, lane.tally);
}

void copy_to(Lane& lane, const Copying& from, const Target& target) noexcept {
  const PortFacts& port = lane.config.ports->port[target.adjacency->port];
  rte_mbuf* frame = port.sends_segments ? shared_copy(lane, from.message, from.parsed)
                                        : full_copy(lane, from.message, from.parsed);
  if (frame == nullptr) {
    ++lane.tally.copies_dropped;
    return;
  }
  send_copy(lane, from, frame, target);
}

// The last copy is the message itself. It cannot be sent before the others are made, and its own
// headers lie in front of what they share.
void last_copy(Lane& lane, const Copying& from, const Target& target) noexcept {
  rte_mbuf* message = from.message;
  const std::uint32_t udp_offset = message->data_off + from.parsed.udp_offset();
  if (udp_offset < header_bytes(*target.adjacency)) {
    ++lane.tally.copies_dropped;
    rte_pktmbuf_free(message);
    return;
  }
  // send_copy finds the payload through the message's own start, so that stays until it is done.
  Copying own = from;
  own.parsed.l2_bytes = 0;
  own.parsed.l3_bytes = 0;
  message->data_off = static_cast<std::uint16_t>(udp_offset);
  message->data_len = from.parsed.udp_bytes;
  message->pkt_len = from.parsed.udp_bytes;
  send_copy(lane, own, message, target);
}

void deliver_to_all(Lane& lane, const Burst& burst, unsigned i, const Group& group,
                    const Envelope& envelope) noexcept {
  rte_mbuf* message = lane.batch.frame[i];
  const Parsed parsed = lane.batch.layout[i].parsed();
  const Targets targets = find_targets(lane, burst, group, envelope, parsed);
  if (targets.count == 0 && targets.unresolved) return hold(lane, burst, i);
  if (targets.count == 0 && (targets.refused != 0 || group.members().empty())) {
    return drop(lane, burst, i, targets.reason, TraceStage::kResolve);
  }
  ++lane.tally.replicated;
  lane.tally.copies_dropped += targets.refused;
  trace_end(
      lane, i,
      {.stage = TraceStage::kEgress, .verdict = Verdict::kDeliverSeveral, .detail = targets.count});
  if (targets.count == 0) return rte_pktmbuf_free(message);  // the sender is the only member

  std::uint8_t* start = frame_start(*message);
  const Copying from{.burst = burst,
                     .message = message,
                     .parsed = parsed,
                     .old = read_headers(start, parsed),
                     .traffic_class = envelope.traffic_class()};
  start[parsed.envelope_offset() + offsetof(Envelope, hop_limit)] -= 1;
  for (unsigned t = 0; t + 1 < targets.count; ++t)
    copy_to(lane, from, targets.at[t]);
  last_copy(lane, from, targets.at[targets.count - 1]);
}

}  // namespace

void deliver_to_group(Lane& lane, const Burst& burst, unsigned i, Action action) noexcept {
  const Group* group = lane.config.tables->groups.at(action.index());
  if (group == nullptr) return drop(lane, burst, i, DropReason::kUnreachable, TraceStage::kResolve);
  const Parsed parsed = lane.batch.layout[i].parsed();
  const auto envelope =
      load<Envelope>(frame_start(*lane.batch.frame[i]) + parsed.envelope_offset());
  if ((envelope.flags & message_flag::kAllMembers) != 0) {
    return deliver_to_all(lane, burst, i, *group, envelope);
  }
  deliver_to_one(lane, burst, i, *group, lane.group_cursors[action.index()], envelope);
}

}  // namespace sluice::dataplane
