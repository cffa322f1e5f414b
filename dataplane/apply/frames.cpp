#include "dataplane/apply/frames.hpp"

#include <bit>

#include "dataplane/pipeline/rewrite.hpp"

namespace sluice::dataplane {

namespace {

constexpr std::size_t kTaggedL2Bytes = sizeof(EthernetHeader) + sizeof(VlanHeader);
constexpr std::uint16_t kVlanIdMask = 0x0fff;

bool known_l2(std::size_t bytes) noexcept {
  return bytes == sizeof(EthernetHeader) || bytes == kTaggedL2Bytes;
}

}  // namespace

std::optional<MessageView> view_message(const std::uint8_t* frame, std::size_t bytes,
                                        std::size_t l2_bytes, std::size_t l3_bytes) noexcept {
  if (!known_l2(l2_bytes) || (l3_bytes != sizeof(Ipv4Header) && l3_bytes != sizeof(Ipv6Header)))
    return std::nullopt;
  const std::size_t udp_at = l2_bytes + l3_bytes;
  if (bytes < udp_at + sizeof(UdpHeader) + kEnvelopeBytes) return std::nullopt;
  const std::size_t udp_bytes = load<UdpHeader>(frame + udp_at).length.get();
  if (udp_bytes < sizeof(UdpHeader) + kEnvelopeBytes || udp_at + udp_bytes > bytes)
    return std::nullopt;
  return MessageView{.envelope = load<Envelope>(frame + udp_at + sizeof(UdpHeader)),
                     .offset = static_cast<std::uint32_t>(udp_at + sizeof(UdpHeader)),
                     .bytes = static_cast<std::uint32_t>(udp_bytes - sizeof(UdpHeader))};
}

link::SlotHeader punt_header(const std::uint8_t* frame, std::size_t l2_bytes, std::size_t l3_bytes,
                             const MessageView& view, std::uint16_t port,
                             std::uint64_t now_ns) noexcept {
  link::SlotHeader header{};
  header.bytes = view.bytes;
  header.kind = link::SlotKind::kMessage;
  header.port = port;
  header.mac = load<EthernetHeader>(frame).source;
  header.received_ns = now_ns;
  if (l2_bytes == kTaggedL2Bytes)
    header.vlan = load<VlanHeader>(frame + sizeof(EthernetHeader)).control.get() & kVlanIdMask;
  const auto udp = load<UdpHeader>(frame + l2_bytes + l3_bytes);
  header.local_udp_port = udp.destination_port.get();
  header.remote_udp_port = udp.source_port.get();
  if (l3_bytes == sizeof(Ipv4Header)) {
    const auto ip = load<Ipv4Header>(frame + l2_bytes);
    header.family = Family::kIpv4;
    header.local = IpAddress::v4(ip.destination);
    header.remote = IpAddress::v4(ip.source);
  } else {
    const auto ip = load<Ipv6Header>(frame + l2_bytes);
    header.family = Family::kIpv6;
    header.local = IpAddress::v6(ip.destination);
    header.remote = IpAddress::v6(ip.source);
  }
  return header;
}

bool valid_inject(const link::SlotHeader& header, std::uint16_t ports, std::uint16_t mtu) noexcept {
  if (header.kind != link::SlotKind::kMessage || header.reserved != 0) return false;
  if (header.bytes < kEnvelopeBytes || header.bytes > sizeof(link::Slot::data)) return false;
  if (header.port >= ports || header.vlan > 4094) return false;
  if (header.family != Family::kIpv4 && header.family != Family::kIpv6) return false;
  if (header.local.family() != header.family || header.remote.family() != header.family)
    return false;
  if (header.local.is_unspecified() || header.remote.is_unspecified()) return false;
  if (header.local_udp_port == 0 || header.remote_udp_port == 0) return false;
  if ((header.mac[0] & 1) != 0 || header.mac == MacAddress{}) return false;
  return ip_bytes(header.family) + sizeof(UdpHeader) + header.bytes <= mtu;
}

std::size_t inject_header_bytes(const link::SlotHeader& header) noexcept {
  const std::size_t l2 = header.vlan == 0 ? sizeof(EthernetHeader) : kTaggedL2Bytes;
  return l2 + ip_bytes(header.family) + sizeof(UdpHeader);
}

void write_inject_headers(const link::SlotHeader& header, const MacAddress& source,
                          std::uint8_t* out) noexcept {
  const bool v4 = header.family == Family::kIpv4;
  const Big16 ip_type(v4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
  store(out, EthernetHeader{.destination = header.mac,
                            .source = source,
                            .type = header.vlan == 0 ? ip_type : Big16(kEtherTypeVlan)});
  out += sizeof(EthernetHeader);
  if (header.vlan != 0) {
    store(out, VlanHeader{.control = Big16(header.vlan), .type = ip_type});
    out += sizeof(VlanHeader);
  }
  const auto udp_bytes = static_cast<std::uint16_t>(sizeof(UdpHeader) + header.bytes);
  std::uint64_t address_sum = 0;
  if (v4) {
    const auto ip = make_ipv4(0, sizeof(Ipv4Header) + udp_bytes, header.local.v4_part(),
                              header.remote.v4_part());
    store(out, ip);
    address_sum = checksum_add(out + offsetof(Ipv4Header, source), 8);
    out += sizeof(Ipv4Header);
  } else {
    store(out, Ipv6Header{.version_class_flow = Big32(std::uint32_t{6} << 28),
                          .payload_length = Big16(udp_bytes),
                          .next_header = kIpProtocolUdp,
                          .hop_limit = kTimeToLive,
                          .source = header.local.bytes,
                          .destination = header.remote.bytes});
    address_sum = checksum_add(out + offsetof(Ipv6Header, source), 32);
    out += sizeof(Ipv6Header);
  }
  UdpHeader udp{.source_port = Big16(header.local_udp_port),
                .destination_port = Big16(header.remote_udp_port),
                .length = Big16(udp_bytes),
                .checksum = Big16(std::uint16_t{0})};
  udp.checksum = std::bit_cast<Big16>(udp_checksum(udp, out + sizeof udp, address_sum));
  store(out, udp);
}

}  // namespace sluice::dataplane
