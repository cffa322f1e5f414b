#include <chrono>
#include <future>
#include <thread>

#include "controlplane/api/services.hpp"

namespace sluice::controlplane {

namespace {
using namespace std::chrono_literals;
constexpr auto kLongestWait = 2s;
constexpr auto kLongestDisk = 20s;
constexpr int kLooks = 30;  // at the kernel's answers, 10 ms apart
}  // namespace

void wait_applied(ControlThread& control, const Subsystems& subsystems) {
  // The way to a new address is asked of the kernel first.
  for (int look = 0; look < kLooks; ++look) {
    const bool decided = control.run([&] {
      return subsystems.link.info().state != LinkState::kReady ||
             subsystems.forwarding.hops_undecided() == 0;
    });
    if (decided) break;
    std::this_thread::sleep_for(10ms);
  }
  const auto done = std::make_shared<std::promise<void>>();
  auto applied = done->get_future();
  const bool connected = control.run([&] {
    if (subsystems.link.info().state != LinkState::kReady) return false;
    subsystems.link.when_applied([done](const sluice::Status&) { done->set_value(); });
    return true;
  });
  if (connected) applied.wait_for(kLongestWait);
}

Status wait_durable(ControlThread& control, const Subsystems& subsystems) {
  const auto done = std::make_shared<std::promise<Status>>();
  auto durable = done->get_future();
  control.run([&] {
    subsystems.runtime.when_durable([done](const Status& status) { done->set_value(status); });
  });
  if (durable.wait_for(kLongestDisk) == std::future_status::ready) return durable.get();
  return fail(ErrorCode::kTimeout, "the disk of the store does not answer", ErrorOrigin::kStore,
              true);
}

}  // namespace sluice::controlplane
