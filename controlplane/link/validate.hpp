// Checks of what came out of the shared region. Pure functions, any thread; they must be given
// private copies, since the dataplane may write to the region at any time.
#pragma once

#include "sluice/link/messages.hpp"

namespace sluice::controlplane {

bool valid_event(const link::Event& event) noexcept;
// A kMessage slot as the dataplane fills it: lengths, port, family and addresses are possible.
bool valid_punt(const link::SlotHeader& header) noexcept;
bool valid_trace(const link::TraceRecord& record) noexcept;

}  // namespace sluice::controlplane
