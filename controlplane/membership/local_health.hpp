// How well we ourselves keep up, from 0 (well) to max-1 (Lifeguard's local health multiplier,
// arXiv 1707.00788 §IV.A; "awareness" in the reference). It stretches our probe interval, so that a
// slow node accuses fewer others. One thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice::membership {

class LocalHealth {
 public:
  // enabled false: always 0, as in plain SWIM.
  LocalHealth(std::uint32_t max, bool enabled) noexcept
      : worst_(enabled && max > 0 ? static_cast<int>(max) - 1 : 0) {}

  void apply(int delta) noexcept { score_ = std::clamp(score_ + delta, 0, worst_); }
  int score() const noexcept { return score_; }
  std::uint64_t scale(std::uint64_t interval_ns) const noexcept {
    return interval_ns * static_cast<std::uint64_t>(score_ + 1);
  }

 private:
  int worst_;
  int score_ = 0;
};

}  // namespace sluice::membership
