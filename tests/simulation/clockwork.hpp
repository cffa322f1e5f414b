// Virtual time in milliseconds and what happens when: a wheel for the next seconds, a heap for what
// is further off. Events of one millisecond come in the order in which they were set, so that a run
// is the same every time. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sluice::simulation {

enum class Happening : std::uint8_t { kPacket, kWake, kRequest, kReply, kThaw, kAction };

struct Occurrence {
  Happening what;
  std::uint32_t node;
  std::uint32_t payload;
};

class Clockwork {
 public:
  std::uint64_t now_ms() const noexcept { return now_ms_; }

  // Not before the next millisecond.
  void set(std::uint64_t at_ms, Occurrence occurrence) {
    at_ms = std::max(at_ms, now_ms_ + 1);
    if (at_ms - now_ms_ < kSlots) {
      slots_[at_ms % kSlots].push_back(occurrence);
    } else {
      far_.push_back({at_ms, order_++, occurrence});
      std::ranges::push_heap(far_, later);
    }
  }

  // Everything up to and including `until_ms`.
  template <class F>
  void run(std::uint64_t until_ms, F&& handle) {
    while (now_ms_ < until_ms) {
      ++now_ms_;
      while (!far_.empty() && far_.front().at_ms <= now_ms_) {
        std::ranges::pop_heap(far_, later);
        slots_[now_ms_ % kSlots].push_back(far_.back().occurrence);
        far_.pop_back();
      }
      current_.swap(slots_[now_ms_ % kSlots]);
      for (const Occurrence& occurrence : current_)
        handle(occurrence);
      current_.clear();
    }
  }

 private:
  static constexpr std::uint64_t kSlots = 4096;

  struct Far {
    std::uint64_t at_ms;
    std::uint64_t order;
    Occurrence occurrence;
  };
  static bool later(const Far& a, const Far& b) noexcept {
    return a.at_ms != b.at_ms ? a.at_ms > b.at_ms : a.order > b.order;
  }

  std::uint64_t now_ms_ = 0;
  std::uint64_t order_ = 0;
  std::vector<std::vector<Occurrence>> slots_ = std::vector<std::vector<Occurrence>>(kSlots);
  std::vector<Occurrence> current_;
  std::vector<Far> far_;
};

}  // namespace sluice::simulation
