// Route updates per second from the control plane's ring to applied, messages lost meanwhile, and
// how long a full resynchronisation takes after a restart of either side. A second process is the
// control plane; this one is the dataplane's manager thread, with or without a real worker that
// forwards on a null device beside it.
#include <poll.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/apply/apply.hpp"
#include "dataplane/table/tables.hpp"
#include "perf/link/control_process.hpp"
#include "perf/link/null_worker.hpp"
#include "perf/support/cpu.hpp"
#include "perf/support/report.hpp"
#include "perf/support/tsc.hpp"

namespace sluice {
namespace {

struct Options {
  std::uint64_t routes = 1'000'000;
  std::uint64_t updates = 1'000'000;  // per run
  int runs = perf::kRuns;
  bool smoke = false;
  bool worker = true;
  std::vector<int> cpus = perf::allowed_cpus();  // before anybody is pinned
};

struct Cpus {
  int manager;
  int worker;
  int control;
};

// Each its own CPU where there are three; else the control plane shares the manager's, because a
// worker that polls has its core for itself.
Cpus place(const std::vector<int>& cpus, bool worker) {
  const int last = cpus.back();
  if (cpus.size() >= 3) return {cpus[0], last, cpus[1]};
  if (cpus.size() == 2 && !worker) return {cpus[0], -1, last};
  return {cpus[0], last, cpus[0]};
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options) {
    std::string text = std::filesystem::temp_directory_path() / "sluice-bench-XXXXXX";
    run_dir_ = ::mkdtemp(text.data());
    ports_.count = 1;
    ports_.port[0].mac = {2, 0, 0, 0, 0, 1};
    ports_.port[0].dpdk_port = 0;
    ports_.index_of_dpdk_port[0] = 0;
    ports_.up.store(1);
    status_ = must(dataplane::StatusMemory::create());
  }
  ~Bench() {
    worker_.reset();
    std::filesystem::remove_all(run_dir_);
  }

  void updates(bool with_worker) {
    const Cpus cpus = place(options_.cpus, with_worker);
    check(perf::pin_to_cpu(cpus.manager));
    make_dataplane(with_worker ? cpus.worker : -1);
    perf::ControlProcess control(run_dir_, options_.routes, cpus.control);
    control.connect();
    finish(control);
    perf::Measurement rate("link_updates_per_second", "updates/s");
    perf::Measurement asked("link_updates_per_second_asked", "updates/s");
    perf::Measurement lost("link_messages_lost", "messages");
    perf::Measurement forwarded("link_messages_forwarded", "messages/s");
    for (int run = 0; run < options_.runs; ++run) {
      const auto before = messages();
      control.update(options_.updates);
      const perf::Reply reply = finish(control);
      check(reply.refused == 0);
      rate.add(static_cast<double>(options_.updates) / reply.ring_seconds);
      asked.add(static_cast<double>(options_.updates) / reply.total_seconds);
      const auto after = messages();
      lost.add(static_cast<double>(after.dropped - before.dropped));
      forwarded.add(static_cast<double>(after.forwarded - before.forwarded) / reply.total_seconds);
      memory_per_route_ = reply.bytes_per_route;
    }
    for (auto* measurement : {&rate, &asked, &lost, &forwarded}) {
      describe(*measurement, with_worker, cpus);
      if (with_worker || measurement == &rate || measurement == &asked) measurement->print();
    }
    perf::progress("programmer: {:.1f} bytes per route", memory_per_route_);
    if (worker_) settle_worker();
    drop_dataplane();
  }

  // Until ready, from the moment the restarted side begins to connect or to listen.
  void resync() {
    const Cpus cpus = place(options_.cpus, false);
    check(perf::pin_to_cpu(cpus.manager));
    perf::Measurement control_side("link_resync_seconds", "s");
    perf::Measurement dataplane_side("link_resync_seconds", "s");
    make_dataplane(-1);
    for (int run = 0; run < options_.runs; ++run) {
      std::optional<perf::ControlProcess> control;
      control.emplace(run_dir_, options_.routes, cpus.control);
      while (apply_->connected())
        apply_->turn();
      control->connect();
      control_side.add(finish(*control).ring_seconds);
      check_table();
    }
    {
      perf::ControlProcess control(run_dir_, options_.routes, cpus.control);
      while (apply_->connected())
        apply_->turn();
      control.connect();
      finish(control);
      for (int run = 0; run < options_.runs; ++run) {
        control.reconnect();
        drop_dataplane();
        const std::uint64_t start = perf::monotonic_ns();
        make_dataplane(-1);
        finish(control);
        dataplane_side.add(static_cast<double>(perf::monotonic_ns() - start) / 1e9);
        check_table();
      }
    }
    control_side.param("restarted", "control plane").param("routes", options_.routes).print();
    dataplane_side.param("restarted", "dataplane").param("routes", options_.routes).print();
    drop_dataplane();
  }

 private:
  struct Messages {
    std::uint64_t forwarded = 0;
    std::uint64_t dropped = 0;
    std::uint64_t received = 0;
  };

  template <class T>
  static T must(Result<T> result) {
    if (!result) perf::progress("{}", result.error().message());
    check(result.has_value());
    return std::move(*result);
  }
  static void check(bool good) {
    if (good) return;
    perf::progress("the benchmark is wrong; its figures would mean nothing");
    std::exit(1);
  }

  void make_dataplane(int worker_cpu) {
    tables_ = must(dataplane::Tables::create({.routes = options_.routes + options_.routes / 8}));
    dataplane::ApplyOptions options;
    options.run_dir = run_dir_;
    options.bridge.ports = &ports_;
    if (worker_cpu >= 0) {
      worker_ = std::make_unique<perf::NullWorker>(ports_, *tables_, status_->segment().counters[0],
                                                   options_.routes);
      options.bridge.workers.push_back(&worker_->context());
      options.bridge.mempool = worker_->context().mempool;
    }
    apply_ = must(dataplane::Apply::create(options, *tables_, *status_));
    if (worker_) worker_->start(worker_cpu);
  }

  void drop_dataplane() {
    worker_.reset();
    apply_.reset();
    tables_.reset();
  }

  perf::Reply finish(perf::ControlProcess& control) {
    perf::Reply reply{};
    while (!control.take(reply)) {
      if (!apply_->turn()) idle();
    }
    return reply;
  }
  // As the manager loop: asleep until somebody wakes it.
  void idle() {
    if (apply_->prepare_sleep()) {
      pollfd wait{.fd = apply_->fd(), .events = POLLIN, .revents = 0};
      ::poll(&wait, 1, 1);
    }
    apply_->finish_sleep();
  }

  void check_table() {
    check(tables_->route_table() != nullptr && tables_->route_table()->size() == options_.routes);
  }

  Messages messages() {
    const auto& port = status_->segment().counters[0].port[0];
    Messages sum{.forwarded = link::read(port.forwarded), .received = link::read(port.messages)};
    for (const auto& count : port.dropped)
      sum.dropped += link::read(count);
    sum.dropped += link::read(port.held) + link::read(port.replicated) + link::read(port.punted);
    return sum;
  }

  // Every message that came in is accounted for, and all of them went out once routes were there.
  void settle_worker() {
    worker_->stop();
    const Messages sum = messages();
    perf::progress("worker: {} messages received, {} forwarded, {} not (before the first sync)",
                   sum.received, sum.forwarded, sum.dropped);
    check(sum.received == sum.forwarded + sum.dropped);
  }

  void describe(perf::Measurement& measurement, bool worker, const Cpus& cpus) const {
    measurement.param("routes", options_.routes)
        .param("updates", options_.updates)
        .param("worker", worker)
        .param("control_shares_cpu", cpus.control == cpus.manager);
  }

  Options options_;
  std::string run_dir_;
  dataplane::PortTable ports_;
  std::unique_ptr<dataplane::StatusMemory> status_;
  std::unique_ptr<dataplane::Tables> tables_;
  std::unique_ptr<dataplane::Apply> apply_;
  std::unique_ptr<perf::NullWorker> worker_;
  double memory_per_route_ = 0;
};

void start_eal(std::uint64_t routes) {
  const std::string memory = std::to_string(256 + routes / 8'000);
  const std::string vdev = "--vdev=net_null0,size=" + std::to_string(perf::kMessageBytes);
  std::vector<std::string> words = {
      "link_bench",  "--no-huge",      "--no-pci",
      "--no-shconf", "--no-telemetry", "-m",
      memory,        "--lcores",       "0@" + std::to_string(perf::allowed_cpus().front()),
      "--log-level", "lib.eal:error",  vdev};
  std::vector<char*> arguments;
  for (auto& word : words)
    arguments.push_back(word.data());
  if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0) return;
  perf::progress("DPDK does not start: {}", rte_strerror(rte_errno));
  std::exit(1);
}

int parse_and_run(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--control")
    return perf::ControlProcess::run(argc, argv);
  Options options;
  CLI::App app("Route updates over the link, and resynchronisation");
  app.add_option("--routes", options.routes, "routes in the table")->capture_default_str();
  app.add_option("--updates", options.updates, "route updates per run")->capture_default_str();
  app.add_option("--runs", options.runs, "runs per figure")->capture_default_str();
  app.add_flag("--smoke", options.smoke, "a few seconds, to see that it works");
  app.add_flag("--worker,!--no-worker", options.worker, "with a worker that forwards meanwhile");
  CLI11_PARSE(app, argc, argv);
  if (options.smoke) {
    options.routes = options.updates = 100'000;
    options.runs = perf::kSmokeRuns;
  }
  spdlog::set_level(spdlog::level::err);
  start_eal(options.routes);
  Bench bench(options);
  bench.updates(false);
  if (options.worker) bench.updates(true);
  bench.resync();
  return 0;
}

}  // namespace
}  // namespace sluice

int main(int argc, char** argv) {
  return sluice::parse_and_run(argc, argv);
}
