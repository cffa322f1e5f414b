// What systemd is told, and how often it wants to hear that we live. Nothing happens when systemd
// did not start us. Control thread.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::controlplane {

void notify_ready(const std::string& status);
void notify_status(const std::string& status);
void notify_stopping();
void notify_alive();
void notify_reloading();
// Half of what systemd waits for before it kills us; 0: it does not watch.
std::uint64_t watchdog_period_ns();

}  // namespace sluice::controlplane
