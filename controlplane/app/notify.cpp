#include "controlplane/app/notify.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {
void tell(const std::string& state) {
  ::sd_notify(0, state.c_str());
}
}  // namespace

void notify_ready(const std::string& status) {
  tell("READY=1\nSTATUS=" + status);
}
void notify_status(const std::string& status) {
  tell("STATUS=" + status);
}
void notify_stopping() {
  tell("STOPPING=1");
}
void notify_alive() {
  tell("WATCHDOG=1");
}
void notify_reloading() {
  tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_ns() / 1000));
}

std::uint64_t watchdog_period_ns() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) <= 0) return 0;
  return microseconds * 1000 / 2;
}

}  // namespace sluice::controlplane
