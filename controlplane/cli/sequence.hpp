// Loss, duplicates and reordering of one sender's messages, from their 32-bit sequence numbers
// (which may wrap). A number far from those before is a sender that began again. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace sluice::cli {

class SequenceTracker {
 public:
  void add(std::uint32_t sequence) noexcept {
    ++received_;
    if (!begun_) return begin(sequence);
    const auto step = static_cast<std::int32_t>(sequence - highest_);
    if (step > kNewRun || step < -kNewRun) {
      ++runs_;
      missed_before_ += missing();
      return begin(sequence);
    }
    if (step > 0) return advance(sequence, static_cast<std::uint32_t>(step));
    behind(sequence, static_cast<std::uint32_t>(-step));
  }

  std::uint64_t received() const noexcept { return received_; }
  // Not seen (yet), between the first and the highest number of each run.
  std::uint64_t lost() const noexcept { return missed_before_ + missing(); }
  std::uint64_t duplicates() const noexcept { return duplicates_; }
  // Came after one with a higher number.
  std::uint64_t reordered() const noexcept { return reordered_; }
  std::uint64_t runs() const noexcept { return runs_; }  // times the sender began

 private:
  static constexpr std::int32_t kNewRun = 1 << 20;
  static constexpr std::uint32_t kWindow = 4096;  // numbers whose arrival is remembered

  void begin(std::uint32_t sequence) noexcept {
    begun_ = true;
    highest_ = sequence;
    span_ = 1;
    unique_ = 1;
    seen_.fill(false);
    seen_[sequence % kWindow] = true;
  }

  void advance(std::uint32_t sequence, std::uint32_t step) noexcept {
    if (step >= kWindow) {
      seen_.fill(false);
    } else {
      for (std::uint32_t i = 1; i < step; ++i)
        seen_[(highest_ + i) % kWindow] = false;
    }
    seen_[sequence % kWindow] = true;
    highest_ = sequence;
    span_ += step;
    ++unique_;
  }

  // Older than the window nobody knows whether it is a duplicate; it counts as late.
  void behind(std::uint32_t sequence, std::uint32_t back) noexcept {
    if (back < kWindow && seen_[sequence % kWindow]) {
      ++duplicates_;
      return;
    }
    if (back < kWindow) seen_[sequence % kWindow] = true;
    ++reordered_;
    ++unique_;
    span_ = std::max<std::uint64_t>(span_, std::uint64_t{back} + 1);
  }

  std::uint64_t missing() const noexcept { return span_ > unique_ ? span_ - unique_ : 0; }

  bool begun_ = false;
  std::uint32_t highest_ = 0;
  std::uint64_t span_ = 0;    // numbers of this run, from its first to its highest
  std::uint64_t unique_ = 0;  // of those, seen
  std::uint64_t received_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t reordered_ = 0;
  std::uint64_t runs_ = 1;
  std::uint64_t missed_before_ = 0;  // of runs that are over
  std::array<bool, kWindow> seen_{};
};

}  // namespace sluice::cli
