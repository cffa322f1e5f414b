// A rate limit for rare things of the manager thread: events, notices, discoveries. Not for
// messages on the fast path. Time is given by the caller.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {

class TokenBucket {
 public:
  TokenBucket(std::uint32_t per_second, std::uint32_t burst) noexcept
      : per_second_(per_second), burst_(burst), tokens_(burst) {}

  void set_rate(std::uint32_t per_second, std::uint32_t burst) noexcept {
    per_second_ = per_second;
    burst_ = burst;
    tokens_ = std::min<std::uint64_t>(tokens_, burst);
  }

  bool take(std::uint64_t now_ns) noexcept {
    if (per_second_ == 0) return false;
    // At most a second's worth, which also keeps the product within 64 bits.
    const std::uint64_t passed = std::min(now_ns - last_ns_, kNsPerSecond);
    const std::uint64_t fresh = passed * per_second_ / kNsPerSecond;
    if (fresh > 0) {
      tokens_ = std::min<std::uint64_t>(tokens_ + fresh, burst_);
      last_ns_ = now_ns;
    }
    if (tokens_ == 0) return false;
    --tokens_;
    return true;
  }

 private:
  std::uint32_t per_second_;
  std::uint32_t burst_;
  std::uint64_t tokens_;
  std::uint64_t last_ns_ = 0;
};

}  // namespace sluice::dataplane
