// The estimator against the sizes of the real structures, and its split of a budget against trying
// everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "controlplane/link/route_store.hpp"
#include "controlplane/registry/registry.hpp"
#include "controlplane/store/estimator.hpp"
#include "controlplane/store/segment/segment_format.hpp"

namespace sluice::controlplane::store {
namespace {

// What the estimator takes for granted; who changes one of these changes estimator.cpp too.
static_assert(sizeof(Agent) == 64 && sizeof(Lease) == 48 && sizeof(RouteEntry) == 28);
static_assert(kExactRecordBytes == 32 && index::Record::kBytes == 12);

const EstimateItem* item(const Estimate& estimate, std::string_view name) {
  for (const auto& each : estimate.items)
    if (each.name == name) return &each;
  return nullptr;
}

TEST(Estimate, TenMillionAgents) {
  const auto result = estimate({.agents = 10'000'000, .capabilities = 1000});
  ASSERT_TRUE(result);
  // The targets of the index: 12.6 bytes per key of the base, about 33 of the hot exact part.
  const double base = static_cast<double>(item(*result, "base segments")->bytes) / 2 / 10e6;
  EXPECT_GT(base, 12.0);
  EXPECT_LE(base, 12.6);
  const double hot = static_cast<double>(item(*result, "index, hot part")->bytes) / 10e6;
  EXPECT_GT(hot, 33.0);
  EXPECT_LT(hot, 40.0);
  EXPECT_EQ(item(*result, "index, overlays")->bytes, 2U << 26);
  std::uint64_t sum = 0;
  for (const auto place : {Place::kControlPlane, Place::kDataplane, Place::kDisk})
    sum += result->total(place);
  std::uint64_t all = 0;
  for (const auto& each : result->items)
    all += each.bytes;
  EXPECT_EQ(sum, all);
}

TEST(Estimate, GrowsWithTheFleetAndIsNothingWithoutOne) {
  const auto fleet = [](std::uint64_t agents, std::uint64_t capabilities) {
    return estimate(
        {.agents = agents, .capabilities = capabilities, .overlay_bytes = 0, .base = false});
  };
  const auto none = fleet(0, 0);
  ASSERT_TRUE(none);
  for (const auto& each : none->items) {
    if (each.place == Place::kDataplane) continue;
    EXPECT_EQ(each.bytes, 0U) << each.name;
  }
  const auto one = fleet(1'000'000, 100);
  const auto ten = fleet(10'000'000, 1000);
  EXPECT_NEAR(
      static_cast<double>(ten->total(Place::kDisk)) / static_cast<double>(one->total(Place::kDisk)),
      10, 0.01);
}

TEST(Estimate, WithoutBaseAllRoutesAreInTheTable) {
  const auto result = estimate({.agents = 1'000'000, .base = false});
  ASSERT_TRUE(result);
  EXPECT_EQ(item(*result, "base segments"), nullptr);  // nor on the disk
  EXPECT_GT(item(*result, "route table")->bytes,
            4 * item(*estimate({.agents = 1'000'000}), "route table")->bytes);
}

TEST(Estimate, ABaseNeedsMoreThanItTakes) {
  const auto result = estimate({.agents = 1000});
  ASSERT_TRUE(result);
  const auto left = [&](Place place) {
    return std::ranges::count_if(result->items, [&](const EstimateItem& each) {
      return each.place == place && each.name == "left beside them" && each.bytes == 64U << 20;
    });
  };
  EXPECT_EQ(left(Place::kDataplane), 1);
  EXPECT_EQ(left(Place::kDisk), 1);
}

TEST(Estimate, TheDataplaneHasAllOfItsMemory) {
  const FleetSize fleet{.agents = 3'000'000, .capabilities = 100, .hosts = 1000};
  const auto result = estimate(fleet);
  ASSERT_TRUE(result);
  std::uint64_t reserved = 0;
  for (const auto* name :
       {"packet buffers", "route table", "adjacencies", "DPDK and rings", "room"})
    reserved += item(*result, name)->bytes;
  const auto sizes = router_sizes(fleet);
  EXPECT_NEAR(static_cast<double>(reserved), static_cast<double>(sizes.memory_mb << 20), 4);
  EXPECT_GE(item(*result, "room")->bytes, reserved / 17 - 1);
  EXPECT_GE(sizes.huge_pages << 21, reserved + item(*result, "base segments")->bytes);
}

TEST(RouterSizes, HaveRoomForMoreThanTheFleet) {
  for (const bool base : {true, false}) {
    const auto sizes =
        router_sizes({.agents = 1'000'000, .capabilities = 10'000, .base = base, .hosts = 50'000});
    EXPECT_TRUE(sizes.beyond.empty());
    EXPECT_GE(sizes.agents, 1'060'000U);
    EXPECT_GE(sizes.groups, 10'600U);
    EXPECT_GE(sizes.adjacencies, 53'000U);
    // A full delta, as much again while a base is built, the capabilities, and what is kept back.
    const auto filled = base ? 2 * sizes.base_delta_max : sizes.agents;
    EXPECT_GE(sizes.routes - sizes.routes / 32, filled + sizes.groups + 1);
  }
}

TEST(RouterSizes, RenewalsOfLeasesTakeHalfOfThePunts) {
  for (const std::uint64_t agents : {100UL, 50'000UL, 1'000'000UL, 900'000'000UL}) {
    const auto sizes = router_sizes({.agents = agents});
    EXPECT_LE(2 * 3 * sizes.agents / sizes.lease_s, sizes.punts_per_second) << agents;
  }
  EXPECT_EQ(router_sizes({.agents = 100}).lease_s, 5U);
  EXPECT_EQ(router_sizes({.agents = 1'000'000}).punts_per_second, 10'000U);
}

TEST(RouterSizes, SayWhatIsBeyondAnyRouter) {
  const auto beyond = [](const FleetSize& fleet) {
    const auto sizes = router_sizes(fleet);
    return sizes.beyond.size() == 1 ? sizes.beyond[0] : std::to_string(sizes.beyond.size());
  };
  EXPECT_EQ(beyond({.agents = 1 << 30}), "0");
  EXPECT_EQ(beyond({.agents = (1 << 30) + 1}), "1073741824 agents at most");
  EXPECT_EQ(beyond({.agents = 1, .capabilities = (1 << 20) + 1}),
            "1048576 different capabilities at most");
  EXPECT_EQ(beyond({.agents = 1, .hosts = (1 << 20) + 1}), "1048576 hosts at most");
  EXPECT_EQ(beyond({.agents = 40'000'000, .base = false})
                .find("33554432 routes at most without base segments, and it needs 4"),
            0U);
}

TEST(Estimate, RefusesNonsense) {
  EXPECT_FALSE(estimate({.agents = ~std::uint64_t{0}}));
  EXPECT_FALSE(estimate({.agents = 1, .capabilities_per_agent = -1}));
  EXPECT_FALSE(estimate({.agents = 1, .capabilities_per_agent = std::nan("")}));
  EXPECT_FALSE(estimate({.agents = 1, .name_bytes = 5000}));
  EXPECT_FALSE(estimate({.agents = 1, .lanes = 0}));
  EXPECT_FALSE(estimate({.agents = 1, .mbufs = 1000}));
}

using Uses = std::array<CacheUse, kCaches>;

TEST(SplitBudget, BeginsWithTheFirstShares) {
  const auto split = split_budget(
      1'000'000, Uses{{{.keys = 1'000'000}, {.keys = 1'000'000}, {.keys = 1'000'000}}});
  EXPECT_NEAR(split[0].share, 0.60, 1e-6);
  EXPECT_NEAR(split[1].share, 0.25, 1e-6);
  EXPECT_NEAR(split[2].share, 0.15, 1e-6);
  EXPECT_EQ(split[0].bytes, 600'000U);
  EXPECT_EQ(split[2].entries, 2343U);
  EXPECT_FALSE(split[0].expected_ratio);
}

TEST(SplitBudget, WhatOneCannotUseGoesToTheOthers) {
  const auto split =
      split_budget(1'000'000, Uses{{{.keys = 1'000'000}, {.keys = 1'000'000}, {.keys = 100}}});
  EXPECT_EQ(split[2].entries, 100U);
  EXPECT_NEAR(split[0].share / split[1].share, 0.60 / 0.25, 1e-4);
  EXPECT_NEAR(split[0].share + split[1].share + split[2].share, 1, 1e-6);
  const auto plenty = split_budget(1'000'000'000, Uses{{{.keys = 10}, {.keys = 20}, {.keys = 30}}});
  EXPECT_EQ(plenty[0].entries, 10U);
  EXPECT_EQ(plenty[1].entries, 20U);
  EXPECT_EQ(plenty[2].entries, 30U);
  for (const auto& share : split_budget(0, Uses{}))
    EXPECT_EQ(share.bytes, 0U);
}

double misses(const Uses& uses, const std::array<double, kCaches>& bytes) {
  double sum = 0;
  for (std::size_t i = 0; i < kCaches; ++i) {
    const double keys = static_cast<double>(uses[i].keys);
    const double t = std::log(uses[i].hits / uses[i].lookups) /
                     std::log(static_cast<double>(uses[i].entries) / keys);
    const double part = std::min(1.0, bytes[i] / (keys * static_cast<double>(kCacheEntryBytes[i])));
    sum += uses[i].lookups * uses[i].miss_cost * (1 - std::pow(part, t));
  }
  return sum;
}

TEST(SplitBudget, NoOtherSplitMissesLess) {
  const std::vector<Uses> cases = {
      {{{1'000'000, 1e6, 6e5, 60'000, 1},
        {500'000, 2e5, 1e5, 25'000, 3},
        {10'000, 5e5, 4e5, 1000, 2}}},
      {{{50'000, 1e6, 9e5, 20'000, 1},
        {5'000'000, 1e6, 1e5, 10'000, 1},
        {2'000, 1e4, 9e3, 500, 1}}},
      {{{1'000'000, 1e3, 1e2, 1'000, 1},
        {1'000'000, 1e6, 5e5, 1'000, 9},
        {1'000'000, 1e5, 1e4, 100, 1}}},
  };
  constexpr double kBudget = 2'000'000;
  for (const auto& uses : cases) {
    const auto split = split_budget(static_cast<std::uint64_t>(kBudget), uses);
    const double ours = misses(
        uses, {split[0].share * kBudget, split[1].share * kBudget, split[2].share * kBudget});
    double total = 0;
    for (const auto& share : split) {
      total += share.share;
      ASSERT_TRUE(share.expected_ratio);
      EXPECT_GE(share.share, 0.0);
    }
    EXPECT_LE(total, 1 + 1e-6);
    // All splits in steps of a hundredth that leave each its least share, or all it can use.
    for (int first = 0; first <= 100; ++first) {
      for (int second = 0; first + second <= 100; ++second) {
        const std::array<double, kCaches> shares = {first / 100.0, second / 100.0,
                                                    (100 - first - second) / 100.0};
        bool allowed = true;
        for (std::size_t i = 0; i < kCaches; ++i) {
          const double most = static_cast<double>(uses[i].keys * kCacheEntryBytes[i]) / kBudget;
          allowed = allowed && shares[i] >= std::min(kLeastShare, most);
        }
        if (!allowed) continue;
        EXPECT_LE(ours,
                  misses(uses, {shares[0] * kBudget, shares[1] * kBudget, shares[2] * kBudget}) *
                      (1 + 1e-6))
            << first << "/" << second;
      }
    }
  }
}

TEST(SplitBudget, MeasurementThatFitsNoCurveIsNoAccident) {
  // All hits, no hits, more entries than keys.
  const auto split = split_budget(
      1'000'000, Uses{{{1000, 10, 10, 5, 1}, {1'000'000, 10, 0, 5, 1}, {10, 10, 5, 100, 1}}});
  double total = 0;
  for (const auto& share : split) {
    EXPECT_TRUE(std::isfinite(share.share));
    total += share.share;
  }
  EXPECT_LE(total, 1 + 1e-6);
}

}  // namespace
}  // namespace sluice::controlplane::store
