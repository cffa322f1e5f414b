#include "perf/micro/base_bench.hpp"

#include <array>
#include <memory>

#include "dataplane/table/routes.hpp"
#include "perf/micro/query_stream.hpp"
#include "perf/support/built_base.hpp"
#include "perf/support/report.hpp"

namespace sluice::perf {

namespace {

using dataplane::BaseTable;
using dataplane::Routes;
using dataplane::RouteTable;

constexpr std::uint32_t kHosts = 1000;
constexpr HashKey kKey{{1, 2, 3}};

class BaseBench {
 public:
  explicit BaseBench(const BaseBenchOptions& options) : options_(options) {}

  bool run() {
    for (const std::size_t routes : options_.routes)
      if (!measure_size(routes)) return false;
    return true;
  }

 private:
  bool measure_size(std::size_t routes) {
    progress("table_bench: building a base of {} routes", routes);
    const auto built = build_base(kKey, routes, kHosts, 2, [](std::uint64_t number) {
      const Action action(ActionKind::kAdjacency, static_cast<std::uint32_t>(number % kHosts), 7600,
                          0, 0);
      return std::pair(scrambled_id(number), action);
    });
    pages_ = built.loaded->memory.huge() ? "huge" : "small";
    print_base(routes, built);
    std::vector<std::uint32_t> slots(kHosts);
    for (std::uint32_t i = 0; i < kHosts; ++i)
      slots[i] = i * 7 % kHosts;
    const auto base = BaseTable::create(built.loaded, slots, 1, 1, -1);
    auto delta = RouteTable::create(options_.delta_capacity, kKey, readers_, -1);
    if (!base || !delta) {
      progress("table_bench: {}", base ? delta.error().message() : base.error().message());
      return false;
    }
    // Every so many-th route of the base has changed since.
    const std::size_t changed = std::min(options_.delta, routes);
    for (std::size_t i = 0; i < changed; ++i)
      (*delta)->set(scrambled_id(i * (routes / changed)), Action(ActionKind::kLocal, 0, 0, 0, 1));
    const auto filter = dataplane::DeltaFilter::create(2 * changed, -1);
    for (std::size_t i = 0; i < changed; ++i)
      (*filter)->add((*delta)->hasher()(scrambled_id(i * (routes / changed))));
    const Routes both(**delta, base->get(), filter->get());
    for (const std::string& order : options_.orders)
      for (const unsigned hit : options_.hits)
        measure_lookups(both, routes, order, hit);
    return true;
  }

  void print_base(std::size_t routes, const BuiltBase& built) const {
    Measurement bytes("table_base_bytes_per_route", "bytes");
    bytes.param("routes", routes).add(built.bytes_per_route());
    bytes.print();
    Measurement build("table_base_build_ns_per_route", "ns");
    build.param("routes", routes)
        .param("threads", 2)
        .add(built.build_ns / static_cast<double>(routes));
    build.print();
    Measurement load("table_base_load_ns_per_route", "ns");
    load.param("routes", routes)
        .param("pages", pages_)
        .add(built.load_ns / static_cast<double>(routes));
    load.print();
  }

  void measure_lookups(const Routes& table, std::size_t routes, std::string_view order,
                       unsigned hit_percent) {
    queries_.fill(routes, order, hit_percent);
    for (const unsigned burst : options_.bursts) {
      Measurement result("table_base_cycles_per_lookup", "cycles");
      result.param("routes", routes)
          .param("delta", options_.delta)
          .param("delta_capacity", options_.delta_capacity)
          .param("hit_ratio", hit_percent / 100.0)
          .param("order", order)
          .param("burst", burst)
          .param("pages", pages_);
      std::array<Action, Routes::kMaxBurst> actions;
      const auto lookup = [&](const Id* ids, unsigned n) {
        table.lookup_burst(ids, n, actions.data());
        keep(&actions);
      };
      const double rough = queries_.cycles_per_id(burst, 1U << 14, lookup);
      const auto ids =
          std::min(static_cast<std::size_t>(options_.cycles_per_run / rough), QueryStream::kMost);
      for (int run = 0; run < options_.runs; ++run)
        result.add(queries_.cycles_per_id(burst, ids, lookup));
      result.print();
    }
  }

  const BaseBenchOptions& options_;
  std::string pages_;
  dataplane::Readers readers_;
  QueryStream queries_;
};

}  // namespace

bool measure_base(const BaseBenchOptions& options) {
  return BaseBench(options).run();
}

}  // namespace sluice::perf
