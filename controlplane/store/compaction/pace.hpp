// How fast background work may write, and whether it shall go on. A RateLimiter is shared by all
// jobs of an index; each job has a Pace of its own that charges it. Any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace sluice::controlplane::store {

class RateLimiter {
 public:
  // 0: no limit.
  explicit RateLimiter(std::uint64_t bytes_per_second) noexcept : rate_(bytes_per_second) {}

  // While urgent nobody is held back: writes would have to stop otherwise.
  void set_urgent(bool urgent) noexcept;
  // Waits until `bytes` may be written, at most until `stop` is set and interrupt() called.
  void spend(std::uint64_t bytes, const std::atomic<bool>& stop);
  void interrupt() noexcept;

 private:
  const std::uint64_t rate_;
  std::atomic<bool> urgent_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t paid_until_ns_ = 0;  // the time at which all that was spent is earned
};

class Pace {
 public:
  Pace() = default;  // no limit, never cancelled
  Pace(RateLimiter* limiter, const std::atomic<bool>* stop) noexcept
      : limiter_(limiter), stop_(stop) {}

  // To be called with what was just written (or read and checked). False: stop, the work is not
  // wanted any more.
  [[nodiscard]] bool spend(std::uint64_t bytes) {
    if (limiter_ != nullptr) limiter_->spend(bytes, *stop_);
    return stop_ == nullptr || !stop_->load(std::memory_order_relaxed);
  }

 private:
  RateLimiter* limiter_ = nullptr;
  const std::atomic<bool>* stop_ = nullptr;
};

}  // namespace sluice::controlplane::store
