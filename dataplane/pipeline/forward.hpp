// Pass C for one message: may it go, where to, with which headers, and off. Two ways with the same
// result: forward_plain() for data between untagged IPv4 hosts when nothing is special, and
// forward_general() for everything (also what the short way hands back). Worker only.
#pragma once

#include "dataplane/pipeline/police.hpp"
#include "dataplane/pipeline/rewrite_plain.hpp"
#include "dataplane/pipeline/verdicts.hpp"

namespace sluice::dataplane {

void forward_general(Lane& lane, const Burst& burst, unsigned i) noexcept;

// Why a next hop cannot be used now, or the adjacency to use.
struct NextHop {
  const Adjacency* adjacency = nullptr;
  DropReason reason = DropReason::kCount;
  bool hold = false;  // it is not resolved yet
};
NextHop next_hop(const Lane& lane, const Burst& burst, std::uint32_t index) noexcept;

// Rewrites message i towards `adjacency` and puts it into the egress buffer; drops it when it is
// too big, the port is congested, or the buffer has no room for the headers.
void send_message(Lane& lane, const Burst& burst, unsigned i, const Adjacency& adjacency,
                  std::uint16_t udp_port) noexcept;

// A message for a group (deliver.cpp).
void deliver_to_group(Lane& lane, const Burst& burst, unsigned i, Action action) noexcept;

// What the short way needs of a burst, kept in registers over it.
struct PlainWay {
  PlainWay(const Lane& lane, const Burst& burst) noexcept
      : adjacencies(&lane.config.tables->adjacencies),
        clear_ports(burst.clear_ports),
        tag(Egress::tag(burst.ingress, FrameRole::kForwarded, 0)),
        message_port_raw(Big16(burst.state->message_port).raw()),
        ingress(burst.ingress),
        extra_checks(burst.extra_checks) {}

  const AdjacencyTable* adjacencies;
  std::uint32_t clear_ports;
  std::uint32_t tag;
  std::uint16_t message_port_raw;
  std::uint16_t ingress;
  bool extra_checks;
  // Results.
  std::uint32_t used_ports = 0;  // for Egress::touch()
  unsigned not_sent = 0;         // messages that went another way
};

// Trunks, and ports that meter. False: the general way decides. True with `sent` false: dropped.
inline bool passes_extra_checks(Lane& lane, const Burst& burst, unsigned i,
                                const std::uint8_t* start, std::uint16_t tenant,
                                bool& sent) noexcept {
  const IpAddress sender = IpAddress::v4(load<Big32>(start + plain::kSource));
  if (burst.trunk && !burst.state->peers->contains(sender)) return false;
  if (burst.metered && !within_rate(lane, burst, tenant)) {
    drop(lane, burst, i, DropReason::kRateLimited, link::TraceStage::kPolice);
    sent = false;
  }
  return true;
}

// False: nothing was done, take the general way. True: sent, or dropped over its tenant's rate.
template <bool kGuard>
inline bool forward_plain(Lane& lane, const Burst& burst, PlainWay& way, unsigned i) noexcept {
  rte_mbuf* frame = lane.batch.frame[i];
  std::uint8_t* start = frame_start(*frame);
  const Action action = lane.batch.action[kGuard ? 2 * i : i];
  const Adjacency& adjacency = way.adjacencies->at(action.index());
  const std::uint8_t* envelope = start + plain::kEnvelope;
  // Each with the two bytes before it: one load that swaps.
  const auto tenant = static_cast<std::uint16_t>(
      load<Big32>(envelope + offsetof(Envelope, tenant) - sizeof(std::uint16_t)).get());
  const std::uint32_t total = load<Big32>(start + plain::kIp).get() & 0xffff;

  constexpr std::uint64_t kRouteMask = 0x00ffff000000000f;  // kind and tenant
  const Action wanted(ActionKind::kAdjacency, 0, 0, tenant, 0);
  const AdjacencyFacts facts = AdjacencyFacts::of(adjacency);
  const std::uint16_t port = facts.port();
  // & instead of && on purpose: all of it is in cache, and it is almost always true.
  const bool fits = ((action.bits() & kRouteMask) == wanted.bits()) & facts.plain_and_up() &
                    (total <= adjacency.mtu) &
                    ((way.clear_ports >> (port & (kMaxPorts - 1)) & 1) != 0);
  if (!fits) [[unlikely]]
    return false;
  if constexpr (kGuard) {
    const Action source = lane.batch.action[2 * i + 1];
    if (!source_matches_plain(*way.adjacencies, source, way.ingress, start, tenant)) [[unlikely]]
      return false;
  }
  if (way.extra_checks) [[unlikely]] {
    bool sent = true;
    if (!passes_extra_checks(lane, burst, i, start, tenant, sent)) return false;
    if (!sent) {
      ++way.not_sent;
      return true;
    }
  }
  const std::uint32_t traffic_class = envelope[offsetof(Envelope, class_and_lifetime)] >> 5;
  rewrite_plain_ipv4(start, adjacency, raw_ports(way.message_port_raw, action.udp_port()));
  const std::uint32_t bytes = sizeof(EthernetHeader) + total;
  if (frame->pkt_len != bytes) [[unlikely]] {  // padding
    frame->data_len = static_cast<std::uint16_t>(bytes);
    frame->pkt_len = bytes;
  }
  lane.egress.append(port, frame, bytes, way.tag | Egress::tag(0, FrameRole{}, traffic_class));
  way.used_ports |= 1u << port;
  return true;
}

}  // namespace sluice::dataplane
