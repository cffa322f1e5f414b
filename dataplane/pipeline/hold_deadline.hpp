// When a message that waits for its destination is given up. It travels in the frame, because the
// message may go to and fro between the manager, who holds it, and its worker, who finds that it
// still cannot be sent: that must not prolong its wait. Kept in mbuf->hash, which nobody reads
// before egress and egress overwrites. Whoever owns the frame.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

namespace sluice::dataplane {

inline constexpr std::uint64_t kNotHeldBefore = 0;

// On the manager's monotonic clock.
inline void set_hold_deadline(rte_mbuf& frame, std::uint64_t deadline_ns) noexcept {
  static_assert(sizeof frame.hash == sizeof deadline_ns);
  std::memcpy(&frame.hash, &deadline_ns, sizeof deadline_ns);
}
inline std::uint64_t hold_deadline_ns(const rte_mbuf& frame) noexcept {
  std::uint64_t deadline_ns = kNotHeldBefore;
  std::memcpy(&deadline_ns, &frame.hash, sizeof deadline_ns);
  return deadline_ns;
}

}  // namespace sluice::dataplane
