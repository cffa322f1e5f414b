// An agent as it survives a restart, and one that has just left. Plain values; the texts belong to
// whoever made it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sluice/base/ids.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::controlplane {

enum class Origin : std::uint8_t {
  kNone = 0,
  kStatic = 1,      // configuration, agents file or API
  kRegistered = 2,  // in-band, with a lease
  kPeer = 3,        // reached by another router
};
constexpr std::string_view to_string(Origin origin) noexcept {
  constexpr std::string_view kNames[] = {"none", "static", "registered", "peer"};
  return kNames[static_cast<std::size_t>(origin)];
}

inline constexpr std::size_t kMaxCapabilitiesPerAgent = 32;
// The longest lease that a configuration can grant.
inline constexpr std::uint32_t kMaxLeaseSeconds = 86'400;

struct StoredAgent {
  Id id;
  std::string_view name;  // empty: known by id only
  std::uint16_t tenant = 0;
  Origin origin = Origin::kStatic;
  Endpoint endpoint;      // unspecified for a peer's agent
  std::string_view peer;  // name of the peer, for a peer's agent
  std::vector<std::string_view> capabilities;
  std::uint32_t added_s = 0;    // since the Unix epoch
  std::uint32_t granted_s = 0;  // the lease; 0 for others than registered ones
  std::uint64_t renewed_realtime_ns = 0;
  std::uint64_t request_timestamp_ns = 0;
  std::uint32_t moves = 0;
};

struct StoredDeparted {
  Id id;
  std::uint16_t tenant = 0;
  std::uint64_t request_timestamp_ns = 0;
  std::uint64_t until_realtime_ns = 0;
};

}  // namespace sluice::controlplane
