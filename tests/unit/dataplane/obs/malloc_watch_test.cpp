#include "dataplane/obs/malloc_watch.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

namespace sluice::dataplane {
namespace {

void allocate() {
  const auto memory = std::make_unique<std::vector<int>>(1000);
  asm volatile("" : : "r"(memory->data()) : "memory");  // not to be optimised away
}

TEST(MallocWatch, CountsThisThreadOnly) {
  const std::uint64_t before = thread_allocations();
  allocate();
  EXPECT_EQ(thread_allocations() - before, 2u);
  std::uint64_t in_thread = 0;
  std::thread([&] {
    const std::uint64_t start = thread_allocations();
    for (int i = 0; i < 10; ++i)
      std::free(std::malloc(static_cast<std::size_t>(100 + i)));
    allocate();
    in_thread = thread_allocations() - start;
  }).join();
  EXPECT_GE(in_thread, 2u);
}

TEST(MallocWatchDeathTest, ForbiddenAllocationEndsTheProgram) {
  EXPECT_DEATH(
      {
        const ForbidAllocation forbid;
        allocate();
      },
      "a worker allocated memory");
}

TEST(MallocWatch, AllowedAgainAfterwards) {
  {
    const ForbidAllocation forbid;
  }
  allocate();
}

}  // namespace
}  // namespace sluice::dataplane
