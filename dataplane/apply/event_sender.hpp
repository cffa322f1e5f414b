// Puts events into the event ring of the current connection; drops and counts them when the ring
// is full or nobody is connected. Manager thread only.
#pragma once

#include <cstdint>
#include <optional>

#include "sluice/link/region.hpp"

namespace sluice::dataplane {

class EventSender {
 public:
  void attach(link::Region& region) noexcept {
    region_ = &region;
    producer_.emplace(region.events);
    lost_ = 0;
    pushed_ = corrupt_ = false;
  }
  void detach() noexcept {
    region_ = nullptr;
    producer_.reset();
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

  // Once per turn: whether the peer sleeps and has something new.
  bool take_wakeup() noexcept {
    if (!pushed_ || !producer_) return false;
    pushed_ = false;
    return producer_->needs_wakeup();
  }
  // The peer's index was impossible.
  bool corrupt() const noexcept { return corrupt_; }

 private:
  link::Region* region_ = nullptr;
  std::optional<link::RingProducer<link::Event, link::EventRing::capacity>> producer_;
  std::uint64_t lost_ = 0;
  bool pushed_ = false;
  bool corrupt_ = false;
};

}  // namespace sluice::dataplane
