// Wall-clock time out of the TSC, so that lifetimes cost no system call: set against the kernel's
// clock every now and then, extrapolated between. Worker only.
#pragma once

#include <cstdint>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {

class WallClock {
 public:
  explicit WallClock(std::uint64_t tsc_hz) noexcept
      : ns_per_tsc_(static_cast<std::uint64_t>((static_cast<Wide>(kNsPerSecond) << 32) / tsc_hz)) {}

  // The wall clock showed `wall_ns` when the TSC showed `tsc`.
  void set(std::uint64_t tsc, std::uint64_t wall_ns) noexcept {
    base_tsc_ = tsc;
    base_ns_ = wall_ns;
  }
  // Since the Unix epoch. `tsc` is not before that of set().
  std::uint64_t ns(std::uint64_t tsc) const noexcept {
    return base_ns_ +
           static_cast<std::uint64_t>(static_cast<Wide>(tsc - base_tsc_) * ns_per_tsc_ >> 32);
  }

 private:
  __extension__ using Wide = unsigned __int128;

  std::uint64_t ns_per_tsc_;  // 32.32 fixed point
  std::uint64_t base_tsc_ = 0;
  std::uint64_t base_ns_ = 0;
};

}  // namespace sluice::dataplane
