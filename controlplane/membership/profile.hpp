// The protocol's constants: three profiles as the reference has them (memberlist 0.2.2 to 0.6:
// DefaultLANConfig, DefaultWANConfig, DefaultLocalConfig), and our own limits. Plain values; any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "controlplane/membership/messages.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {

// Times in nanoseconds. The names are the reference's.
struct Profile {
  std::uint64_t tcp_timeout_ns = 10 * kNsPerSecond;
  std::uint32_t indirect_checks = 3;
  std::uint32_t retransmit_mult = 4;
  std::uint32_t suspicion_mult = 4;
  std::uint32_t suspicion_max_timeout_mult = 6;
  std::uint64_t push_pull_interval_ns = 30 * kNsPerSecond;
  std::uint64_t probe_timeout_ns = 500 * kNsPerMs;
  std::uint64_t probe_interval_ns = 1 * kNsPerSecond;
  std::uint32_t awareness_max_multiplier = 8;
  std::uint32_t gossip_nodes = 3;
  std::uint64_t gossip_interval_ns = 200 * kNsPerMs;
  std::uint64_t gossip_to_the_dead_ns = 30 * kNsPerSecond;
  std::uint64_t dead_node_reclaim_ns = 0;  // 0: an address is never taken over from a dead member
};

constexpr Profile lan_profile() noexcept {
  return {};
}

constexpr Profile wan_profile() noexcept {
  Profile p;
  p.tcp_timeout_ns = 30 * kNsPerSecond;
  p.suspicion_mult = 6;
  p.push_pull_interval_ns = 60 * kNsPerSecond;
  p.probe_timeout_ns = 3 * kNsPerSecond;
  p.probe_interval_ns = 5 * kNsPerSecond;
  p.gossip_nodes = 4;
  p.gossip_interval_ns = 500 * kNsPerMs;
  p.gossip_to_the_dead_ns = 60 * kNsPerSecond;
  return p;
}

constexpr Profile local_profile() noexcept {
  Profile p;
  p.tcp_timeout_ns = 1 * kNsPerSecond;
  p.indirect_checks = 1;
  p.retransmit_mult = 2;
  p.suspicion_mult = 3;
  p.push_pull_interval_ns = 15 * kNsPerSecond;
  p.probe_timeout_ns = 200 * kNsPerMs;
  p.gossip_interval_ns = 100 * kNsPerMs;
  p.gossip_to_the_dead_ns = 15 * kNsPerSecond;
  return p;
}

// Parts of Lifeguard (arXiv 1707.00788 §IV) one by one; all off is plain SWIM with suspicion.
struct Lifeguard {
  bool local_health = true;  // LHA-Probe: our own slowness stretches the probe interval, nacks
  bool dogpile = true;       // LHA-Suspicion: long timeouts that confirmations shorten
  bool buddy = true;         // a suspected member is told so in the ping
};

// What the core refuses to go beyond, whatever comes in.
struct Limits {
  std::size_t members = 16384;        // in the list; further names are dropped and counted
  std::size_t lost_peers = 16384;     // in the address book; the oldest gives way
  std::size_t user_messages = 1024;   // queued; HandoffQueueDepth of the reference
  std::size_t user_bytes = 512;       // of one queued user message: must leave room in a packet
  std::size_t relays = 256;           // indirect pings under way for others
  std::size_t streams = 64;           // asked of the driver and not yet answered
  std::size_t pings_per_packet = 16;  // answered out of one packet
};

// Bytes of a datagram before label and encryption: UDPBufferSize of the reference.
inline constexpr std::size_t kUdpBufferBytes = 1400;

struct CoreConfig {
  std::string name;    // 1 to kMaxNameBytes bytes
  Endpoint advertise;  // where the others reach us
  Bytes meta;
  Vsn vsn = kOwnVsn;
  Profile profile;
  Lifeguard lifeguard;
  Limits limits;
  std::size_t packet_budget = kUdpBufferBytes;  // less seal_overhead()
  bool tcp_pings = true;
  // Whether a member with this Meta understands our user messages; none: every member does.
  std::function<bool(ByteView meta)> takes_hints;
};

}  // namespace sluice::membership
