// When a write counts as done. Both the log and the index speak of it. A plain value; any thread.
// What is promised after a crash follows from it.
#pragma once

#include <cstdint>

namespace sluice::controlplane::store {

enum class Fsync : std::uint8_t {
  kEach,      // write() returns after the disk has it; concurrent writes share one fsync
  kInterval,  // every fsync_interval: a power loss takes at most that long
  kNever,     // the kernel decides; kill -9 of the process loses nothing
};

}  // namespace sluice::controlplane::store
