// Counts of values in log-linear buckets: exact below 256, within 1/256 (0.4 %) above, up to 2^63.
// Fixed memory (a few thousand counters), so a run may be of any length. One thread.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace sluice::cli {

class Histogram {
 public:
  void add(std::uint64_t value) {
    ++counts_[bucket(value)];
    ++total_;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
    sum_ += static_cast<double>(value);
  }

  std::uint64_t count() const noexcept { return total_; }
  std::uint64_t min() const noexcept { return total_ == 0 ? 0 : min_; }
  std::uint64_t max() const noexcept { return max_; }
  double mean() const noexcept { return total_ == 0 ? 0 : sum_ / static_cast<double>(total_); }

  // The value that `percent` of all values do not exceed (nearest rank), by the middle of its
  // bucket; 0 when empty.
  std::uint64_t percentile(double percent) const noexcept {
    if (total_ == 0) return 0;
    const double exact = percent / 100 * static_cast<double>(total_);
    auto rank = static_cast<std::uint64_t>(exact);
    if (static_cast<double>(rank) < exact) ++rank;
    rank = std::clamp<std::uint64_t>(rank, 1, total_);
    if (rank == total_) return max_;
    std::uint64_t seen = 0;
    std::size_t i = 0;
    while ((seen += counts_[i]) < rank)
      ++i;
    return std::clamp(middle(i), min_, max_);
  }

 private:
  static constexpr unsigned kBits = 7;  // buckets of each power of two: 2^7
  static constexpr std::uint64_t kLinear = 1U << (kBits + 1);

  static std::size_t bucket(std::uint64_t value) noexcept {
    if (value < kLinear) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - kBits - 1;
    return (static_cast<std::size_t>(shift) << kBits) + (value >> shift);
  }
  static std::uint64_t middle(std::size_t bucket) noexcept {
    if (bucket < kLinear) return bucket;
    const std::size_t shift = (bucket >> kBits) - 1;
    const std::uint64_t low = ((bucket & ((1U << kBits) - 1)) + (1U << kBits)) << shift;
    return low + (std::uint64_t{1} << shift) / 2;
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>((64 - kBits + 1) << kBits);
  std::uint64_t total_ = 0;
  std::uint64_t min_ = UINT64_MAX;
  std::uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace sluice::cli
