// How an agent is written into the durable store: one record under its id, and the same for the
// last request of one that has just left, which must not be accepted again. Numbers are in network
// byte order:
//
//   0  version (1)          1  kind: 1 agent, 2 departed
//   departed: 2 last request ns (8)   10 not needed after, realtime ns (8)               18 bytes
//   agent:    2 origin      3  capabilities    4 bytes of name    5 bytes of peer
//             6 UDP port (2)      8 address (16)     24 added s (4)      28 lease granted s (4)
//            32 lease renewed, realtime ns (8)       40 last request ns (8)
//            48 moves (4)        52 name, peer, then per capability a byte of length and its text
//
// What is read is checked as far as anything can be checked: a record that does not fit is refused
// with the reason, never taken in part. Any thread; plain functions.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "controlplane/registry/stored_agent.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane {

// Appends to `out`.
void encode_agent(const StoredAgent& agent, std::vector<std::uint8_t>& out);
void encode_departed(const StoredDeparted& departed, std::vector<std::uint8_t>& out);

// The texts point into `bytes`. kCorrupt names the field.
Result<std::variant<StoredAgent, StoredDeparted>> decode_agent(const Id& id, std::uint16_t tenant,
                                                               std::span<const std::uint8_t> bytes);

}  // namespace sluice::controlplane
