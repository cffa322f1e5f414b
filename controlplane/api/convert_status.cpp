// Status and counters.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "controlplane/api/convert.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

std::uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long size = 0;
  unsigned long resident = 0;
  const int got = std::fscanf(file, "%lu %lu", &size, &resident);
  std::fclose(file);
  return got == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

std::string link_detail(const LinkInfo& info) {
  switch (info.state) {
    case LinkState::kDisconnected:
      return info.last_error.empty() ? "no dataplane answers; is sluice-dataplane running?"
                                     : info.last_error;
    case LinkState::kConnecting:
      return "waiting for the dataplane's welcome";
    case LinkState::kSyncing:
      return fmt::format("sending the state: {} commands to go", info.commands_waiting);
    case LinkState::kReady:
      break;
  }
  return info.stalled ? "the dataplane is connected, but its manager thread stands still" : "";
}

void fill_link(const LinkInfo& info, proto::LinkStatus& to) {
  to.set_state(static_cast<proto::LinkState>(info.state));
  to.set_stalled(info.stalled);
  to.set_detail(link_detail(info));
  to.set_epoch(info.epoch);
  to.set_connections(info.connections);
  to.set_state_since_ns(monotonic_ns() - info.since_ns);
  to.set_sequence(info.commands_sent);
  to.set_applied_sequence(info.commands_applied);
  to.set_commands_waiting(info.commands_waiting);
  to.set_commands_refused(info.commands_refused);
  to.set_dataplane_heartbeat_age_ns(info.dataplane_heartbeat_age_ns);
  to.set_controlplane_heartbeat_age_ns(info.controlplane_heartbeat_age_ns);
  to.set_events(info.events);
  to.set_events_lost(info.events_lost);
  to.set_punts(info.punts);
  to.set_punts_lost(info.punts_lost);
  to.set_injects(info.injects);
  to.set_injects_lost(info.injects_lost);
  to.set_last_sync_ns(info.last_sync_ns);
}

void fill_tables(const link::TableInfo& tables, proto::TableStatus& to) {
  to.set_routes(link::read(tables.routes));
  to.set_routes_capacity(link::read(tables.routes_capacity));
  to.set_route_table_bytes(link::read(tables.route_table_bytes));
  to.set_adjacencies(link::read(tables.adjacencies));
  to.set_adjacencies_capacity(link::read(tables.adjacencies_capacity));
  to.set_groups(link::read(tables.groups));
  to.set_groups_capacity(link::read(tables.groups_capacity));
  to.set_grace_pending(link::read(tables.grace_pending));
  to.set_held(link::read(tables.held));
  to.set_hold_capacity(link::read(tables.hold_capacity));
  to.set_hold_expired(link::read(tables.hold_expired));
  to.set_hold_released(link::read(tables.hold_released));
  to.set_commands_applied(link::read(tables.commands_applied));
  to.set_commands_refused(link::read(tables.commands_refused));
  to.set_mbufs(link::read(tables.mbufs));
  to.set_mbufs_free(link::read(tables.mbufs_free));
}

void fill_dataplane(const Subsystems& subsystems, const link::StatusSegment& status,
                    proto::DataplaneStatus& to) {
  to.set_instance(status.instance);
  to.set_pid(status.pid);
  const std::uint64_t now_ns = monotonic_ns();
  to.set_uptime_ns(now_ns > status.started_ns ? now_ns - status.started_ns : 0);
  to.set_tsc_hz(status.tsc_hz);
  to.set_huge_pages(status.huge_pages != 0);
  to.set_adaptive(status.adaptive != 0);
  to.set_hash_implementation(text_of(status.hash_implementation));
  fill_tables(status.tables, *to.mutable_tables());
  for (std::uint32_t i = 0; i < kMaxWorkers; ++i) {
    const auto& worker = status.worker[i];
    if (worker.used == 0) continue;
    auto* out = to.add_workers();
    out->set_index(i);
    out->set_core(worker.core);
    out->set_socket(worker.socket);
    out->set_tid(worker.tid);
    out->set_sleeping(worker.sleeping != 0);
    for (std::uint32_t port = 0; port < port_count(subsystems); ++port) {
      if ((status.port[port].workers >> i & 1) != 0) out->add_ports(port_name(subsystems, port));
    }
  }
  for (std::uint32_t port = 0; port < port_count(subsystems); ++port)
    fill_port(subsystems, port, *to.add_ports());
}

void fill_registry(const Subsystems& subsystems, proto::RegistryStatus& to) {
  const Registry& registry = subsystems.registry;
  const RegistryCounters& counters = registry.counters();
  const InBandCounters& requests = subsystems.inband.counters();
  const auto of = [&](Origin origin) {
    return counters.by_origin[static_cast<std::size_t>(origin)];
  };
  to.set_agents(registry.size());
  to.set_agents_static(of(Origin::kStatic));
  to.set_agents_registered(of(Origin::kRegistered));
  to.set_agents_peer(of(Origin::kPeer));
  to.set_agents_available(subsystems.forwarding.available());
  to.set_agents_limit(registry.limit());
  to.set_capabilities(registry.capabilities().count());
  to.set_groups(subsystems.forwarding.groups());
  to.set_registrations(counters.registered + counters.renewed);
  to.set_refused(requests.refused);
  to.set_expired(counters.expired);
  to.set_moved(counters.moved);
  to.set_rate_limited(requests.rate_limited);
  to.set_memory_bytes(registry.memory_bytes() + subsystems.forwarding.memory_bytes() +
                      subsystems.programmer.route_memory_bytes());
  to.set_hosts(subsystems.forwarding.hops());
  to.set_hosts_resolving(subsystems.forwarding.hops_undecided() +
                         subsystems.forwarding.hops_resolving());
}

// The fields by name, in one place.
// clang-format off
#define SLUICE_PORT_COUNTERS(X)                                                         \
  X(frames) X(bytes) X(messages) X(to_host) X(to_host_dropped) X(released) X(forwarded) \
  X(replicated) X(copies) X(held) X(punted) X(answered) X(notices) X(notices_limited)   \
  X(egress_frames) X(egress_bytes) X(egress_queued)
// clang-format on

void add_counters(const link::PortCounters& from, proto::PortCounters& to,
                  std::array<std::uint64_t, kDropReasons>& dropped) {
#define SLUICE_X(name) to.set_##name(to.name() + link::read(from.name));
  SLUICE_PORT_COUNTERS(SLUICE_X)
#undef SLUICE_X
  for (std::size_t reason = 0; reason < kDropReasons; ++reason)
    dropped[reason] += link::read(from.dropped[reason]);
}

template <class To>
std::uint64_t fill_dropped(const std::array<std::uint64_t, kDropReasons>& dropped, To& to) {
  std::uint64_t sum = 0;
  for (std::size_t reason = 0; reason < kDropReasons; ++reason) {
    if (dropped[reason] == 0) continue;
    sum += dropped[reason];
    auto* drop = to.add_drops();
    drop->set_reason(std::string(kDropReasonInfo[reason].label));
    drop->set_text(std::string(kDropReasonInfo[reason].text));
    drop->set_count(dropped[reason]);
  }
  to.set_dropped(sum);
  return sum;
}

// One port of the given blocks of counters, as one.
void fill_counters(const link::StatusSegment& status, std::uint32_t port, std::uint32_t first,
                   std::uint32_t last, proto::PortCounters& to) {
  std::array<std::uint64_t, kDropReasons> dropped{};
  for (std::uint32_t block = first; block <= last; ++block)
    add_counters(status.counters[block].port[port], to, dropped);
  fill_dropped(dropped, to);
}

void fill_port_stats(const Subsystems& subsystems, const link::StatusSegment& status,
                     std::uint32_t port, proto::PortStats& to) {
  to.set_port(port_name(subsystems, port));
  to.set_link_up(status.port[port].link_up != 0);
  to.set_speed_mbps(status.port[port].speed_mbps);
  to.set_missed(link::read(status.port[port].missed));
}

void fill_worker(const link::WorkerCounters& from, proto::WorkerStats& to) {
  to.set_loops(link::read(from.loops));
  to.set_busy_loops(link::read(from.busy_loops));
  to.set_busy_tsc(link::read(from.busy_tsc));
  to.set_sleeps(link::read(from.sleeps));
  to.set_slept_ns(link::read(from.slept_ns));
  to.set_longest_loop_tsc(link::read(from.longest_loop_tsc));
  to.set_negative_hits(link::read(from.negative_hits));
  to.set_traced(link::read(from.traced));
  to.set_discoveries_limited(link::read(from.discoveries_limited));
}

void fill_store(const StoreInfo& info, proto::StoreStatus& to) {
  to.set_directory(info.directory);
  to.set_error(info.error);
  to.set_failing_ns(info.failing_ns);
  to.set_waiting(info.waiting);
  to.set_written(info.written);
  to.set_failures(info.failures);
  to.set_restored_agents(info.restored_agents);
  to.set_not_restored(info.not_restored);
}

void fill_base(const BaseManagerInfo& info, proto::BaseStatus& to) {
  to.set_state(std::string(to_string(info.state)));
  to.set_error(info.last_error);
  to.set_entries(info.entries);
  to.set_bytes(info.bytes);
  to.set_created_ns(info.created_unix_s * kNsPerSecond);
  to.set_uncovered(info.uncovered);
  to.set_deleted(info.deleted);
  to.set_built(info.built);
  to.set_failed(info.failed);
  to.set_refused(info.refused);
}

}  // namespace

void fill_status(const Subsystems& subsystems, proto::StatusReply& to) {
  const auto& config = subsystems.runtime.config();
  to.set_router_name(config.router.name);
  to.set_router_id(bytes_of(config::router_id(config)));
  to.set_message_port(config.router.message_port);
  to.set_now_ns(realtime_ns());
  auto& own = *to.mutable_control_plane();
  own.set_version(subsystems.runtime.version());
  own.set_pid(static_cast<std::uint32_t>(::getpid()));
  own.set_uptime_ns(monotonic_ns() - subsystems.runtime.started_ns());
  own.set_memory_bytes(resident_bytes());
  own.set_config_file(subsystems.runtime.config_file());
  own.set_config_loaded_ns(subsystems.runtime.config_loaded_ns());
  own.set_logs_lost(subsystems.runtime.logs_lost());
  const LinkInfo& link = subsystems.link.info();
  fill_link(link, *to.mutable_link());
  const auto* status = subsystems.link.status();
  if (status != nullptr && link.state >= LinkState::kSyncing) {
    fill_dataplane(subsystems, *status, *to.mutable_dataplane());
  }
  fill_registry(subsystems, *to.mutable_registry());
  fill_store(subsystems.runtime.store_info(), *to.mutable_store());
  fill_base(subsystems.runtime.base_info(), *to.mutable_base());
}

void fill_stats(const Subsystems& subsystems, const std::vector<bool>& wanted,
                proto::StatsReply& to) {
  const auto& status = *subsystems.link.status();
  to.set_taken_ns(monotonic_ns());
  to.set_dataplane_instance(status.instance);
  to.set_tsc_hz(status.tsc_hz);
  for (std::uint32_t port = 0; port < wanted.size(); ++port) {
    if (!wanted[port]) continue;
    auto* out = to.add_ports();
    fill_port_stats(subsystems, status, port, *out);
    fill_counters(status, port, 0, link::kManagerCounters, *out->mutable_counters());
  }
  for (std::uint32_t worker = 0; worker <= link::kManagerCounters; ++worker) {
    const bool manager = worker == link::kManagerCounters;
    if (!manager && status.worker[worker].used == 0) continue;
    auto* out = to.add_workers();
    out->set_index(worker);
    out->set_manager(manager);
    if (!manager) out->set_core(status.worker[worker].core);
    fill_worker(status.counters[worker], *out);
    for (std::uint32_t port = 0; port < wanted.size(); ++port) {
      if (!wanted[port]) continue;
      auto* of_port = out->add_ports();
      fill_port_stats(subsystems, status, port, *of_port);
      fill_counters(status, port, worker, worker, *of_port->mutable_counters());
    }
  }
}

void fill_drops(const Subsystems& subsystems, const std::vector<bool>& wanted,
                proto::DropsReply& to) {
  const auto& status = *subsystems.link.status();
  to.set_taken_ns(monotonic_ns());
  to.set_dataplane_instance(status.instance);
  for (std::uint32_t port = 0; port < wanted.size(); ++port) {
    if (!wanted[port]) continue;
    proto::PortCounters all;
    fill_counters(status, port, 0, link::kManagerCounters, all);
    auto* out = to.add_ports();
    out->set_port(port_name(subsystems, port));
    out->set_messages(all.messages());
    out->set_dropped(all.dropped());
    *out->mutable_drops() = std::move(*all.mutable_drops());
  }
}

}  // namespace sluice::controlplane
