// The programmer against a model of the dataplane that refuses what the real one would.
#include "controlplane/link/programmer.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace sluice::controlplane {
namespace {

using link::Command;
using link::CommandKind;

Id id(std::uint32_t n) {
  Id made;
  store(made.bytes.data(), n);
  made.bytes[15] = 1;
  return made;
}

struct Model final : CommandWriter {
  std::uint32_t room = UINT32_MAX;
  std::uint8_t epoch = 0;
  bool ended = false;
  int sweeps = 0;
  std::map<std::uint32_t, link::AdjacencySet> adjacencies;
  std::map<std::uint32_t, Id> groups;
  std::uint32_t open_group = kNoIndex;
  std::uint16_t members_left = 0;
  std::map<Id, link::RouteSet> routes;
  std::vector<CommandKind> seen;

  std::uint32_t write(const Command* commands, std::uint32_t n) override {
    n = std::min(n, room);
    for (std::uint32_t i = 0; i < n; ++i)
      take(commands[i]);
    room -= n;
    return n;
  }

  void take(const Command& command) {
    seen.push_back(command.header.kind);
    const auto& body = command.body;
    if (command.header.kind == CommandKind::kBeginSync) {
      epoch = command.header.epoch;
      adjacencies.clear();
      groups.clear();
      routes.clear();
      ended = false;
    }
    EXPECT_EQ(command.header.epoch, epoch);
    switch (command.header.kind) {
      case CommandKind::kEndSync:
        ended = true;
        break;
      case CommandKind::kSweep:
        EXPECT_TRUE(ended);
        ++sweeps;
        break;
      case CommandKind::kAdjacencySet:
        if (body.adjacency_set.backup != kNoIndex) {
          EXPECT_TRUE(adjacencies.contains(body.adjacency_set.backup));
        }
        adjacencies[body.adjacency_set.handle] = body.adjacency_set;
        break;
      case CommandKind::kAdjacencyState:
        ASSERT_TRUE(adjacencies.contains(body.adjacency_state.handle));
        adjacencies[body.adjacency_state.handle].state = body.adjacency_state.state;
        break;
      case CommandKind::kAdjacencyDelete:
        EXPECT_EQ(adjacencies.erase(body.adjacency_delete.handle), 1u);
        for (const auto& [route, set] : routes)
          EXPECT_FALSE(set.kind == ActionKind::kAdjacency &&
                       set.handle == body.adjacency_delete.handle);
        break;
      case CommandKind::kGroupBegin:
        open_group = body.group_begin.handle;
        members_left = body.group_begin.members;
        break;
      case CommandKind::kGroupMember:
        EXPECT_EQ(body.group_member.group, open_group);
        EXPECT_TRUE(adjacencies.contains(body.group_member.adjacency));
        --members_left;
        break;
      case CommandKind::kGroupCommit:
        EXPECT_EQ(members_left, 0);
        groups[body.group.handle] = {};
        break;
      case CommandKind::kGroupDelete:
        EXPECT_EQ(groups.erase(body.group.handle), 1u);
        break;
      case CommandKind::kRouteSet:
        if (body.route_set.kind == ActionKind::kAdjacency) {
          EXPECT_TRUE(adjacencies.contains(body.route_set.handle));
        }
        if (body.route_set.kind == ActionKind::kGroup) {
          EXPECT_TRUE(groups.contains(body.route_set.handle));
        }
        routes[body.route_set.id] = body.route_set;
        break;
      case CommandKind::kRouteDelete:
        routes.erase(body.route_delete.id);
        break;
      default:
        break;
    }
  }
};

struct ProgrammerTest : ::testing::Test {
  Programmer programmer;
  Model model;
  Feed& feed = programmer.feed();

  void pump(std::uint64_t now_ns = 1) {
    while (feed.pump(model, 1000, now_ns)) {
      if (model.room == 0) model.room = 1 + static_cast<std::uint32_t>(model.seen.size() % 7);
    }
  }
  void connect(std::uint8_t epoch = 1) {
    feed.start_replay(epoch);
    pump();
  }
  std::uint32_t adjacency(std::uint32_t host, AdjacencyState state = AdjacencyState::kUp,
                          std::uint32_t backup = kNoIndex) {
    return programmer
        .set_adjacency(key(host), {.source = *parse_ip("10.0.0.1"),
                                   .mac = {2, 0, 0, 0, 0, 1},
                                   .state = state,
                                   .backup = backup})
        .value();
  }
  static AdjacencyKey key(std::uint32_t host) {
    return {.port = 0, .destination = IpAddress::v4(Big32(0x0a000100u + host))};
  }
  Status route(std::uint32_t n, std::uint32_t handle, std::uint16_t udp_port = 9000) {
    return programmer.set_route(
        id(n), {.kind = ActionKind::kAdjacency, .handle = handle, .udp_port = udp_port});
  }
};

TEST_F(ProgrammerTest, ReplayBeginsWithTheKeyAndEnds) {
  route(1, adjacency(1)).value();
  connect(9);
  ASSERT_GE(model.seen.size(), 4u);
  EXPECT_EQ(model.seen[0], CommandKind::kBeginSync);
  EXPECT_EQ(model.seen[1], CommandKind::kHashKey);
  EXPECT_EQ(model.seen[model.seen.size() - 2], CommandKind::kEndSync);
  EXPECT_EQ(model.seen.back(), CommandKind::kSweep);
  EXPECT_EQ(model.epoch, 9);
  EXPECT_EQ(model.routes.size(), 1u);
  EXPECT_FALSE(feed.replaying());
}

TEST_F(ProgrammerTest, OnlyDifferencesAfterThat) {
  const auto handle = adjacency(1);
  route(1, handle).value();
  connect();
  model.seen.clear();
  route(1, handle).value();  // nothing new
  pump();
  EXPECT_TRUE(model.seen.empty());
  route(1, handle, 9001).value();
  route(1, handle, 9002).value();
  programmer.set_adjacency_state(handle, AdjacencyState::kDown);
  pump();
  EXPECT_EQ(model.seen, (std::vector{CommandKind::kAdjacencyState, CommandKind::kRouteSet}));
  EXPECT_EQ(model.routes[id(1)].udp_port, 9002);
}

TEST_F(ProgrammerTest, AdjacencyGoesAfterItsLastRoute) {
  connect();
  const auto first = adjacency(1);
  const auto second = adjacency(2);
  route(1, first).value();
  pump();
  programmer.delete_adjacency(key(1));
  pump();
  EXPECT_EQ(model.adjacencies[first].state, AdjacencyState::kDown);
  EXPECT_FALSE(route(2, first).has_value());
  route(1, second).value();
  pump();
  EXPECT_FALSE(model.adjacencies.contains(first));
  EXPECT_EQ(adjacency(3), first);  // its handle is free again
  pump();
}

TEST_F(ProgrammerTest, DeletedAdjacencyComesBackToLife) {
  connect();
  const auto handle = adjacency(1);
  route(1, handle).value();
  programmer.delete_adjacency(key(1));
  pump();
  EXPECT_EQ(adjacency(1), handle);
  pump();
  programmer.delete_route(id(1));
  pump();
  EXPECT_EQ(model.adjacencies[handle].state, AdjacencyState::kUp);
}

TEST_F(ProgrammerTest, TwoThatBackEachOther) {
  const auto first = adjacency(1);
  const auto second = adjacency(2, AdjacencyState::kUp, first);
  EXPECT_EQ(adjacency(1, AdjacencyState::kUp, second), first);
  connect();
  EXPECT_EQ(model.adjacencies[first].backup, second);
  EXPECT_EQ(model.adjacencies[second].backup, first);
  programmer.delete_adjacency(key(1));
  programmer.delete_adjacency(key(2));
  pump();
  EXPECT_TRUE(model.adjacencies.empty());
}

TEST_F(ProgrammerTest, SweepWaits) {
  programmer.sweep_after(1000);
  feed.start_replay(1);
  pump(10);
  EXPECT_TRUE(model.ended);
  EXPECT_EQ(model.sweeps, 0);
  EXPECT_EQ(feed.sweep_due_ns(), 1000u);
  pump(1000);
  EXPECT_EQ(model.sweeps, 1);
  EXPECT_EQ(feed.sweep_due_ns(), std::nullopt);
}

TEST_F(ProgrammerTest, MarksFollowWhatWasAskedBefore) {
  connect();
  const auto handle = adjacency(1);
  for (std::uint32_t n = 0; n < 600; ++n)
    route(n + 1, handle).value();
  const auto mark = feed.mark();
  model.room = 300;
  EXPECT_TRUE(feed.pump(model, 10'000, 1));
  EXPECT_LT(feed.written_mark(), mark);
  model.room = UINT32_MAX;
  pump();
  EXPECT_GE(feed.written_mark(), mark);
  EXPECT_EQ(model.routes.size(), 600u);
  const auto idle = feed.mark();
  pump();
  EXPECT_GE(feed.written_mark(), idle);
}

TEST_F(ProgrammerTest, RefusesWhatCannotBe) {
  EXPECT_FALSE(route(1, 77).has_value());
  EXPECT_FALSE(programmer.set_route({}, {.kind = ActionKind::kLocal}).has_value());
  EXPECT_FALSE(programmer.set_route(id(1), {.kind = ActionKind::kNone}).has_value());
  EXPECT_FALSE(programmer.set_adjacency(key(1), {.source = *parse_ip("fd00::1")}).has_value());
  const GroupMemberSpec stranger{.id = id(1), .adjacency = 5, .udp_port = 1};
  EXPECT_FALSE(
      programmer.set_group(id(9), GroupPolicy::kHash, std::span(&stranger, 1)).has_value());
  EXPECT_EQ(programmer.route_count(), 0u);
}

TEST_F(ProgrammerTest, MemoryPerRoute) {
  const auto handle = adjacency(1);
  for (std::uint32_t n = 0; n < 1'000'000; ++n)
    route(n + 1, handle).value();
  EXPECT_EQ(programmer.route_count(), 1'000'000u);
  EXPECT_LE(programmer.route_memory_bytes(), 80'000'000u);
}

// Any history of changes, full rings and reconnections ends in the wanted state.
TEST_F(ProgrammerTest, RandomHistoryEndsInTheWantedState) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  std::map<Id, std::pair<ActionKind, std::uint32_t>> wanted;
  std::uint8_t epoch = 0;
  for (int step = 0; step < 30'000; ++step) {
    const auto host = static_cast<std::uint32_t>(random() % 20);
    const auto agent = static_cast<std::uint32_t>(1 + random() % 200);
    switch (random() % 9) {
      case 0:
        adjacency(host, random() % 2 != 0 ? AdjacencyState::kUp : AdjacencyState::kDown);
        break;
      case 1:
        if (random() % 4 == 0) programmer.delete_adjacency(key(host));
        break;
      case 2:
      case 3:
        if (const auto handle = programmer.find_adjacency(key(host))) {
          route(agent, *handle, static_cast<std::uint16_t>(1 + random() % 3)).value();
          wanted[id(agent)] = {ActionKind::kAdjacency, *handle};
        }
        break;
      case 4:
        programmer.delete_route(id(agent));
        wanted.erase(id(agent));
        break;
      case 5:
        if (const auto handle = programmer.find_adjacency(key(host))) {
          const std::vector<GroupMemberSpec> members(
              random() % 5, {.id = id(agent), .adjacency = *handle, .udp_port = 9});
          const auto group = programmer.set_group(id(5000 + host), GroupPolicy::kHash, members);
          programmer.set_route(id(agent), {.kind = ActionKind::kGroup, .handle = *group}).value();
          wanted[id(agent)] = {ActionKind::kGroup, *group};
        }
        break;
      case 6:
        if (random() % 4 == 0) programmer.delete_group(id(5000 + host));
        break;
      case 7:
        model.room = static_cast<std::uint32_t>(random() % 400);
        feed.pump(model, 500, 1);
        break;
      default:
        if (random() % 100 == 0) feed.stop();
        if (random() % 100 == 0) feed.start_replay(++epoch == 0 ? ++epoch : epoch);
    }
  }
  model.room = UINT32_MAX;
  feed.start_replay(++epoch == 0 ? ++epoch : epoch);
  pump();
  programmer.set_router_id(id(1));
  pump();
  ASSERT_EQ(model.routes.size(), wanted.size());
  for (const auto& [agent, route] : wanted) {
    EXPECT_EQ(model.routes.at(agent).kind, route.first);
    EXPECT_EQ(model.routes.at(agent).handle, route.second);
  }
}

}  // namespace
}  // namespace sluice::controlplane
