// Cycles per message of the whole pipeline: the real worker loop over a null port whose receive
// callback writes the next message into each blank buffer, every message from and to agents of the
// table. What receiving from the null port and making a message cost is measured alone, in the same
// process and the same way, and subtracted; `stage` rx_and_make says how much that was. The stages
// are measured by stamps between them in a second run. dpdk-testpmd on the same kind of port is the
// reference.
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "dataplane/obs/malloc_watch.hpp"
#include "dataplane/pipeline/run.hpp"
#include "dataplane/worker/worker.hpp"
#include "perf/pipeline/bench_world.hpp"
#include "perf/pipeline/testpmd.hpp"
#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"
#include "perf/support/tsc.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::dataplane {
namespace {

using perf::BenchWorld;
using perf::MessageMaker;

struct Options {
  std::vector<std::uint64_t> routes = {100'000, 1'000'000};
  std::vector<std::string> orders = {"random", "sequential"};
  std::vector<unsigned> bursts = {32};
  std::vector<std::string> guards = {"off", "on"};
  int runs = perf::kRuns;
  std::uint64_t messages = 2'000'000;  // per run
  bool testpmd = true;
  bool smoke = false;
  bool base = false;
  std::uint64_t delta = 10'000;
  std::uint64_t delta_capacity = 1'000'000;
};

struct Setting {
  std::uint64_t routes;
  std::string order;
  unsigned burst;
  bool guard;
  bool huge_pages;
  std::string tiers = "delta";
};

// Fills what the null port receives; asks the worker to stop after so many messages.
struct Source {
  MessageMaker maker;
  std::uint64_t left;
  Worker* worker;
};

std::uint16_t fill(std::uint16_t, std::uint16_t, rte_mbuf** frames, std::uint16_t n, std::uint16_t,
                   void* user) {
  auto& source = *static_cast<Source*>(user);
  for (std::uint16_t i = 0; i < n; ++i)
    source.maker.make(rte_pktmbuf_mtod(frames[i], std::uint8_t*));
  if (source.left > n) {
    source.left -= n;
  } else if (source.worker != nullptr) {
    source.left = 0;
    source.worker->request_stop();
  }
  return n;
}

class Callback {
 public:
  explicit Callback(Source& source) : handle_(rte_eth_add_rx_callback(0, 0, fill, &source)) {}
  ~Callback() {
    rte_eth_remove_rx_callback(0, 0, handle_);
    rte_free(const_cast<void*>(static_cast<const void*>(handle_)));
  }
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

 private:
  const rte_eth_rxtx_callback* handle_;
};

WorkerContext context_for(BenchWorld& world, link::WorkerCounters& counters, unsigned burst) {
  WorkerContext context;
  context.burst = static_cast<std::uint16_t>(burst);
  context.tsc_hz = rte_get_tsc_hz();
  context.served = {{.port = 0, .rx_queue = 0, .dispatch = false}};
  context.egress[0].tx_queue = 0;
  context.ports = &world.ports();
  context.tables = &world.tables();
  context.mempool = world.pool();
  context.counters = &counters;
  return context;
}

struct Total {
  double cycles;
  std::uint64_t allocations;
};

// The real loop for about `messages` messages: cycles per message, everything included.
Total run_worker(BenchWorld& world, const Setting& setting, std::uint64_t messages) {
  auto counters = std::make_unique<link::WorkerCounters>();
  auto worker = Worker::create(context_for(world, *counters, setting.burst));
  if (!worker) throw std::runtime_error("no worker");
  Source source{
      .maker = {setting.routes, setting.order == "random" ? MessageMaker::Order::kRandom
                                                          : MessageMaker::Order::kSequential},
      .left = messages,
      .worker = worker->get()};
  const Callback callback(source);
  const std::uint64_t allocated = thread_allocations();
  const std::uint64_t begin = perf::tsc_begin();
  (*worker)->run();
  const std::uint64_t cycles = perf::tsc_end() - begin;
  const std::uint64_t allocations = thread_allocations() - allocated;
  const link::PortCounters& port = counters->port[0];
  if (port.forwarded != port.frames || port.frames < messages) {
    throw std::runtime_error("not every message was forwarded");
  }
  return {static_cast<double>(cycles) / static_cast<double>(port.frames), allocations};
}

// Only receiving, with messages made, and giving the buffers back.
double run_making(BenchWorld& world, const Setting& setting, std::uint64_t messages) {
  Source source{
      .maker = {setting.routes, setting.order == "random" ? MessageMaker::Order::kRandom
                                                          : MessageMaker::Order::kSequential},
      .left = messages,
      .worker = nullptr};
  std::array<rte_mbuf*, kMaxBurst> frames;
  const auto receive_all = [&] {
    const std::uint64_t begin = perf::tsc_begin();
    std::uint64_t received = 0;
    while (received < messages) {
      const unsigned n =
          rte_eth_rx_burst(0, 0, frames.data(), static_cast<std::uint16_t>(setting.burst));
      rte_eth_tx_burst(0, 0, frames.data(), static_cast<std::uint16_t>(n));
      received += n;
    }
    return static_cast<double>(perf::tsc_end() - begin) / static_cast<double>(received);
  };
  double made = 0;
  {
    const Callback callback(source);
    made = receive_all();
  }
  (void)world;
  return made - receive_all();
}

struct Stages {
  double receive = 0;
  double classify = 0;
  double resolve = 0;
  double police_rewrite = 0;
  double egress = 0;
};

template <bool kGuard>
Stages run_stages(BenchWorld& world, const Setting& setting, std::uint64_t messages) {
  auto counters = std::make_unique<link::WorkerCounters>();
  PipelineConfig config{.tsc_hz = rte_get_tsc_hz(),
                        .ports = &world.ports(),
                        .tables = &world.tables(),
                        .mempool = world.pool(),
                        .counters = counters.get()};
  config.egress[0].tx_queue = 0;
  auto meters = NodeArray<Meter>::create(1 << 16, -1);
  auto cursors = NodeArray<std::uint32_t>::create(kMaxGroups, -1);
  auto lane = std::make_unique<Lane>(config, std::move(*meters), std::move(*cursors));
  lane->clock.set(rte_rdtsc(), realtime_ns());
  Source source{
      .maker = {setting.routes, setting.order == "random" ? MessageMaker::Order::kRandom
                                                          : MessageMaker::Order::kSequential},
      .left = messages,
      .worker = nullptr};
  const Callback callback(source);
  std::array<rte_mbuf*, kMaxBurst> frames;
  std::array<std::uint64_t, 5> sum{};
  std::uint64_t received = 0;
  while (received < messages) {
    const std::uint64_t t0 = rte_rdtsc();
    const unsigned n =
        rte_eth_rx_burst(0, 0, frames.data(), static_cast<std::uint16_t>(setting.burst));
    const std::uint64_t t1 = rte_rdtsc();
    const Burst burst = begin_burst(*lane, 0, t1, Origin::kQueue);
    classify<kGuard>(*lane, burst, frames.data(), n);
    const std::uint64_t t2 = rte_rdtsc();
    resolve<kGuard>(*lane, burst);
    const std::uint64_t t3 = rte_rdtsc();
    police_rewrite_egress<kGuard>(*lane, burst);
    const std::uint64_t t4 = rte_rdtsc();
    lane->egress.flush(lane->tally);
    lane->tally.publish(counters->port[0]);
    const std::uint64_t t5 = rte_rdtsc();
    const std::array<std::uint64_t, 5> took = {t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t4};
    for (std::size_t i = 0; i < took.size(); ++i)
      sum[i] += took[i];
    received += n;
  }
  const auto per_message = [&](std::size_t i) {
    return static_cast<double>(sum[i]) / static_cast<double>(received);
  };
  return {per_message(0), per_message(1), per_message(2), per_message(3), per_message(4)};
}

perf::Measurement result(const Setting& setting, const char* stage) {
  perf::Measurement m("pipeline_cycles_per_message", "cycles");
  m.param("stage", stage)
      .param("routes", setting.routes)
      .param("order", setting.order)
      .param("burst", setting.burst)
      .param("guard", setting.guard ? "on" : "off")
      .param("tiers", setting.tiers)
      .param("huge_pages", setting.huge_pages);
  return m;
}

void measure_total(BenchWorld& world, const Setting& setting, const Options& options) {
  auto total = result(setting, "total");
  auto making = result(setting, "making");
  std::uint64_t allocations = 0;
  run_worker(world, setting, options.messages / 4);  // warms caches and predictors
  for (int run = 0; run < options.runs; ++run) {
    const double made = run_making(world, setting, options.messages / 2);
    const Total all = run_worker(world, setting, options.messages);
    making.add(made);
    total.add(all.cycles - made);
    allocations += all.allocations;
  }
  total.param("heap_allocations", allocations);
  total.print();
  making.print();
  if (allocations != 0) throw std::runtime_error("the worker allocated memory");
}

void measure_stages(BenchWorld& world, const Setting& setting, const Options& options) {
  std::array<const char*, 5> names = {"rx_and_make", "classify", "resolve", "police_rewrite",
                                      "egress"};
  std::vector<perf::Measurement> stages;
  for (const char* name : names)
    stages.push_back(result(setting, name));
  for (int run = 0; run < options.runs; ++run) {
    const Stages s = setting.guard ? run_stages<true>(world, setting, options.messages / 4)
                                   : run_stages<false>(world, setting, options.messages / 4);
    const std::array<double, 5> samples = {s.receive, s.classify, s.resolve, s.police_rewrite,
                                           s.egress};
    for (std::size_t i = 0; i < samples.size(); ++i)
      stages[i].add(samples[i]);
  }
  for (const auto& stage : stages)
    stage.print();
}

void measure_testpmd(const Options& options, bool huge_pages) {
  for (const char* mode : {"5tswap", "macswap"}) {
    for (const unsigned burst : options.bursts) {
      perf::progress("testpmd {} burst {}", mode, burst);
      perf::Measurement m("testpmd_cycles_per_packet", "cycles");
      m.param("mode", mode)
          .param("burst", burst)
          .param("device", "net_null")
          .param("huge_pages", huge_pages);
      const double hz = perf::tsc_hz();
      const unsigned seconds = options.smoke ? 1 : 4;
      for (const double rate :
           perf::run_testpmd(mode, burst, perf::kFrameBytes, huge_pages, seconds))
        m.add(hz / rate);
      if (m.samples().empty()) {
        perf::progress("testpmd did not run (package dpdk-dev, two CPUs): no reference");
      } else {
        m.print();
      }
    }
  }
}

void measure(const Options& options) {
  cpu_set_t all_cpus;
  ::sched_getaffinity(0, sizeof all_cpus, &all_cpus);
  const int cpu = perf::pin_to_last_cpu();
  if (cpu < 0) throw std::runtime_error("cannot pin to a CPU");
  const std::uint64_t most = *std::ranges::max_element(options.routes);
  const std::uint64_t capacity = options.base ? options.delta_capacity : most + 64;
  const bool huge = perf::start_eal(cpu, 1, RouteTable::memory_needed(capacity) * 3 / 2, true);
  for (const std::uint64_t routes : options.routes) {
    const auto made = options.base ? std::make_unique<BenchWorld>(
                                         1, routes, BenchWorld::BaseTier{options.delta, capacity})
                                   : std::make_unique<BenchWorld>(1, routes, false);
    BenchWorld& world = *made;
    const std::string tiers = options.base ? "base and delta" : "delta";
    for (const bool guard : {false, true}) {
      if (std::ranges::find(options.guards, guard ? "on" : "off") == options.guards.end()) continue;
      world.set_guard(guard);
      for (const std::string& order : options.orders) {
        for (const unsigned burst : options.bursts) {
          const Setting setting{routes, order, burst, guard, huge, tiers};
          perf::progress("{} routes, {}, burst {}, guard {}", routes, order, burst,
                         guard ? "on" : "off");
          measure_total(world, setting, options);
          measure_stages(world, setting, options);
        }
      }
    }
  }
  ::sched_setaffinity(0, sizeof all_cpus, &all_cpus);  // for testpmd, which wants two
  if (options.testpmd) measure_testpmd(options, huge);
}

}  // namespace
}  // namespace sluice::dataplane

int main(int argc, char** argv) {
  sluice::dataplane::Options options;
  CLI::App app("Cycles per message of the dataplane's pipeline over a null port");
  app.add_option("--routes", options.routes, "agents in the table")->delimiter(',');
  app.add_option("--order", options.orders, "random, sequential")
      ->delimiter(',')
      ->check(CLI::IsMember({"random", "sequential"}));
  app.add_option("--burst", options.bursts, "messages per burst")
      ->delimiter(',')
      ->check(CLI::Range(1, 64));
  app.add_option("--guard", options.guards, "source guard: on, off")
      ->delimiter(',')
      ->check(CLI::IsMember({"on", "off"}));
  app.add_option("--runs", options.runs)->check(CLI::Range(1, 1000));
  app.add_flag("!--no-testpmd", options.testpmd, "without the reference");
  app.add_flag("--base", options.base, "two tiers: all agents in a base segment under a delta");
  app.add_option("--delta", options.delta, "with --base: agents that the delta has too")
      ->capture_default_str();
  app.add_option("--delta-capacity", options.delta_capacity, "with --base: routes it has room for")
      ->capture_default_str();
  app.add_flag("--smoke", options.smoke, "a quick look; its figures mean nothing");
  CLI11_PARSE(app, argc, argv);
  if (options.smoke) {
    options.routes = {10'000};
    options.orders = {"random"};
    options.runs = sluice::perf::kSmokeRuns;
    options.messages = 100'000;
  }
  try {
    sluice::dataplane::measure(options);
  } catch (const std::exception& error) {
    sluice::perf::progress("pipeline_bench: {}", error.what());
    return 1;
  }
  return 0;
}
