#include "dataplane/pipeline/classify.hpp"

namespace sluice::dataplane {
namespace {

IpChecksum driver_checksum(const rte_mbuf& frame) noexcept {
  switch (frame.ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) {
    case RTE_MBUF_F_RX_IP_CKSUM_GOOD:
      return IpChecksum::kGood;
    case RTE_MBUF_F_RX_IP_CKSUM_BAD:
      return IpChecksum::kBad;
    default:
      return IpChecksum::kUnknown;
  }
}

}  // namespace

bool classify_general(Lane& lane, const Burst& burst, rte_mbuf* frame, Layout& layout,
                      bool& is_plain) noexcept {
  const FrameView view{frame_start(*frame), frame->data_len, frame->nb_segs != 1};
  const Parsed parsed = parse(view, burst.reception, driver_checksum(*frame));
  switch (parsed.kind) {
    case FrameKind::kHost:
      to_host(lane, frame);
      return false;
    case FrameKind::kDrop:
      drop_frame(lane, burst, frame, parsed);
      return false;
    case FrameKind::kMessage:
      break;
  }
  layout = Layout::of(parsed);
  // Such as one to another address of the port, or with header options.
  is_plain = parsed.l2_bytes == plain::kIp && parsed.l3_bytes == sizeof(Ipv4Header) &&
             view.data[parsed.envelope_offset() + offsetof(Envelope, type)] ==
                 static_cast<std::uint8_t>(MessageType::kData);
  return true;
}

}  // namespace sluice::dataplane
