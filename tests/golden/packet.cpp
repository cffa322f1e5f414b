#include "tests/golden/packet.hpp"

#include <cstring>
#include <fstream>

namespace sluice::golden {
namespace {

template <class T>
void append(Bytes& out, const T& value) {
  out.resize(out.size() + sizeof value);
  std::memcpy(out.data() + out.size() - sizeof value, &value, sizeof value);
}
void append(Bytes& out, const Bytes& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void put16(Bytes& out, std::size_t at, std::uint16_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}
bool is_v4(const Packet& packet) {
  return packet.to.is_v4();
}
Bytes address_bytes(const IpAddress& address) {
  return {address.bytes.begin() + (address.is_v4() ? 12 : 0), address.bytes.end()};
}

Bytes datagram(const Packet& packet) {
  Envelope envelope = packet.envelope;
  if (envelope.version_and_length == 0) {
    envelope.version_and_length = static_cast<std::uint8_t>(
        kEnvelopeVersion << 4 | (kEnvelopeBytes + packet.options.size()) / kHeaderUnitBytes);
  }
  if (envelope.payload_length.get() == 0) {
    envelope.payload_length.set(static_cast<std::uint16_t>(packet.payload.size()));
  }
  const std::size_t bytes =
      sizeof(UdpHeader) + sizeof envelope + packet.options.size() + packet.payload.size();
  Bytes out;
  append(out, UdpHeader{Big16(packet.from_port), Big16(packet.to_port),
                        Big16(static_cast<std::uint16_t>(bytes)), Big16(std::uint16_t{0})});
  append(out, envelope);
  append(out, packet.options);
  append(out, packet.payload);
  if (!packet.udp_checksum) return out;

  Bytes pseudo = address_bytes(packet.from);
  append(pseudo, address_bytes(packet.to));
  append(pseudo, Big32(static_cast<std::uint32_t>(bytes)));
  append(pseudo, Big32(std::uint32_t{kIpProtocolUdp}));
  append(pseudo, out);
  const std::uint16_t checksum = internet_checksum(pseudo);
  put16(out, offsetof(UdpHeader, checksum), checksum == 0 ? 0xffff : checksum);
  return out;
}

void append_ip(Bytes& out, const Packet& packet, std::size_t payload) {
  const auto length = static_cast<std::uint16_t>(payload);
  if (is_v4(packet)) {
    append(out, Ipv4Header{.version_and_length = 0x45,
                           .service = packet.service,
                           .total_length = Big16(static_cast<std::uint16_t>(length + 20)),
                           .identification = Big16(std::uint16_t{0}),
                           .fragment = Big16(std::uint16_t{0x4000}),
                           .ttl = packet.ttl,
                           .protocol = kIpProtocolUdp,
                           .checksum = Big16(std::uint16_t{0}),
                           .source = packet.from.v4_part(),
                           .destination = packet.to.v4_part()});
    fix_ip_checksum(out, packet);
  } else {
    append(out, Ipv6Header{.version_class_flow = Big32(6U << 28 | packet.service * (1U << 20)),
                           .payload_length = Big16(length),
                           .next_header = kIpProtocolUdp,
                           .hop_limit = packet.ttl,
                           .source = packet.from.bytes,
                           .destination = packet.to.bytes});
  }
}

}  // namespace

std::uint16_t internet_checksum(const Bytes& data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); ++i)
    sum += i % 2 == 0 ? data[i] * 256U : data[i];
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::size_t ip_offset(const Packet& packet) {
  return packet.vlan == 0 ? 14 : 18;
}
std::size_t udp_offset(const Packet& packet) {
  return ip_offset(packet) + (is_v4(packet) ? 20 : 40);
}
std::size_t envelope_offset(const Packet& packet) {
  return udp_offset(packet) + 8;
}

void fix_ip_checksum(Bytes& frame, const Packet& packet) {
  const std::size_t at = ip_offset(packet);
  put16(frame, at + offsetof(Ipv4Header, checksum), 0);
  const auto begin = frame.begin() + static_cast<std::ptrdiff_t>(at);
  const std::ptrdiff_t header = (frame[at] & 15) * 4;
  put16(frame, at + offsetof(Ipv4Header, checksum),
        internet_checksum(Bytes(begin, begin + header)));
}

Bytes build(const Packet& packet) {
  Bytes out;
  append(out, packet.to_mac);
  append(out, packet.from_mac);
  if (packet.vlan != 0) {
    append(out, Big16(kEtherTypeVlan));
    append(out, Big16(packet.vlan));
  }
  append(out, Big16(is_v4(packet) ? kEtherTypeIpv4 : kEtherTypeIpv6));
  const Bytes udp = datagram(packet);
  append_ip(out, packet, udp.size());
  append(out, udp);
  return out;
}

void write_pcap(const std::string& path, const std::vector<Bytes>& frames) {
  Bytes out;
  for (const std::uint32_t word : {0xa1b2c3d4U, 0x00040002U, 0U, 0U, 65535U, 1U})
    append(out, word);
  for (const Bytes& frame : frames) {
    const auto bytes = static_cast<std::uint32_t>(frame.size());
    for (const std::uint32_t word : {0U, 0U, bytes, bytes})
      append(out, word);
    append(out, frame);
  }
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size()));
}

}  // namespace sluice::golden
