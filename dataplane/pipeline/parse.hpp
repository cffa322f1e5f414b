// Reads the headers of one received frame and decides whether it is a message, something for the
// kernel, or broken. Pure: bytes in, verdict out, no DPDK, so that it is fuzzed and tested without
// a NIC. Every byte is checked to be inside the frame before it is read. Any thread.
//
// Classify (classify.hpp) has a shorter way for the common frame; both give the same verdict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/link/drop_reason.hpp"
#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {

// What an ingress port accepts as a message.
struct Reception {
  std::span<const IpAddress> local;  // addresses of the router on this port
  MacAddress mac{};                  // of this port
  std::uint16_t message_port = kDefaultMessagePort;
  std::uint16_t vlan = 0;    // 0: untagged
  std::uint64_t now_ns = 0;  // since the Unix epoch, for lifetimes
};

struct FrameView {
  const std::uint8_t* data;
  std::uint32_t bytes;  // in the first segment
  bool chained;         // there are more segments
};

enum class IpChecksum : std::uint8_t { kUnknown, kGood, kBad };  // as the driver found it

enum class FrameKind : std::uint8_t { kMessage, kHost, kDrop };

struct Parsed {
  FrameKind kind = FrameKind::kHost;
  DropReason reason = DropReason::kCount;  // of kDrop
  // Valid for messages, and for drops with has_envelope.
  bool has_envelope = false;
  std::uint8_t l2_bytes = 0;
  std::uint8_t l3_bytes = 0;
  std::uint16_t udp_bytes = 0;  // UDP header and all that follows, without padding

  Family family() const noexcept {
    return l3_bytes == sizeof(Ipv4Header) ? Family::kIpv4 : Family::kIpv6;
  }
  std::uint32_t udp_offset() const noexcept { return std::uint32_t{l2_bytes} + l3_bytes; }
  std::uint32_t envelope_offset() const noexcept { return udp_offset() + sizeof(UdpHeader); }
  std::uint32_t frame_bytes() const noexcept { return udp_offset() + udp_bytes; }
};

Parsed parse(FrameView frame, const Reception& port, IpChecksum checksum) noexcept;

// The envelope's own checks, behind `available` bytes of UDP payload. kCount: nothing is wrong.
DropReason check_envelope(const Envelope& envelope, std::size_t available,
                          std::uint64_t now_ns) noexcept;

// Whether the lifetime has ended. A timestamp in the future (clocks differ) has not expired.
inline bool expired(std::uint8_t lifetime_code, std::uint64_t timestamp_ns,
                    std::uint64_t now_ns) noexcept {
  return lifetime_code != 0 && now_ns > timestamp_ns &&
         now_ns - timestamp_ns > lifetime_ns(lifetime_code);
}

}  // namespace sluice::dataplane
