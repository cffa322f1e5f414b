// What the bridge does with messages that a worker could not send yet: real tables, rings and
// buffers, played by one thread.
#include <gtest/gtest.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <memory>
#include <vector>

#include "dataplane/apply/control_bridge.hpp"
#include "dataplane/pipeline/hold_deadline.hpp"
#include "dataplane/table/tables.hpp"
#include "sluice/base/clock.hpp"
#include "tests/support/eal.hpp"
#include "tests/unit/dataplane/apply/commands.hpp"

namespace sluice::dataplane {
namespace {

using testing::some_id;

constexpr std::uint64_t kHoldMs = 500;
constexpr std::uint16_t kTenant = 7;
constexpr std::size_t kL2Bytes = sizeof(EthernetHeader);
constexpr std::size_t kL3Bytes = sizeof(Ipv4Header);
const Id kSender = some_id(1);
const Id kOther = some_id(2);
const Id kCapability = some_id(3);

rte_ring* ring(const char* name) {
  rte_ring* found = rte_ring_lookup(name);
  return found != nullptr ? found
                          : rte_ring_create(name, 64, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

rte_mempool* pool() {
  static rte_mempool* made =
      rte_pktmbuf_pool_create("bridge", 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  return made;
}

struct BridgeHoldTest : ::testing::Test {
  static void SetUpTestSuite() { testing::start_eal(64); }

  PortTable ports;
  std::unique_ptr<link::StatusSegment> status = std::make_unique<link::StatusSegment>();
  std::unique_ptr<Tables> tables =
      std::move(*Tables::create({.routes = 64, .adjacencies = 64, .groups = 8}));
  WorkerContext worker;
  EventSender events;
  std::unique_ptr<ControlBridge> bridge;
  std::uint64_t now_ns = kNsPerSecond;

  void SetUp() override {
    ports.count = 2;
    for (std::uint16_t port = 0; port < ports.count; ++port) {
      ports.port[port].dpdk_port = port;
      ports.index_of_dpdk_port[port] = port;
    }
    ports.up.store(0b11);
    ASSERT_TRUE(tables->set_hash_key({}).has_value());
    worker.rings.to_hold = ring("to_hold");
    worker.rings.release = ring("release");
    worker.rings.transmit = ring("transmit");
    BridgeOptions options;
    options.workers = {&worker};
    options.ports = &ports;
    options.mempool = pool();
    options.mbufs = 256;
    options.tables = tables.get();
    options.status = status.get();
    bridge = std::make_unique<ControlBridge>(options, events);
    link::Settings settings{};
    settings.hold_per_id = 8;
    settings.hold_total = 64;
    settings.hold_ms = kHoldMs;
    bridge->settings_changed(settings);
  }
  void TearDown() override {
    bridge->stop();
    EXPECT_EQ(rte_mempool_in_use_count(pool()), 0u);
  }

  std::uint32_t adjacency(std::uint8_t host, AdjacencyState state, std::uint16_t port = 0) {
    AdjacencyKey key{.port = port, .destination = {10, 0, 0, host}};
    const std::uint32_t slot = *tables->adjacencies.find_or_allocate(key);
    Adjacency line{};
    line.state = state;
    line.port = port;
    line.backup = kNoIndex;
    tables->adjacencies.set(slot, line);
    return slot;
  }
  void group(const std::vector<GroupMember>& members) {
    const std::uint32_t slot = *tables->groups.find_or_allocate(kCapability);
    tables->groups.publish(
        slot, std::make_unique<const Group>(kCapability, GroupPolicy::kRoundRobin, members), 1);
    const Action action(ActionKind::kGroup, slot, 0, 0, 1);
    RouteChange change;
    tables->set_routes(&kCapability, &action, 1, &change);
  }
  void route(const Id& id, std::uint32_t adjacency) {
    const Action action(ActionKind::kAdjacency, adjacency, 7600, kTenant, 1);
    RouteChange change;
    tables->set_routes(&id, &action, 1, &change);
  }
  void resolve(std::uint32_t adjacency, AdjacencyState state) {
    tables->adjacencies.set_state(adjacency, state);
    bridge->adjacencies_changed();
  }
  // As a worker hands it over.
  void hand_over(const Id& destination, std::uint8_t lifetime = 0, std::uint16_t tenant = kTenant) {
    rte_mbuf* frame = rte_pktmbuf_alloc(pool());
    ASSERT_NE(frame, nullptr);
    constexpr std::size_t kBytes = kL2Bytes + kL3Bytes + sizeof(UdpHeader) + kEnvelopeBytes;
    char* at = rte_pktmbuf_append(frame, kBytes);
    std::memset(at, 0, kBytes);
    UdpHeader udp{};
    udp.length = Big16(static_cast<std::uint16_t>(sizeof(UdpHeader) + kEnvelopeBytes));
    store(at + kL2Bytes + kL3Bytes, udp);
    Envelope envelope{};
    envelope.version_and_length = kVersionAndLength;
    envelope.class_and_lifetime = lifetime;
    envelope.timestamp_ns = Big64(realtime_ns());
    envelope.tenant = Big16(tenant);
    envelope.source = kSender;
    envelope.destination = destination;
    store(at + kL2Bytes + kL3Bytes + sizeof(UdpHeader), envelope);
    frame->l2_len = kL2Bytes;
    frame->l3_len = kL3Bytes;
    frame->port = 0;
    set_hold_deadline(*frame, kNotHeldBefore);
    ASSERT_EQ(rte_ring_sp_enqueue(worker.rings.to_hold, frame), 0);
  }
  // Messages that came back to the worker.
  unsigned released() {
    unsigned n = 0;
    for (void* frame = nullptr; rte_ring_sc_dequeue(worker.rings.release, &frame) == 0; ++n)
      rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
    return n;
  }
  // A worker finds that all that came back to it still cannot be sent.
  unsigned held_again() {
    unsigned n = 0;
    for (void* frame = nullptr; rte_ring_sc_dequeue(worker.rings.release, &frame) == 0; ++n)
      EXPECT_EQ(rte_ring_sp_enqueue(worker.rings.to_hold, frame), 0);
    return n;
  }
  std::uint64_t held() {
    bridge->publish_status();
    return status->tables.held;
  }
  std::uint64_t expired() const {
    return status->counters[link::kManagerCounters]
        .port[0]
        .dropped[static_cast<std::size_t>(DropReason::kHoldExpired)];
  }
};

TEST_F(BridgeHoldTest, AMessageWhoseWayAppearedMeanwhileGoesBack) {
  group({{.id = kOther, .adjacency = adjacency(2, AdjacencyState::kUp), .tenant = kTenant}});
  hand_over(kCapability);
  bridge->run(now_ns);
  EXPECT_EQ(released(), 1u);
  EXPECT_EQ(held(), 0u);
}

// In each case the pipeline would hold the message again: it must not go to and fro, but wait and
// end at its deadline.
struct Members {
  const char* what;
  Id first;
  std::uint16_t tenant;
  AdjacencyState state;
  std::uint16_t port;
};

TEST_F(BridgeHoldTest, AGroupWithNobodyUsableWaitsForTheUnresolvedOne) {
  const Members cases[] = {
      {"the sender itself", kSender, kTenant, AdjacencyState::kUp, 0},
      {"a foreign tenant's", some_id(9), kTenant + 1, AdjacencyState::kUp, 0},
      {"behind a port that is down", some_id(9), kTenant, AdjacencyState::kUp, 1},
      {"a member that is down", some_id(9), kTenant, AdjacencyState::kDown, 0},
  };
  ports.up.store(0b01);
  std::uint8_t host = 10;
  std::uint64_t ended = 0;
  for (const Members& with : cases) {
    SCOPED_TRACE(with.what);
    const std::uint32_t waiting = adjacency(host++, AdjacencyState::kUnresolved);
    group({{.id = with.first,
            .adjacency = adjacency(host++, with.state, with.port),
            .tenant = with.tenant},
           {.id = kOther, .adjacency = waiting, .tenant = kTenant}});
    hand_over(kCapability);
    hand_over(kCapability);
    bridge->run(now_ns);
    EXPECT_EQ(released(), 0u);
    EXPECT_EQ(held(), 2u);

    resolve(waiting, AdjacencyState::kUp);
    bridge->run(now_ns);
    EXPECT_EQ(released(), 2u);

    tables->adjacencies.set_state(waiting, AdjacencyState::kUnresolved);
    hand_over(kCapability);
    bridge->run(now_ns);
    now_ns += (kHoldMs + 2) * kNsPerMs;
    bridge->run(now_ns);
    EXPECT_EQ(released(), 0u);
    EXPECT_EQ(expired(), ++ended);
  }
}

// Offered to its worker and held again, over and over: it still ends when its first hold does.
TEST_F(BridgeHoldTest, HeldAgainItKeepsItsFirstDeadline) {
  const std::uint32_t hop = adjacency(2, AdjacencyState::kUnresolved);
  route(kOther, hop);
  group({{.id = kOther, .adjacency = hop, .tenant = kTenant}});
  for (const Id& destination : {kOther, kCapability}) {
    SCOPED_TRACE(destination == kOther ? "an agent" : "a group");
    const std::uint64_t before = expired();
    const std::uint64_t start_ns = now_ns;
    hand_over(destination);
    bridge->run(now_ns);
    for (int round = 1; round < 5; ++round) {
      now_ns = start_ns + static_cast<std::uint64_t>(round) * kHoldMs / 5 * kNsPerMs;
      resolve(hop, AdjacencyState::kUp);
      bridge->run(now_ns);
      resolve(hop, AdjacencyState::kUnresolved);
      ASSERT_EQ(held_again(), 1u);
      bridge->run(now_ns);
      ASSERT_EQ(held(), 1u);
    }
    now_ns = start_ns + (kHoldMs - 1) * kNsPerMs;
    bridge->run(now_ns);
    EXPECT_EQ(expired(), before);
    now_ns = start_ns + (kHoldMs + 1) * kNsPerMs;
    bridge->run(now_ns);
    EXPECT_EQ(expired(), before + 1);
    EXPECT_EQ(held(), 0u);
  }
}

// Manager and worker differ for ever: the manager thinks that it goes, the worker holds it.
TEST_F(BridgeHoldTest, GoingToAndFroEndsAtTheDeadline) {
  route(kOther, adjacency(2, AdjacencyState::kUp));
  hand_over(kOther);
  bridge->run(now_ns);
  now_ns += (kHoldMs - 1) * kNsPerMs;
  EXPECT_EQ(held_again(), 1u);
  bridge->run(now_ns);
  now_ns += 2 * kNsPerMs;
  EXPECT_EQ(held_again(), 1u);
  bridge->run(now_ns);
  now_ns += 2 * kNsPerMs;
  bridge->run(now_ns);
  EXPECT_EQ(released(), 0u);
  EXPECT_EQ(expired(), 1u);
}

TEST_F(BridgeHoldTest, ALifetimeEndsTheHoldEarlier) {
  route(kOther, adjacency(2, AdjacencyState::kUnresolved));
  hand_over(kOther, 7);  // 64 ms
  bridge->run(now_ns);
  now_ns += 66 * kNsPerMs;
  bridge->run(now_ns);
  EXPECT_EQ(expired(), 1u);
}

TEST_F(BridgeHoldTest, AnotherNextHopSendsNothingToAndFro) {
  const std::uint32_t hop = adjacency(2, AdjacencyState::kUnresolved);
  const std::uint32_t other = adjacency(3, AdjacencyState::kUnresolved);
  route(kOther, hop);
  hand_over(kOther);
  bridge->run(now_ns);
  resolve(other, AdjacencyState::kUp);
  bridge->run(now_ns);
  EXPECT_EQ(released(), 0u);
  EXPECT_EQ(held(), 1u);
  resolve(hop, AdjacencyState::kUp);
  bridge->run(now_ns);
  EXPECT_EQ(released(), 1u);
}

// The first one still waits, the second one's member can be reached: the second one goes.
TEST_F(BridgeHoldTest, MessagesOfAGroupDoNotWaitForOneAnothersMembers) {
  constexpr std::uint16_t kOtherTenant = kTenant + 1;
  const std::uint32_t hop = adjacency(2, AdjacencyState::kUnresolved);
  const std::uint32_t other = adjacency(3, AdjacencyState::kUnresolved);
  group({{.id = kOther, .adjacency = hop, .tenant = kTenant},
         {.id = some_id(9), .adjacency = other, .tenant = kOtherTenant}});
  hand_over(kCapability);
  hand_over(kCapability, 0, kOtherTenant);
  bridge->run(now_ns);
  EXPECT_EQ(held(), 2u);
  resolve(other, AdjacencyState::kUp);
  bridge->run(now_ns);
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(released(), 2u);  // the first one's worker would hold it again
}

}  // namespace
}  // namespace sluice::dataplane
