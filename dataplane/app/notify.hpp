// Tells systemd how we are (sd_notify): ready, alive, stopping. Does nothing when it did not start
// us, and never blocks. Manager thread.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::dataplane {

class ServiceManager {
 public:
  ServiceManager();

  void ready(const std::string& status) const;
  void stopping() const;
  // Sends the watchdog's sign of life when it is due.
  void alive(std::uint64_t now_ns);
  // How often it must be given; 0: no watchdog.
  std::uint64_t period_ns() const noexcept { return period_ns_; }

 private:
  std::uint64_t period_ns_ = 0;
  std::uint64_t next_ns_ = 0;
};

}  // namespace sluice::dataplane
