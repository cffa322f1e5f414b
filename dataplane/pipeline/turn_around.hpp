// Sends a frame back to where it came from: addresses of Ethernet and IP and ports of UDP swapped,
// IP header fresh, in place. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "dataplane/pipeline/parse.hpp"
#include "dataplane/pipeline/rewrite.hpp"

namespace sluice::dataplane {

// `frame` was parsed; `udp_bytes` is the length of the UDP datagram that goes back. The checksum
// and length of UDP stay as they are. Returns checksum_add of both addresses.
inline std::uint64_t turn_around(std::uint8_t* frame, const Parsed& parsed,
                                 std::size_t udp_bytes) noexcept {
  auto ethernet = load<EthernetHeader>(frame);
  std::swap(ethernet.source, ethernet.destination);
  store(frame, ethernet);
  std::uint8_t* ip = frame + parsed.l2_bytes;
  std::uint64_t address_sum = 0;
  if (parsed.family() == Family::kIpv4) {
    const auto old = load<Ipv4Header>(ip);
    store(ip, make_ipv4(old.service, sizeof(Ipv4Header) + udp_bytes, old.destination, old.source));
    address_sum = checksum_add(ip + offsetof(Ipv4Header, source), 8);
  } else {
    auto header = load<Ipv6Header>(ip);
    std::swap(header.source, header.destination);
    header.version_class_flow = Big32(header.version_class_flow.get() & 0xfff00000);
    header.payload_length = Big16(static_cast<std::uint16_t>(udp_bytes));
    header.hop_limit = kTimeToLive;
    store(ip, header);
    address_sum = checksum_add(ip + offsetof(Ipv6Header, source), 32);
  }
  auto udp = load<UdpHeader>(ip + parsed.l3_bytes);
  std::swap(udp.source_port, udp.destination_port);
  store(ip + parsed.l3_bytes, udp);
  return address_sum;
}

}  // namespace sluice::dataplane
