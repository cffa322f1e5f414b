// Bases are swapped again and again under a worker that forwards, while routes are changed, deleted
// and added, and every delivery is checked (swap_traffic.hpp). Tells what was lost and delivered
// wrongly (nothing, or it fails), how long the worker was ever away from its port, with and without
// a swap going on, and how long a swap takes.
//
// Two states of the routes, S0 and S1, with a base built of each. One round: the routes that differ
// are changed to S1 little by little, through the delta; the base of S1 comes; then all back. A
// few routes change all the time, also during the swap, and the bases say something old of them.
#include <fcntl.h>
#include <poll.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/apply/apply.hpp"
#include "dataplane/table/tables.hpp"
#include "perf/link/bench_ids.hpp"
#include "perf/link/null_worker.hpp"
#include "perf/link/swap_control.hpp"
#include "perf/link/swap_traffic.hpp"
#include "perf/support/built_base.hpp"
#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"
#include "perf/support/tsc.hpp"

namespace sluice {
namespace {

using link::CommandKind;
using link::EventKind;
using perf::SwapTraffic;

constexpr std::uint32_t kHosts = SwapTraffic::kHosts;
constexpr std::uint16_t kUdpPort = 9000;
constexpr HashKey kKey{{7, 7, 7}};
constexpr std::size_t kDisturbed = 8;
constexpr std::size_t kChangedAtOnce = 256;
constexpr unsigned kTargetUs = 50;  // of a worker's longest gap while a base is swapped

struct Options {
  std::uint64_t routes = 1'000'000;
  std::uint64_t changes = 10'000;  // between the two states
  std::uint64_t restless = 1'000;  // that change all the time
  int swaps = 20;
  int quiet_ms = 200;  // measured before each swap
  bool realtime = false;
  bool smoke = false;
  std::vector<int> cpus = perf::allowed_cpus();  // before anybody is pinned
};

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), truth_(options.routes) {
    std::string text = std::filesystem::temp_directory_path() / "sluice-swap-XXXXXX";
    run_dir_ = ::mkdtemp(text.data());
    for (std::uint8_t state = 0; state < 2; ++state)
      files_[state] = perf::write_base(
          run_dir_ + "/base" + std::to_string(state), static_cast<std::uint8_t>(state + 1), kKey,
          options_.routes, kHosts, 2, [&](std::uint64_t route) { return entry(route, state); });
    ports_.count = 1;
    ports_.port[0].mac = {2, 0, 0, 0, 0, 1};
    ports_.port[0].dpdk_port = 0;
    ports_.index_of_dpdk_port[0] = 0;
    ports_.up.store(1);
    status_ = must(dataplane::StatusMemory::create());
    tables_ = must(dataplane::Tables::create({.routes = options_.changes * 4 + 100'000}));
    worker_.emplace(ports_, *tables_, status_->segment().counters[0], options_.routes);
    traffic_.emplace(std::uint16_t{0}, options_.routes, options_.realtime);
    dataplane::ApplyOptions apply;
    apply.run_dir = run_dir_;
    apply.bridge.ports = &ports_;
    apply.bridge.workers.push_back(&worker_->context());
    apply.bridge.mempool = worker_->context().mempool;
    apply_ = must(dataplane::Apply::create(apply, *tables_, *status_));
    control_.emplace(run_dir_ + "/dataplane.sock", [this] { turn(); });
  }
  ~Bench() {
    worker_.reset();
    std::filesystem::remove_all(run_dir_);
  }

  bool run() {
    begin();
    worker_->start(options_.cpus.back());
    perf::Measurement quiet("base_swap_longest_gap_quiet", "us");
    perf::Measurement swapping("base_swap_longest_gap", "us");
    // The machine has gaps of its own: interrupts, other virtual machines.
    Watch watched_quiet;
    Watch watched_swaps;
    perf::Measurement load("base_swap_load", "ms");
    perf::Measurement commit("base_swap_commit_to_done", "ms");
    pass(options_.quiet_ms);  // caches are cold at first
    for (int i = 0; i < options_.swaps; ++i) {
      const std::uint8_t state = (i & 1) == 0 ? 1 : 0;
      change_to(state);
      const int quiet_ms = i == 0 ? options_.quiet_ms : last_swap_ms_;  // as long as a swap
      quiet.add(watch(watched_quiet, [&] { pass(quiet_ms); }));
      swapping.add(watch(watched_swaps, [&] { swap(state, load, commit); }));
    }
    worker_->stop();
    print_gaps(watched_quiet, false);
    print_gaps(watched_swaps, true);
    print_calm(quiet, false);
    print_calm(swapping, true);
    for (auto* m : {&quiet, &swapping, &load, &commit}) {
      m->param("routes", options_.routes)
          .param("changes", options_.changes)
          .param("realtime", options_.realtime);
      m->print();
    }
    return judge();
  }

 private:
  // What the worker went through while something was done.
  struct Watch {
    SwapTraffic::Gaps gaps{};
    std::uint64_t ns = 0;
  };

  // The longest gap, in microseconds.
  double watch(Watch& sum, const std::function<void()>& work) {
    traffic_->take_longest_gap_tsc();
    traffic_->take_gaps();
    const std::uint64_t start = perf::monotonic_ns();
    work();
    const std::uint64_t took = perf::monotonic_ns() - start;
    const double longest = microseconds(traffic_->take_longest_gap_tsc());
    const SwapTraffic::Gaps gaps = traffic_->take_gaps();
    for (std::size_t i = 0; i < gaps.size(); ++i)
      sum.gaps[i] += gaps[i];
    sum.ns += took;
    last_swap_ms_ = static_cast<int>(took / 1'000'000);
    return longest;
  }

  void print_gaps(const Watch& watched, bool swaps) const {
    const double seconds = static_cast<double>(watched.ns) / 1e9;
    for (std::size_t i = 0; i < watched.gaps.size(); ++i) {
      perf::Measurement m("base_swap_gaps", "1/s");
      m.param("above_us", SwapTraffic::kGapUs[i]).param("swaps", swaps);
      m.param("count", watched.gaps[i]).param("seconds", seconds);
      m.add(static_cast<double>(watched.gaps[i]) / seconds);
      m.print();
    }
  }

  // How many of the times, equally long, were without a gap above the target.
  void print_calm(const perf::Measurement& longest, bool swaps) const {
    perf::Measurement m("base_swap_without_long_gap", "share");
    m.param("most_us", kTargetUs).param("swaps", swaps).param("times", longest.samples().size());
    const auto calm = std::ranges::count_if(
        longest.samples(), [](double us) { return us <= static_cast<double>(kTargetUs); });
    m.add(static_cast<double>(calm) / static_cast<double>(longest.samples().size()));
    m.print();
  }

  enum class Kind : std::uint8_t { kStable, kMoves, kGoes, kComes, kRestless };

  // Spread over all ids: the numbers are scrambled anyway.
  Kind kind_of(std::uint64_t route) const {
    if (route < options_.restless) return Kind::kRestless;
    const std::uint64_t at = route - options_.restless;
    if (at >= options_.changes) return Kind::kStable;
    return at % 3 == 0 ? Kind::kMoves : at % 3 == 1 ? Kind::kGoes : Kind::kComes;
  }
  // The host of a route in a state; kNoIndex: it has none.
  std::uint32_t host_in(std::uint64_t route, std::uint8_t state) const {
    const auto first = static_cast<std::uint32_t>(route % kHosts);
    switch (kind_of(route)) {
      case Kind::kMoves:
        return (first + state) % kHosts;
      case Kind::kGoes:
        return state == 0 ? first : kNoIndex;
      case Kind::kComes:
        return state == 1 ? first : kNoIndex;
      case Kind::kStable:
      case Kind::kRestless:
        break;
    }
    return first;
  }
  std::pair<Id, Action> entry(std::uint64_t route, std::uint8_t state) const {
    const std::uint32_t host = host_in(route, state);
    if (host == kNoIndex) return {perf::bench_id(route), Action{}};
    return {perf::bench_id(route), Action(ActionKind::kAdjacency, host, kUdpPort, 0, 0)};
  }

  template <class T>
  static T must(Result<T> result) {
    if (result) return std::move(*result);
    perf::progress("base swap: {}", result.error().message());
    std::exit(1);
  }
  static double microseconds(std::uint64_t tsc) {
    return static_cast<double>(tsc) * 1e6 / perf::tsc_hz();
  }

  // As the manager's loop.
  void turn() {
    if (apply_->turn()) return;
    if (apply_->prepare_sleep()) {
      pollfd wait{.fd = apply_->fd(), .events = POLLIN, .revents = 0};
      ::poll(&wait, 1, 0);
    }
    apply_->finish_sleep();
  }

  void begin() {
    if (!perf::pin_to_cpu(options_.cpus.front())) std::exit(1);
    std::vector<link::Command> all = {control_->command(CommandKind::kBeginSync),
                                      control_->command(CommandKind::kHashKey)};
    all.back().body.hash_key = kKey.bytes;
    link::Command local = control_->command(CommandKind::kLocalAddress);
    local.body.local_address = {.address = perf::kRouterAddress, .port = 0, .present = 1};
    all.push_back(local);
    link::Command port = control_->command(CommandKind::kPortSettings);
    port.body.port_settings = {.port = 0, .source_guard = 0};
    all.push_back(port);
    for (std::uint32_t host = 0; host < kHosts; ++host)
      all.push_back(control_->adjacency(host, IpAddress::v4(Big32(0x0a010000 + host))));
    control_->say(all);
    offer(0);
    control_->say(control_->commit(files_[0].id, files_[0].entries, kHosts, 1));
    for (std::uint64_t route = 0; route < options_.routes; ++route) {
      truth_[route] = static_cast<std::uint8_t>(host_in(route, 0));
      traffic_->allow(route, may(truth_[route]));
    }
    for (std::uint64_t i = 0; i <= options_.restless / kDisturbed; ++i)
      disturb();
    control_->say({control_->command(CommandKind::kEndSync)});
  }

  static std::uint8_t may(std::uint8_t host) {
    return host < kHosts ? static_cast<std::uint8_t>(1U << host) : SwapTraffic::kMayVanish;
  }

  struct Change {
    std::uint64_t route;
    std::uint8_t host;  // kHosts and above: none
  };

  // As the control plane would; first what may happen meanwhile is allowed. Every worker has seen
  // that before the commands are given, and their effect before only that is allowed.
  void set(const std::vector<Change>& changes) {
    for (const Change& c : changes)
      traffic_->allow(c.route, static_cast<std::uint8_t>(may(truth_[c.route]) | may(c.host)));
    tables_->readers.synchronize();
    std::vector<link::Command> commands;
    for (const Change& c : changes) {
      const Id id = perf::bench_id(c.route);
      commands.push_back(c.host < kHosts ? control_->route(id, c.host, kUdpPort)
                                         : control_->deletion(id));
    }
    control_->say(commands);
    tables_->readers.synchronize();
    for (const Change& c : changes) {
      truth_[c.route] = c.host;
      traffic_->allow(c.route, may(c.host));
    }
  }
  void disturb() {
    std::vector<Change> changes;
    for (std::uint64_t i = 0; i < kDisturbed; ++i) {
      const std::uint64_t route = restless_++ % options_.restless;
      changes.push_back({route, static_cast<std::uint8_t>((truth_[route] + 1U) % kHosts)});
    }
    set(changes);
  }
  void change_to(std::uint8_t state) {
    std::vector<Change> changes;
    for (std::uint64_t i = 0; i < options_.changes; ++i) {
      const std::uint64_t route = options_.restless + i;
      changes.push_back({route, static_cast<std::uint8_t>(host_in(route, state))});
      if (changes.size() < kChangedAtOnce && i + 1 < options_.changes) continue;
      set(changes);
      changes.clear();
    }
  }
  void pass(int milliseconds) {
    const std::uint64_t end =
        perf::monotonic_ns() + static_cast<std::uint64_t>(milliseconds) * 1'000'000;
    while (perf::monotonic_ns() < end)
      disturb();
  }

  // Routes go on changing while it is loaded, and while the delta is pruned.
  void offer(std::uint8_t state) {
    const int file = ::open(files_[state].path.c_str(), O_RDONLY | O_CLOEXEC);
    control_->offer(files_[state].id, file);
    ::close(file);
    control_->await(EventKind::kBaseLoaded);
  }
  void swap(std::uint8_t state, perf::Measurement& load, perf::Measurement& commit) {
    const int file = ::open(files_[state].path.c_str(), O_RDONLY | O_CLOEXEC);
    control_->offer(files_[state].id, file);
    ::close(file);
    while (!control_->heard(EventKind::kBaseLoaded))
      disturb();
    load.add(static_cast<double>(control_->await(EventKind::kBaseLoaded).body.base_loaded.load_ns) /
             1e6);
    const std::uint64_t start = perf::monotonic_ns();
    control_->say(control_->commit(files_[state].id, files_[state].entries, kHosts, ++number_));
    while (!control_->heard(EventKind::kBaseDone))
      disturb();
    const auto done = control_->await(EventKind::kBaseDone).body.base_done;
    commit.add(static_cast<double>(perf::monotonic_ns() - start) / 1e6);
    pruned_ += done.pruned;
    // The memory of the one before is given back.
    while (tables_->pending() > 0)
      disturb();
  }

  bool judge() {
    const SwapTraffic::Totals sum = traffic_->totals();
    const std::uint64_t lost = sum.must - sum.must_delivered;
    perf::progress("base swap: {} swaps, {} messages, {} delivered, {} pruned, lost {}, wrong {}",
                   options_.swaps, sum.made, sum.delivered, pruned_, lost, sum.wrong);
    for (const auto& [name, value] : {std::pair("base_swap_messages_lost", lost),
                                      std::pair("base_swap_messages_wrong", sum.wrong)}) {
      perf::Measurement m(name, "messages");
      m.param("routes", options_.routes).param("swaps", options_.swaps).param("messages", sum.made);
      m.add(static_cast<double>(value));
      m.print();
    }
    const std::uint64_t expected =
        static_cast<std::uint64_t>(options_.swaps) * options_.changes / 2;
    return lost == 0 && sum.wrong == 0 && sum.must > 0 && pruned_ >= expected;
  }

  Options options_;
  std::string run_dir_;
  std::array<perf::WrittenBase, 2> files_;
  dataplane::PortTable ports_;
  std::unique_ptr<dataplane::StatusMemory> status_;
  std::unique_ptr<dataplane::Tables> tables_;
  std::optional<perf::NullWorker> worker_;
  std::optional<SwapTraffic> traffic_;
  std::unique_ptr<dataplane::Apply> apply_;
  std::optional<perf::SwapControl> control_;
  std::vector<std::uint8_t> truth_;  // host by route; above kHosts: none
  std::uint64_t restless_ = 0;
  std::uint64_t pruned_ = 0;
  std::uint32_t number_ = 1;
  int last_swap_ms_ = 0;
};

void start_eal() {
  const std::string cpu = "0@" + std::to_string(perf::allowed_cpus().front());
  const std::string vdev = "--vdev=net_null0,size=" + std::to_string(perf::kMessageBytes);
  std::vector<std::string> words = {"base_swap_bench",
                                    "--no-huge",
                                    "--no-pci",
                                    "--no-shconf",
                                    "--no-telemetry",
                                    "-m",
                                    "512",
                                    "--lcores",
                                    cpu,
                                    "--log-level",
                                    "lib.eal:error",
                                    vdev};
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0) return;
  perf::progress("DPDK does not start: {}", rte_strerror(rte_errno));
  std::exit(1);
}

int parse_and_run(int argc, char** argv) {
  Options options;
  CLI::App app("Base segments swapped under a worker that forwards");
  app.add_option("--routes", options.routes, "agents")->capture_default_str();
  app.add_option("--changes", options.changes, "routes that differ from one base to the next")
      ->capture_default_str();
  app.add_option("--swaps", options.swaps)->capture_default_str();
  app.add_flag("--realtime", options.realtime,
               "the worker's thread is real-time, where no core is isolated; wants "
               "kernel.sched_rt_runtime_us=-1");
  app.add_flag("--smoke", options.smoke, "a few seconds; still everything is checked");
  CLI11_PARSE(app, argc, argv);
  if (options.smoke) {
    options.routes = 50'000;
    options.changes = 1'500;
    options.restless = 200;
    options.swaps = 6;
    options.quiet_ms = 20;
  }
  if (options.routes < options.changes + options.restless) {
    perf::progress("base swap: fewer routes than change");
    return 2;
  }
  spdlog::set_level(spdlog::level::err);
  start_eal();
  return Bench(options).run() ? 0 : 1;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  return sluice::parse_and_run(argc, argv);
}
