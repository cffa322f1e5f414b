#include "controlplane/store/estimator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sluice::controlplane::store {
namespace {

// Function of perfect hashing: slots per key, and a byte of pilot per 3.5 keys.
constexpr double kSlotsPerKey = 1 / 0.98;
constexpr double kPilotsPerKey = 1 / 3.5;
constexpr double kFilterPerKey = 1.5;
constexpr double kCompactRecord = 12;
constexpr double kExactRecord = 32;
// Of levelled compaction: the part of the keys that lies above the bottom level, old copies of what
// was changed among them.
constexpr double kUpperLevels = 0.15;

// One agent in the log and in segments: what goes before the key, the id, the record without names.
constexpr double kColdEntry = 26;
constexpr double kIdBytes = 16;
constexpr double kAgentRecord = 52;
constexpr double kCapabilityInRecord = 1;  // its length

constexpr double kAgentInMemory = 64;
constexpr double kLeaseInMemory = 48 + 8;    // and its entry in the wheel
constexpr double kIndexOfIds = 8;            // 5 to 11
constexpr double kNameInMemory = 2;          // beside its letters
constexpr double kCapabilityInMemory = 256;  // and its letters
constexpr double kMembership = 8;            // of an agent, in the registry
constexpr double kRoute = 28;

constexpr double kDeltaEntry = 52;  // of rte_hash, keys and table
constexpr double kGroup = 192;
constexpr double kGroupMember = 24;
constexpr std::uint64_t kLeastDelta = 100'000;

std::uint64_t bytes(double value) {
  return static_cast<std::uint64_t>(value + 0.5);
}

Status check(const FleetSize& fleet) {
  const auto refuse = [](std::string_view what) {
    return fail(ErrorCode::kInvalidArgument, std::string(what));
  };
  if (fleet.agents > kMaxEstimateAgents || fleet.capabilities > kMaxEstimateAgents) {
    return refuse(fmt::format("at most {} agents and capabilities", kMaxEstimateAgents));
  }
  if (!(fleet.capabilities_per_agent >= 0) || fleet.capabilities_per_agent > 1000) {
    return refuse("capabilities per agent must be 0 to 1000");
  }
  if (fleet.name_bytes > 1024) return refuse("names have at most 1024 bytes");
  if (fleet.lanes == 0 || fleet.lanes > 64) return refuse("lanes must be 1 to 64");
  return {};
}

}  // namespace

std::string_view to_string(Place place) noexcept {
  switch (place) {
    case Place::kControlPlane:
      return "control plane";
    case Place::kDataplane:
      return "dataplane";
    case Place::kDisk:
      return "disk";
  }
  return "unknown";
}

std::string_view to_string(Cache cache) noexcept {
  switch (cache) {
    case Cache::kPositive:
      return "positive";
    case Cache::kNegative:
      return "negative";
    case Cache::kCapability:
      return "capability";
  }
  return "unknown";
}

std::uint64_t Estimate::total(Place place) const noexcept {
  std::uint64_t sum = 0;
  for (const auto& item : items)
    if (item.place == place) sum += item.bytes;
  return sum;
}

Result<Estimate> estimate(const FleetSize& fleet) {
  if (auto good = check(fleet); !good) return std::unexpected(std::move(good.error()));
  const auto agents = static_cast<double>(fleet.agents);
  const auto capabilities = static_cast<double>(fleet.capabilities);
  const double memberships = fleet.capabilities == 0 ? 0 : agents * fleet.capabilities_per_agent;
  const double name = fleet.name_bytes;
  const std::uint64_t wanted_delta =
      fleet.delta_routes != 0 ? fleet.delta_routes : std::max(kLeastDelta, fleet.agents / 10);
  const double delta = fleet.base ? std::min(agents, static_cast<double>(wanted_delta)) : agents;

  const double hot = agents * (1 + kUpperLevels) * (kExactRecord * kSlotsPerKey + kPilotsPerKey) +
                     agents * kUpperLevels * kFilterPerKey;
  const double record = kAgentRecord + name;
  const double cold = (1 + kUpperLevels) * (agents * (kColdEntry + kIdBytes + record) +
                                            memberships * (kCapabilityInRecord + name));
  const auto overlay = static_cast<double>(fleet.overlay_bytes);
  const double base_bytes = agents * (kCompactRecord * kSlotsPerKey + kPilotsPerKey);

  Estimate result;
  const auto add = [&](std::string_view what, Place place, double size, std::string_view why) {
    result.items.push_back({what, place, bytes(size), why});
  };
  add("index, hot part", Place::kControlPlane, hot,
      "32-byte records, function, filters; mapped, so the kernel may take it back");
  add("index, overlays", Place::kControlPlane, 2 * overlay, "one is filled, one written out");
  add("agents", Place::kControlPlane,
      agents * (kAgentInMemory + kLeaseInMemory + kIndexOfIds + kNameInMemory + name),
      "registry: endpoint, lease, name, index of ids");
  add("capabilities", Place::kControlPlane,
      capabilities * (kCapabilityInMemory + name) + memberships * kMembership,
      "registry: names and members");
  add("routes", Place::kControlPlane, agents * (kRoute + kIndexOfIds),
      "what the dataplane is to have");
  if (fleet.base) {
    add("base segment", Place::kDataplane, base_bytes, "12-byte records and function");
  }
  add("delta", Place::kDataplane, delta * kDeltaEntry,
      fleet.base ? "changes since the base was made" : "all routes");
  add("groups", Place::kDataplane, capabilities * kGroup + memberships * kGroupMember,
      "capabilities with their members");
  add("segments", Place::kDisk, hot + cold, "everything, once, and what is newer in upper levels");
  add("log", Place::kDisk, 2 * overlay, "what is not in segments yet");
  add("room for compaction", Place::kDisk, (hot + cold) / fleet.lanes,
      "the largest lane is written anew beside the old one");
  if (fleet.base) {
    add("base segments", Place::kDisk, 2 * (base_bytes + agents * kIdBytes),
        "with their ids; the present one and the next");
  }
  return result;
}

namespace {

// (s/n)^t through the measured point. Below 0 and above 1 there is no such curve.
double exponent(const CacheUse& use) {
  const double ratio = std::clamp(use.hits / use.lookups, 1e-6, 1 - 1e-6);
  const double part =
      std::clamp(static_cast<double>(use.entries) / static_cast<double>(use.keys), 1e-9, 1 - 1e-6);
  return std::clamp(std::log(ratio) / std::log(part), 1e-3, 0.999);
}

bool measured(const CacheUse& use) {
  return use.lookups > 0 && use.hits >= 0 && use.hits <= use.lookups && use.entries > 0 &&
         use.keys > 0 && use.miss_cost > 0;
}

struct Limits {
  double least = 0;
  double most = 0;
};

using Sizes = std::array<double, kCaches>;  // bytes

// Gives what is over the limits of some to the others, by their weight.
Sizes fill(double budget, const Sizes& weight, const std::array<Limits, kCaches>& limits) {
  // The amount per weight at which all together take the budget; found by halving.
  double low = 0;
  double high = budget / std::ranges::min(weight);
  Sizes sizes{};
  for (int step = 0; step < 200; ++step) {
    const double level = (low + high) / 2;
    for (std::size_t i = 0; i < kCaches; ++i)
      sizes[i] = std::clamp(level * weight[i], limits[i].least, limits[i].most);
    (std::accumulate(sizes.begin(), sizes.end(), 0.0) > budget ? high : low) = level;
  }
  return sizes;
}

// The sizes at which one more byte is worth the same in all.
Sizes balance(double budget, const std::array<CacheUse, kCaches>& uses,
              const std::array<Limits, kCaches>& limits) {
  Sizes exponents{};
  Sizes gain{};  // of a hit ratio of 1
  for (std::size_t i = 0; i < kCaches; ++i) {
    exponents[i] = exponent(uses[i]);
    gain[i] = uses[i].lookups * uses[i].miss_cost;
  }
  const auto size_at = [&](std::size_t i, double log_price) {
    // d/ds gain (s/most)^t = gain t / most (s/most)^(t-1) = price
    const double log_part =
        (log_price + std::log(limits[i].most) - std::log(gain[i]) - std::log(exponents[i])) /
        (exponents[i] - 1);
    const double part = std::exp(std::clamp(log_part, -100.0, 0.0));
    return std::clamp(part * limits[i].most, limits[i].least, limits[i].most);
  };
  double low = -500;  // of the logarithm of the price
  double high = 500;
  Sizes sizes{};
  for (int step = 0; step < 300; ++step) {
    const double price = (low + high) / 2;
    for (std::size_t i = 0; i < kCaches; ++i)
      sizes[i] = size_at(i, price);
    (std::accumulate(sizes.begin(), sizes.end(), 0.0) > budget ? low : high) = price;
  }
  return sizes;
}

}  // namespace

std::array<CacheShare, kCaches> split_budget(std::uint64_t budget_bytes,
                                             const std::array<CacheUse, kCaches>& uses) {
  const auto budget = static_cast<double>(budget_bytes);
  std::array<Limits, kCaches> limits;
  for (std::size_t i = 0; i < kCaches; ++i) {
    const auto most = static_cast<double>(uses[i].keys) * static_cast<double>(kCacheEntryBytes[i]);
    limits[i] = {std::min(most, kLeastShare * budget), most};
  }
  const bool known = std::ranges::all_of(uses, measured);
  const Sizes sizes = known ? balance(budget, uses, limits) : fill(budget, kFirstShares, limits);
  std::array<CacheShare, kCaches> shares;
  for (std::size_t i = 0; i < kCaches; ++i) {
    shares[i].entries =
        static_cast<std::uint64_t>(sizes[i] / static_cast<double>(kCacheEntryBytes[i]) + 1e-6);
    shares[i].bytes = shares[i].entries * kCacheEntryBytes[i];
    shares[i].share = budget_bytes == 0 ? 0 : sizes[i] / budget;
    if (known) {
      const double part = sizes[i] / limits[i].most;
      shares[i].expected_ratio = std::pow(part, exponent(uses[i]));
    }
  }
  return shares;
}

}  // namespace sluice::controlplane::store
