// Clocks. The control plane and tests get time injected as plain nanosecond counts; these functions
// are the only places that ask the kernel. Any thread.
#pragma once

#include <ctime>

#include <cstdint>

namespace sluice {

inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
inline constexpr std::uint64_t kNsPerMs = 1'000'000;

inline std::uint64_t clock_ns(clockid_t clock) noexcept {
  timespec ts{};
  ::clock_gettime(clock, &ts);
  return static_cast<std::uint64_t>(ts.tv_sec) * kNsPerSecond +
         static_cast<std::uint64_t>(ts.tv_nsec);
}

// Since boot, never goes back: for leases, heartbeats, timeouts. Comparable between processes.
inline std::uint64_t monotonic_ns() noexcept {
  return clock_ns(CLOCK_MONOTONIC);
}
// Since the Unix epoch, and set by people: for what others are told, not for measuring time.
inline std::uint64_t realtime_ns() noexcept {
  return clock_ns(CLOCK_REALTIME);
}

}  // namespace sluice
