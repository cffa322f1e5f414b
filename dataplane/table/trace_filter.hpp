// Which messages the packet tracer records: the next `count` from `source` to `destination`. Made
// by the applier, read by all workers; each worker claims a message before it records it, so that
// no more than `count` are recorded in all. Needs no EAL.
#pragma once

#include <atomic>
#include <cstdint>

#include "sluice/base/ids.hpp"

namespace sluice::dataplane {

class TraceFilter {
 public:
  // A nil id matches any.
  TraceFilter(const Id& source, const Id& destination, std::uint32_t count, std::uint32_t token)
      : source_(source), destination_(destination), token_(token), left_(count) {}

  bool matches(const Id& source, const Id& destination) const noexcept {
    return (source_.is_nil() || source_ == source) &&
           (destination_.is_nil() || destination_ == destination);
  }
  // True at most `count` times over all workers. Relaxed: nothing else hangs on it.
  bool claim() const noexcept {
    std::uint32_t left = left_.load(std::memory_order_relaxed);
    while (left != 0) {
      if (left_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  std::uint32_t left() const noexcept { return left_.load(std::memory_order_relaxed); }
  std::uint32_t token() const noexcept { return token_; }

 private:
  Id source_;
  Id destination_;
  std::uint32_t token_;
  mutable std::atomic<std::uint32_t> left_;
};

}  // namespace sluice::dataplane
