// Ethernet, VLAN, IPv4, IPv6 and UDP headers as packed network-order structures, IP addresses, and
// the Internet checksum (RFC 1071, 1624). Independent of DPDK, so that both processes and tests use
// it.
#pragma once

#include <arpa/inet.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "sluice/base/bytes.hpp"

namespace sluice {

using MacAddress = std::array<std::uint8_t, 6>;

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;
inline constexpr std::uint8_t kIpProtocolUdp = 17;

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  Big16 type;
};
static_assert(sizeof(EthernetHeader) == 14);

struct VlanHeader {
  Big16 control;  // priority 3 bits, drop eligible 1, VLAN id 12
  Big16 type;
};
static_assert(sizeof(VlanHeader) == 4);

struct Ipv4Header {
  std::uint8_t version_and_length;
  std::uint8_t service;
  Big16 total_length;
  Big16 identification;
  Big16 fragment;  // flags 3 bits (bit 14: don't fragment, bit 13: more), offset 13 bits
  std::uint8_t ttl;
  std::uint8_t protocol;
  Big16 checksum;
  Big32 source;
  Big32 destination;
};
static_assert(sizeof(Ipv4Header) == 20);

struct Ipv6Header {
  Big32 version_class_flow;
  Big16 payload_length;
  std::uint8_t next_header;
  std::uint8_t hop_limit;
  std::array<std::uint8_t, 16> source;
  std::array<std::uint8_t, 16> destination;
};
static_assert(sizeof(Ipv6Header) == 40);

struct UdpHeader {
  Big16 source_port;
  Big16 destination_port;
  Big16 length;
  Big16 checksum;
};
static_assert(sizeof(UdpHeader) == 8);

enum class Family : std::uint8_t { kIpv4 = 4, kIpv6 = 6 };

// An address of either family: IPv4 as v4-mapped IPv6 (RFC 4291, 2.5.5.2), so that comparison is
// one of 16 bytes.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

  static IpAddress v4(Big32 address) noexcept {
    IpAddress ip;
    ip.bytes[10] = ip.bytes[11] = 0xff;
    std::memcpy(ip.bytes.data() + 12, &address, 4);
    return ip;
  }
  static IpAddress v6(const std::array<std::uint8_t, 16>& address) noexcept { return {address}; }

  bool is_v4() const noexcept {
    static constexpr std::uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::memcmp(bytes.data(), kPrefix, sizeof kPrefix) == 0;
  }
  Family family() const noexcept { return is_v4() ? Family::kIpv4 : Family::kIpv6; }
  bool is_unspecified() const noexcept {
    return *this == IpAddress{} || *this == v4(Big32(std::uint32_t{0}));
  }
  Big32 v4_part() const noexcept { return load<Big32>(bytes.data() + 12); }
};
static_assert(sizeof(IpAddress) == 16);

inline std::string to_string(const IpAddress& ip) {
  char text[INET6_ADDRSTRLEN];
  if (ip.is_v4()) return ::inet_ntop(AF_INET, ip.bytes.data() + 12, text, sizeof text);
  return ::inet_ntop(AF_INET6, ip.bytes.data(), text, sizeof text);
}

inline std::optional<IpAddress> parse_ip(const std::string& text) noexcept {
  if (text.find('\0') != text.npos) return std::nullopt;  // inet_pton would not see the rest
  Big32 v4;
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) return IpAddress::v4(v4);
  IpAddress ip;
  if (::inet_pton(AF_INET6, text.c_str(), ip.bytes.data()) == 1) return ip;
  return std::nullopt;
}

// What kind of address it is when no single host can have it; empty when one can.
inline std::string_view why_no_host(const IpAddress& ip) noexcept {
  if (ip.is_unspecified()) return "the unspecified address";
  if (!ip.is_v4()) {
    constexpr std::array<std::uint8_t, 16> kLoopback{0, 0, 0, 0, 0, 0, 0, 0,
                                                     0, 0, 0, 0, 0, 0, 0, 1};
    if (ip.bytes == kLoopback) return "a loopback address";
    return ip.bytes[0] == 0xff ? "a multicast address" : "";
  }
  const std::uint32_t address = ip.v4_part().get();
  if (address == UINT32_MAX) return "the broadcast address";
  if (address >> 24 == 0) return "an address of no network";
  if (address >> 24 == 127) return "a loopback address";
  if (address >> 28 == 14) return "a multicast address";
  return address >> 28 == 15 ? "a reserved address" : "";
}

// Of the network that a host is in; IPv6 and networks of two hosts or less have none.
inline bool is_broadcast_of(const IpAddress& ip, const IpAddress& host,
                            unsigned prefix_length) noexcept {
  if (!ip.is_v4() || !host.is_v4() || prefix_length == 0 || prefix_length > 30) return false;
  const std::uint32_t hosts = UINT32_MAX >> prefix_length;
  return ip.v4_part().get() == (host.v4_part().get() | hosts);
}

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;  // UDP, host order

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// "10.0.0.1:7600" or "[fd00::1]:7600".
inline std::string to_string(const Endpoint& endpoint) {
  const std::string ip = to_string(endpoint.address);
  const std::string port = std::to_string(endpoint.port);
  return endpoint.address.is_v4() ? ip + ":" + port : "[" + ip + "]:" + port;
}

// The forms above; the port may be left out when default_port is not 0. Anything else is nullopt.
inline std::optional<Endpoint> parse_endpoint(std::string_view text,
                                              std::uint16_t default_port = 0) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    const auto rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return std::nullopt;
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return std::nullopt;
  } else if (const auto colon = text.find(':');
             colon != std::string_view::npos && text.find(':', colon + 1) == text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) return std::nullopt;
  }
  const auto address = parse_ip(std::string(host));
  if (!address) return std::nullopt;
  std::uint32_t number = default_port;
  if (!port.empty()) {
    number = 0;
    for (const char c : port) {
      if (c < '0' || c > '9' || number > 65535) return std::nullopt;
      number = number * 10 + static_cast<std::uint32_t>(c - '0');
    }
  }
  if (number == 0 || number > 65535) return std::nullopt;
  return Endpoint{*address, static_cast<std::uint16_t>(number)};
}

inline std::string to_string(const MacAddress& mac) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : mac) {
    if (!text.empty()) text.push_back(':');
    text.push_back(kHex[byte >> 4]);
    text.push_back(kHex[byte & 15]);
  }
  return text;
}

// Sum of 16-bit words in memory order, not folded. `bytes` may be odd (RFC 1071: padded with zero).
// The result is in memory order too: fold, complement and store it without swapping.
inline std::uint64_t checksum_add(const void* data, std::size_t bytes,
                                  std::uint64_t sum = 0) noexcept {
  const auto* at = static_cast<const std::uint8_t*>(data);
  for (; bytes >= 4; bytes -= 4, at += 4)
    sum += load<std::uint32_t>(at);
  if (bytes >= 2) {
    sum += load<std::uint16_t>(at);
    at += 2;
    bytes -= 2;
  }
  if (bytes == 1) sum += *at;  // little endian: the byte is the first of its pair
  return sum;
}

// A half added to the other half by a rotation: the upper half of the sum has the carry in it.
constexpr std::uint16_t checksum_fold(std::uint64_t sum) noexcept {
  sum += std::rotr(sum, 32);
  auto half = static_cast<std::uint32_t>(sum >> 32);
  half += std::rotr(half, 16);
  return static_cast<std::uint16_t>(half >> 16);
}
static_assert(checksum_fold(0) == 0 && checksum_fold(0xffff) == 0xffff &&
              checksum_fold(0x1fffe) == 0xffff && checksum_fold(UINT64_MAX) == 0xffff &&
              checksum_fold(0x0001000200030004) == 10 && checksum_fold(0xffff0000ffff0001) == 1);
static_assert(std::endian::native == std::endian::little, "checksum_add assumes it");

}  // namespace sluice
