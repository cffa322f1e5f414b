// A token bucket for things that are rare by nature: log lines of one cause, requests of one
// sender. Time is injected. One thread; the fast path uses rte_meter.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace sluice {

class RateLimit {
 public:
  // `burst` at once, then one more each `period_ns`. The bucket is full at first.
  RateLimit(std::uint32_t burst, std::uint64_t period_ns) noexcept
      : period_ns_(std::max<std::uint64_t>(period_ns, 1)), full_ns_(burst * period_ns_) {}

  // True when one more is allowed now; the others are counted.
  bool allow(std::uint64_t now_ns) noexcept {
    // `empty_at_ns_` is the time at which the bucket was, or would have been, empty.
    if (now_ns > full_ns_) empty_at_ns_ = std::max(empty_at_ns_, now_ns - full_ns_);
    if (empty_at_ns_ + period_ns_ > now_ns) {
      ++refused_;
      return false;
    }
    empty_at_ns_ += period_ns_;
    return true;
  }

  // How many were refused since the last call: "suppressed=17" of the next line that passes.
  std::uint64_t take_refused() noexcept { return std::exchange(refused_, 0); }

 private:
  std::uint64_t period_ns_;
  std::uint64_t full_ns_;  // time that fills the bucket
  std::uint64_t empty_at_ns_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace sluice
