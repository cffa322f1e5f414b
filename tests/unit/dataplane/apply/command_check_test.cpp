#include "dataplane/apply/command_check.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/unit/dataplane/apply/commands.hpp"

namespace sluice::dataplane {
namespace {

using link::Command;
using link::CommandKind;
using testing::command;

constexpr std::uint16_t kPorts = 2;

TEST(CommandCheck, EveryKindHasAValidForm) {
  const auto all = testing::one_of_each_kind();
  ASSERT_EQ(all.size(), link::kMaxCommandKind);
  for (const Command& good : all)
    EXPECT_TRUE(well_formed(good, kPorts)) << static_cast<int>(good.header.kind);
}

TEST(CommandCheck, HeaderBytesMustBeRight) {
  for (Command bad : testing::one_of_each_kind()) {
    bad.header.reserved = 1;
    EXPECT_FALSE(well_formed(bad, kPorts));
    bad.header.reserved = 0;
    bad.header.reserved2 = 1;
    EXPECT_FALSE(well_formed(bad, kPorts));
    bad.header.reserved2 = 0;
    bad.header.epoch = 0;
    EXPECT_FALSE(well_formed(bad, kPorts));
  }
}

TEST(CommandCheck, BytesBehindTheBodyMustBeZero) {
  for (Command bad : testing::one_of_each_kind()) {
    if (bad.header.kind == CommandKind::kAdjacencySet) continue;  // fills the body
    bad.body.bytes.back() = 1;
    EXPECT_FALSE(well_formed(bad, kPorts)) << static_cast<int>(bad.header.kind);
  }
}

TEST(CommandCheck, UnknownKindsAreNotKnown) {
  EXPECT_FALSE(known_kind(static_cast<CommandKind>(0)));
  EXPECT_FALSE(known_kind(static_cast<CommandKind>(link::kMaxCommandKind + 1)));
  EXPECT_FALSE(known_kind(static_cast<CommandKind>(255)));
  Command bad = command(static_cast<CommandKind>(255));
  EXPECT_FALSE(well_formed(bad, kPorts));
}

struct Bad {
  const char* what;
  CommandKind kind;
  std::function<void(Command&)> spoil;
};

TEST(CommandCheck, FieldsOutOfRangeAreRefused) {
  const std::vector<Bad> rows = {
      {"route kind none", CommandKind::kRouteSet,
       [](Command& c) { c.body.route_set.kind = ActionKind::kNone; }},
      {"route kind unknown", CommandKind::kRouteSet,
       [](Command& c) { c.body.route_set.kind = static_cast<ActionKind>(9); }},
      {"route reserved", CommandKind::kRouteSet, [](Command& c) { c.body.route_set.reserved = 1; }},
      {"route nil id", CommandKind::kRouteSet, [](Command& c) { c.body.route_set.id = {}; }},
      {"route without port", CommandKind::kRouteSet,
       [](Command& c) { c.body.route_set.udp_port = 0; }},
      {"adjacency port", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.port = kPorts; }},
      {"adjacency vlan", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.vlan = 4095; }},
      {"adjacency state", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.state = AdjacencyState::kFree; }},
      {"adjacency family", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.family = static_cast<Family>(5); }},
      {"adjacency multicast", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.mac[0] = 1; }},
      {"adjacency without mac", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.mac = {}; }},
      {"adjacency mtu", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.mtu = 67; }},
      {"adjacency reserved", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.reserved = 1; }},
      {"adjacency nowhere", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.destination = {}; }},
      {"adjacency long ipv4", CommandKind::kAdjacencySet,
       [](Command& c) { c.body.adjacency_set.destination[4] = 1; }},
      {"state free", CommandKind::kAdjacencyState,
       [](Command& c) { c.body.adjacency_state.state = AdjacencyState::kFree; }},
      {"state unknown", CommandKind::kAdjacencyState,
       [](Command& c) { c.body.adjacency_state.state = static_cast<AdjacencyState>(4); }},
      {"group too large", CommandKind::kGroupBegin,
       [](Command& c) { c.body.group_begin.members = kMaxGroupMembers + 1; }},
      {"group policy", CommandKind::kGroupBegin,
       [](Command& c) { c.body.group_begin.policy = static_cast<GroupPolicy>(2); }},
      {"group nil", CommandKind::kGroupBegin,
       [](Command& c) { c.body.group_begin.capability = {}; }},
      {"member weight 0", CommandKind::kGroupMember,
       [](Command& c) { c.body.group_member.weight = 0; }},
      {"member weight", CommandKind::kGroupMember,
       [](Command& c) { c.body.group_member.weight = 1001; }},
      {"member position", CommandKind::kGroupMember,
       [](Command& c) { c.body.group_member.position = kMaxGroupMembers; }},
      {"local port", CommandKind::kLocalAddress,
       [](Command& c) { c.body.local_address.port = kPorts; }},
      {"local present", CommandKind::kLocalAddress,
       [](Command& c) { c.body.local_address.present = 2; }},
      {"local nowhere", CommandKind::kLocalAddress,
       [](Command& c) { c.body.local_address.address = {}; }},
      {"peer present", CommandKind::kPeerAddress,
       [](Command& c) { c.body.peer_address.present = 2; }},
      {"tenant burst", CommandKind::kTenantSet, [](Command& c) { c.body.tenant_set.burst = 0; }},
      {"tenant reserved", CommandKind::kTenantSet,
       [](Command& c) { c.body.tenant_set.reserved = 1; }},
      {"allow present", CommandKind::kTenantAllow,
       [](Command& c) { c.body.tenant_allow.present = 2; }},
      {"guard", CommandKind::kPortSettings,
       [](Command& c) { c.body.port_settings.source_guard = 2; }},
      {"guard port", CommandKind::kPortSettings,
       [](Command& c) { c.body.port_settings.port = kPorts; }},
      {"message port", CommandKind::kSettings,
       [](Command& c) { c.body.settings.message_port = 0; }},
      {"hold", CommandKind::kSettings, [](Command& c) { c.body.settings.hold_ms = 600'001; }},
      {"trace none", CommandKind::kTraceStart, [](Command& c) { c.body.trace_start.count = 0; }},
      {"trace many", CommandKind::kTraceStart,
       [](Command& c) { c.body.trace_start.count = 10'001; }},
      {"route deletion mark", CommandKind::kRouteSet,
       [](Command& c) { c.body.route_set.kind = ActionKind::kDeleted; }},
      {"base nil", CommandKind::kBaseBegin, [](Command& c) { c.body.base_begin.segment = {}; }},
      {"base number", CommandKind::kBaseBegin, [](Command& c) { c.body.base_begin.number = 0; }},
      {"base dictionary", CommandKind::kBaseBegin,
       [](Command& c) { c.body.base_begin.dictionary = kMaxAdjacencies + 1; }},
      {"base position", CommandKind::kBaseAdjacency,
       [](Command& c) { c.body.base_adjacency.position = kMaxAdjacencies; }},
      {"commit of nil", CommandKind::kBaseCommit, [](Command& c) { c.body.base.segment = {}; }},
  };
  for (const Bad& row : rows) {
    Command bad = testing::valid(row.kind);
    row.spoil(bad);
    EXPECT_FALSE(well_formed(bad, kPorts)) << row.what;
  }
}

}  // namespace
}  // namespace sluice::dataplane
