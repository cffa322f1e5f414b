// The messages of one burst as a structure of arrays: what pass A found, what pass B looked up,
// what pass C needs. All of one ingress port. Worker only; lives in the Lane and is overwritten by
// the next burst.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "dataplane/pipeline/parse.hpp"
#include "sluice/base/cacheline.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/route/action.hpp"

namespace sluice::dataplane {

inline constexpr unsigned kMaxBurst = 64;

// Where the headers of a message are, packed so that the common case is one comparison.
class Layout {
 public:
  constexpr Layout() = default;
  static constexpr Layout of(const Parsed& parsed) noexcept {
    return Layout(std::uint32_t{parsed.l2_bytes} | std::uint32_t{parsed.l3_bytes} << 8 |
                  std::uint32_t{parsed.udp_bytes} << 16);
  }
  static constexpr Layout plain_ipv4(std::uint16_t udp_bytes) noexcept {
    return Layout(sizeof(EthernetHeader) | sizeof(Ipv4Header) << 8 |
                  std::uint32_t{udp_bytes} << 16);
  }
  Parsed parsed() const noexcept {
    return {.kind = FrameKind::kMessage,
            .has_envelope = true,
            .l2_bytes = static_cast<std::uint8_t>(bits_),
            .l3_bytes = static_cast<std::uint8_t>(bits_ >> 8),
            .udp_bytes = static_cast<std::uint16_t>(bits_ >> 16)};
  }

 private:
  constexpr explicit Layout(std::uint32_t bits) noexcept : bits_(bits) {}
  std::uint32_t bits_ = 0;
};

struct alignas(kCacheLineBytes) Batch {
  unsigned count = 0;
  std::uint64_t plain = 0;   // bit per message: data, untagged IPv4, ready for the short way
  std::uint64_t traced = 0;  // bit per message that is being recorded
  std::array<rte_mbuf*, kMaxBurst> frame;
  std::array<Layout, kMaxBurst> layout;
  // Destination ids, or destination and source ids by turns when sources are checked: what goes
  // into one lookup is contiguous.
  alignas(kCacheLineBytes) std::array<Id, 2 * kMaxBurst> id;
  alignas(kCacheLineBytes) std::array<Action, 2 * kMaxBurst> action;
};

}  // namespace sluice::dataplane
