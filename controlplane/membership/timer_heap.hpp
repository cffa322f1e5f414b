// When the core wants to be called again, and what for: a binary heap. An entry is never taken out
// early; its owner sees from the two words it carries that it is stale. Entries of the same time
// come in the order in which they were set, so that runs can be repeated. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace sluice::membership {

enum class Timer : std::uint8_t {
  kProbeTick,      // next member of the ring
  kProbeIndirect,  // no answer yet: ask others
  kProbeEnd,       // verdict
  kGossip,
  kPushPull,
  kSecondLook,  // another push/pull soon after joining
  kSuspicion,   // a member is declared dead
  kReap,        // a dead member leaves the list
  kRelayEnd,    // answer an indirect ping with a nack
  kLeaveCheck,  // is the member that said it leaves really gone
  kRejoin,      // try a lost peer or a seed
  kTell,        // tell members that we hold for dead
  kRefute,      // answer accusations that came too fast
};

class TimerHeap {
 public:
  struct Entry {
    std::uint64_t at_ns;
    std::uint32_t order;
    Timer timer;
    std::uint32_t subject;
    std::uint32_t generation;
  };
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  void set(std::uint64_t at_ns, Timer timer, std::uint32_t subject = 0,
           std::uint32_t generation = 0) {
    heap_.push_back({at_ns, order_++, timer, subject, generation});
    std::ranges::push_heap(heap_, later);
  }
  std::uint64_t next_ns() const noexcept { return heap_.empty() ? kNever : heap_.front().at_ns; }
  // Only when next_ns() is not kNever.
  Entry pop() {
    std::ranges::pop_heap(heap_, later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    return entry;
  }
  // Takes out what the predicate holds for; the rest keeps its order.
  template <class Predicate>
  void erase_if(Predicate&& predicate) {
    std::erase_if(heap_, predicate);
    std::ranges::make_heap(heap_, later);
  }
  std::size_t size() const noexcept { return heap_.size(); }
  void clear() noexcept { heap_.clear(); }

 private:
  // The order wraps after 2^32 timers: the signed difference keeps its sense.
  static bool later(const Entry& a, const Entry& b) noexcept {
    if (a.at_ns != b.at_ns) return a.at_ns > b.at_ns;
    return static_cast<std::int32_t>(a.order - b.order) > 0;
  }

  std::vector<Entry> heap_;
  std::uint32_t order_ = 0;
};

}  // namespace sluice::membership
