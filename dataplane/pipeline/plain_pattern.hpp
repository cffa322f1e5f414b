// How a plain frame (data in untagged IPv4 to the port's MAC and first address) is recognised by
// one vector comparison and one of a word. Made when the forwarding state changes, read for every
// frame. Pure; any thread.
#pragma once

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/pipeline/rewrite_plain.hpp"
#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {

// What 32 bytes of a plain frame must be, from the Ethernet type to the envelope's type: those that
// are always the same, and those that the port decides (its address, the message port).
class PlainPattern {
 public:
  PlainPattern() noexcept
      : want_(_mm256_setzero_si256()), mask_(want_) {}  // matches nothing usable
  PlainPattern(std::span<const IpAddress> local, const MacAddress& mac, std::uint16_t message_port,
               std::uint16_t vlan) noexcept;

  bool usable() const noexcept { return usable_; }  // the port is untagged and has an IPv4 address
  bool matches(const std::uint8_t* frame) const noexcept {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(frame + kWindow));
    return _mm256_testz_si256(_mm256_xor_si256(bytes, want_), mask_) != 0;
  }
  // Zero when the frame is sent to the port's MAC.
  std::uint64_t foreign_mac(const std::uint8_t* frame) const noexcept {
    return (load<std::uint64_t>(frame) ^ mac_) << 16;
  }

 private:
  static constexpr std::size_t kWindow = offsetof(EthernetHeader, type);

  bool usable_ = false;
  std::uint64_t mac_ = 0;  // as it lies in the first six bytes
  __m256i want_;
  __m256i mask_;
};

inline PlainPattern::PlainPattern(std::span<const IpAddress> local, const MacAddress& mac,
                                  std::uint16_t message_port, std::uint16_t vlan) noexcept {
  std::memcpy(&mac_, mac.data(), mac.size());
  alignas(32) std::array<std::uint8_t, 32> want{};
  alignas(32) std::array<std::uint8_t, 32> mask{};
  const auto expect = [&](std::size_t offset, std::uint8_t byte, std::uint8_t bits = 0xff) {
    want[offset - kWindow] = byte;
    mask[offset - kWindow] = bits;
  };
  expect(12, kEtherTypeIpv4 >> 8);
  expect(13, kEtherTypeIpv4 & 0xff);
  expect(plain::kIp, 0x45);
  expect(20, 0, 0x3f);  // more fragments, and the high bits of the offset
  expect(21, 0);
  expect(23, kIpProtocolUdp);
  expect(plain::kUdp + 2, static_cast<std::uint8_t>(message_port >> 8));
  expect(plain::kUdp + 3, static_cast<std::uint8_t>(message_port));
  expect(plain::kEnvelope, kVersionAndLength);
  expect(plain::kEnvelope + 1, static_cast<std::uint8_t>(MessageType::kData));
  for (const IpAddress& address : local) {
    if (!address.is_v4() || vlan != 0) continue;
    usable_ = true;
    for (std::size_t i = 0; i < 4; ++i)
      expect(plain::kDestination + i, address.bytes[12 + i]);
    break;
  }
  want_ = _mm256_load_si256(reinterpret_cast<const __m256i*>(want.data()));
  mask_ = _mm256_load_si256(reinterpret_cast<const __m256i*>(mask.data()));
}

}  // namespace sluice::dataplane
