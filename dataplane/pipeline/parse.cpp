#include "dataplane/pipeline/parse.hpp"

#include <algorithm>

namespace sluice::dataplane {
namespace {

constexpr std::size_t kEthernetBytes = sizeof(EthernetHeader);
constexpr std::uint16_t kMoreFragments = 0x2000;
constexpr std::uint16_t kFragmentOffset = 0x1fff;
constexpr std::uint8_t kIpv6FragmentHeader = 44;
constexpr std::size_t kIpv6FragmentBytes = 8;
constexpr std::uint16_t kIpv6FragmentOffset = 0xfff8;

Parsed host() noexcept {
  return {};
}
Parsed drop(DropReason reason) noexcept {
  return {.kind = FrameKind::kDrop, .reason = reason};
}

bool is_local(const Reception& port, const IpAddress& address) noexcept {
  return std::ranges::find(port.local, address) != port.local.end();
}

// The datagram of a frame that is addressed to us, whatever follows the UDP header.
struct Datagram {
  std::size_t l2_bytes;
  std::size_t l3_bytes;
  std::size_t ip_payload_bytes;  // by the IP header
};

// A promiscuous port, or a switch that floods, also brings what was sent to another station: not
// ours to forward, whatever its IP header says.
bool is_for_station(FrameView frame, const Reception& port) noexcept {
  return load<EthernetHeader>(frame.data).destination == port.mac;
}

bool is_for_message_port(FrameView frame, std::size_t udp_offset, const Reception& port) noexcept {
  return load<UdpHeader>(frame.data + udp_offset).destination_port.get() == port.message_port;
}

// From the UDP length on. The UDP header itself is known to be inside the frame.
Parsed parse_datagram(FrameView frame, const Reception& port, const Datagram& at) noexcept {
  const std::size_t udp_offset = at.l2_bytes + at.l3_bytes;
  const auto udp = load<UdpHeader>(frame.data + udp_offset);
  const std::size_t udp_bytes = udp.length.get();
  if (udp_bytes != at.ip_payload_bytes) return drop(DropReason::kBadUdpLength);
  if (at.l3_bytes == sizeof(Ipv6Header) && udp.checksum.raw() == 0) {
    return drop(DropReason::kNoUdpChecksum);
  }
  const std::size_t available = udp_bytes - sizeof(UdpHeader);
  if (available < kEnvelopeBytes) return drop(DropReason::kTruncated);

  const auto envelope = load<Envelope>(frame.data + udp_offset + sizeof(UdpHeader));
  const DropReason reason = check_envelope(envelope, available, port.now_ns);
  // Only these two come after all checks of form, so that a sender may be told.
  const bool whole = reason == DropReason::kCount || reason == DropReason::kHopLimit ||
                     reason == DropReason::kExpired;
  return {.kind = reason == DropReason::kCount ? FrameKind::kMessage : FrameKind::kDrop,
          .reason = reason,
          .has_envelope = whole,
          .l2_bytes = static_cast<std::uint8_t>(at.l2_bytes),
          .l3_bytes = static_cast<std::uint8_t>(at.l3_bytes),
          .udp_bytes = static_cast<std::uint16_t>(udp_bytes)};
}

Parsed parse_ipv4(FrameView frame, std::size_t l2_bytes, const Reception& port,
                  IpChecksum checksum) noexcept {
  const std::size_t bytes = frame.bytes - l2_bytes;
  if (bytes < sizeof(Ipv4Header)) return drop(DropReason::kTruncated);
  const std::uint8_t* start = frame.data + l2_bytes;
  const auto ip = load<Ipv4Header>(start);
  const std::size_t header_bytes = (ip.version_and_length & 15) * std::size_t{4};
  if (ip.version_and_length >> 4 != 4 || header_bytes < sizeof(Ipv4Header)) {
    return drop(DropReason::kBadIpHeader);
  }
  if (ip.protocol != kIpProtocolUdp || !is_local(port, IpAddress::v4(ip.destination))) {
    return host();
  }
  const std::uint16_t fragment = ip.fragment.get();
  if ((fragment & kFragmentOffset) != 0) return host();  // its port is not known
  if (bytes < header_bytes + sizeof(UdpHeader)) return drop(DropReason::kTruncated);
  if (!is_for_message_port(frame, l2_bytes + header_bytes, port)) return host();
  if (!is_for_station(frame, port)) return drop(DropReason::kForeignMac);

  if (frame.chained) return drop(DropReason::kChained);
  if (header_bytes != sizeof(Ipv4Header)) return drop(DropReason::kBadIpHeader);  // options
  if (checksum == IpChecksum::kBad ||
      (checksum == IpChecksum::kUnknown &&
       checksum_fold(checksum_add(start, sizeof(Ipv4Header))) != 0xffff)) {
    return drop(DropReason::kBadIpChecksum);
  }
  const std::size_t total = ip.total_length.get();
  if (total < header_bytes + sizeof(UdpHeader) || total > bytes) {
    return drop(DropReason::kBadIpHeader);
  }
  if ((fragment & kMoreFragments) != 0) return drop(DropReason::kFragment);
  return parse_datagram(frame, port, {l2_bytes, header_bytes, total - header_bytes});
}

// A first fragment that begins a datagram for the message port is ours to drop; the kernel gets
// every other fragment.
Parsed parse_ipv6_fragment(FrameView frame, std::size_t offset, const Reception& port) noexcept {
  if (frame.bytes < offset + kIpv6FragmentBytes + sizeof(UdpHeader)) return host();
  const std::uint8_t next = frame.data[offset];
  const auto fragment = load<Big16>(frame.data + offset + 2);
  const bool first = (fragment.get() & kIpv6FragmentOffset) == 0;
  if (next != kIpProtocolUdp || !first ||
      !is_for_message_port(frame, offset + kIpv6FragmentBytes, port)) {
    return host();
  }
  return drop(DropReason::kFragment);
}

Parsed parse_ipv6(FrameView frame, std::size_t l2_bytes, const Reception& port) noexcept {
  const std::size_t bytes = frame.bytes - l2_bytes;
  if (bytes < sizeof(Ipv6Header)) return drop(DropReason::kTruncated);
  const auto ip = load<Ipv6Header>(frame.data + l2_bytes);
  if (ip.version_class_flow.get() >> 28 != 6) return drop(DropReason::kBadIpHeader);
  if (!is_local(port, IpAddress::v6(ip.destination))) return host();
  const std::size_t l4_offset = l2_bytes + sizeof(Ipv6Header);
  if (ip.next_header == kIpv6FragmentHeader) return parse_ipv6_fragment(frame, l4_offset, port);
  if (ip.next_header != kIpProtocolUdp) return host();
  if (bytes < sizeof(Ipv6Header) + sizeof(UdpHeader)) return drop(DropReason::kTruncated);
  if (!is_for_message_port(frame, l4_offset, port)) return host();
  if (!is_for_station(frame, port)) return drop(DropReason::kForeignMac);

  if (frame.chained) return drop(DropReason::kChained);
  const std::size_t payload = ip.payload_length.get();
  if (payload < sizeof(UdpHeader) || payload > bytes - sizeof(Ipv6Header)) {
    return drop(DropReason::kBadIpHeader);
  }
  return parse_datagram(frame, port, {l2_bytes, sizeof(Ipv6Header), payload});
}

}  // namespace

DropReason check_envelope(const Envelope& envelope, std::size_t available,
                          std::uint64_t now_ns) noexcept {
  if (envelope.version() != kEnvelopeVersion) return DropReason::kBadVersion;
  const std::size_t header = envelope.header_bytes();
  if (header < kEnvelopeBytes || header > available) return DropReason::kBadHeaderLength;
  if (envelope.payload_length.get() > available - header) return DropReason::kBadPayloadLength;
  if (envelope.type > kMaxMessageType) return DropReason::kUnknownType;
  const bool notice = envelope.type == static_cast<std::uint8_t>(MessageType::kNotice);
  if ((envelope.flags & message_flag::kReserved) != 0 || (envelope.reason != 0 && !notice)) {
    return DropReason::kReservedBits;
  }
  if (envelope.hop_limit == 0) return DropReason::kHopLimit;
  if (expired(envelope.lifetime_code(), envelope.timestamp_ns.get(), now_ns)) {
    return DropReason::kExpired;
  }
  return DropReason::kCount;
}

Parsed parse(FrameView frame, const Reception& port, IpChecksum checksum) noexcept {
  if (frame.bytes < kEthernetBytes) return drop(DropReason::kTruncated);
  const auto ethernet = load<EthernetHeader>(frame.data);
  // Broadcast and multicast frames never carry messages (RFC 1122, 3.3.6).
  if ((ethernet.destination[0] & 1) != 0) return host();
  std::uint16_t type = ethernet.type.get();
  std::size_t l2_bytes = kEthernetBytes;
  if (type == kEtherTypeVlan) {
    if (frame.bytes < kEthernetBytes + sizeof(VlanHeader)) return drop(DropReason::kTruncated);
    const auto vlan = load<VlanHeader>(frame.data + kEthernetBytes);
    if (port.vlan == 0 || (vlan.control.get() & 0xfff) != port.vlan) return host();
    type = vlan.type.get();
    l2_bytes += sizeof(VlanHeader);
  } else if (port.vlan != 0) {
    return host();
  }
  if (type == kEtherTypeIpv4) return parse_ipv4(frame, l2_bytes, port, checksum);
  if (type == kEtherTypeIpv6) return parse_ipv6(frame, l2_bytes, port);
  return host();
}

}  // namespace sluice::dataplane
