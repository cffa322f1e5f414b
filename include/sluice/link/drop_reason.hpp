// The one list of reasons for which a message is not forwarded. Generates the enum, counter, metric
// label, text of the `sluice` command, and the reason told to the sender. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "sluice/wire/envelope.hpp"

namespace sluice {

// X(enumerator, metric label, text for people, notice to the sender when it asked for one)
// Append only: the position is the index of the counter in shared memory.
#define SLUICE_DROP_REASONS(X)                                                                    \
  X(kTruncated, "truncated", "frame ends before its headers do", kNone)                           \
  X(kChained, "chained", "message spread over several buffers", kNone)                            \
  X(kBadIpHeader, "bad_ip_header", "IP header length or total length is wrong", kNone)            \
  X(kBadIpChecksum, "bad_ip_checksum", "IPv4 header checksum is wrong", kNone)                    \
  X(kFragment, "fragment", "IP fragment", kNone)                                                  \
  X(kBadUdpLength, "bad_udp_length", "UDP length does not match the IP length", kNone)            \
  X(kNoUdpChecksum, "no_udp_checksum", "UDP over IPv6 without a checksum", kNone)                 \
  X(kBadVersion, "bad_version", "unknown envelope version", kNone)                                \
  X(kBadHeaderLength, "bad_header_length",                                                        \
    "envelope header length is too short or beyond the datagram", kNone)                          \
  X(kBadPayloadLength, "bad_payload_length", "payload length goes beyond the datagram", kNone)    \
  X(kUnknownType, "unknown_type", "unknown message type", kNone)                                  \
  X(kReservedBits, "reserved_bits", "a reserved bit or field is not zero", kNone)                 \
  X(kHopLimit, "hop_limit", "hop limit reached zero", kHopLimit)                                  \
  X(kExpired, "expired", "lifetime ended", kExpired)                                              \
  X(kTypeNotAllowed, "type_not_allowed", "type not allowed on this port", kNone)                  \
  X(kSourceDenied, "source_denied", "source id not registered from that address and port",        \
    kSourceDenied)                                                                                \
  X(kUnknownPeer, "unknown_peer", "trunk message from an address that is no peer", kNone)         \
  X(kTenantDenied, "tenant_denied", "tenant may not address that destination", kTenantDenied)     \
  X(kRateLimited, "rate_limited", "tenant over its message rate", kRateLimited)                   \
  X(kUnknownDestination, "unknown_destination", "nobody has that id", kUnknownDestination)        \
  X(kHoldFull, "hold_full", "hold queue full, for this id or in all", kCongested)                 \
  X(kHoldExpired, "hold_expired", "destination did not appear while the message was held",        \
    kUnknownDestination)                                                                          \
  X(kUnreachable, "unreachable", "destination known, but unreachable", kUnreachable)              \
  X(kAdjacencyDown, "adjacency_down", "next hop down and no backup", kUnreachable)                \
  X(kPortDown, "port_down", "egress port has no link", kUnreachable)                              \
  X(kEmptyGroup, "empty_group", "capability has no available member", kUnknownDestination)        \
  X(kTooBig, "too_big", "larger than the egress MTU", kTooBig)                                    \
  X(kEgressFull, "egress_full", "egress queue full", kCongested)                                  \
  X(kDispatchFull, "dispatch_full", "ring to another worker full", kCongested)                    \
  X(kPuntFull, "punt_full", "ring to the control plane full", kCongested)                         \
  X(kPuntLimited, "punt_limited", "over the rate of messages to the control plane", kRateLimited) \
  X(kPuntTooBig, "punt_too_big", "control message larger than a punt slot", kTooBig)              \
  X(kNoControlPlane, "no_control_plane", "control plane not connected", kUnreachable)             \
  X(kNoBuffer, "no_buffer", "no packet buffer, or no room in it", kCongested)                     \
  X(kNoRouteTable, "no_route_table", "dataplane not programmed by a control plane yet",           \
    kUnreachable)                                                                                 \
  X(kShutdown, "shutdown", "dataplane stopping", kNone)                                           \
  X(kForeignMac, "foreign_mac", "sent to another station's MAC address", kNone)

enum class DropReason : std::uint8_t {
#define SLUICE_X(name, label, text, notice) name,
  SLUICE_DROP_REASONS(SLUICE_X)
#undef SLUICE_X
      kCount
};
inline constexpr std::uint32_t kDropReasons = static_cast<std::uint32_t>(DropReason::kCount);
inline constexpr std::uint32_t kMaxDropReasons = 64;  // room in the shared counters
static_assert(kDropReasons <= kMaxDropReasons);

struct DropReasonInfo {
  std::string_view label;
  std::string_view text;
  NoticeReason notice;
};

inline constexpr std::array<DropReasonInfo, kDropReasons> kDropReasonInfo = {{
#define SLUICE_X(name, label, text, notice) {label, text, NoticeReason::notice},
    SLUICE_DROP_REASONS(SLUICE_X)
#undef SLUICE_X
}};

constexpr const DropReasonInfo& info(DropReason reason) noexcept {
  return kDropReasonInfo[static_cast<std::size_t>(reason)];
}

}  // namespace sluice
