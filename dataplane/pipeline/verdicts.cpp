#include "dataplane/pipeline/verdicts.hpp"

#include <rte_ring.h>

#include <bit>
#include <utility>

#include "dataplane/pipeline/hold_deadline.hpp"
#include "dataplane/pipeline/notice.hpp"
#include "dataplane/pipeline/rewrite.hpp"
#include "dataplane/pipeline/turn_around.hpp"

namespace sluice::dataplane {
namespace {

using link::TraceStage;
using link::Verdict;

constexpr std::size_t kPuntBytes = sizeof(link::Slot::data);

bool give(rte_ring* ring, rte_mbuf* frame) noexcept {
  return ring != nullptr && rte_ring_sp_enqueue(ring, frame) == 0;
}

// For the manager: where the headers end.
void mark_headers(rte_mbuf& frame, const Parsed& parsed) noexcept {
  frame.l2_len = parsed.l2_bytes & 0x7f;
  frame.l3_len = parsed.l3_bytes;
}

Envelope envelope_of(const rte_mbuf& frame, const Parsed& parsed) noexcept {
  return load<Envelope>(frame_start(frame) + parsed.envelope_offset());
}

// Sends the notice in the frame's own buffer when there is to be one. False: the frame is still
// the caller's.
bool notify(Lane& lane, const Burst& burst, rte_mbuf* frame, const Parsed& parsed,
            DropReason reason) noexcept {
  const NoticeReason told = info(reason).notice;
  if (told == NoticeReason::kNone || !parsed.has_envelope) return false;
  const Envelope envelope = envelope_of(*frame, parsed);
  if (!wants_notice(envelope) || (burst.usable_ports >> burst.ingress & 1) == 0) return false;
  if (!lane.notices_allowed || !lane.notices.take(burst.now_tsc)) {
    ++lane.tally.notices_limited;
    return false;
  }
  if (!make_notice(*frame, parsed, *burst.state, told, burst.now_ns)) return false;
  ++lane.tally.of(FrameRole::kNotice);
  lane.egress.add(burst.ingress, frame, frame->pkt_len,
                  Egress::tag(burst.ingress, FrameRole::kNotice, envelope.traffic_class()));
  return true;
}

void begin_trace(Lane& lane, const Burst& burst, unsigned slot, const rte_mbuf& frame) noexcept {
  lane.trace.begin(slot,
                   {.received_ns = burst.now_ns,
                    .token = burst.trace->token(),
                    .ingress_port = burst.ingress,
                    .worker = lane.config.worker,
                    .frame_bytes = static_cast<std::uint16_t>(frame.pkt_len)},
                   frame_start(frame), frame.data_len);
}

// A frame that classify refused has no place in the batch; no message of the burst is being
// recorded yet, so any slot will do. Without an envelope it matches only a filter for anything.
void trace_refused(Lane& lane, const Burst& burst, const rte_mbuf& frame,
                   const Parsed& parsed) noexcept {
  const Envelope envelope = parsed.has_envelope ? envelope_of(frame, parsed) : Envelope{};
  if (!burst.trace->matches(envelope.source, envelope.destination) || !burst.trace->claim()) return;
  begin_trace(lane, burst, 0, frame);
  lane.trace.step(
      0, {.stage = TraceStage::kClassify, .verdict = Verdict::kDrop, .reason = parsed.reason});
  if (lane.trace.finish(0)) link::add(lane.config.counters->traced, 1);
  lane.manager_has_work = true;
}

}  // namespace

void begin_traces(Lane& lane, const Burst& burst) noexcept {
  Batch& batch = lane.batch;
  for (unsigned i = 0; i < batch.count; ++i) {
    const Parsed parsed = batch.layout[i].parsed();
    const Envelope envelope = envelope_of(*batch.frame[i], parsed);
    if (!burst.trace->matches(envelope.source, envelope.destination)) continue;
    if (!burst.trace->claim()) return;
    batch.traced |= std::uint64_t{1} << i;
    begin_trace(lane, burst, i, *batch.frame[i]);
    lane.trace.step(i, {.stage = TraceStage::kClassify,
                        .verdict = Verdict::kForward,
                        .detail = parsed.envelope_offset()});
  }
}

void trace_step(Lane& lane, unsigned i, const TraceRecorder::Step& step) noexcept {
  if (is_traced(lane, i)) lane.trace.step(i, step);
}

void trace_end(Lane& lane, unsigned i, const TraceRecorder::Step& step) noexcept {
  if (!is_traced(lane, i)) return;
  lane.trace.step(i, step);
  if (lane.trace.finish(i)) link::add(lane.config.counters->traced, 1);
  lane.manager_has_work = true;
}

void drop(Lane& lane, const Burst& burst, unsigned i, DropReason reason,
          TraceStage stage) noexcept {
  rte_mbuf* frame = lane.batch.frame[i];
  trace_end(lane, i, {.stage = stage, .verdict = Verdict::kDrop, .reason = reason});
  lane.tally.drop(reason);
  if (!notify(lane, burst, frame, lane.batch.layout[i].parsed(), reason)) rte_pktmbuf_free(frame);
}

void drop_frame(Lane& lane, const Burst& burst, rte_mbuf* frame, const Parsed& parsed) noexcept {
  if (burst.trace != nullptr) trace_refused(lane, burst, *frame, parsed);
  lane.tally.drop(parsed.reason);
  if (!notify(lane, burst, frame, parsed, parsed.reason)) rte_pktmbuf_free(frame);
}

void hold(Lane& lane, const Burst& burst, unsigned i) noexcept {
  rte_mbuf* frame = lane.batch.frame[i];
  mark_headers(*frame, lane.batch.layout[i].parsed());
  if (!burst.released) set_hold_deadline(*frame, kNotHeldBefore);
  if (!give(lane.config.exits.to_hold, frame)) {
    lane.negative.forget(lane.batch.id[i * burst.stride()]);
    return drop(lane, burst, i, DropReason::kHoldFull, TraceStage::kResolve);
  }
  ++lane.tally.held;
  lane.manager_has_work = true;
  trace_end(lane, i, {.stage = TraceStage::kResolve, .verdict = Verdict::kHold});
}

void hold_unknown(Lane& lane, const Burst& burst, unsigned i) noexcept {
  const Id& id = lane.batch.id[i * burst.stride()];
  switch (lane.negative.on_miss(id, burst.now_tsc, lane.hold_times)) {
    case MissVerdict::kHoldAndAsk:
    case MissVerdict::kHold:
      return hold(lane, burst, i);
    case MissVerdict::kHoldFull:
      return drop(lane, burst, i, DropReason::kHoldFull, TraceStage::kResolve);
    case MissVerdict::kUnknown:
      link::add(lane.config.counters->negative_hits, 1);
      return drop(lane, burst, i, DropReason::kUnknownDestination, TraceStage::kResolve);
  }
}

void punt(Lane& lane, const Burst& burst, unsigned i) noexcept {
  rte_mbuf* frame = lane.batch.frame[i];
  const Parsed parsed = lane.batch.layout[i].parsed();
  const auto refuse = [&](DropReason reason) { drop(lane, burst, i, reason, TraceStage::kPolice); };
  if (!burst.state->control_plane_connected) return refuse(DropReason::kNoControlPlane);
  if (parsed.udp_bytes - sizeof(UdpHeader) > kPuntBytes) return refuse(DropReason::kPuntTooBig);
  if (!lane.punts_allowed || !lane.punts.take(burst.now_tsc)) {
    return refuse(DropReason::kPuntLimited);
  }
  mark_headers(*frame, parsed);
  if (!give(lane.config.exits.to_control, frame)) return refuse(DropReason::kPuntFull);
  ++lane.tally.punted;
  lane.manager_has_work = true;
  trace_end(lane, i, {.stage = TraceStage::kPolice, .verdict = Verdict::kPunt});
}

void answer_echo(Lane& lane, const Burst& burst, unsigned i) noexcept {
  if ((burst.usable_ports >> burst.ingress & 1) == 0) {
    return drop(lane, burst, i, DropReason::kPortDown, TraceStage::kPolice);
  }
  rte_mbuf* frame = lane.batch.frame[i];
  const Parsed parsed = lane.batch.layout[i].parsed();
  std::uint8_t* start = frame_start(*frame);
  std::uint8_t* at = start + parsed.envelope_offset();
  auto envelope = load<Envelope>(at);
  const std::uint64_t before = checksum_add(at, offsetof(Envelope, payload_length));
  envelope.type = std::to_underlying(MessageType::kEchoReply);
  envelope.hop_limit = kFirstHopLimit;
  std::swap(envelope.source, envelope.destination);
  store(at, envelope);
  const std::uint64_t after = checksum_add(at, offsetof(Envelope, payload_length));

  turn_around(start, parsed, parsed.udp_bytes);
  std::uint8_t* field = start + parsed.udp_offset() + offsetof(UdpHeader, checksum);
  const auto checksum = load<std::uint16_t>(field);
  if (checksum != 0) store(field, updated_checksum(checksum, before, after));
  set_frame(*frame, start, parsed.frame_bytes());
  if (is_traced(lane, i)) lane.trace.after(i, start, parsed.frame_bytes(), burst.ingress);
  trace_end(lane, i,
            {.stage = TraceStage::kRewrite, .verdict = Verdict::kAnswer, .detail = burst.ingress});
  ++lane.tally.of(FrameRole::kAnswer);
  lane.egress.add(burst.ingress, frame, frame->pkt_len,
                  Egress::tag(burst.ingress, FrameRole::kAnswer, envelope.traffic_class()));
}

void flush_host(Lane& lane) noexcept {
  const unsigned n = std::exchange(lane.for_host_count, 0);
  if (n == 0) return;
  unsigned taken = 0;
  if (lane.config.exits.to_host != nullptr) {
    taken =
        rte_ring_sp_enqueue_burst(lane.config.exits.to_host,
                                  reinterpret_cast<void* const*>(lane.for_host.data()), n, nullptr);
  }
  lane.tally.to_host += taken;
  lane.tally.to_host_dropped += n - taken;
  if (taken != 0) lane.manager_has_work = true;
  for (unsigned i = taken; i < n; ++i)
    rte_pktmbuf_free(lane.for_host[i]);
}

}  // namespace sluice::dataplane
