#include "controlplane/store/compaction/pace.hpp"

#include <algorithm>
#include <chrono>

#include "sluice/base/clock.hpp"

namespace sluice::controlplane::store {
namespace {

// What may be written at once after a pause; keeps the disk busy without a long burst.
constexpr std::uint64_t kBurstNs = 20 * kNsPerMs;

}  // namespace

void RateLimiter::set_urgent(bool urgent) noexcept {
  if (urgent_.exchange(urgent, std::memory_order_relaxed) == urgent) return;
  if (urgent) interrupt();
}

void RateLimiter::interrupt() noexcept {
  const std::lock_guard lock(mutex_);  // so that a waiter is either waiting or sees the change
  changed_.notify_all();
}

void RateLimiter::spend(std::uint64_t bytes, const std::atomic<bool>& stop) {
  if (rate_ == 0) return;
  std::unique_lock lock(mutex_);
  const std::uint64_t now = monotonic_ns();
  const std::uint64_t cost = static_cast<std::uint64_t>(
      static_cast<double>(bytes) * static_cast<double>(kNsPerSecond) / static_cast<double>(rate_));
  paid_until_ns_ = std::max(paid_until_ns_, now - std::min(now, kBurstNs)) + cost;
  const std::uint64_t mine = paid_until_ns_;
  while (!urgent_.load(std::memory_order_relaxed) && !stop.load(std::memory_order_relaxed)) {
    const std::uint64_t at = monotonic_ns();
    if (at >= mine) return;
    changed_.wait_for(lock, std::chrono::nanoseconds(mine - at));
  }
  // What was not waited for is forgiven, else a long urgent phase would be paid back by a
  // standstill.
  paid_until_ns_ = std::min(paid_until_ns_, monotonic_ns());
}

}  // namespace sluice::controlplane::store
