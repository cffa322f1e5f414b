// Membership in virtual time: detection, false alarms, joining, partitions, idle traffic and forged
// leaves against the size of the cluster, with plain SWIM (the Lifeguard parts off) beside it, for
// `scripts/bench gossip`. One run is one seed; every figure but the wall time is exact for it.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "perf/support/report.hpp"
#include "tests/simulation/simulation.hpp"

namespace sluice {
namespace {

using membership::Lifeguard;
using simulation::Simulation;
using simulation::SimulationConfig;
using simulation::Starved;
using simulation::Traffic;

constexpr Lifeguard kPlain{.local_health = false, .dogpile = false, .buddy = false};

struct Options {
  std::vector<std::uint32_t> sizes = {50, 200, 1000};
  std::vector<std::string> only;
  std::uint32_t minutes = 10;
  int runs = 3;
  std::uint64_t first_seed = 1;
  std::string fault = "blocked";
  std::string detector = "both";
  std::uint32_t slow_ms = 5'000;
  std::uint32_t every_ms = 30'000;
  bool together = false;
  bool smoke = false;

  bool wants(std::string_view name) const {
    return only.empty() || std::ranges::find(only, name) != only.end();
  }
};

class WallTime {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

perf::Measurement measurement(std::string name, std::string unit, std::uint32_t nodes) {
  perf::Measurement m(std::move(name), std::move(unit));
  m.param("nodes", nodes);
  return m;
}

SimulationConfig base(std::uint32_t nodes, std::uint64_t seed) {
  SimulationConfig config;
  config.nodes = nodes;
  config.seed = seed;
  return config;
}

// One node in ten does not keep up for some of the time; now and then one dies for real.
struct SlowResult {
  std::uint64_t false_verdicts = 0;
  std::uint64_t false_views = 0;
  std::uint64_t about_healthy = 0;  // of the verdicts
  std::vector<double> detection_s;
  std::vector<double> gone_s;
  double wall_s = 0;
  double bytes_per_s = 0;
};

void schedule_slow(Simulation& world, const Options& options, std::uint32_t node,
                   std::uint64_t first_ms, std::uint64_t end_ms) {
  const Starved how = options.fault == "stopped" ? Starved::kStopped : Starved::kBlocked;
  for (std::uint64_t t = first_ms; t < end_ms; t += options.every_ms)
    world.at(t, [&world, node, how, ms = options.slow_ms] { world.starve(node, how, ms); });
}

SlowResult run_slow(const Options& options, std::uint32_t nodes, std::uint64_t seed,
                    const Lifeguard& lifeguard) {
  SimulationConfig config = base(nodes, seed);
  config.links.loss = 0.01;
  config.lifeguard = lifeguard;
  const WallTime wall;
  Simulation world(config);
  world.start_all_joined(nodes);
  world.run_for(30'000);
  const Traffic before = world.total_traffic();
  world.truth().reset_counts();
  const std::uint64_t begin = world.now_ms();
  const std::uint64_t end = begin + options.minutes * 60'000ull;
  for (std::uint32_t node = 0; node < nodes; node += 10) {
    const std::uint64_t phase =
        options.together ? 0 : world.network().random().below(options.every_ms);
    schedule_slow(world, options, node, begin + 1 + phase, end);
  }
  // Deaths of healthy nodes, spread over all but the last two minutes.
  std::vector<std::pair<std::uint32_t, std::uint64_t>> deaths;
  const std::uint32_t count = std::min(20u, nodes / 10);
  const std::uint64_t span = end - begin > 150'000 ? end - begin - 120'000 : (end - begin) / 2;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t node = 10 * (i + 1) - 5;
    const std::uint64_t when = begin + 1 + world.network().random().below(span);
    deaths.emplace_back(node, when);
    world.at(when, [&world, node] { world.kill(node); });
  }
  world.run_until(end);
  SlowResult result;
  result.wall_s = wall.seconds();
  result.false_verdicts = world.truth().counts().false_verdicts;
  result.false_views = world.truth().counts().false_views;
  for (std::uint32_t node = 0; node < nodes; ++node)
    if (node % 10 != 0) result.about_healthy += world.truth().false_verdicts_about(node);
  for (const auto& [node, when] : deaths) {
    if (const auto at = world.truth().detected_ms(node); at != 0)
      result.detection_s.push_back(static_cast<double>(at - when) / 1e3);
    if (const auto at = world.truth().gone_ms(node); at != 0)
      result.gone_s.push_back(static_cast<double>(at - when) / 1e3);
  }
  result.bytes_per_s =
      static_cast<double>(world.total_traffic().packet_bytes - before.packet_bytes) /
      (static_cast<double>(end - begin) / 1e3) / nodes;
  return result;
}

void slow_nodes(const Options& options, std::uint32_t nodes) {
  for (const bool plain : {false, true}) {
    if (options.detector == (plain ? "lifeguard" : "plain")) continue;
    const auto named = [&](const char* name, const char* unit) {
      auto m = measurement(name, unit, nodes);
      m.param("detector", plain ? "plain_swim" : "lifeguard")
          .param("fault", options.fault)
          .param("loss_percent", 1)
          .param("slow_ms", options.slow_ms)
          .param("every_ms", options.every_ms)
          .param("together", options.together)
          .param("minutes", options.minutes);
      return m;
    };
    auto verdicts = named("gossip_false_positives", "verdicts");
    auto views = named("gossip_false_positive_views", "views");
    auto healthy = named("gossip_false_positives_about_healthy", "verdicts");
    auto detection = named("gossip_detection", "s");
    auto gone = named("gossip_detection_by_all", "s");
    auto bytes = named("gossip_bytes_per_node_faults", "B/s");
    auto wall = named("gossip_simulation_wall", "s");
    for (int run = 0; run < options.runs; ++run) {
      const auto r = run_slow(options, nodes, options.first_seed + static_cast<std::uint64_t>(run),
                              plain ? kPlain : Lifeguard{});
      perf::progress("slow {} {}: {} false, {:.0f} s wall", nodes, plain ? "plain" : "lifeguard",
                     r.false_verdicts, r.wall_s);
      verdicts.add(static_cast<double>(r.false_verdicts));
      views.add(static_cast<double>(r.false_views));
      healthy.add(static_cast<double>(r.about_healthy));
      for (const double s : r.detection_s)
        detection.add(s);
      for (const double s : r.gone_s)
        gone.add(s);
      bytes.add(r.bytes_per_s);
      wall.add(r.wall_s);
    }
    for (const auto* m : {&verdicts, &views, &healthy, &detection, &gone, &bytes, &wall})
      m->print();
  }
}

void join(const Options& options, std::uint32_t nodes) {
  auto took = measurement("gossip_join_all_views", "s", nodes);
  const std::uint32_t joiners = std::min(50u, nodes);
  took.param("joiners", joiners);
  for (int run = 0; run < options.runs; ++run) {
    Simulation world(base(nodes + joiners, options.first_seed + static_cast<std::uint64_t>(run)));
    world.start_all_joined(nodes);
    world.run_for(30'000);
    for (std::uint32_t i = 0; i < joiners; ++i)
      world.start(nodes + i, {i % std::min(3u, nodes)});
    const auto ms = world.run_until_converged(400'000);
    perf::progress("join {}: {} ms, {} wrong", nodes, ms, world.truth().wrong());
    took.add(ms < 0 ? 400.0 : static_cast<double>(ms) / 1e3);
  }
  took.print();
}

void partition(const Options& options, std::uint32_t nodes) {
  auto took = measurement("gossip_partition_heal", "s", nodes);
  took.param("apart_minutes", options.minutes);
  for (int run = 0; run < options.runs; ++run) {
    Simulation world(base(nodes, options.first_seed + static_cast<std::uint64_t>(run)));
    world.start_all_joined(nodes);
    world.run_for(30'000);
    world.network().cut([half = nodes / 2](std::uint32_t a, std::uint32_t b, std::uint64_t) {
      return (a < half) != (b < half);
    });
    world.run_for(options.minutes * 60'000ull);
    world.network().cut({});
    const auto ms = world.run_until_converged(600'000);
    perf::progress("partition {}: {} ms, {} wrong", nodes, ms, world.truth().wrong());
    took.add(ms < 0 ? 600.0 : static_cast<double>(ms) / 1e3);
  }
  took.print();
}

// What TCP adds: ten small segments to open and close, then a header for every 1448 bytes and an
// acknowledgement for every second of those; 52 bytes of IPv4 and TCP each.
double with_tcp_headers(double streams, double bytes) {
  constexpr double kHeader = 52;
  return streams * 10 * kHeader + bytes * (1 + 1.5 * kHeader / 1448);
}

void idle(const Options& options, std::uint32_t nodes) {
  auto all = measurement("gossip_idle_bytes_per_node_all", "B/s", nodes);
  all.param("headers", "IPv4+UDP, IPv4+TCP");
  auto bytes = measurement("gossip_idle_bytes_per_node", "B/s", nodes);
  auto packets = measurement("gossip_idle_packets_per_node", "packets/s", nodes);
  auto streams = measurement("gossip_idle_push_pull_bytes_per_node", "B/s", nodes);
  auto memory = measurement("gossip_memory_per_core", "B", nodes);
  auto wall = measurement("gossip_simulation_wall", "s", nodes);
  bytes.param("headers", "IPv4+UDP");
  wall.param("scenario", "idle").param("minutes", options.minutes);
  for (int run = 0; run < options.runs; ++run) {
    const WallTime clock;
    Simulation world(base(nodes, options.first_seed + static_cast<std::uint64_t>(run)));
    world.start_all_joined(nodes);
    world.run_for(30'000);
    const Traffic before = world.total_traffic();
    const double seconds = options.minutes * 60.0;
    world.run_for(options.minutes * 60'000ull);
    const Traffic after = world.total_traffic();
    const auto rate = [&](std::uint64_t a, std::uint64_t b) {
      return static_cast<double>(a - b) / seconds / nodes;
    };
    bytes.add(rate(after.packet_bytes, before.packet_bytes));
    all.add(rate(after.packet_bytes, before.packet_bytes) +
            with_tcp_headers(rate(after.streams, before.streams),
                             rate(after.stream_bytes, before.stream_bytes)));
    packets.add(rate(after.packets, before.packets));
    streams.add(rate(after.stream_bytes, before.stream_bytes));
    memory.add(static_cast<double>(world.core(0)->memory_bytes()));
    wall.add(clock.seconds());
    perf::progress("idle {}: {:.0f} s wall", nodes, clock.seconds());
  }
  for (const auto* m : {&all, &bytes, &packets, &streams, &memory, &wall})
    m->print();
}

void forged_leave(const Options& options, std::uint32_t nodes) {
  auto lost = measurement("gossip_forged_leave_views_lost", "views", nodes);
  lost.param("victims", 10).param("loss_percent", 1);
  for (int run = 0; run < options.runs; ++run) {
    auto config = base(nodes, options.first_seed + static_cast<std::uint64_t>(run));
    config.links.loss = 0.01;
    Simulation world(config);
    world.start_all_joined(nodes);
    world.run_for(10'000);
    for (std::uint32_t victim = 0; victim < 10; ++victim) {
      const std::string name = Simulation::name_of(victim);
      for (std::uint32_t i = 0; i < nodes; ++i)
        world.inject(i, membership::Dead{1, name, name});
      world.run_for(10'000);
    }
    const auto& counts = world.truth().counts();
    perf::progress("forged leave {}: {} left, {} failed", nodes, counts.false_leaves,
                   counts.false_views);
    lost.add(static_cast<double>(counts.false_leaves + counts.false_views));
  }
  lost.print();
}

int parse_and_run(int argc, char** argv) {
  Options options;
  CLI::App app("Membership in virtual time", "gossip_bench");
  app.add_option("--nodes", options.sizes, "cluster sizes")
      ->check(CLI::Range(20u, 5000u))
      ->capture_default_str();
  app.add_option("--only", options.only, "scenarios")
      ->check(CLI::IsMember({"slow", "join", "partition", "idle", "forged"}));
  app.add_option("--minutes", options.minutes, "virtual minutes of a run, and of a partition")
      ->check(CLI::Range(1u, 600u))
      ->capture_default_str();
  app.add_option("--runs", options.runs, "seeds")->check(CLI::Range(1, 100))->capture_default_str();
  app.add_option("--seed", options.first_seed, "the first seed")->capture_default_str();
  app.add_option("--fault", options.fault, "how slow nodes are slow")
      ->check(CLI::IsMember({"blocked", "stopped"}))
      ->capture_default_str();
  app.add_option("--detector", options.detector, "whose false positives: one by one for long runs")
      ->check(CLI::IsMember({"both", "lifeguard", "plain"}))
      ->capture_default_str();
  app.add_option("--slow-ms", options.slow_ms, "for how long")->capture_default_str();
  app.add_option("--every-ms", options.every_ms, "of how long")->capture_default_str();
  app.add_flag("--together", options.together, "all slow nodes at the same time");
  app.add_flag("--smoke", options.smoke, "very short, to see that it works");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  if (options.smoke) {
    options.sizes = {50};
    options.minutes = 2;
    options.runs = 1;
  }
  for (const std::uint32_t nodes : options.sizes) {
    if (options.wants("slow")) slow_nodes(options, nodes);
    if (options.wants("join")) join(options, nodes);
    if (options.wants("partition")) partition(options, nodes);
    if (options.wants("idle")) idle(options, nodes);
    if (options.wants("forged")) forged_leave(options, nodes);
  }
  return 0;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  try {
    return sluice::parse_and_run(argc, argv);
  } catch (const std::exception& error) {
    sluice::perf::progress("gossip_bench: {}", error.what());
    return 1;
  }
}
