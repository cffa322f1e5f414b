// Notices: the answer to a message that asked to be told when it cannot be delivered. Made in the
// buffer of that message. Used by workers, and by the manager thread for messages that ran out of
// time in the hold queue; each for its own buffers.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/pipeline/parse.hpp"
#include "dataplane/table/forwarding_state.hpp"

namespace sluice::dataplane {

inline constexpr std::uint8_t kFirstHopLimit = 64;  // of messages that this router makes

// Whether the message wants and may have one: it asked, and is neither a notice nor a reply.
bool wants_notice(const Envelope& envelope) noexcept;

// Turns the message into the notice, ready to be sent back out of the port it came in on: Ethernet,
// IP and UDP turned around, a new envelope, and the message's own envelope as payload. `frame` is
// unmodified since it was received. False when it cannot be done (shared buffer, no room, no port
// to send it to); the frame is then unchanged.
bool make_notice(rte_mbuf& frame, const Parsed& parsed, const ForwardingState& state,
                 NoticeReason reason, std::uint64_t now_ns) noexcept;

// The layout of a message that was held or punted (l2_len and l3_len of its mbuf).
Parsed parsed_of_held(const rte_mbuf& frame) noexcept;

}  // namespace sluice::dataplane
