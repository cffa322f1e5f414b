// Checks of a command that need no tables: kinds, ranges, reserved bytes. Pure functions, any
// thread; they must be given a private copy, since the control plane may write to the ring.
#pragma once

#include "sluice/link/messages.hpp"

namespace sluice::dataplane {

// False when a field can never be right, whatever the state. Handles and epochs are the applier's
// to check; `ports` is the number of ports.
bool well_formed(const link::Command& command, std::uint16_t ports) noexcept;

// True when the kind is one of the list.
constexpr bool known_kind(link::CommandKind kind) noexcept {
  const auto number = static_cast<std::uint8_t>(kind);
  return number >= 1 && number <= link::kMaxCommandKind;
}

}  // namespace sluice::dataplane
