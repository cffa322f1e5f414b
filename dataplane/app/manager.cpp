#include "dataplane/app/manager.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::uint64_t kLinkPollNs = 250 * kNsPerMs;
constexpr std::uint64_t kCountNs = kNsPerSecond;
constexpr int kPausedMs = 1;

// What an epoll event is about; host interfaces are kFirstInterface + port.
constexpr std::uint64_t kSignal = 0;
constexpr std::uint64_t kWaker = 1;
constexpr std::uint64_t kApply = 2;
constexpr std::uint64_t kFirstInterface = 16;

}  // namespace

Result<std::unique_ptr<Manager>> Manager::create(const Parts& parts) {
  std::unique_ptr<Manager> manager(new Manager(parts));
  manager->epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (manager->epoll_fd_ < 0)
    return fail(ErrorCode::kExhausted, fmt::format("epoll: {}", std::strerror(errno)));
  Status ok = manager->watch(parts.signal_fd, kSignal);
  if (ok) ok = manager->watch(parts.waker.event_fd(), kWaker);
  if (ok) ok = manager->watch(parts.apply.fd(), kApply);
  const auto& interfaces = parts.host.interfaces();
  for (std::size_t port = 0; ok && port < interfaces.size(); ++port)
    ok = manager->watch(interfaces[port].fd(), kFirstInterface + port);
  if (!ok) return std::unexpected(ok.error());
  return manager;
}

Manager::~Manager() {
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
}

Status Manager::watch(int fd, std::uint64_t tag) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = tag}};
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0)
    return fail(ErrorCode::kExhausted, fmt::format("epoll: {}", std::strerror(errno)));
  return {};
}

int Manager::run() {
  while (signal_ == 0) {
    bool more = parts_.apply.turn();
    more = parts_.host.to_kernel() || more;
    periodic(monotonic_ns());
    sleep_and_serve(more);
  }
  return signal_;
}

// With more to do it only looks; else it says that it sleeps, looks into all rings once more, and
// sleeps until an event or the next duty.
void Manager::sleep_and_serve(bool more) {
  std::array<epoll_event, 32> events;
  int timeout = 0;
  if (!more) {
    parts_.waker.prepare();
    const bool nothing = parts_.apply.prepare_sleep();
    if (nothing && parts_.host.idle()) timeout = timeout_ms(monotonic_ns());
  }
  const int n = ::epoll_wait(epoll_fd_, events.data(), events.size(), timeout);
  if (!more) {
    parts_.apply.finish_sleep();
    parts_.waker.finish();
  }
  const auto paused = std::exchange(paused_, {});
  for (const auto port : paused)
    pause_interface(port, false);
  for (int i = 0; i < n; ++i)
    serve(events[static_cast<std::size_t>(i)]);
}

void Manager::serve(const epoll_event& event) {
  const std::uint64_t tag = event.data.u64;
  if (tag == kSignal) {
    signalfd_siginfo info{};
    if (::read(parts_.signal_fd, &info, sizeof info) == sizeof info)
      signal_ = static_cast<int>(info.ssi_signo);
  } else if (tag >= kFirstInterface) {
    const auto port = static_cast<std::uint16_t>(tag - kFirstInterface);
    if ((event.events & EPOLLERR) != 0) return give_up_interface(port);
    if (parts_.host.from_kernel(port) == HostLink::Taken::kNoRoom) pause_interface(port, true);
  }
  // kWaker and kApply only end the sleep: the next turn does their work.
}

// A full ring must not make epoll return at once again and again.
void Manager::pause_interface(std::uint16_t port, bool pause) {
  epoll_event event{.events = pause ? 0U : EPOLLIN, .data = {.u64 = kFirstInterface + port}};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, parts_.host.interfaces()[port].fd(), &event);
  if (pause) paused_.push_back(port);
}

// Somebody deleted it. It stays gone, and epoll would say so without end.
void Manager::give_up_interface(std::uint16_t port) {
  const int fd = parts_.host.interfaces()[port].fd();
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr) != 0) return;
  spdlog::error(
      "event=host_interface_gone port={} interface={} effect=\"nothing but messages passes this "
      "port; restart the dataplane\"",
      parts_.status.port[port].name.data(), parts_.status.port[port].host_interface.data());
}

void Manager::periodic(std::uint64_t now_ns) {
  parts_.service.alive(now_ns);
  if (now_ns >= next_link_poll_ns_) {
    next_link_poll_ns_ = now_ns + kLinkPollNs;
    watch_links();
  }
  if (now_ns >= next_count_ns_) {
    next_count_ns_ = now_ns + kCountNs;
    parts_.ports.poll_missed();
    parts_.status.tables.mbufs = parts_.mempools.total();
    parts_.status.tables.mbufs_free = parts_.mempools.free();
  }
}

void Manager::watch_links() {
  for (const auto& change : parts_.ports.poll_links()) {
    const auto& name = parts_.status.port[change.port].name;
    spdlog::log(change.up ? spdlog::level::info : spdlog::level::warn,
                "event=port_link port={} link={} speed_mbps={}", name.data(),
                change.up ? "up" : "down", change.speed_mbps);
    parts_.apply.port_link(change.port, change.up, change.speed_mbps);
  }
}

int Manager::timeout_ms(std::uint64_t now_ns) const {
  if (!paused_.empty()) return kPausedMs;
  const auto next = std::min(next_link_poll_ns_, next_count_ns_);
  auto wait = next > now_ns ? next - now_ns : 0;
  if (parts_.service.period_ns() != 0) wait = std::min(wait, parts_.service.period_ns());
  // Rounded up: rounded down it would wake up too early and go round for nothing.
  const auto own = static_cast<int>((wait + kNsPerMs - 1) / kNsPerMs);
  return std::clamp(parts_.apply.timeout_ms(), 0, own);
}

}  // namespace sluice::dataplane
