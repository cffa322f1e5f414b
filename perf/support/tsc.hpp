// Cycle stamps around a measured region, and the rate of the counter they come from. Any thread may
// call these; both stamps of one region must come from the same CPU (see pin_to_cpu). TSC cycles
// run at a fixed rate, which is not the core's clock: a figure in cycles is a time, in units of
// 1/tsc_hz().
#pragma once

#include <x86intrin.h>

#include <cstdint>
#include <ctime>

namespace sluice::perf {

// lfence on both sides: nothing before leaks into the region, nothing inside starts before the
// stamp.
inline std::uint64_t tsc_begin() {
  _mm_lfence();
  const std::uint64_t stamp = __rdtsc();
  _mm_lfence();
  return stamp;
}

// rdtscp waits until everything before it has executed; the lfence keeps what follows out.
inline std::uint64_t tsc_end() {
  unsigned aux = 0;
  const std::uint64_t stamp = __rdtscp(&aux);
  _mm_lfence();
  return stamp;
}

inline std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// Measured against the monotonic clock over 50 ms; better than 0.1 %.
inline double tsc_hz() {
  const std::uint64_t start_ns = monotonic_ns();
  const std::uint64_t start_tsc = tsc_begin();
  while (monotonic_ns() - start_ns < 50'000'000U)
    _mm_pause();
  const std::uint64_t end_tsc = tsc_end();
  const std::uint64_t end_ns = monotonic_ns();
  return static_cast<double>(end_tsc - start_tsc) * 1e9 / static_cast<double>(end_ns - start_ns);
}

// The compiler must compute `value`, though nobody reads it.
template <typename T>
inline void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

}  // namespace sluice::perf
