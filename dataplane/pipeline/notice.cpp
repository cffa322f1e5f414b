#include "dataplane/pipeline/notice.hpp"

#include <cstring>
#include <utility>

#include "dataplane/pipeline/rewrite.hpp"
#include "dataplane/pipeline/turn_around.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::size_t kUdpBytes = sizeof(UdpHeader) + kEnvelopeBytes + kNoticePayloadBytes;

Envelope notice_about(const Envelope& message, const Id& router, NoticeReason reason,
                      std::uint64_t now_ns) noexcept {
  Envelope notice = message;
  notice.version_and_length = kVersionAndLength;
  notice.type = std::to_underlying(MessageType::kNotice);
  notice.flags = 0;
  notice.set_class_and_lifetime(message.traffic_class(), 0);
  notice.hop_limit = kFirstHopLimit;
  notice.reason = std::to_underlying(reason);
  notice.payload_length = Big16(std::uint16_t{kNoticePayloadBytes});
  notice.destination = message.source;
  notice.source = router;
  notice.timestamp_ns = Big64(now_ns);
  return notice;
}

// False: who sent it cannot be told from the frame, and an answer would go to many (RFC 1122,
// 3.2.1.3; RFC 4291, 2.7).
bool has_one_sender(const std::uint8_t* frame, const Parsed& parsed) noexcept {
  constexpr std::uint8_t kFirstOfMulticastIpv4 = 224;  // broadcast and reserved ones follow
  constexpr std::uint8_t kMulticastIpv6 = 0xff;
  if ((load<EthernetHeader>(frame).source[0] & 1) != 0) return false;
  const std::uint8_t* ip = frame + parsed.l2_bytes;
  if (parsed.family() == Family::kIpv4) {
    return ip[offsetof(Ipv4Header, source)] < kFirstOfMulticastIpv4;
  }
  return ip[offsetof(Ipv6Header, source)] != kMulticastIpv6;
}

}  // namespace

bool wants_notice(const Envelope& envelope) noexcept {
  if ((envelope.flags & message_flag::kNotify) == 0) return false;
  switch (static_cast<MessageType>(envelope.type)) {
    case MessageType::kNotice:
    case MessageType::kRegisterReply:
    case MessageType::kResolveReply:
    case MessageType::kEchoReply:
      return false;
    default:
      return true;
  }
}

bool make_notice(rte_mbuf& frame, const Parsed& parsed, const ForwardingState& state,
                 NoticeReason reason, std::uint64_t now_ns) noexcept {
  const std::uint32_t bytes = parsed.udp_offset() + kUdpBytes;
  const bool own = RTE_MBUF_DIRECT(&frame) && rte_mbuf_refcnt_read(&frame) == 1;
  if (!own || frame.nb_segs != 1 || frame.data_off + bytes > frame.buf_len) return false;
  std::uint8_t* start = rte_pktmbuf_mtod(&frame, std::uint8_t*);
  std::uint8_t* udp = start + parsed.udp_offset();
  if (load<UdpHeader>(udp).source_port.get() == 0 || !has_one_sender(start, parsed)) return false;

  const auto message = load<Envelope>(udp + sizeof(UdpHeader));
  store(udp + sizeof(UdpHeader), notice_about(message, state.router_id, reason, now_ns));
  store(udp + sizeof(UdpHeader) + kEnvelopeBytes, message);
  const std::uint64_t address_sum = turn_around(start, parsed, kUdpBytes);
  auto header = load<UdpHeader>(udp);
  header.length = Big16(std::uint16_t{kUdpBytes});
  header.checksum =
      std::bit_cast<Big16>(udp_checksum(header, udp + sizeof(UdpHeader), address_sum));
  store(udp, header);
  frame.data_len = static_cast<std::uint16_t>(bytes);
  frame.pkt_len = bytes;
  return true;
}

Parsed parsed_of_held(const rte_mbuf& frame) noexcept {
  const std::uint32_t udp_offset = frame.l2_len + frame.l3_len;
  const auto udp = load<UdpHeader>(rte_pktmbuf_mtod(&frame, const std::uint8_t*) + udp_offset);
  return {.kind = FrameKind::kMessage,
          .has_envelope = true,
          .l2_bytes = static_cast<std::uint8_t>(frame.l2_len),
          .l3_bytes = static_cast<std::uint8_t>(frame.l3_len),
          .udp_bytes = udp.length.get()};
}

}  // namespace sluice::dataplane
