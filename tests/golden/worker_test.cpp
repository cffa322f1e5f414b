// Whole workers: the poll loop, software dispatch, ports of other workers, sleeping and waking, and
// the orderly end.
#include "dataplane/worker/worker.hpp"

#include <gtest/gtest.h>
#include <rte_cycles.h>
#include <rte_ring.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "dataplane/obs/malloc_watch.hpp"
#include "tests/golden/world.hpp"

namespace sluice::golden {
namespace {

using dataplane::IdlePolicy;
using dataplane::kNoQueue;
using dataplane::thread_allocations;
using dataplane::Waker;
using dataplane::Worker;
using dataplane::WorkerContext;

constexpr Host kTo{1, Family::kIpv4, 1};

rte_ring* make_ring(const char* name) {
  return rte_ring_create(name, 256, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

bool wait_for(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

// The parts of one worker, and the thread it runs in.
struct Crew {
  explicit Crew(World& world, std::uint16_t index, std::uint16_t workers = 1)
      : event_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), waker(event_fd) {
    context.index = index;
    context.workers = workers;
    context.tsc_hz = rte_get_tsc_hz();
    context.ports = &World::ports();
    context.tables = &world.tables();
    context.mempool = World::pool();
    context.counters = counters.get();
    context.info = &info;
    context.waker = &waker;
    for (std::uint16_t port = 0; port < kPorts; ++port)
      context.egress[port].tx_queue = 0;
  }
  ~Crew() {
    worker.reset();
    ::close(event_fd);
  }
  void start() {
    auto made = Worker::create(context);
    ASSERT_TRUE(made.has_value()) << made.error().message();
    worker = std::move(*made);
    thread = std::thread([this] {
      const std::uint64_t before = thread_allocations();
      worker->run();
      allocations = thread_allocations() - before;
    });
  }
  void stop() {
    worker->request_stop();
    thread.join();
    EXPECT_FALSE(worker->running());
    EXPECT_EQ(allocations, 0u);
  }
  std::uint64_t forwarded() const { return link::read(counters->port[0].forwarded); }

  int event_fd;
  Waker waker;
  std::unique_ptr<link::WorkerCounters> counters = std::make_unique<link::WorkerCounters>();
  link::WorkerInfo info{};
  WorkerContext context;
  std::unique_ptr<Worker> worker;
  std::thread thread;
  std::uint64_t allocations = 0;
};

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() {
    // Workers go by the real clock, these messages by that of the golden rows.
    world->tables().readers.remove(0);
    world->state().port[0].source_guard = false;
    world->publish();
    world->add_agent(kTo);
  }
  ~WorkerTest() override {
    world.reset();
    EXPECT_EQ(rte_mempool_in_use_count(World::pool()), 0u);
  }
  // Messages of different senders, numbered in their sequence.
  static std::vector<Bytes> messages(unsigned n, unsigned senders) {
    std::vector<Bytes> all;
    for (unsigned i = 0; i < n; ++i) {
      const Host from{0, Family::kIpv4, static_cast<std::uint8_t>(1 + i % senders)};
      Packet packet = World::message(from, World::agent_id(kTo), 10);
      packet.envelope.sequence.set(i);
      all.push_back(build(packet));
    }
    return all;
  }
  static std::uint32_t sequence(const Output& output) {
    return load<Big32>(output.bytes.data() + 42 + offsetof(Envelope, sequence)).get();
  }
  static std::uint8_t sender(const Output& output) {
    return output.bytes[42 + offsetof(Envelope, source) + 15];
  }

  std::unique_ptr<World> world = std::make_unique<World>();
};

TEST_F(WorkerTest, ForwardsAndStops) {
  Crew crew(*world, 0);
  crew.context.served = {{.port = 0, .rx_queue = 0, .dispatch = false}};
  world->feed(0, messages(50, 3));
  crew.start();
  EXPECT_TRUE(wait_for([&] { return crew.forwarded() == 50; }));
  crew.stop();
  const auto outputs = world->outputs();
  ASSERT_EQ(outputs.size(), 50u);
  for (unsigned i = 0; i < 50; ++i)
    EXPECT_EQ(sequence(outputs[i]), i);
  EXPECT_EQ(crew.counters->port[1].egress_frames, 50u);
  EXPECT_GT(crew.counters->busy_loops, 0u);
  EXPECT_GT(crew.counters->loops, crew.counters->busy_loops);
  EXPECT_GT(crew.counters->longest_loop_tsc, 0u);
  EXPECT_NE(crew.info.tid, 0u);
}

TEST_F(WorkerTest, DispatchKeepsEachSendersOrderAndReachesPortsOfOthers) {
  Crew first(*world, 0, 2);
  Crew second(*world, 1, 2);
  rte_ring* dispatch = make_ring("w_dispatch");
  rte_ring* pass = make_ring("w_pass");
  first.context.served = {{.port = 0, .rx_queue = 0, .dispatch = true}};
  first.context.rings.dispatch_out = {nullptr, dispatch};
  first.context.rings.transmit_in = {nullptr, pass};
  first.context.wakers = second.context.wakers = {&first.waker, &second.waker};
  second.context.rings.dispatch_in = {dispatch, nullptr};
  second.context.egress[1] = {.tx_queue = kNoQueue, .through = pass, .through_worker = 0};
  second.context.idle = IdlePolicy::kAdaptive;
  world->feed(0, messages(60, 20));
  first.start();
  second.start();
  EXPECT_TRUE(wait_for([&] { return first.forwarded() == 60; }));
  second.stop();
  first.stop();
  const auto outputs = world->outputs();
  ASSERT_EQ(outputs.size(), 60u);
  std::array<std::int64_t, 256> last;
  last.fill(-1);
  for (const Output& output : outputs) {
    EXPECT_GT(sequence(output), last[sender(output)]);
    last[sender(output)] = sequence(output);
  }
  // Both had some; the one that owns the transmit queue counts what left.
  EXPECT_GT(first.counters->port[0].messages, 0u);
  EXPECT_GT(second.counters->port[0].messages, 0u);
  EXPECT_EQ(first.counters->port[0].messages + second.counters->port[0].messages, 60u);
  EXPECT_EQ(first.counters->port[0].frames, 60u);
  EXPECT_EQ(second.forwarded(), 0u);
  first.worker.reset();
  second.worker.reset();
  rte_ring_free(dispatch);
  rte_ring_free(pass);
}

TEST_F(WorkerTest, FullDispatchRingDropsAndCounts) {
  Crew crew(*world, 0, 2);
  rte_ring* dispatch = rte_ring_create("w_small", 4, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
  crew.context.served = {{.port = 0, .rx_queue = 0, .dispatch = true}};
  crew.context.rings.dispatch_out = {nullptr, dispatch};
  world->feed(0, messages(60, 20));
  crew.start();
  const auto& port = crew.counters->port[0];
  EXPECT_TRUE(wait_for([&] {
    return link::read(port.frames) == 60 &&
           link::read(port.messages) == 57;  // three lie in the ring
  }));
  crew.stop();
  const std::uint64_t full = port.dropped[static_cast<std::size_t>(DropReason::kDispatchFull)];
  EXPECT_GT(full, 0u);
  EXPECT_EQ(port.forwarded + full, 57u);
  void* frame = nullptr;
  while (rte_ring_sc_dequeue(dispatch, &frame) == 0)
    rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
  world->outputs();
  rte_ring_free(dispatch);
}

TEST_F(WorkerTest, SleepsWhenIdleAndWakesForItsRings) {
  Crew crew(*world, 0);
  rte_ring* transmit = make_ring("w_transmit");
  crew.context.rings.transmit = transmit;
  crew.context.idle = IdlePolicy::kAdaptive;
  crew.start();  // it serves no port at all: every sleep is a long one
  const auto asleep = [&] {
    return std::atomic_ref(crew.info.sleeping).load(std::memory_order_relaxed) == 1;
  };
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(wait_for(asleep));
    const auto begin = std::chrono::steady_clock::now();
    rte_ring_sp_enqueue(transmit, world->make(1, Bytes(60, 0xab)));
    crew.waker.wake();
    std::vector<Output> got;
    EXPECT_TRUE(wait_for([&] {
      got = world->outputs();
      return !got.empty();
    }));
    EXPECT_EQ(got, (std::vector<Output>{{1, Bytes(60, 0xab)}}));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  }
  crew.stop();
  EXPECT_GE(crew.counters->sleeps, 3u);
  EXPECT_GT(crew.counters->slept_ns, 0u);
  crew.worker.reset();
  rte_ring_free(transmit);
}

TEST_F(WorkerTest, SleeperWakesByItselfForPortsWithoutInterrupts) {
  Crew crew(*world, 0);
  crew.context.served = {{.port = 0, .rx_queue = 0, .dispatch = false}};
  crew.context.idle = IdlePolicy::kAdaptive;
  crew.context.idle_sleep_us = 200;
  crew.start();
  ASSERT_TRUE(wait_for([&] { return link::read(crew.counters->sleeps) >= 5; }));
  world->feed(0, messages(1, 1));
  EXPECT_TRUE(wait_for([&] { return crew.forwarded() == 1; }));
  crew.stop();
  EXPECT_EQ(world->outputs().size(), 1u);
}

TEST_F(WorkerTest, ClearsItsCountersWhenAsked) {
  Crew crew(*world, 0);
  crew.context.served = {{.port = 0, .rx_queue = 0, .dispatch = false}};
  world->feed(0, messages(5, 1));
  crew.start();
  EXPECT_TRUE(wait_for([&] { return crew.forwarded() == 5; }));
  link::add(crew.counters->clear_requests, 1);
  EXPECT_TRUE(wait_for([&] { return crew.forwarded() == 0; }));
  crew.stop();
  EXPECT_EQ(crew.counters->clear_requests, 1u);
  EXPECT_EQ(crew.counters->port[0].frames, 0u);
  world->outputs();
}

TEST_F(WorkerTest, WhatIsLeftAtTheEndIsCountedAndFreed) {
  Crew crew(*world, 0);
  rte_ring* release = make_ring("w_release");
  rte_ring* dispatched = make_ring("w_dispatched");
  crew.context.rings.release = release;
  crew.context.rings.dispatch_in = {nullptr, dispatched};
  auto made = Worker::create(crew.context);
  ASSERT_TRUE(made.has_value());
  crew.worker = std::move(*made);
  crew.worker->request_stop();
  for (const Bytes& bytes : messages(3, 1))
    rte_ring_sp_enqueue(release, world->make(0, bytes));
  for (const Bytes& bytes : messages(2, 1))
    rte_ring_sp_enqueue(dispatched, world->make(0, bytes));
  crew.worker->run();
  const auto& port = crew.counters->port[0];
  EXPECT_EQ(port.released, 3u);
  EXPECT_EQ(port.messages, 2u);
  EXPECT_EQ(port.dropped[static_cast<std::size_t>(DropReason::kShutdown)], 5u);
  // Pushed by another worker that ended later.
  rte_ring_sp_enqueue(dispatched, world->make(0, messages(1, 1)[0]));
  crew.worker.reset();
  EXPECT_EQ(port.dropped[static_cast<std::size_t>(DropReason::kShutdown)], 6u);
  rte_ring_free(release);
  rte_ring_free(dispatched);
}

TEST_F(WorkerTest, RefusesWhatCannotWork) {
  const auto refused = [&](const std::function<void(WorkerContext&)>& spoil) {
    Crew crew(*world, 0);
    spoil(crew.context);
    return !Worker::create(crew.context).has_value();
  };
  EXPECT_TRUE(refused([](WorkerContext& c) { c.burst = 65; }));
  EXPECT_TRUE(refused([](WorkerContext& c) { c.burst = 0; }));
  EXPECT_TRUE(refused([](WorkerContext& c) { c.index = kMaxWorkers; }));
  EXPECT_TRUE(refused([](WorkerContext& c) { c.tables = nullptr; }));
  EXPECT_TRUE(refused([](WorkerContext& c) { c.mempool = nullptr; }));
  EXPECT_TRUE(refused([](WorkerContext& c) { c.tsc_hz = 0; }));
  EXPECT_TRUE(refused([](WorkerContext& c) { c.served = {{.port = 9, .rx_queue = 0}}; }));
  EXPECT_TRUE(refused([](WorkerContext& c) {
    c.idle = IdlePolicy::kAdaptive;
    c.waker = nullptr;
  }));
}

}  // namespace
}  // namespace sluice::golden
