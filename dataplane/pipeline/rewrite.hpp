// Puts new Ethernet, IP and UDP headers in front of an envelope, for any pair of address families
// and any pair of tagged and untagged. The UDP checksum is updated from what changed (RFC 1624),
// never recomputed, so that an error made before or inside this router still shows at the
// receiver; only a message without checksum (IPv4) that leaves over IPv6 gets a new one. Pure:
// bytes in, bytes out, no DPDK. Any thread.
//
// rewrite_plain.hpp does the same for the common pair alone; tests compare the two.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/pipeline/parse.hpp"
#include "sluice/route/adjacency.hpp"
#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {

inline constexpr std::uint8_t kTimeToLive = 64;
inline constexpr std::uint16_t kDontFragment = 0x4000;  // and identification 0 (RFC 6864)

constexpr std::size_t ip_bytes(Family family) noexcept {
  return family == Family::kIpv4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
}
// Bytes that `adjacency` puts before the UDP header.
inline std::size_t header_bytes(const Adjacency& adjacency) noexcept {
  return adjacency.l2_bytes + ip_bytes(adjacency.family);
}

struct UdpPorts {
  std::uint16_t source;
  std::uint16_t destination;
};

// What the new headers depend on from the old ones. Read before anything is overwritten.
struct OldHeaders {
  UdpHeader udp;
  std::uint8_t service;       // IPv4 type of service, IPv6 traffic class
  std::uint64_t address_sum;  // checksum_add of both addresses
};
OldHeaders read_headers(const std::uint8_t* frame, const Parsed& parsed) noexcept;

// The UDP header of the message as it leaves. Its envelope's hop limit has been decremented
// already; `payload` is what follows the UDP header, and is read only when the checksum must be
// made anew.
UdpHeader outgoing_udp(const OldHeaders& old, const Adjacency& adjacency, UdpPorts ports,
                       const std::uint8_t* payload) noexcept;

// Writes Ethernet and IP headers that end where `udp` begins; returns where they begin.
std::uint8_t* write_headers(std::uint8_t* udp, const Adjacency& adjacency, std::uint8_t service,
                            std::size_t udp_bytes) noexcept;

// All of it, in place: header_bytes(adjacency) must lie before the UDP header in the buffer.
// Returns the new start of the frame, which then is header_bytes(adjacency) + parsed.udp_bytes
// long.
std::uint8_t* rewrite(std::uint8_t* frame, const Parsed& parsed, const Adjacency& adjacency,
                      UdpPorts ports) noexcept;

// IPv4 header without options, its checksum included.
Ipv4Header make_ipv4(std::uint8_t service, std::size_t total_bytes, Big32 source,
                     Big32 destination) noexcept;

// UDP checksum of a datagram whose header (its checksum field ignored) and payload are given; never
// 0 (RFC 768). The pseudo header is the same sum for both families.
std::uint16_t udp_checksum(const UdpHeader& header, const std::uint8_t* payload,
                           std::uint64_t address_sum) noexcept;

// New checksum field after words that sum to `before` became words that sum to `after` (RFC 1624,
// equation 3), both as checksum_add sums them, below 2^48. Never 0; not for a field that is 0.
inline std::uint16_t updated_checksum(std::uint16_t field, std::uint64_t before,
                                      std::uint64_t after) noexcept {
  // 2^48 - 1 is a multiple of 2^16 - 1, so this is the negative in one's complement.
  const std::uint64_t minus_before = 0xffffffffffff - before;
  const std::uint64_t sum = static_cast<std::uint16_t>(~field) + minus_before + after;
  const auto updated = static_cast<std::uint16_t>(~checksum_fold(sum));
  return updated == 0 ? 0xffff : updated;
}

}  // namespace sluice::dataplane
