#include "dataplane/app/notify.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace sluice::dataplane {

ServiceManager::ServiceManager() {
  std::uint64_t limit_us = 0;
  constexpr std::uint64_t kNsPerUs = 1000;
  if (::sd_watchdog_enabled(0, &limit_us) > 0) period_ns_ = limit_us * kNsPerUs / 3;
}

void ServiceManager::ready(const std::string& status) const {
  ::sd_notify(0, fmt::format("READY=1\nSTATUS={}", status).c_str());
}

void ServiceManager::stopping() const {
  ::sd_notify(0, "STOPPING=1\nSTATUS=stopping");
}

void ServiceManager::alive(std::uint64_t now_ns) {
  if (period_ns_ == 0 || now_ns < next_ns_) return;
  next_ns_ = now_ns + period_ns_;
  ::sd_notify(0, "WATCHDOG=1");
}

}  // namespace sluice::dataplane
