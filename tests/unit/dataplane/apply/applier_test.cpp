// The applier on real tables and a real ring, played by one thread.
#include "dataplane/apply/applier.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/table/tables.hpp"
#include "tests/support/eal.hpp"
#include "tests/unit/dataplane/apply/commands.hpp"

namespace sluice::dataplane {
namespace {

using link::Command;
using link::CommandKind;
using link::EventKind;
using link::RefusedReason;
using testing::command;
using testing::some_id;

struct Observer final : ApplyObserver {
  std::vector<Id> routes;
  int adjacencies = 0;
  int bases = 0;
  link::Settings settings{};
  std::uint32_t traced = 0;

  void route_appeared(const Id& id) override { routes.push_back(id); }
  void base_changed() override { ++bases; }
  void adjacencies_changed() override { ++adjacencies; }
  void settings_changed(const link::Settings& now) override { settings = now; }
  void trace_changed(std::uint32_t, std::uint32_t count) override { traced = count; }
};

// Zeroed, as a fresh memfd is.
struct FreeRegion {
  void operator()(link::Region* region) const { std::free(region); }
};
using RegionMemory = std::unique_ptr<link::Region, FreeRegion>;
RegionMemory make_region() {
  void* at = std::aligned_alloc(alignof(link::Region), sizeof(link::Region));
  std::memset(at, 0, sizeof(link::Region));
  return RegionMemory(static_cast<link::Region*>(at));
}

struct ApplierTest : ::testing::Test {
  static void SetUpTestSuite() { testing::start_eal(64); }

  PortTable ports;
  std::unique_ptr<link::StatusSegment> status = std::make_unique<link::StatusSegment>();
  std::unique_ptr<Tables> tables;
  RegionMemory region;
  EventSender events;
  Observer observer;
  std::unique_ptr<Applier> applier;
  std::unique_ptr<link::RingProducer<Command, link::CommandRing::capacity>> producer;
  std::unique_ptr<link::RingConsumer<link::Event, link::EventRing::capacity>> heard;

  ApplierTest() { start(1000); }

  void start(std::size_t routes) {
    applier.reset();
    ports.count = 2;
    ports.port[1].mac = {2, 0, 0, 0, 0, 1};
    tables = std::move(*Tables::create({.routes = routes}));
    applier = std::make_unique<Applier>(*tables, ports, *status, events, observer);
    connect();
  }

  void connect() {
    region = make_region();
    producer = std::make_unique<link::RingProducer<Command, link::CommandRing::capacity>>(
        region->commands);
    heard = std::make_unique<link::RingConsumer<link::Event, link::EventRing::capacity>>(
        region->events);
    events.attach(*region);
    applier->attach(*region);
  }
  void disconnect() {
    applier->detach();
    events.detach();
  }

  void say(const std::vector<Command>& commands) {
    bool ok = true;
    ASSERT_EQ(producer->push(commands.data(), static_cast<std::uint32_t>(commands.size()), ok),
              commands.size());
    run();
  }
  void run() {
    while (applier->run(4096) == Applier::Progress::kMore) {
    }
    ASSERT_EQ(region->applied_sequence, producer->produced());
  }

  void sync(std::uint8_t epoch, const std::vector<Command>& state) {
    std::vector<Command> all = {command(CommandKind::kBeginSync, epoch), testing::hash_key(epoch)};
    all.insert(all.end(), state.begin(), state.end());
    all.push_back(command(CommandKind::kEndSync, epoch));
    say(all);
  }

  std::vector<link::Event> take_events(EventKind kind) {
    std::vector<link::Event> found;
    link::Event event{};
    bool ok = true;
    while (heard->pop(&event, 1, ok) == 1)
      if (event.kind == kind) found.push_back(event);
    return found;
  }
  std::vector<RefusedReason> refusals() {
    std::vector<RefusedReason> reasons;
    for (const auto& event : take_events(EventKind::kCommandRefused))
      reasons.push_back(event.body.refused.reason);
    return reasons;
  }
  const ForwardingState& forwarding() { return *tables->forwarding.load(); }
  Big32 host_of(const Id& id) {
    const Action action = tables->route_table()->find(id);
    EXPECT_EQ(action.kind(), ActionKind::kAdjacency);
    return load<Big32>(tables->adjacencies.at(action.index()).destination.data());
  }
};

TEST_F(ApplierTest, ASyncMakesTheTables) {
  EXPECT_TRUE(forwarding().control_plane_connected);
  EXPECT_FALSE(forwarding().ready);
  sync(1, {testing::adjacency_set(7, 1), testing::route_set(some_id(1), 7)});
  EXPECT_TRUE(refusals().empty());
  EXPECT_TRUE(forwarding().ready);
  const Action action = tables->route_table()->find(some_id(1));
  EXPECT_EQ(action.udp_port(), 9000);
  EXPECT_EQ(action.tenant(), 3);
  EXPECT_EQ(action.epoch(), 1);
  const Adjacency& line = tables->adjacencies.at(action.index());
  EXPECT_EQ(line.state, AdjacencyState::kUp);
  EXPECT_EQ(line.l2_bytes, 14);
  EXPECT_EQ(load<EthernetHeader>(line.l2.data()).source, ports.port[1].mac);
  EXPECT_EQ(load<EthernetHeader>(line.l2.data()).type, Big16(kEtherTypeIpv4));
  EXPECT_EQ(line.mtu, ports.port[1].mtu);
  EXPECT_EQ(observer.routes, std::vector<Id>{some_id(1)});
}

TEST_F(ApplierTest, OneOfEachKindIsTaken) {
  say({command(CommandKind::kBeginSync), testing::hash_key()});
  for (const Command& each : testing::one_of_each_kind()) {
    const auto kind = each.header.kind;
    if (kind == CommandKind::kBeginSync || kind == CommandKind::kHashKey) continue;
    if (kind == CommandKind::kEndSync || kind == CommandKind::kSweep) continue;
    // Base segments have tests of their own.
    if (kind >= CommandKind::kBaseBegin && kind <= CommandKind::kBaseCommit) continue;
    // In numeric order, but what is referred to must exist.
    if (kind == CommandKind::kRouteSet) say({testing::adjacency_set(0, 1)});
    if (kind == CommandKind::kGroupMember)
      say({testing::adjacency_set(0, 1), testing::valid(CommandKind::kGroupBegin)});
    if (kind == CommandKind::kTraceStop) {
      EXPECT_EQ(observer.traced, 5u);
    }
    say({each});
    EXPECT_TRUE(refusals().empty()) << static_cast<int>(kind);
  }
  EXPECT_EQ(observer.traced, 0u);
  say({command(CommandKind::kEndSync), command(CommandKind::kSweep)});
  EXPECT_TRUE(refusals().empty());
  EXPECT_EQ(status->counters[3].clear_requests, 1u);
}

TEST_F(ApplierTest, RefusalsSayWhyAndChangeNothing) {
  say({testing::route_set(some_id(1), 0)});
  EXPECT_EQ(refusals(), std::vector{RefusedReason::kWrongEpoch});
  say({command(CommandKind::kBeginSync), command(CommandKind::kEndSync),
       testing::route_set(some_id(1), 0)});
  EXPECT_EQ(refusals(), (std::vector{RefusedReason::kNoHashKey, RefusedReason::kNoHashKey}));
  say({testing::hash_key(), command(CommandKind::kSweep), testing::route_set(some_id(1), 0),
       testing::route_set(some_id(1), 5, 1, ActionKind::kGroup),
       testing::route_set(some_id(1), 0, 2), command(static_cast<CommandKind>(99)),
       testing::adjacency_set(kMaxAdjacencies, 1)});
  EXPECT_EQ(refusals(), (std::vector{RefusedReason::kWrongEpoch, RefusedReason::kBadHandle,
                                     RefusedReason::kBadHandle, RefusedReason::kWrongEpoch,
                                     RefusedReason::kBadKind, RefusedReason::kBadHandle}));
  EXPECT_EQ(tables->route_table()->size(), 0u);
  EXPECT_EQ(tables->adjacencies.size(), 0u);
  EXPECT_EQ(status->tables.commands_refused, 9u);
}

TEST_F(ApplierTest, AFloodOfRefusalsIsCountedNotTold) {
  say({command(CommandKind::kBeginSync)});
  say(std::vector<Command>(1000, command(static_cast<CommandKind>(99))));
  EXPECT_LE(refusals().size(), 40u);
  EXPECT_EQ(status->tables.commands_refused, 1000u);
}

TEST_F(ApplierTest, FullTableIsToldOnceInAWhile) {
  start(8);
  std::vector<Command> state = {testing::adjacency_set(0, 1)};
  for (std::uint32_t i = 1; i <= 12; ++i)
    state.push_back(testing::route_set(some_id(i), 0));
  sync(1, state);
  EXPECT_EQ(tables->route_table()->size(), 8u);
  EXPECT_EQ(status->tables.commands_refused, 4u);
  EXPECT_EQ(take_events(EventKind::kTableFull).size(), 1u);
  auto gone = command(CommandKind::kRouteDelete);
  gone.body.route_delete.id = some_id(1);
  say({gone, testing::route_set(some_id(12), 0)});
  EXPECT_EQ(host_of(some_id(12)), Big32(0x0a000101u));
  // Something goes, something comes, something finds no room: over and over at a full table.
  for (std::uint32_t i = 20; i < 40; ++i) {
    gone.body.route_delete.id = some_id(i == 20 ? 12 : i - 1);
    say({gone, testing::route_set(some_id(i), 0), testing::route_set(some_id(1000 + i), 0)});
  }
  EXPECT_EQ(status->tables.commands_refused, 24u);
  EXPECT_TRUE(take_events(EventKind::kTableFull).empty());
}

// A control plane that numbers its adjacencies anew: old routes stay right until they are swept.
TEST_F(ApplierTest, RenumberedHandlesOfANewEpoch) {
  sync(1, {testing::adjacency_set(0, 1), testing::adjacency_set(1, 2),
           testing::route_set(some_id(1), 0), testing::route_set(some_id(2), 1)});
  disconnect();
  EXPECT_FALSE(forwarding().control_plane_connected);
  EXPECT_TRUE(forwarding().ready);
  EXPECT_EQ(tables->route_table()->size(), 2u);
  connect();
  say({command(CommandKind::kBeginSync, 2), testing::hash_key(2), testing::adjacency_set(1, 1, 2),
       testing::adjacency_set(0, 2, 2)});
  EXPECT_EQ(host_of(some_id(1)), Big32(0x0a000101u));
  EXPECT_EQ(host_of(some_id(2)), Big32(0x0a000102u));
  say({testing::route_set(some_id(1), 1, 2), command(CommandKind::kEndSync, 2)});
  EXPECT_EQ(host_of(some_id(1)), Big32(0x0a000101u));
  EXPECT_EQ(tables->route_table()->size(), 2u);
  say({command(CommandKind::kSweep, 2)});
  EXPECT_EQ(tables->route_table()->size(), 1u);
  EXPECT_EQ(host_of(some_id(1)), Big32(0x0a000101u));
  const auto done = take_events(EventKind::kSweepDone);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].body.counted.count, 1u);
}

TEST_F(ApplierTest, HandlesOfTheLastEpochAreForgotten) {
  sync(1, {testing::adjacency_set(0, 1)});
  disconnect();
  connect();
  say({command(CommandKind::kBeginSync, 2), testing::route_set(some_id(1), 0, 2)});
  EXPECT_EQ(refusals(), std::vector{RefusedReason::kBadHandle});
  // The epoch that the tables carry cannot begin again.
  disconnect();
  connect();
  say({command(CommandKind::kBeginSync, 2)});
  EXPECT_EQ(refusals(), std::vector{RefusedReason::kWrongEpoch});
}

// Addresses and tenants of an epoch that never ended do not reach the workers.
TEST_F(ApplierTest, AnUnfinishedEpochLeavesTheSnapshotAlone) {
  sync(1, {testing::valid(CommandKind::kLocalAddress)});
  const IpAddress local = IpAddress::v4(Big32(0x0a000001u));
  EXPECT_TRUE(forwarding().port[1].is_local(local));
  disconnect();
  connect();
  say({command(CommandKind::kBeginSync, 2)});
  EXPECT_TRUE(forwarding().port[1].is_local(local));
  disconnect();
  EXPECT_TRUE(forwarding().port[1].is_local(local));
  connect();
  sync(3, {});
  EXPECT_FALSE(forwarding().port[1].is_local(local));
}

TEST_F(ApplierTest, GroupsAreWholeOrNotAtAll) {
  auto begin = testing::valid(CommandKind::kGroupBegin);
  begin.body.group_begin.members = 2;
  auto member = testing::valid(CommandKind::kGroupMember);
  auto second = member;
  second.body.group_member.position = 1;
  second.body.group_member.id = some_id(9);
  auto commit = testing::valid(CommandKind::kGroupCommit);
  sync(1, {testing::adjacency_set(0, 1), begin, member, commit});
  EXPECT_EQ(refusals(), std::vector{RefusedReason::kBadField});
  EXPECT_EQ(tables->groups.size(), 0u);
  say({begin, second, commit});  // the first is missing
  EXPECT_EQ(refusals(), (std::vector{RefusedReason::kBadField, RefusedReason::kBadField}));
  say({begin, member, second, commit, testing::route_set(some_id(3), 0, 1, ActionKind::kGroup)});
  EXPECT_TRUE(refusals().empty());
  const Action action = tables->route_table()->find(some_id(3));
  ASSERT_EQ(action.kind(), ActionKind::kGroup);
  EXPECT_EQ(tables->groups.at(action.index())->members().size(), 2u);
}

TEST_F(ApplierTest, AdjacencyComingUpIsTold) {
  sync(1, {testing::adjacency_set(0, 1, 1, AdjacencyState::kUnresolved)});
  EXPECT_EQ(observer.adjacencies, 0);
  say({testing::adjacency_set(0, 1)});
  EXPECT_EQ(observer.adjacencies, 1);
}

TEST_F(ApplierTest, ImpossibleIndexEndsTheConnection) {
  region->commands.head = link::CommandRing::capacity + 1;
  EXPECT_EQ(applier->run(4096), Applier::Progress::kCorrupt);
  region->commands.head = UINT64_MAX;
  EXPECT_EQ(applier->run(4096), Applier::Progress::kCorrupt);
}

TEST_F(ApplierTest, RunIsBounded) {
  say({command(CommandKind::kBeginSync), testing::hash_key()});
  bool ok = true;
  const std::vector<Command> many(1000, testing::adjacency_set(0, 1));
  ASSERT_EQ(producer->push(many.data(), 1000, ok), 1000u);
  EXPECT_EQ(applier->run(128), Applier::Progress::kMore);
  EXPECT_EQ(region->applied_sequence, 2u + 128u);
}

}  // namespace
}  // namespace sluice::dataplane
