// Puts events into the event ring of the current connection; drops and counts them when the ring
// is full or nobody is connected. Manager thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "sluice/link/region.hpp"

namespace sluice::dataplane {

class EventSender {
 public:
  void attach(link::Region& region) noexcept {
    region_ = &region;
    producer_.emplace(region.events);
    lost_ = 0;
    waiting_.clear();
    pushed_ = corrupt_ = false;
  }
  void detach() noexcept {
    region_ = nullptr;
    producer_.reset();
    waiting_.clear();
    corrupt_ = false;  // it was the peer's that is gone
  }

  // False: not delivered.
  bool send(const link::Event& event) noexcept {
    if (!producer_) return false;
    bool ok = true;
    if (producer_->push(&event, 1, ok) == 1) {
      pushed_ = true;
      return true;
    }
    if (!ok) corrupt_ = true;
    std::atomic_ref(region_->events_lost)
        .store(++lost_, std::memory_order_relaxed);  // read by the control plane for its metrics
    return false;
  }

  // For what is said once and waited for: kept for later while the ring is full.
  void send_surely(const link::Event& event) {
    if (!producer_ || waiting_.size() >= kMostWaiting) return;
    waiting_.push_back(event);
    send_waiting();
  }

  // Once per turn: whether the peer sleeps and has something new.
  bool take_wakeup() {
    send_waiting();
    if (!pushed_ || !producer_) return false;
    pushed_ = false;
    return producer_->needs_wakeup();
  }
  // The peer's index was impossible.
  bool corrupt() const noexcept { return corrupt_; }

 private:
  static constexpr std::size_t kMostWaiting = 1024;

  void send_waiting() {
    bool ok = true;
    while (!waiting_.empty() && producer_ && producer_->push(&waiting_.front(), 1, ok) == 1) {
      waiting_.pop_front();
      pushed_ = true;
    }
    if (!ok) corrupt_ = true;
  }

  link::Region* region_ = nullptr;
  std::optional<link::RingProducer<link::Event, link::EventRing::capacity>> producer_;
  std::deque<link::Event> waiting_;
  std::uint64_t lost_ = 0;
  bool pushed_ = false;
  bool corrupt_ = false;
};

}  // namespace sluice::dataplane
