// How much memory and disk a fleet takes, how large a router's limits must be for it, and how a
// memory budget for caches in front of routers is best divided. Pure arithmetic, without a store:
// `sluice store estimate` calls it without a daemon. Any thread.
//
// The constants are sizes of structures of this version (estimator_test.cpp and, for the dataplane,
// fleet_test.cpp hold them against the real ones) and averages, so take the result as within some
// 15 %. Not in it: code, stacks, what the kernel needs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

inline constexpr std::uint64_t kMaxEstimateAgents = 1'000'000'000'000;

// What the kernel's neighbour tables have by default: gc_thresh2, gc_thresh3.
inline constexpr std::uint64_t kNeighborsKept = 512;
inline constexpr std::uint64_t kNeighborsMost = 1024;

struct FleetSize {
  std::uint64_t agents = 0;
  std::uint64_t capabilities = 0;  // different names
  double capabilities_per_agent = 1;
  std::uint32_t name_bytes = 40;  // average, of agents and of capabilities
  std::uint32_t lanes = 4;
  std::uint64_t overlay_bytes = std::uint64_t{64} << 20;
  bool base = true;                // the dataplane gets a base segment
  std::uint64_t delta_routes = 0;  // that it has beside it; 0: a tenth of the agents, at least
                                   // 100 000
  std::uint64_t hosts = 0;         // addresses that agents live at; 0: as many as agents, as far as
                                   // a router can know so many
  std::uint64_t mbufs = 32768;     // packet buffers, whose number no fleet determines, but these:
  std::uint64_t ports = 1;
  std::uint64_t workers = 1;
};

// Limits of a router that holds a fleet, with margins: a sixteenth more agents, hosts and
// capabilities than there are, because those that left are still known until their leases end.
struct RouterSizes {
  std::uint64_t agents = 0;          // that may be known at once
  std::uint64_t routes = 0;          // places of the dataplane's route table
  std::uint64_t base_delta_max = 0;  // of them that may differ from the base; 0: there is none
  std::uint64_t adjacencies = 0;
  std::uint64_t groups = 0;
  std::uint64_t memory_mb = 0;   // of the dataplane, without base segments
  std::uint64_t huge_pages = 0;  // of 2 MiB, with base segments
  // Renewals of leases take half of these at most; the rest is for registrations and questions.
  std::uint64_t punts_per_second = 0;
  std::uint64_t lease_s = 0;  // the shortest with which that is so
  // Packet buffers that can be out at once, with the usual descriptors: fewer do not start.
  std::uint64_t mbufs_least = 0;
  // Places of the kernel's neighbour tables, one a family.
  std::uint64_t neighbors_kept = kNeighborsKept;  // that are thrown out only when they are old
  std::uint64_t neighbors_most = kNeighborsMost;  // more are refused
  // What is beyond any router, in words: "1048576 hosts at most". The fleet needs several
  // routers then, and the numbers above are as large as they can be.
  std::vector<std::string> beyond;
};

// A fleet that estimate() takes.
RouterSizes router_sizes(const FleetSize& fleet);

enum class Place : std::uint8_t { kControlPlane, kDataplane, kDisk };
std::string_view to_string(Place place) noexcept;  // "control plane"

struct EstimateItem {
  std::string_view name;  // "index, hot part"
  Place place = Place::kControlPlane;
  std::uint64_t bytes = 0;
  std::string_view why;  // what it is made of
};

struct Estimate {
  std::vector<EstimateItem> items;

  std::uint64_t total(Place place) const noexcept;
};

// kInvalidArgument: a number that no machine of ours has.
Result<Estimate> estimate(const FleetSize& fleet);

// --- dividing a cache budget --------------------------------------------------------------------

// Of agents and gateways that look names up at a router; the router itself has no caches.

enum class Cache : std::uint8_t { kPositive, kNegative, kCapability };
inline constexpr std::size_t kCaches = 3;
std::string_view to_string(Cache cache) noexcept;  // "positive"

// Bytes that one entry takes.
inline constexpr std::array<std::uint64_t, kCaches> kCacheEntryBytes = {32, 32, 64};
// Where to begin: 60, 25 and 15 hundredths.
inline constexpr std::array<double, kCaches> kFirstShares = {0.60, 0.25, 0.15};
// No cache gets less of what there is: with nothing in it nothing can be measured of it.
inline constexpr double kLeastShare = 0.05;

// What was seen of one cache.
struct CacheUse {
  std::uint64_t keys = 0;  // different ones that are asked for; more entries than that help nothing
  // Measured; without them the first shares stay.
  double lookups = 0;         // per second, or any unit that is the same for all
  double hits = 0;            // of them
  std::uint64_t entries = 0;  // that it had meanwhile
  double miss_cost = 1;       // of one miss, in any unit that is the same for all
};

struct CacheShare {
  std::uint64_t bytes = 0;
  std::uint64_t entries = 0;
  double share = 0;                      // of the budget
  std::optional<double> expected_ratio;  // hits per lookup; nothing when nothing was measured
};

// Without a measurement of every cache: the first shares. With them: the hit ratio of a cache of s
// of n keys is taken to be (s/n)^t, which is what popularity after a power law (Zipf) gives; t
// follows from the measured point. Then the sum of all misses, each at its cost, is least where the
// last byte is worth the same in all caches (Lagrange). What a cache cannot use goes to the others.
std::array<CacheShare, kCaches> split_budget(std::uint64_t budget_bytes,
                                             const std::array<CacheUse, kCaches>& uses);

}  // namespace sluice::controlplane::store
