// When to send how many messages for an exact average rate: message n is due at start + n / rate,
// so a late wake-up is made up for by a burst and no error adds up. Time is given by the caller.
// One thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice::cli {

class Pacer {
 public:
  // `rate` per second; 0: everything is due at once.
  Pacer(std::uint64_t rate, std::uint64_t start_ns) noexcept : rate_(rate), start_ns_(start_ns) {}

  // Messages that are due now and not taken yet, at most `most`.
  std::uint64_t due(std::uint64_t now_ns, std::uint64_t most) const noexcept {
    if (rate_ == 0) return most;
    if (now_ns < start_ns_) return 0;
    const auto until_now =
        static_cast<std::uint64_t>(static_cast<Wide>(now_ns - start_ns_) * rate_ / kSecond);
    return std::min(most, until_now + 1 - std::min(until_now + 1, taken_));
  }
  void take(std::uint64_t count) noexcept { taken_ += count; }

  // When the next message is due.
  std::uint64_t next_ns() const noexcept {
    if (rate_ == 0) return start_ns_;
    // Rounded up, so that it is due at that very nanosecond.
    const auto ns = (static_cast<Wide>(taken_) * kSecond + rate_ - 1) / rate_;
    return start_ns_ + static_cast<std::uint64_t>(ns);
  }

 private:
  __extension__ using Wide = unsigned __int128;  // a product of two 64-bit numbers

  static constexpr std::uint64_t kSecond = 1'000'000'000;

  std::uint64_t rate_;
  std::uint64_t start_ns_;
  std::uint64_t taken_ = 0;
};

}  // namespace sluice::cli
