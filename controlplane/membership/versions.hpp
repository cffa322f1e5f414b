// Whether two members can talk: memberlist's protocol and delegate versions, each with a range and
// the one that is spoken. No state; any thread.
#pragma once

#include <cstdint>

#include "controlplane/membership/messages.hpp"

namespace sluice::membership {

// Two ranges of versions, and each side speaks one that the other knows.
constexpr bool versions_meet(std::uint8_t min, std::uint8_t max, std::uint8_t current,
                             std::uint8_t own_min, std::uint8_t own_max,
                             std::uint8_t own_current) noexcept {
  return min <= max && current >= own_min && current <= own_max && own_current >= min &&
         own_current <= max;
}

// A member whose delegate versions do not meet ours makes every later push/pull of stock peers
// fail, whoever is in it: such a one is never let into the list nor passed on.
constexpr bool versions_meet(const Vsn& vsn, const Vsn& own) noexcept {
  return vsn.protocol_min != 0 &&
         versions_meet(vsn.protocol_min, vsn.protocol_max, vsn.protocol_current, own.protocol_min,
                       own.protocol_max, own.protocol_current) &&
         versions_meet(vsn.delegate_min, vsn.delegate_max, vsn.delegate_current, own.delegate_min,
                       own.delegate_max, own.delegate_current);
}

}  // namespace sluice::membership
