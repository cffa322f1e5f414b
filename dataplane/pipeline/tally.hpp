// Counts of one burst, all of one ingress port, kept in the worker's own memory and added to the
// shared counters once per burst. Worker only.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <utility>

#include "sluice/link/status.hpp"

namespace sluice::dataplane {

// What a frame in an egress buffer is, for the counter it belongs to.
enum class FrameRole : std::uint8_t {
  kForwarded,  // a message on its way
  kCopy,       // of a message for several
  kAnswer,     // a message turned around: echo reply
  kNotice,
  kForeign,  // a complete frame of another thread that counts for itself
};

struct Tally {
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  std::uint64_t messages = 0;
  std::uint64_t released = 0;
  std::uint64_t to_host = 0;
  std::uint64_t to_host_dropped = 0;
  std::uint64_t replicated = 0;
  std::uint64_t held = 0;
  std::uint64_t punted = 0;
  std::uint64_t notices_limited = 0;
  std::uint64_t copies_dropped = 0;
  std::array<std::uint64_t, 5> sent{};  // by FrameRole; the last one is nobody's
  std::uint64_t reasons = 0;            // bit per reason that is not zero below
  std::array<std::uint32_t, kDropReasons> dropped{};

  void drop(DropReason reason, std::uint32_t n = 1) noexcept {
    const auto index = static_cast<std::size_t>(reason);
    dropped[index] += n;
    reasons |= std::uint64_t{1} << index;
  }
  std::uint64_t& of(FrameRole role) noexcept { return sent[std::to_underlying(role)]; }

  // Adds everything to the counters of the ingress port and starts at zero again.
  void publish(link::PortCounters& port) noexcept;
};
static_assert(kDropReasons <= 64);

inline void add_if_any(std::uint64_t& counter, std::uint64_t& n) noexcept {
  if (n == 0) return;
  link::add(counter, n);
  n = 0;
}

inline void Tally::publish(link::PortCounters& port) noexcept {
  add_if_any(port.frames, frames);
  add_if_any(port.bytes, bytes);
  add_if_any(port.messages, messages);
  add_if_any(port.released, released);
  add_if_any(port.to_host, to_host);
  add_if_any(port.to_host_dropped, to_host_dropped);
  add_if_any(port.replicated, replicated);
  add_if_any(port.held, held);
  add_if_any(port.punted, punted);
  add_if_any(port.notices_limited, notices_limited);
  add_if_any(port.copies_dropped, copies_dropped);
  add_if_any(port.forwarded, of(FrameRole::kForwarded));
  add_if_any(port.copies, of(FrameRole::kCopy));
  add_if_any(port.answered, of(FrameRole::kAnswer));
  add_if_any(port.notices, of(FrameRole::kNotice));
  for (; reasons != 0; reasons &= reasons - 1) {
    const auto index = static_cast<std::size_t>(std::countr_zero(reasons));
    link::add(port.dropped[index], dropped[index]);
    dropped[index] = 0;
  }
}

}  // namespace sluice::dataplane
