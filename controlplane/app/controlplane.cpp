#include "controlplane/app/controlplane.hpp"

#include <google/protobuf/stubs/logging.h>
#include <spdlog/spdlog.h>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include <csignal>
#include <thread>

#include "config/process/log.hpp"
#include "controlplane/api/control_thread.hpp"
#include "controlplane/api/server.hpp"
#include "controlplane/app/cluster.hpp"
#include "controlplane/app/configurator.hpp"
#include "controlplane/app/events.hpp"
#include "controlplane/app/keeper.hpp"
#include "controlplane/app/notify.hpp"
#include "controlplane/app/routes_base.hpp"
#include "controlplane/app/state_dir.hpp"
#include "controlplane/host/netlink.hpp"
#include "controlplane/metrics/metrics.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint64_t kTickNs = 50 * kNsPerMs;
constexpr std::uint64_t kExpiryPeriodNs = 250 * kNsPerMs;
constexpr std::size_t kExpireAtOnce = 20'000;
// For the kernel's answers before the first connection, so that a restart does not tell a
// forwarding dataplane that agents are unreachable which only have not been looked up yet.
constexpr std::uint64_t kFirstAnswersNs = 2 * kNsPerSecond;
// When it has not answered for all of them by then, it takes what is left of the sweep's delay.
constexpr std::uint64_t kLastAnswersNs = 10 * kNsPerSecond;
constexpr std::uint64_t kInterfacesNs = 2 * kNsPerSecond;  // for host interfaces to appear

Time now() {
  return {monotonic_ns(), realtime_ns()};
}

std::vector<std::string> names_of(const std::vector<config::Port>& ports) {
  std::vector<std::string> names;
  for (const auto& port : ports)
    names.push_back(port.name);
  return names;
}

}  // namespace

struct ControlPlane::Impl final : public Runtime {
  Impl(config::Config the_config, std::string file, std::string the_version)
      : config_now(std::move(the_config)),
        file_(std::move(file)),
        version_(std::move(the_version)) {}
  // While everything is still there that a last write may come back to.
  ~Impl() override {
    if (bases) bases->manager().stop();
    if (keeper) keeper->close();
  }

  // ---- the parts, each of which may use those above it -----------------------------------------
  config::Config config_now;
  std::string file_;
  std::string version_;
  std::unique_ptr<ProcessLog> log;
  std::unique_ptr<LockFile> state_lock;
  std::unique_ptr<LockFile> run_lock;
  std::unique_ptr<Keeper> keeper;
  asio::io_context io{1};
  SipKey sip_key = SipKey::of(random_bytes<16>());
  Programmer programmer;
  Tenants tenants;
  Registry registry{sip_key};
  std::unique_ptr<Netlink> netlink;
  std::unique_ptr<Host> host;
  std::unique_ptr<Forwarding> forwarding;
  std::unique_ptr<InBand> inband;
  std::unique_ptr<Link> link;
  std::unique_ptr<RoutesBase> bases;
  std::unique_ptr<TraceHub> traces;
  std::unique_ptr<Events> events;
  std::unique_ptr<Configurator> configurator;
  std::unique_ptr<membership::Membership> cluster;
  std::unique_ptr<ApiServer> api;
  std::unique_ptr<MetricsServer> metrics;
  // -----------------------------------------------------------------------------------------------

  asio::signal_set signals{io, SIGTERM, SIGINT, SIGHUP};
  asio::steady_timer timer{io};
  std::thread helper;  // reads a configuration, or waits for the servers to end
  bool reloading = false;
  bool stopping = false;
  bool link_started = false;
  std::uint64_t started = monotonic_ns();
  std::uint64_t answers_by = 0;  // of the kernel, about the ways to agents
  std::uint32_t undecided = 0;
  std::uint64_t loaded = realtime_ns();
  std::uint64_t next_expiry_ns = 0;
  std::uint64_t next_alive_ns = 0;
  std::uint64_t watchdog_ns = watchdog_period_ns();
  std::string told_status;
  std::uint32_t told_missing = 0;  // bit i: port i was said to have no host interface

  Status wire();
  void connect_parts();
  Status start_servers();
  void begin_serving();
  void tick();
  void start_link_when_due(std::uint64_t now_ns);
  void tell_missing_interfaces(std::uint64_t now_ns);
  void tell_status();
  void wait_signal();
  void reload_from_signal();
  void stop();
  void run_helper(std::function<void()> work);

  // Runtime
  const config::Config& config() const override { return config_now; }
  const std::string& config_file() const override { return file_; }
  std::uint64_t config_loaded_ns() const override { return loaded; }
  std::uint64_t started_ns() const override { return started; }
  std::uint64_t logs_lost() const override { return log->lost(); }
  std::string version() const override { return version_; }
  StoreInfo store_info() const override { return keeper->info(); }
  BaseManagerInfo base_info() const override { return bases->manager().info(); }
  StoredTenants stored_tenants() const override { return keeper->tenants().shown(); }
  void tenant_deleted(std::uint16_t tenant) override {
    keeper->tenants().forget(tenant);
    bases->manager().want_build();
  }
  void when_durable(std::function<void(Status)> callback) override {
    keeper->journal().when_durable(std::move(callback));
  }
  Result<std::vector<config::Difference>> apply(config::Config next) override;
};

Status ControlPlane::Impl::wire() {
  auto state = LockFile::take(config_now.router.state_dir, "controlplane.lock");
  if (!state) return std::unexpected(state.error());
  state_lock = std::move(*state);
  auto running = LockFile::take(config_now.router.run_dir, "controlplane.pid");
  if (!running) return std::unexpected(running.error());
  run_lock = std::move(*running);
  auto kept = Keeper::open(config_now);
  if (!kept) return std::unexpected(kept.error());
  keeper = std::move(*kept);
  auto kernel = Netlink::create(io);
  if (!kernel) return fail(std::move(kernel.error()), "host");
  netlink = std::move(*kernel);

  host = std::make_unique<Host>(*netlink, host_ports(config_now));
  forwarding = std::make_unique<Forwarding>(registry, programmer, *host);
  inband = std::make_unique<InBand>(
      registry, tenants, sip_key,
      InBandOptions{.router_id = config::router_id(config_now),
                    .router_name = config_now.router.name,
                    .require_token = config_now.registration.require_token,
                    .requests_per_second = std::max(config_now.limits.punts_per_second / 2, 1u)});
  link = std::make_unique<Link>(io, config::link_socket(config_now), programmer);
  bases = std::make_unique<RoutesBase>(io, programmer, *link, *keeper, config_now);
  traces = std::make_unique<TraceHub>(*link);
  events =
      std::make_unique<Events>(*link, *forwarding, *inband, *traces, names_of(config_now.ports),
                               [this](auto callback) { when_durable(std::move(callback)); });
  auto member = make_membership(config_now);
  if (!member) return fail(std::move(member.error()), "cluster");
  cluster = std::move(*member);
  connect_parts();
  configurator = std::make_unique<Configurator>(registry, *forwarding, programmer, *host, *inband,
                                                tenants, keeper->tenants());
  if (auto ok = keeper->load_tenants(); !ok) return ok;
  if (auto ok = configurator->check(config_now); !ok) return ok;
  if (auto ok = configurator->apply(config_now, now()); !ok) return ok;
  config::release_files(config_now);
  if (auto ok = keeper->restore(registry, *forwarding, tenants, now()); !ok) return ok;
  return start_servers();
}

// What was there before a restart continues: agents with what is left of their leases, but none
// ends before it had time to renew, and a sweep of the dataplane's old routes only waits for the
// kernel. A store that is new knows nothing of what the dataplane still has: everybody has the
// same time to confirm. All counted from now on, because reading millions of agents took a while.
void ControlPlane::Impl::begin_serving() {
  const std::uint64_t serving = monotonic_ns();
  answers_by = serving + kFirstAnswersNs;
  const std::uint64_t confirm_by = serving + config_now.leases.restart_grace_s * kNsPerSecond;
  registry.keep_restored_until(confirm_by);
  programmer.sweep_after(keeper->was_there() ? serving + kLastAnswersNs : confirm_by);
}

void ControlPlane::Impl::connect_parts() {
  registry.set_listener(forwarding.get());
  keeper->attach(registry, *forwarding, tenants, io);
  keeper->tenants().on_left([this] { bases->manager().want_build(); });
  host->set_listener(*forwarding);
  host->on_log([](const std::string& line, bool warn) {
    spdlog::log(warn ? spdlog::level::warn : spdlog::level::info, "{}", harmless(line));
  });
  forwarding->set_port_vlans(port_vlans(config_now));
  forwarding->on_dirty([this] { asio::post(io, [this] { forwarding->flush(); }); });
  forwarding->on_problem([limit = RateLimit(5, kNsPerSecond)](const std::string& what) mutable {
    if (!limit.allow(monotonic_ns())) return;
    spdlog::error("event=not_programmed error={} suppressed={}", quoted_value(what),
                  limit.take_refused());
  });
  inband->set_availability([this](std::uint32_t slot) { return forwarding->is_available(slot); });
  link->set_callbacks(
      {.on_state =
           [this](LinkState state) {
             events->on_state(state);
             bases->manager().on_state(state);
           },
       .on_punt = [this](const auto& header, auto bytes) { events->on_punt(header, bytes); },
       .on_trace = [this](const auto& record) { traces->on_record(record); },
       .on_event =
           [this](const auto& event) {
             events->on_event(event);
             bases->manager().on_event(event);
           }});

  programmer.set_hash_key(keeper->hash_key().bytes);
  programmer.set_router_id(config::router_id(config_now));
  registry.reserve(config::router_id(config_now));
  [[maybe_unused]] const auto ok =
      programmer.set_route(config::router_id(config_now), {ActionKind::kLocal, kNoIndex, 0, 0});
}

Status ControlPlane::Impl::start_servers() {
  const Subsystems subsystems{*this,   registry, *forwarding, programmer,       *link,        *host,
                              *inband, tenants,  *traces,     &keeper->index(), cluster.get()};
  auto server = ApiServer::create({config_now.api.socket, config_now.api.group}, io, subsystems);
  if (!server) return fail(std::move(server.error()), "api");
  api = std::move(*server);
  if (!config_now.metrics.listen) return {};
  auto exporter = MetricsServer::create(
      *config_now.metrics.listen,
      {registry, *forwarding, *inband, *link, programmer, names_of(config_now.ports),
       [this] { return log->lost(); }, [this] { return keeper->info(); },
       [this] { return bases->manager().info(); },
       cluster ? std::function([this] { return cluster->status(); }) : nullptr},
      [this](const std::function<void()>& work) { ControlThread(io).run(work); });
  if (!exporter) return fail(std::move(exporter.error()), "metrics");
  metrics = std::move(*exporter);
  return {};
}

// ---- running -----------------------------------------------------------------------------------

void ControlPlane::Impl::tick() {
  const std::uint64_t now_ns = monotonic_ns();
  host->tick(now_ns);
  keeper->tick();
  if (!link_started) start_link_when_due(now_ns);
  bases->manager().tick();
  if (now_ns >= next_expiry_ns) {
    const bool more = registry.expire(now(), kExpireAtOnce, [](const Agent& agent) {
      spdlog::info("event=lease_expired id={} name={} endpoint={}", to_string(agent.id),
                   agent.name_view(), to_string(agent.endpoint));
    });
    next_expiry_ns = more ? 0 : now_ns + kExpiryPeriodNs;
  }
  if (watchdog_ns != 0 && now_ns >= next_alive_ns) {
    next_alive_ns = now_ns + watchdog_ns;
    notify_alive();
  }
  tell_missing_interfaces(now_ns);
  tell_status();
  timer.expires_after(std::chrono::nanoseconds(kTickNs));
  timer.async_wait([this](asio::error_code error) {
    if (!error) tick();
  });
}

void ControlPlane::Impl::start_link_when_due(std::uint64_t now_ns) {
  const bool answered = host->dumped() && (!host->ready() || forwarding->hops_undecided() == 0);
  // Without any interface there is no dataplane, and nothing to wait for.
  // As long as answers come: those for millions of agents take longer than one.
  if (const auto waits = forwarding->hops_undecided(); waits != undecided) {
    undecided = waits;
    answers_by = now_ns + kFirstAnswersNs;
  }
  if (!answered && now_ns < answers_by) return;
  if (answered && keeper->was_there()) programmer.sweep_after(0);
  // The routes are compared with the base that the last process left, once they are all known.
  bases->manager().start([this](const Id& id) {
    const auto slot = registry.find(id);
    const Hop* hop = slot == kNoIndex ? nullptr : forwarding->hop_of(slot);
    return hop != nullptr && hop->next.state == NextHop::State::kUnknown;
  });
  if (!bases->manager().settled()) return;
  link_started = true;
  link->start();
}

// A dataplane in another network namespace is connected and well, yet no agent can be reached: said
// once for each port, when the interfaces had time to appear.
void ControlPlane::Impl::tell_missing_interfaces(std::uint64_t now_ns) {
  const LinkInfo& info = link->info();
  if (info.state != LinkState::kReady || now_ns < info.since_ns + kInterfacesNs) return;
  static_assert(kMaxPorts <= 32);
  for (std::uint16_t port = 0; port < config_now.ports.size(); ++port) {
    const std::uint32_t bit = 1u << port;
    const bool missing = host->ifindex(port) == 0;
    if (missing && (told_missing & bit) == 0) {
      spdlog::error(
          "event=host_interface_missing port={} interface={} effect=\"its agents are unreachable\" "
          "remedy=\"run both processes in one network namespace, or restart sluice-dataplane\"",
          config_now.ports[port].name, config_now.ports[port].host_interface);
    } else if (!missing && (told_missing & bit) != 0) {
      spdlog::info("event=host_interface_found port={} interface={}", config_now.ports[port].name,
                   config_now.ports[port].host_interface);
    }
    told_missing = missing ? told_missing | bit : told_missing & ~bit;
  }
}

void ControlPlane::Impl::tell_status() {
  const LinkInfo& info = link->info();
  auto status =
      fmt::format("dataplane {}{}", to_string(info.state), info.stalled ? ", stalled" : "");
  if (status == told_status) return;
  told_status = status;
  notify_status(status);
}

void ControlPlane::Impl::wait_signal() {
  signals.async_wait([this](asio::error_code error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      reload_from_signal();
      wait_signal();
      return;
    }
    spdlog::info("event=stopping signal={}", signal);
    stop();
  });
}

void ControlPlane::Impl::run_helper(std::function<void()> work) {
  if (helper.joinable()) helper.join();
  helper = std::thread(std::move(work));
}

// Read on another thread: a million agents take a while.
void ControlPlane::Impl::reload_from_signal() {
  if (auto ok = log->reopen(); !ok) {
    spdlog::error("event=log_reopen_failed error={}", quoted_value(ok.error().message()));
  }
  if (reloading || stopping) return;
  reloading = true;
  notify_reloading();
  run_helper([this] {
    auto next = std::make_shared<Result<config::Config>>(config::load(file_));
    asio::post(io, [this, next] {
      reloading = false;
      if (*next) {
        [[maybe_unused]] const auto logged = apply(std::move(**next));
      } else {
        spdlog::error("event=reload_refused error={}", quoted_value(next->error().message()));
      }
      notify_ready(told_status);
    });
  });
}

Result<std::vector<config::Difference>> ControlPlane::Impl::apply(config::Config next) {
  const auto refuse = [](const Error& error) {
    spdlog::error("event=reload_refused error={}", quoted_value(error.message()));
    return std::unexpected(error);
  };
  if (auto ok = config::check_reload(config_now, next); !ok) return refuse(ok.error());
  if (auto ok = configurator->check(next); !ok) return refuse(ok.error());
  auto differences = config::diff(config_now, next);
  if (auto ok = configurator->apply(next, now()); !ok) return refuse(ok.error());
  log->set_level(next.log.level);
  bases->set_policy(next);
  config_now = std::move(next);
  config::release_files(config_now);
  loaded = realtime_ns();
  std::string keys;
  for (const auto& difference : differences)
    keys += (keys.empty() ? "" : ",") + difference.key;
  spdlog::info("event=config_reloaded changed={}", keys.empty() ? "nothing" : keys);
  return differences;
}

// The servers wait for calls that wait for this thread, so another one ends them.
void ControlPlane::Impl::stop() {
  if (stopping) return;
  stopping = true;
  notify_stopping();
  keeper->index().maintenance().interrupt();  // calls of the API wait for it
  run_helper([this] {
    api->shutdown();
    metrics.reset();
    if (cluster) cluster->leave();
    asio::post(io, [this] {
      asio::error_code ignored;
      signals.cancel(ignored);
      timer.cancel();
      link->stop();
      bases->manager().stop();
      netlink->stop();
      io.stop();
    });
  });
}

ControlPlane::ControlPlane(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlPlane::~ControlPlane() {
  if (impl_->helper.joinable()) impl_->helper.join();
}

Result<std::unique_ptr<ControlPlane>> ControlPlane::create(config::Config config,
                                                           std::string config_file,
                                                           std::string version) {
  auto log = ProcessLog::open(config.log, "controlplane");
  if (!log) return std::unexpected(log.error());
  // Text that is not UTF-8 is answered and logged as any other bad request; a line of protobuf's on
  // standard error for each would have neither our form nor our limit.
  google::protobuf::SetLogHandler(nullptr);
  auto impl = std::make_unique<Impl>(std::move(config), std::move(config_file), std::move(version));
  impl->log = std::move(*log);
  if (auto ok = impl->wire(); !ok) {
    spdlog::error("event=start_failed error={}", quoted_value(ok.error().message()));
    return std::unexpected(ok.error());
  }
  return std::unique_ptr<ControlPlane>(new ControlPlane(std::move(impl)));
}

Status ControlPlane::run() {
  Impl& self = *impl_;
  std::signal(SIGPIPE, SIG_IGN);
  spdlog::info("event=started version={} router={} config={} agents={} peers={} api={}",
               self.version_, self.config_now.router.name, self.file_, self.registry.size(),
               self.forwarding->peers().size(), self.config_now.api.socket);
  self.wait_signal();
  self.netlink->start(*self.host);
  if (self.cluster) self.cluster->start();
  self.begin_serving();
  self.tick();
  notify_ready("starting");
  self.io.run();
  self.keeper->close();
  spdlog::info("event=stopped uptime_s={}", (monotonic_ns() - self.started) / kNsPerSecond);
  return {};
}

}  // namespace sluice::controlplane
