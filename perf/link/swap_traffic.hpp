// Messages to random agents through a worker on a null port, each checked when it leaves: did it go
// to a host that its route may lead to now? And how long the worker was away between two polls.
// The control thread says what may happen to a route before it makes it happen; the worker's thread
// makes and checks messages in callbacks of the port.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace sluice::perf {

class SwapTraffic {
 public:
  static constexpr std::uint32_t kHosts = 4;

  // The port has the worker's own callback already. Hosts are 10.1.0.0 + number.
  // `realtime`: the worker's thread goes before all ordinary ones on its CPU, as on an isolated
  // core.
  SwapTraffic(std::uint16_t port, std::uint64_t routes, bool realtime);

  // By the control thread. What may happen to messages of a route from now on: a bit per host, and
  // kMayVanish. A message that is made while kMayVanish is not set must be delivered.
  static constexpr std::uint8_t kMayVanish = 0x80;
  void allow(std::uint64_t route, std::uint8_t what) {
    allowed_[route].store(what, std::memory_order_release);
  }
  std::uint8_t allowed(std::uint64_t route) const {
    return allowed_[route].load(std::memory_order_relaxed);
  }

  struct Totals {
    std::uint64_t made = 0;
    std::uint64_t delivered = 0;
    std::uint64_t must = 0;  // made, and had to be delivered
    std::uint64_t must_delivered = 0;
    std::uint64_t wrong = 0;
  };
  // When the worker has stopped.
  Totals totals() const { return totals_; }

  // Times between two polls since the last call: the longest, and how many were above each of these
  // and not above the next.
  static constexpr std::array<std::uint32_t, 10> kGapUs{5,   10,  20,  50,  75,
                                                        100, 150, 250, 500, 1000};
  using Gaps = std::array<std::uint64_t, kGapUs.size()>;
  std::uint64_t take_longest_gap_tsc() { return longest_gap_.exchange(0); }
  Gaps take_gaps() {
    Gaps gaps;
    for (std::size_t i = 0; i < gaps.size(); ++i)
      gaps[i] = gaps_[i].exchange(0);
    return gaps;
  }

 private:
  static std::uint16_t make(std::uint16_t port, std::uint16_t queue, rte_mbuf** frames,
                            std::uint16_t n, std::uint16_t room, void* self);
  static std::uint16_t check(std::uint16_t port, std::uint16_t queue, rte_mbuf** frames,
                             std::uint16_t n, void* self);
  void note_gap(std::uint64_t now_tsc);

  std::uint64_t routes_;
  bool realtime_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> allowed_;
  // The worker's.
  alignas(64) Totals totals_;
  std::uint64_t random_ = 88172645463325252;
  std::uint64_t last_poll_tsc_ = 0;
  std::array<std::uint64_t, kGapUs.size()> gap_tsc_;
  std::atomic<std::uint64_t> longest_gap_{0};
  std::array<std::atomic<std::uint64_t>, kGapUs.size()> gaps_{};
};

}  // namespace sluice::perf
