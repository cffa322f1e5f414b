// Frames that wait because their egress port takes no more: one first-in-first-out queue per
// traffic class, a common limit. Highest class leaves first; when the limit is reached, the
// newest frame of the lowest class makes way. Worker only; never allocates.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <bit>
#include <cstdint>

#include "sluice/wire/envelope.hpp"

namespace sluice::dataplane {

class ClassQueue {
 public:
  static constexpr std::uint32_t kLimit = 512;  // frames, over all classes

  std::uint32_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  // A frame of this class would be the one that makes way.
  bool refuses(unsigned traffic_class) const noexcept {
    return size_ == kLimit && traffic_class <= lowest();
  }

  // Returns the frame that had to make way, which may be the new one; null when all have room.
  rte_mbuf* push(rte_mbuf* frame, unsigned traffic_class) noexcept {
    rte_mbuf* out = nullptr;
    if (size_ == kLimit) {
      if (refuses(traffic_class)) return frame;
      Fifo& victim = fifo_[lowest()];
      out = victim.at[--victim.tail % kLimit];
      removed(victim, 1);
    }
    Fifo& fifo = fifo_[traffic_class];
    fifo.at[fifo.tail++ % kLimit] = frame;
    used_ |= 1u << traffic_class;
    ++size_;
    return out;
  }

  // Copies out up to n frames, best class first and in order within it, without removing them.
  std::uint32_t front(rte_mbuf** out, std::uint32_t n) const noexcept {
    std::uint32_t found = 0;
    for (std::uint32_t left = used_; left != 0 && found < n;) {
      const unsigned best = 31u - static_cast<unsigned>(std::countl_zero(left));
      left &= ~(1u << best);
      const Fifo& fifo = fifo_[best];
      for (std::uint32_t i = fifo.head; i != fifo.tail && found < n; ++i)
        out[found++] = fifo.at[i % kLimit];
    }
    return found;
  }
  // Removes the first n frames that front() gives.
  void pop(std::uint32_t n) noexcept {
    while (n != 0) {
      Fifo& fifo = fifo_[31u - static_cast<unsigned>(std::countl_zero(used_))];
      const std::uint32_t here = fifo.tail - fifo.head < n ? fifo.tail - fifo.head : n;
      fifo.head += here;
      removed(fifo, here);
      n -= here;
    }
  }

 private:
  struct Fifo {
    std::uint32_t head = 0;
    std::uint32_t tail = 0;
    std::array<rte_mbuf*, kLimit> at;
  };
  static_assert((kLimit & (kLimit - 1)) == 0);

  unsigned lowest() const noexcept { return static_cast<unsigned>(std::countr_zero(used_)); }
  void removed(Fifo& fifo, std::uint32_t n) noexcept {
    size_ -= n;
    if (fifo.head == fifo.tail) used_ &= ~(1u << static_cast<unsigned>(&fifo - fifo_.data()));
  }

  std::uint32_t size_ = 0;
  std::uint32_t used_ = 0;  // bit per class that has frames
  std::array<Fifo, kTrafficClasses> fifo_;
};

}  // namespace sluice::dataplane
