#include "controlplane/store/estimator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sluice/route/limits.hpp"

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

// Of rte_hash, at its worst number of buckets; twice, because a table that gets another key is made
// beside the old one.
constexpr double kRoutePlace = 2 * 58;
constexpr double kAdjacency = 64 + 16;
constexpr double kGroup = 192 + 16;
constexpr double kGroupMember = 24;
constexpr double kMbuf = 2176 + 256;                // an MTU of 2026 at most
constexpr double kRingsAndDpdk = 44.0 * (1 << 20);  // rings of 16 workers
constexpr std::uint64_t kHugePageBytes = std::uint64_t{2} << 20;
constexpr std::uint64_t kMemoryStepMb = 64;
constexpr std::uint64_t kLeastDelta = 100'000;
constexpr std::uint64_t kLeastRoutes = 1024;
constexpr std::uint64_t kLeastGroups = 16;
constexpr std::uint64_t kLeastAdjacencies = 64;
// What the configuration allows at most.
constexpr std::uint64_t kMostRoutes = 33'554'432;
constexpr std::uint64_t kMostAgents = std::uint64_t{1} << 30;
constexpr std::uint64_t kMostIndex = std::uint64_t{1} << 20;  // adjacencies, groups
constexpr std::uint64_t kMostLease = 86'400;
constexpr std::uint64_t kMostPunts = 100'000'000;
constexpr std::uint64_t kLeastMbufs = 1024;
constexpr std::uint64_t kMostMbufs = 16'777'216;
constexpr std::uint64_t kMembersOfGroup = 64;
// Of one port: length of a queue; of one worker: buffers that it and its ring to the kernel keep.
constexpr std::uint64_t kDescriptors = 1024;
constexpr std::uint64_t kMbufCache = 256 * 3 / 2;
constexpr std::uint64_t kToHostRing = 1024;
constexpr std::uint64_t kMostHeld = 65536;
// Without huge pages, a base is only loaded, and never built, if so much is left beside it.
constexpr double kLeftBesideBase = 64.0 * (1 << 20);
constexpr double kMostCapabilities = 32;  // of one agent

constexpr std::uint64_t kLeastLease = 5;
constexpr std::uint64_t kUsualPunts = 10'000;
constexpr std::uint64_t kRenewalsPerLease = 3;

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
  if (!(fleet.capabilities_per_agent >= 0) || fleet.capabilities_per_agent > kMostCapabilities) {
    return refuse(fmt::format("capabilities per agent must be 0 to {}", kMostCapabilities));
  }
  if (fleet.name_bytes > 1024) return refuse("names have at most 1024 bytes");
  if (fleet.lanes == 0 || fleet.lanes > 64) return refuse("lanes must be 1 to 64");
  if (fleet.mbufs < kLeastMbufs || fleet.mbufs > kMostMbufs) {
    return refuse(fmt::format("packet buffers must be {} to {}", kLeastMbufs, kMostMbufs));
  }
  if (fleet.ports == 0 || fleet.ports > kMaxPorts || fleet.workers == 0 ||
      fleet.workers > kMaxWorkers) {
    return refuse(fmt::format("ports must be 1 to {}, workers 1 to {}", kMaxPorts, kMaxWorkers));
  }
  if (fleet.hosts > kMaxEstimateAgents) {
    return refuse(fmt::format("at most {} hosts", kMaxEstimateAgents));
  }
  return {};
}

std::uint64_t with_margin(std::uint64_t number) {
  return number + number / 16;
}

double base_bytes(const FleetSize& fleet) {
  return static_cast<double>(fleet.agents) * (kCompactRecord * kSlotsPerKey + kPilotsPerKey);
}

double memberships(const FleetSize& fleet) {
  return fleet.capabilities == 0 ? 0
                                 : static_cast<double>(fleet.agents) * fleet.capabilities_per_agent;
}

// What of dataplane.memory-mb is spoken for.
double reserved_bytes(const FleetSize& fleet, const RouterSizes& sizes) {
  return static_cast<double>(fleet.mbufs) * kMbuf +
         static_cast<double>(sizes.routes) * kRoutePlace +
         static_cast<double>(sizes.adjacencies) * kAdjacency + kRingsAndDpdk;
}

// A queue to receive for each worker and port, and one to send. Messages that wait may have a
// quarter of all buffers, rounded down, up to a limit.
std::uint64_t mbufs_least(const FleetSize& fleet) {
  const std::uint64_t queues = fleet.ports * 2 * fleet.workers;
  const std::uint64_t fixed =
      queues * kDescriptors + (fleet.workers + 1) * kMbufCache + fleet.workers * kToHostRing;
  return std::min((4 * fixed - 1) / 3, fixed + kMostHeld);
}

void at_most(std::uint64_t wanted, std::uint64_t most, std::string_view what,
             std::vector<std::string>& beyond) {
  if (wanted > most) beyond.push_back(fmt::format("{} {} at most", most, what));
}

// Leases so long that renewals stay within half of the punts that a router takes by default. When
// even the longest are too short for that, more punts.
void plan_leases(RouterSizes& sizes) {
  const std::uint64_t renewals = sizes.agents * kRenewalsPerLease;
  const std::uint64_t usual = kUsualPunts / 2;
  sizes.lease_s = std::clamp((renewals + usual - 1) / usual, kLeastLease, kMostLease);
  sizes.punts_per_second = std::clamp(2 * renewals / sizes.lease_s + 1, kUsualPunts, kMostPunts);
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

RouterSizes router_sizes(const FleetSize& fleet) {
  RouterSizes sizes;
  auto& beyond = sizes.beyond;
  // So that also few may come beside those that are counted.
  sizes.agents = std::min(with_margin(fleet.agents) + kLeastRoutes, kMostAgents);
  at_most(fleet.agents, kMostAgents, "agents", beyond);
  sizes.groups = std::min(with_margin(fleet.capabilities) + kLeastGroups, kMostIndex);
  at_most(fleet.capabilities, kMostIndex, "different capabilities", beyond);
  const std::uint64_t hosts = fleet.hosts != 0 ? fleet.hosts : std::min(fleet.agents, kMostIndex);
  sizes.adjacencies = std::min(with_margin(hosts) + kLeastAdjacencies, kMostIndex);
  at_most(hosts, kMostIndex, "hosts", beyond);

  // Half of the table is for what comes while a base is built. Capabilities, and the router itself,
  // are in no base; a thirty-second part of the table is kept for what must not be refused.
  const std::uint64_t others = sizes.groups + 1;
  const std::uint64_t delta =
      fleet.delta_routes != 0 ? fleet.delta_routes : std::max(kLeastDelta, fleet.agents / 10);
  const std::uint64_t in_table = fleet.base ? std::min(sizes.agents, 2 * delta) : sizes.agents;
  const std::uint64_t wanted = (with_margin(in_table + others) + kLeastRoutes) / 1024 * 1024;
  sizes.routes = std::min(wanted, kMostRoutes);
  if (!fleet.base && wanted > kMostRoutes) {
    beyond.push_back(
        fmt::format("{} routes at most without base segments, and it needs {} with "
                    "what may come beside it",
                    kMostRoutes, wanted));
  }
  if (fleet.base) sizes.base_delta_max = std::min(delta, (sizes.routes - others) / 2);

  const double reserved = reserved_bytes(fleet, sizes);
  sizes.memory_mb =
      (with_margin(bytes(reserved)) / (1 << 20) + kMemoryStepMb) / kMemoryStepMb * kMemoryStepMb;
  const std::uint64_t base_pages = fleet.base ? bytes(base_bytes(fleet)) / kHugePageBytes + 1 : 0;
  sizes.huge_pages = (sizes.memory_mb << 20) / kHugePageBytes + 2 * base_pages;
  plan_leases(sizes);
  sizes.mbufs_least = mbufs_least(fleet);
  sizes.neighbors_kept = std::max(kNeighborsKept, sizes.adjacencies);
  sizes.neighbors_most = std::max(kNeighborsMost, 2 * sizes.neighbors_kept);
  return sizes;
}

namespace {

// All of dataplane.memory-mb, which is taken at start, and what comes on top.
void add_dataplane(const FleetSize& fleet, const auto& add) {
  const RouterSizes sizes = router_sizes(fleet);
  const auto put = [&](std::string_view what, double size, std::string_view why) {
    add(what, Place::kDataplane, size, why);
  };
  put("packet buffers", static_cast<double>(fleet.mbufs) * kMbuf, "dataplane.mbufs");
  put("route table", static_cast<double>(sizes.routes) * kRoutePlace,
      fleet.base ? "dataplane.routes: changes since the base was made; twice while its key changes"
                 : "dataplane.routes: all routes; twice while its key changes");
  put("adjacencies", static_cast<double>(sizes.adjacencies) * kAdjacency, "dataplane.adjacencies");
  put("DPDK and rings", kRingsAndDpdk, "of 16 workers");
  put("room", static_cast<double>(sizes.memory_mb << 20) - reserved_bytes(fleet, sizes),
      "a sixteenth of dataplane.memory-mb, and what makes it a round number");
  const double members =
      std::min(memberships(fleet), static_cast<double>(fleet.capabilities * kMembersOfGroup));
  put("groups", static_cast<double>(sizes.groups) * kGroup + members * kGroupMember,
      "capabilities with 64 of their members at most");
  if (fleet.base) {
    put("base segments", 2 * base_bytes(fleet),
        "12-byte records and function; the present one and, while it is loaded, the next");
    put("left beside them", kLeftBesideBase, "without huge pages no base is loaded with less");
  }
}

}  // namespace

Result<Estimate> estimate(const FleetSize& fleet) {
  if (auto good = check(fleet); !good) return std::unexpected(std::move(good.error()));
  const auto agents = static_cast<double>(fleet.agents);
  const auto capabilities = static_cast<double>(fleet.capabilities);
  const double members = memberships(fleet);
  const double name = fleet.name_bytes;

  const double hot = agents * (1 + kUpperLevels) * (kExactRecord * kSlotsPerKey + kPilotsPerKey) +
                     agents * kUpperLevels * kFilterPerKey;
  const double record = kAgentRecord + name;
  const double cold = (1 + kUpperLevels) * (agents * (kColdEntry + kIdBytes + record) +
                                            members * (kCapabilityInRecord + name));
  const auto overlay = static_cast<double>(fleet.overlay_bytes);
  const double base = base_bytes(fleet);

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
      capabilities * (kCapabilityInMemory + name) + members * kMembership,
      "registry: names and members");
  add("routes", Place::kControlPlane, agents * (kRoute + kIndexOfIds),
      "what the dataplane is to have");
  add_dataplane(fleet, add);
  add("segments", Place::kDisk, hot + cold, "everything, once, and what is newer in upper levels");
  add("log", Place::kDisk, 2 * overlay, "what is not in segments yet");
  add("room for compaction", Place::kDisk, (hot + cold) / fleet.lanes,
      "the largest lane is written anew beside the old one");
  if (fleet.base) {
    add("base segments", Place::kDisk, 2 * (base + agents * kIdBytes),
        "with their ids; the present one and the next");
    add("left beside them", Place::kDisk, kLeftBesideBase, "no base is built with less");
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
