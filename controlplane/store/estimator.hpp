// How much memory and disk a fleet takes, and how a memory budget for caches is best divided. Pure
// arithmetic, without a store: `sluice store estimate` calls it without a daemon. Any thread.
//
// The constants are sizes of structures of this version (estimator_test.cpp holds them against the
// real ones) and averages, so take the result as within some 15 %. Not in it: code, stacks, packet
// buffers, what the kernel needs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

inline constexpr std::uint64_t kMaxEstimateAgents = 1'000'000'000'000;

struct FleetSize {
  std::uint64_t agents = 0;
  std::uint64_t capabilities = 0;  // different names
  double capabilities_per_agent = 1;
  std::uint32_t name_bytes = 40;  // average, of agents and of capabilities
  std::uint32_t lanes = 4;
  std::uint64_t overlay_bytes = std::uint64_t{64} << 20;
  bool base = true;                // the dataplane gets a base segment
  std::uint64_t delta_routes = 0;  // that it has beside it; 0: the default, a tenth of the agents,
                                   // at least 100 000
};

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
