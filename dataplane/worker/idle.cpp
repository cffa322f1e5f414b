#include "dataplane/worker/idle.hpp"

#include <rte_ethdev.h>
#include <rte_pause.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::uint64_t kNsPerUs = 1'000;
constexpr std::uint64_t kUsPerSecond = 1'000'000;

bool is_eventfd(int fd) {
  std::array<char, 64> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const auto length = ::readlink(link.c_str(), target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) ==
                           "anon_inode:[eventfd]";
}

}  // namespace

Idler::Idler(const WorkerContext& context)
    : policy_(context.idle),
      waker_(context.waker),
      spin_tsc_(context.tsc_hz / kUsPerSecond * context.idle_after_us / kSpinShare),
      pause_tsc_(context.tsc_hz / kUsPerSecond * context.idle_after_us),
      longest_sleep_ns_(std::max(context.idle_sleep_us * kNsPerUs, kFirstSleepNs)) {
  if (policy_ == IdlePolicy::kPoll) return;
  fds_.push_back({.fd = waker_->event_fd(), .events = POLLIN, .revents = 0});
  for (const ServedPort& served : context.served) {
    const std::uint16_t port = context.ports->port[served.port].dpdk_port;
    const int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port, served.rx_queue);
    if (fd < 0) {
      all_wake_ = false;
      continue;
    }
    with_interrupt_.push_back({port, served.rx_queue, fd, is_eventfd(fd)});
    fds_.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
}

Idler::Step Idler::step(std::uint64_t now_tsc) noexcept {
  if (policy_ == IdlePolicy::kPoll) return Step::kSpin;
  if (idle_since_tsc_ == 0) idle_since_tsc_ = now_tsc;
  const std::uint64_t idle_tsc = now_tsc - idle_since_tsc_;
  if (idle_tsc < spin_tsc_) return Step::kSpin;
  if (idle_tsc < pause_tsc_) {
    rte_pause();
    return Step::kSpin;
  }
  return Step::kSleep;
}

void Idler::prepare() noexcept {
  waker_->prepare();
  for (const Queue& queue : with_interrupt_)
    rte_eth_dev_rx_intr_enable(queue.dpdk_port, queue.queue);
}

std::uint64_t Idler::sleep() noexcept {
  const std::uint64_t limit_ns = all_wake_ ? kInterruptSleepNs : sleep_ns_;
  const timespec timeout{.tv_sec = 0, .tv_nsec = static_cast<long>(limit_ns)};
  const std::uint64_t start_ns = monotonic_ns();
  if (::ppoll(fds_.data(), fds_.size(), &timeout, nullptr) > 0) {
    read_counts();
    leave_broken();
  }
  sleep_ns_ = std::min(2 * sleep_ns_, longest_sleep_ns_);
  disarm();
  return monotonic_ns() - start_ns;
}

void Idler::read_counts() noexcept {
  for (std::size_t i = 0; i < with_interrupt_.size(); ++i) {
    if (!with_interrupt_[i].counts || (fds_[i + 1].revents & POLLIN) == 0) continue;
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(with_interrupt_[i].fd, &count, sizeof count);
  }
}

// The wire behind a queue is gone (a TAP device was deleted): its descriptor would end every sleep
// at once. Poll passes over negative ones; the queue is looked at after short sleeps instead.
void Idler::leave_broken() noexcept {
  for (std::size_t i = 1; i < fds_.size(); ++i) {
    if ((fds_[i].revents & (POLLERR | POLLHUP | POLLNVAL)) == 0) continue;
    fds_[i].fd = -1;
    all_wake_ = false;
  }
}

void Idler::cancel() noexcept {
  disarm();
}

void Idler::disarm() noexcept {
  for (const Queue& queue : with_interrupt_)
    rte_eth_dev_rx_intr_disable(queue.dpdk_port, queue.queue);
  waker_->finish();
}

}  // namespace sluice::dataplane
