#include "dataplane/pipeline/rewrite.hpp"

#include <bit>
#include <cstring>

namespace sluice::dataplane {
namespace {

// The hop limit is the low byte of its word in memory order, and was at least 1.
constexpr std::uint64_t kHopBefore = 1;
constexpr std::uint64_t kHopAfter = 0;

std::uint64_t port_sum(const UdpHeader& udp) noexcept {
  return std::uint64_t{udp.source_port.raw()} + udp.destination_port.raw();
}

}  // namespace

OldHeaders read_headers(const std::uint8_t* frame, const Parsed& parsed) noexcept {
  const std::uint8_t* ip = frame + parsed.l2_bytes;
  OldHeaders old;
  old.udp = load<UdpHeader>(ip + parsed.l3_bytes);
  if (parsed.family() == Family::kIpv4) {
    old.service = ip[offsetof(Ipv4Header, service)];
    old.address_sum = checksum_add(ip + offsetof(Ipv4Header, source), 8);
  } else {
    old.service = static_cast<std::uint8_t>(load<Big32>(ip).get() >> 20);
    old.address_sum = checksum_add(ip + offsetof(Ipv6Header, source), 32);
  }
  return old;
}

Ipv4Header make_ipv4(std::uint8_t service, std::size_t total_bytes, Big32 source,
                     Big32 destination) noexcept {
  Ipv4Header ip{.version_and_length = 0x45,
                .service = service,
                .total_length = Big16(static_cast<std::uint16_t>(total_bytes)),
                .identification = Big16(std::uint16_t{0}),
                .fragment = Big16(kDontFragment),
                .ttl = kTimeToLive,
                .protocol = kIpProtocolUdp,
                .checksum = Big16(std::uint16_t{0}),
                .source = source,
                .destination = destination};
  const auto checksum = static_cast<std::uint16_t>(~checksum_fold(checksum_add(&ip, sizeof ip)));
  ip.checksum = std::bit_cast<Big16>(checksum);
  return ip;
}

std::uint16_t udp_checksum(const UdpHeader& header, const std::uint8_t* payload,
                           std::uint64_t address_sum) noexcept {
  std::uint64_t sum = address_sum + Big16(std::uint16_t{kIpProtocolUdp}).raw();
  sum += header.length.raw();  // pseudo header
  sum += port_sum(header) + header.length.raw();
  sum = checksum_add(payload, header.length.get() - sizeof(UdpHeader), sum);
  const auto checksum = static_cast<std::uint16_t>(~checksum_fold(sum));
  return checksum == 0 ? 0xffff : checksum;
}

UdpHeader outgoing_udp(const OldHeaders& old, const Adjacency& adjacency, UdpPorts ports,
                       const std::uint8_t* payload) noexcept {
  UdpHeader udp{.source_port = Big16(ports.source),
                .destination_port = Big16(ports.destination),
                .length = old.udp.length,
                .checksum = old.udp.checksum};
  std::uint16_t checksum = old.udp.checksum.raw();
  if (checksum != 0) {
    checksum = updated_checksum(checksum, old.address_sum + port_sum(old.udp) + kHopBefore,
                                adjacency.address_sum + port_sum(udp) + kHopAfter);
  } else if (adjacency.family == Family::kIpv6) {
    checksum = udp_checksum(udp, payload, adjacency.address_sum);
  }
  udp.checksum = std::bit_cast<Big16>(checksum);
  return udp;
}

std::uint8_t* write_headers(std::uint8_t* udp, const Adjacency& adjacency, std::uint8_t service,
                            std::size_t udp_bytes) noexcept {
  std::uint8_t* ip = udp - ip_bytes(adjacency.family);
  if (adjacency.family == Family::kIpv4) {
    store(ip,
          make_ipv4(service, sizeof(Ipv4Header) + udp_bytes, load<Big32>(adjacency.source.data()),
                    load<Big32>(adjacency.destination.data())));
  } else {
    store(ip, Ipv6Header{.version_class_flow = Big32(6U << 28 | std::uint32_t{service} << 20),
                         .payload_length = Big16(static_cast<std::uint16_t>(udp_bytes)),
                         .next_header = kIpProtocolUdp,
                         .hop_limit = kTimeToLive,
                         .source = adjacency.source,
                         .destination = adjacency.destination});
  }
  std::uint8_t* l2 = ip - adjacency.l2_bytes;
  std::memcpy(l2, adjacency.l2.data(), adjacency.l2_bytes);
  return l2;
}

std::uint8_t* rewrite(std::uint8_t* frame, const Parsed& parsed, const Adjacency& adjacency,
                      UdpPorts ports) noexcept {
  const OldHeaders old = read_headers(frame, parsed);
  std::uint8_t* udp = frame + parsed.udp_offset();
  std::uint8_t* payload = udp + sizeof(UdpHeader);
  payload[offsetof(Envelope, hop_limit)] -= 1;
  store(udp, outgoing_udp(old, adjacency, ports, payload));
  return write_headers(udp, adjacency, old.service, parsed.udp_bytes);
}

}  // namespace sluice::dataplane
