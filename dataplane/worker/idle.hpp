// What a worker does when there is nothing to do. Policy `poll`: it goes on. Policy `adaptive`: it
// spins for a while (so that messages close together never meet a sleeper), then spins with pauses,
// then sleeps until a queue, a ring or the time wakes it. Queues whose driver has receive
// interrupts wake it themselves; for the others the sleep is short and grows while nothing comes.
// Worker only.
#pragma once

#include <poll.h>

#include <cstdint>
#include <vector>

#include "dataplane/worker/context.hpp"

namespace sluice::dataplane {

class Idler {
 public:
  // After the ports are started: finds the receive interrupts.
  explicit Idler(const WorkerContext& context);

  enum class Step : std::uint8_t { kSpin, kSleep };
  // After a loop that found nothing, `now_tsc` its start. kSleep: time to sleep, through
  // prepare(), one more look at everything, and sleep() or cancel().
  Step step(std::uint64_t now_tsc) noexcept;
  void busy() noexcept {
    idle_since_tsc_ = 0;
    sleep_ns_ = kFirstSleepNs;
  }

  void prepare() noexcept;
  // Returns the nanoseconds slept. The worker must be offline for the tables' readers.
  std::uint64_t sleep() noexcept;
  void cancel() noexcept;

  // The first part of the time before the first sleep is spent without pauses: 1 / so much.
  static constexpr std::uint64_t kSpinShare = 4;
  // Sleeps with queues that cannot wake us: doubled from this up to the configured longest.
  static constexpr std::uint64_t kFirstSleepNs = 20'000;
  // With interrupts: the clock and the counters want to be looked after all the same.
  static constexpr std::uint64_t kInterruptSleepNs = 50'000'000;

 private:
  struct Queue {
    std::uint16_t dpdk_port;
    std::uint16_t queue;
    int fd;
    bool counts;  // an eventfd (vfio): it stays readable until it is read
  };

  void disarm() noexcept;
  void read_counts() noexcept;
  void leave_broken() noexcept;

  IdlePolicy policy_;
  Waker* waker_;
  std::uint64_t spin_tsc_;
  std::uint64_t pause_tsc_;
  std::uint64_t idle_since_tsc_ = 0;
  std::uint64_t longest_sleep_ns_;
  std::uint64_t sleep_ns_ = kFirstSleepNs;
  bool all_wake_ = true;  // every queue has an interrupt
  std::vector<Queue> with_interrupt_;
  std::vector<pollfd> fds_;  // the waker's first, then the queues'
};

}  // namespace sluice::dataplane
