// A group: the members of a capability, and how one of them is chosen. Written by the applier as a
// whole (a new object replaces the old one after a grace period), read by workers.
#pragma once

#include <cstdint>

#include "sluice/route/limits.hpp"

namespace sluice {

enum class GroupPolicy : std::uint8_t {
  kRoundRobin = 0,
  kHash = 1,  // on the routing key: rendezvous (highest random weight), so that a leaving member
              // moves only its own keys
};
inline constexpr std::uint8_t kMaxGroupPolicy = 1;

}  // namespace sluice
