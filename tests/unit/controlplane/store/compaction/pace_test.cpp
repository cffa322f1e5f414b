// The rate of background work: held, lifted while urgent, and never in the way of stopping.
#include "controlplane/store/compaction/pace.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "sluice/base/clock.hpp"

namespace sluice::controlplane::store {
namespace {

TEST(Pace, HoldsTheRate) {
  RateLimiter limiter(1'000'000);
  std::atomic<bool> stop{false};
  Pace pace(&limiter, &stop);
  const std::uint64_t start = monotonic_ns();
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(pace.spend(10'000));
  // 100 000 bytes at 1 MB/s, of which 20 ms may be a burst.
  EXPECT_GE(monotonic_ns() - start, 79 * kNsPerMs);
}

TEST(Pace, DoesNotHoldWhenUrgentOrWithoutALimit) {
  RateLimiter limiter(1);
  std::atomic<bool> stop{false};
  limiter.set_urgent(true);
  Pace urgent(&limiter, &stop);
  EXPECT_TRUE(urgent.spend(1'000'000'000));
  Pace unlimited;
  EXPECT_TRUE(unlimited.spend(1'000'000'000));
}

TEST(Pace, StoppingInterruptsAWaiter) {
  RateLimiter limiter(1);
  std::atomic<bool> stop{false};
  std::thread waiter([&] {
    Pace pace(&limiter, &stop);
    EXPECT_FALSE(pace.spend(1'000'000'000));
  });
  stop.store(true);
  limiter.interrupt();
  waiter.join();
}

}  // namespace
}  // namespace sluice::controlplane::store
