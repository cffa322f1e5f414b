// Cycles per look-up (and per change) of the dataplane's route table, keyed hash included: by size,
// hit ratio, order and burst. Ids to look up are made beforehand and read in a stream, as a worker
// reads them from its messages; what that stream alone costs is measured too and printed for
// people. Uses huge pages when the machine has enough of them free, and says in each result which
// it had.
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/table/route_table.hpp"
#include "perf/micro/base_bench.hpp"
#include "perf/micro/query_stream.hpp"
#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"
#include "perf/support/tsc.hpp"
#include "sluice/base/ids.hpp"

namespace sluice {
namespace {

using dataplane::RouteTable;
using perf::QueryStream;

struct Options {
  std::vector<std::size_t> routes = {1'000, 10'000, 100'000, 1'000'000, 10'000'000};
  std::vector<unsigned> hits = {100, 95, 50};
  std::vector<unsigned> bursts = {4, 8, 32, 64};
  std::vector<std::string> orders = {"random", "sequential"};
  int runs = perf::kRuns;
  double cycles_per_run = 3e7;
  bool base = false;
  std::size_t delta = 10'000;
  std::size_t delta_capacity = 1'000'000;
};

Action action_of(std::uint64_t number, std::uint8_t epoch) {
  return {ActionKind::kAdjacency, static_cast<std::uint32_t>(number & 0xfffff), 7600, 0, epoch};
}

std::uint64_t proc_number(const char* path, std::string_view label) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::uint64_t value = 0;
    if (word == label && file >> value) return value;
  }
  return 0;
}

enum class Pages { kNone, kTooFew, kUsed };

// Huge pages only when all tables fit; half of them would measure neither.
Pages start_eal(int cpu, std::size_t needed_bytes) {
  constexpr std::size_t kMegabyte = 1'048'576;
  const std::size_t page = proc_number("/proc/meminfo", "Hugepagesize:") * 1024;
  const std::size_t free_bytes = proc_number("/proc/meminfo", "HugePages_Free:") * page;
  const bool huge = free_bytes >= needed_bytes;
  std::vector<std::string> words = {"table_bench", "--lcores",       "0@" + std::to_string(cpu),
                                    "--no-pci",    "--no-telemetry", "--log-level=lib.eal:error"};
  if (huge) {
    words.emplace_back("--in-memory");
  } else {
    words.insert(words.end(),
                 {"--no-huge", "--no-shconf", "-m", std::to_string(needed_bytes / kMegabyte + 1)});
  }
  std::vector<char*> arguments;
  for (std::string& word : words)
    arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) {
    perf::progress("table_bench: DPDK does not start: {}", rte_strerror(rte_errno));
    std::exit(1);
  }
  return huge ? Pages::kUsed : free_bytes != 0 ? Pages::kTooFew : Pages::kNone;
}

std::size_t heap_bytes() {
  rte_malloc_socket_stats stats{};
  rte_malloc_get_socket_stats(0, &stats);
  return stats.heap_allocsz_bytes;
}

class Bench {
 public:
  Bench(const Options& options, std::string_view pages) : options_(options), pages_(pages) {}

  bool run() {
    for (const std::size_t routes : options_.routes) {
      if (!measure_size(routes)) return false;
    }
    return true;
  }

 private:
  bool measure_size(std::size_t routes) {
    const std::size_t before = heap_bytes();
    auto table = RouteTable::create(routes, HashKey{{1, 2, 3}}, readers_, -1);
    if (!table) {
      perf::progress("table_bench: {}", table.error().message());
      return false;
    }
    perf::Measurement memory("table_bytes_per_route", "bytes");
    memory.param("routes", routes);
    memory.add(static_cast<double>(heap_bytes() - before) / static_cast<double>(routes));
    memory.print();
    measure_changes(**table, routes);
    for (const std::string& order : options_.orders) {
      for (const unsigned hit : options_.hits)
        measure_lookups(**table, routes, order, hit);
    }
    return true;
  }

  // All routes in one run each: inserted, then overwritten with a new epoch in random order.
  void measure_changes(RouteTable& table, std::size_t routes) {
    perf::Measurement insert("table_cycles_per_insert", "cycles");
    insert.param("routes", routes).param("burst", RouteTable::kMaxBurst).param("pages", pages_);
    insert.add(set_all(table, routes, 1, 1));
    insert.print();
    perf::Measurement overwrite("table_cycles_per_overwrite", "cycles");
    overwrite.param("routes", routes).param("burst", RouteTable::kMaxBurst).param("pages", pages_);
    const int runs = routes > 1'000'000 ? 1 : options_.runs;
    for (int run = 0; run < runs; ++run)
      overwrite.add(set_all(table, routes, static_cast<std::uint8_t>(2 + run), 1'000'003));
    overwrite.print();
  }

  // Only the table's own work is timed, burst by burst; about 40 cycles of stamps per burst.
  double set_all(RouteTable& table, std::size_t routes, std::uint8_t epoch, std::uint64_t stride) {
    std::array<Id, RouteTable::kMaxBurst> ids;
    std::array<Action, RouteTable::kMaxBurst> actions;
    std::array<dataplane::RouteChange, RouteTable::kMaxBurst> changes;
    std::uint64_t cycles = 0;
    std::uint64_t number = 0;
    for (std::size_t done = 0; done < routes;) {
      const auto n = static_cast<unsigned>(std::min<std::size_t>(ids.size(), routes - done));
      for (unsigned i = 0; i < n; ++i) {
        ids[i] = perf::scrambled_id(number);
        actions[i] = action_of(number, epoch);
        number = (number + stride) % routes;
      }
      const std::uint64_t start = perf::tsc_begin();
      table.set_burst(ids.data(), actions.data(), n, changes.data());
      cycles += perf::tsc_end() - start;
      done += n;
    }
    return static_cast<double>(cycles) / static_cast<double>(routes);
  }

  void measure_lookups(const RouteTable& table, std::size_t routes, std::string_view order,
                       unsigned hit_percent) {
    queries_.fill(routes, order, hit_percent);
    const double stream = queries_.cycles_per_id(RouteTable::kMaxBurst, QueryStream::kMost / 2,
                                                 [&](const Id* ids, unsigned n) {
                                                   for (unsigned i = 0; i < n; ++i)
                                                     perf::keep(ids[i].bytes[0]);
                                                 });
    for (const unsigned burst : options_.bursts) {
      perf::Measurement result("table_cycles_per_lookup", "cycles");
      result.param("routes", routes)
          .param("hit_ratio", hit_percent / 100.0)
          .param("order", order)
          .param("burst", burst)
          .param("pages", pages_);
      std::array<Action, RouteTable::kMaxBurst> actions;
      const auto lookup = [&](const Id* ids, unsigned n) {
        table.lookup_burst(ids, n, actions.data());
        perf::keep(&actions);
      };
      const double rough = queries_.cycles_per_id(burst, 1U << 14, lookup);
      const auto ids = static_cast<std::size_t>(options_.cycles_per_run / rough);
      for (int run = 0; run < options_.runs; ++run)
        result.add(queries_.cycles_per_id(burst, std::min(ids, QueryStream::kMost), lookup));
      result.print();
    }
    perf::progress("table_bench: {} routes, {}, {} % hits: {:.1f} cycles per id are the stream's",
                   routes, order, hit_percent, stream);
  }

  const Options& options_;
  std::string pages_;
  dataplane::Readers readers_;
  QueryStream queries_;
};

// 0 measured, 1 this machine cannot.
int run(const Options& options) {
  const int cpu = perf::pin_to_last_cpu();
  if (cpu < 0) {
    perf::progress("table_bench: cannot pin to a CPU");
    return 1;
  }
  const std::size_t largest =
      options.base ? options.delta_capacity : *std::ranges::max_element(options.routes);
  const std::size_t needed = RouteTable::memory_needed(largest) * 11 / 10 + (64U << 20);
  const Pages pages = start_eal(cpu, needed);
  if (pages == Pages::kTooFew)
    perf::progress("table_bench: too few huge pages free; {} MiB are needed", needed >> 20);
  const std::string_view name = pages == Pages::kUsed ? "huge" : "small";
  perf::progress("table_bench: CPU {}, TSC {:.0f} MHz, {} pages, hash {}", cpu,
                 perf::tsc_hz() / 1e6, name, to_string(best_isa()));
  if (options.base) {
    return perf::measure_base({.routes = options.routes,
                               .hits = options.hits,
                               .bursts = options.bursts,
                               .orders = options.orders,
                               .delta = options.delta,
                               .delta_capacity = options.delta_capacity,
                               .runs = options.runs,
                               .cycles_per_run = options.cycles_per_run})
               ? 0
               : 1;
  }
  return Bench(options, name).run() ? 0 : 1;
}

int parse_and_run(int argc, char** argv) {
  Options options;
  bool smoke = false;
  CLI::App app("Cycles per look-up of the route table", "table_bench");
  app.add_option("--routes", options.routes, "table sizes, all full")
      ->check(CLI::Range(std::size_t{1}, RouteTable::kMaxCapacity))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--hit", options.hits, "hit ratios, percent")
      ->check(CLI::Range(0U, 100U))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--burst", options.bursts, "burst sizes")
      ->check(CLI::Range(1U, RouteTable::kMaxBurst))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--order", options.orders, "random, sequential (in the order of insertion)")
      ->check(CLI::IsMember({"random", "sequential"}))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--runs", options.runs, "timed runs per figure")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--base", options.base, "two tiers: the routes in a base segment under a delta");
  app.add_option("--delta", options.delta, "with --base: routes of the base that the delta has too")
      ->capture_default_str();
  app.add_option("--delta-capacity", options.delta_capacity, "with --base: routes it has room for")
      ->check(CLI::Range(std::size_t{1}, RouteTable::kMaxCapacity))
      ->capture_default_str();
  app.add_flag("--smoke", smoke, "very short, to see that it works; figures mean nothing");
  CLI11_PARSE(app, argc, argv);
  if (smoke) {
    options.routes = {1'000, 100'000};
    options.runs = perf::kSmokeRuns;
    options.cycles_per_run = 1e5;
    options.delta = 100;
    options.delta_capacity = 1'000;
  }
  return run(options);
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  return sluice::parse_and_run(argc, argv);
}
