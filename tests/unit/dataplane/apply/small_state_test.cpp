#include "dataplane/apply/small_state.hpp"

#include <gtest/gtest.h>

namespace sluice::dataplane {
namespace {

TEST(SmallState, SnapshotHasWhatWasSaid) {
  const SmallState before = SmallState::initial();
  SmallState now = before;
  now.local[2].insert(*parse_ip("10.0.0.1"));
  now.peers.insert(*parse_ip("10.9.0.1"));
  now.source_guard[2] = false;
  now.settings.message_port = 7777;
  now.tenants[5] = {.limit = {.rate_per_second = 10, .burst = 2}, .allowed = {6, 7}};
  const auto snapshot = make_snapshot(ForwardingState{}, before, now);
  EXPECT_TRUE(snapshot->port[2].is_local(*parse_ip("10.0.0.1")));
  EXPECT_FALSE(snapshot->port[1].is_local(*parse_ip("10.0.0.1")));
  EXPECT_FALSE(snapshot->port[2].source_guard);
  EXPECT_TRUE(snapshot->port[1].source_guard);
  EXPECT_TRUE(snapshot->peers->contains(*parse_ip("10.9.0.1")));
  EXPECT_EQ(snapshot->message_port, 7777);
  EXPECT_TRUE(snapshot->tenants->allowed(5, 6));
  EXPECT_FALSE(snapshot->tenants->allowed(5, 8));
  EXPECT_EQ(snapshot->tenants->limit(snapshot->tenants->index_of(5)).rate_per_second, 10u);
}

TEST(SmallState, WhatIsNoLongerSaidGoesAndTheRestIsShared) {
  const SmallState nothing = SmallState::initial();
  SmallState first = nothing;
  first.peers.insert(*parse_ip("10.9.0.1"));
  first.tenants[5].allowed = {6, 7};
  first.tenants[8] = {};
  const auto one = make_snapshot(ForwardingState{}, nothing, first);
  SmallState second = first;
  second.tenants[5].allowed = {7};
  second.tenants.erase(8);
  const auto two = make_snapshot(*one, first, second);
  EXPECT_EQ(two->peers.get(), one->peers.get());
  EXPECT_FALSE(two->tenants->allowed(5, 6));
  EXPECT_TRUE(two->tenants->allowed(5, 7));
  EXPECT_EQ(two->tenants->index_of(5), one->tenants->index_of(5));
  EXPECT_EQ(two->tenants->index_of(8), Tenants::kNoTenant);
}

}  // namespace
}  // namespace sluice::dataplane
