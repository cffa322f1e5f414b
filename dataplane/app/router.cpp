#include "dataplane/app/router.hpp"

#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "dataplane/app/eal_args.hpp"
#include "dataplane/app/leftovers.hpp"
#include "dataplane/app/preflight.hpp"
#include "dataplane/app/sizes.hpp"
#include "dataplane/io/placement.hpp"
#include "sluice/hash/id_hash.hpp"

namespace sluice::dataplane {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

struct Router::Step {
  const char* what;
  Status (Router::*run)();
};

Router::Router(const config::Config& config, const Machine& machine)
    : config_(config), machine_(machine), memory_(plan_memory(config, machine)) {
  for (const auto core : config.dataplane.workers)
    worker_nodes_.push_back(machine.node_of_core(core));
}

// The whole launch, in order; stop() is its mirror.
Status Router::start() {
  static constexpr std::array kSteps = {
      Step{"signals", &Router::block_signals},  // first: every later thread inherits the mask
      Step{"run directory", &Router::make_run_dir},
      Step{"DPDK", &Router::start_dpdk},
      Step{"status segment", &Router::make_status},
      Step{"buffers", &Router::make_mempools},
      Step{"ports", &Router::make_ports},
      Step{"tables", &Router::make_tables},
      Step{"rings", &Router::make_wiring},
      Step{"host interfaces", &Router::make_host_interfaces},
      Step{"host link", &Router::make_host_link},
      Step{"link", &Router::start_link},  // from here on a control plane may connect
      Step{"ports", &Router::start_ports},
      Step{"workers", &Router::make_workers},  // asks started ports for receive interrupts
      Step{"manager", &Router::make_manager},
      Step{"placement", &Router::report_placement},
      Step{"workers", &Router::start_workers},
  };
  for (const auto& step : kSteps) {
    spdlog::debug("event=launch step={}", step.what);
    if (auto ok = (this->*step.run)(); !ok) return fail(ok.error(), step.what);
  }
  service_.ready(fmt::format("{} ports, {} workers", ports_->count(), workers_.size()));
  spdlog::info("event=started pid={} ports={} workers={} huge_pages={} idle={} run_dir={}",
               ::getpid(), ports_->count(), workers_.size(), memory_.huge_pages ? "yes" : "no",
               config::to_string(config_.dataplane.idle), config_.router.run_dir);
  spdlog::info(
      "event=no_control_plane socket={} effect=\"no message is forwarded until one comes\"",
      config::link_socket(config_));
  return {};
}

void Router::run() {
  const int signal = manager_->run();
  spdlog::info("event=stopping signal={}", signal);
  service_.stopping();
  stop();
  spdlog::info("event=stopped");
}

Router::~Router() {
  stop();
  if (signal_fd_ >= 0) ::close(signal_fd_);
}

void Router::stop() {
  if (apply_ && workers_running_) apply_->stop();
  stop_workers();
  if (host_) {
    while (host_->to_kernel()) {
    }
    for (auto& interface : host_->interfaces())
      interface.remove();
  }
  for (auto& interface : interfaces_)
    interface.remove();
  if (ports_) ports_->stop();
  manager_.reset();
  apply_.reset();
  host_.reset();
  interfaces_.clear();
  workers_.clear();
  wiring_.reset();
  tables_.reset();
  ports_.reset();
  mempools_.reset();
  status_.reset();
  const bool used_pages = eal_ != nullptr && memory_.huge_pages;
  eal_.reset();
  if (used_pages) remove_leftover_pages(config_, machine_);
}

Status Router::block_signals() {
  const auto set = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  signal_fd_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  if (signal_fd_ < 0)
    return fail(ErrorCode::kExhausted, fmt::format("signalfd: {}", std::strerror(errno)));
  return {};
}

Status Router::make_run_dir() {
  std::error_code error;
  std::filesystem::create_directories(config_.router.run_dir, error);
  if (error)
    return fail(ErrorCode::kPermissionDenied, config_.router.run_dir + ": " + error.message());
  return {};
}

Status Router::start_dpdk() {
  auto arguments = eal_arguments(config_, memory_, manager_cores(config_, machine_));
  if (!arguments) return std::unexpected(arguments.error());
  auto eal =
      Eal::start(std::move(*arguments), file_prefix(config_.router.run_dir), config_.log.level);
  if (!eal) return std::unexpected(eal.error());
  eal_ = std::move(*eal);
  return {};
}

Status Router::make_status() {
  auto status = StatusMemory::create();
  if (!status) return std::unexpected(status.error());
  status_ = std::move(*status);
  auto& segment = status_->segment();
  segment.tsc_hz = ::rte_get_tsc_hz();
  segment.workers = static_cast<std::uint16_t>(worker_nodes_.size());
  segment.huge_pages = memory_.huge_pages ? 1 : 0;
  segment.adaptive = config_.dataplane.idle == config::IdlePolicy::kAdaptive ? 1 : 0;
  const auto hash = to_string(IdHasher::create(HashKey{}).isa());
  std::copy_n(hash.begin(), std::min(hash.size(), segment.hash_implementation.size() - 1),
              segment.hash_implementation.begin());
  return {};
}

Status Router::make_mempools() {
  auto pools = Mempools::create({.nodes = memory_.nodes,
                                 .mbufs = config_.dataplane.mbufs,
                                 .cache = kMempoolCache,
                                 .data_room = static_cast<std::uint16_t>(mbuf_data_room(config_)),
                                 .huge_pages = memory_.huge_pages});
  if (!pools) return std::unexpected(pools.error());
  mempools_ = std::make_unique<Mempools>(std::move(*pools));
  return {};
}

Status Router::make_ports() {
  const bool adaptive = config_.dataplane.idle == config::IdlePolicy::kAdaptive;
  auto ports = Ports::create({&config_, worker_nodes_, adaptive}, *mempools_, status_->segment());
  if (!ports) return std::unexpected(ports.error());
  ports_ = std::move(*ports);
  return {};
}

Status Router::make_tables() {
  const auto& dataplane = config_.dataplane;
  auto tables = Tables::create({.routes = dataplane.routes,
                                .adjacencies = dataplane.adjacencies,
                                .groups = dataplane.groups,
                                .numa_node = memory_.nodes.front()});
  if (!tables) return std::unexpected(tables.error());
  tables_ = std::move(*tables);
  return {};
}

Status Router::make_wiring() {
  auto wiring = Wiring::create({config_, worker_nodes_, *mempools_, *ports_, *tables_,
                                status_->segment(), memory_.huge_pages});
  if (!wiring) return std::unexpected(wiring.error());
  wiring_ = std::move(*wiring);
  return {};
}

Status Router::make_host_interfaces() {
  for (std::uint16_t port = 0; port < ports_->count(); ++port) {
    const auto& wanted = config_.ports[port];
    auto interface =
        HostInterface::open(wanted.host_interface, ports_->table().port[port].mac, wanted.mtu);
    if (!interface) return std::unexpected(interface.error());
    status_->segment().port[port].host_ifindex = interface->index();
    interfaces_.push_back(std::move(*interface));
  }
  return {};
}

Status Router::make_host_link() {
  std::vector<std::uint16_t> senders;
  for (std::uint16_t port = 0; port < ports_->count(); ++port)
    senders.push_back(ports_->serving(port).front());
  HostLinkOptions options{.workers = wiring_->worker_pointers(),
                          .ports = &ports_->table(),
                          .sender = std::move(senders),
                          .mempool = mempools_->of(memory_.nodes.front()),
                          .counters = &status_->segment().counters[link::kManagerCounters]};
  host_ = std::make_unique<HostLink>(std::move(options), std::exchange(interfaces_, {}));
  return {};
}

Status Router::start_link() {
  ApplyOptions options;
  options.run_dir = config_.router.run_dir;
  options.bridge.workers = wiring_->worker_pointers();
  options.bridge.ports = &ports_->table();
  options.bridge.mempool = mempools_->of(memory_.nodes.front());
  options.bridge.mbufs = static_cast<std::uint32_t>(mempools_->total());
  options.message_port = config_.router.message_port;
  for (const auto& port : config_.ports) {
    auto& local = options.local.emplace_back();
    for (const auto& prefix : port.addresses)
      local.push_back(prefix.address);
  }
  auto apply = Apply::create(std::move(options), *tables_, *status_);
  if (!apply) return std::unexpected(apply.error());
  apply_ = std::move(*apply);
  return {};
}

Status Router::make_workers() {
  for (const auto& context : wiring_->workers()) {
    auto worker = Worker::create(*context);
    if (!worker) return std::unexpected(worker.error());
    workers_.push_back(std::move(*worker));
  }
  return {};
}

Status Router::make_manager() {
  auto manager = Manager::create({*apply_, *host_, *ports_, *mempools_, wiring_->manager(),
                                  status_->segment(), service_, signal_fd_});
  if (!manager) return std::unexpected(manager.error());
  manager_ = std::move(*manager);
  return {};
}

Status Router::start_ports() {
  return ports_->start();
}

Status Router::report_placement() {
  std::vector<PlacedWorker> placed;
  for (const auto& context : wiring_->workers()) {
    placed.push_back({context->index, context->core, worker_nodes_[context->index],
                      node_of_memory(mempools_->memory_of(context->socket))});
  }
  for (const auto& line : placement_report(ports_->placement(), placed))
    spdlog::log(line.crosses ? spdlog::level::warn : spdlog::level::info, "{}", line.text);
  return {};
}

Status Router::start_workers() {
  for (unsigned i = 0; i < workers_.size(); ++i) {
    if (::rte_eal_remote_launch(&Worker::launch, workers_[i].get(), lcore_of_worker(i)) != 0)
      return fail(ErrorCode::kInternal, fmt::format("worker {} did not start", i));
    workers_running_ = true;
  }
  return {};
}

void Router::stop_workers() {
  if (!workers_running_) return;
  for (const auto& worker : workers_)
    worker->request_stop();
  for (const auto& context : wiring_->workers())
    context->waker->wake();
  for (unsigned i = 0; i < workers_.size(); ++i)
    ::rte_eal_wait_lcore(lcore_of_worker(i));
  workers_running_ = false;
}

}  // namespace sluice::dataplane
