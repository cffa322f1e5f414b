// Watches the heap. A program that links malloc_watch has its malloc family counted per thread, and
// a thread may forbid itself to allocate: the next allocation then ends the program with a line on
// stderr. Linked by debug builds of the dataplane (workers never allocate, CONVENTIONS §7) and by
// benchmarks and tests that show it. Any thread; each sees only itself.
#pragma once

#include <cstdint>

namespace sluice::dataplane {

// Allocations made by this thread since it started.
std::uint64_t thread_allocations() noexcept;

// From construction to destruction this thread must not allocate.
class ForbidAllocation {
 public:
  ForbidAllocation() noexcept;
  ~ForbidAllocation();
  ForbidAllocation(const ForbidAllocation&) = delete;
  ForbidAllocation& operator=(const ForbidAllocation&) = delete;
};

}  // namespace sluice::dataplane
