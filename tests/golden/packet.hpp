// Builds the frames of golden tests field by field, with every checksum computed from scratch by
// code of its own, so that what the router updates incrementally is compared with a full
// recomputation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::golden {

using Bytes = std::vector<std::uint8_t>;

struct Packet {
  MacAddress to_mac{};
  MacAddress from_mac{};
  std::uint16_t vlan = 0;  // 0: untagged
  IpAddress from;          // the family is that of the addresses
  IpAddress to;
  std::uint8_t service = 0;
  std::uint8_t ttl = 64;
  std::uint16_t from_port = 0;
  std::uint16_t to_port = kDefaultMessagePort;
  bool udp_checksum = true;
  Envelope envelope{};
  Bytes options;  // of the envelope: multiples of 16 bytes
  Bytes payload;
};

// The frame; payload length and header length of the envelope are filled in when they are 0.
Bytes build(const Packet& packet);

// Offsets for bytes that a row breaks on purpose.
std::size_t ip_offset(const Packet& packet);
std::size_t udp_offset(const Packet& packet);
std::size_t envelope_offset(const Packet& packet);
// After a change of its header: IPv4 header checksum right again.
void fix_ip_checksum(Bytes& frame, const Packet& packet);

// RFC 1071, byte by byte in network order.
std::uint16_t internet_checksum(const Bytes& data);

// A file that Wireshark opens, for a row that failed.
void write_pcap(const std::string& path, const std::vector<Bytes>& frames);

}  // namespace sluice::golden
