// Whether the peer's heartbeat stands still. What counts is that its value changes, by our clock:
// a peer that writes nonsense is neither believed nor told of more than once in
// kHeartbeatStalledNs. Manager thread only; no clock of its own.
#pragma once

#include <cstdint>

#include "sluice/link/region.hpp"

namespace sluice::dataplane {

class StallWatch {
 public:
  enum class Change : std::uint8_t { kNone, kStalled, kResumed };

  // A new connection, with its first heartbeat.
  void start(std::uint64_t now_ns, std::uint64_t heartbeat_ns) noexcept {
    *this = {};
    heartbeat_ns_ = heartbeat_ns;
    changed_ns_ = now_ns;
  }

  Change look(std::uint64_t now_ns, std::uint64_t heartbeat_ns) noexcept {
    silent_ns_ = now_ns - changed_ns_;
    if (heartbeat_ns != heartbeat_ns_) {
      heartbeat_ns_ = heartbeat_ns;
      changed_ns_ = now_ns;
      if (!stalled_) return Change::kNone;
      stalled_ = false;
      return Change::kResumed;
    }
    if (stalled_ || silent_ns_ <= link::kHeartbeatStalledNs) return Change::kNone;
    stalled_ = true;
    return Change::kStalled;
  }

  // How long it had stood still at the last look().
  std::uint64_t silent_ns() const noexcept { return silent_ns_; }

 private:
  std::uint64_t heartbeat_ns_ = 0;
  std::uint64_t changed_ns_ = 0;
  std::uint64_t silent_ns_ = 0;
  bool stalled_ = false;
};

}  // namespace sluice::dataplane
