// Wakes a thread that sleeps in poll or epoll when a ring of its has something new. One per thread;
// wake() may be called by any thread and costs a fence and a load while the owner is awake. A wake
// between prepare() and the sleep is never lost: the eventfd keeps it.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "sluice/base/cacheline.hpp"

namespace sluice::dataplane {

class alignas(kCacheLineBytes) Waker {
 public:
  // Takes a non-blocking eventfd made by app; it is not owned.
  explicit Waker(int event_fd) noexcept : event_fd_(event_fd) {}
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Any thread, after it has pushed to a ring of the owner.
  void wake() noexcept {
    // Pairs with the fence in prepare(): either we see the flag or the owner sees the element.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_relaxed) == 0) [[likely]]
      return;
    if (sleeping_.exchange(0, std::memory_order_relaxed) == 0) return;
    const std::uint64_t one = 1;
    // It can only fail when the count is full, and then the owner is awake.
    [[maybe_unused]] const auto written = ::write(event_fd_, &one, sizeof one);
  }

  // Owner: announces the sleep. It must look at all its rings once more before it sleeps.
  void prepare() noexcept {
    sleeping_.store(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  // Owner: after the sleep, or instead of it.
  void finish() noexcept {
    sleeping_.store(0, std::memory_order_relaxed);
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(event_fd_, &count, sizeof count);
  }

  int event_fd() const noexcept { return event_fd_; }

 private:
  std::atomic<std::uint32_t> sleeping_{0};
  int event_fd_;
};

}  // namespace sluice::dataplane
