// The one table of all metrics: name, help, whether it only grows, and where it comes from. Names
// are sluice_<area>_<what>_<unit>[_total], in base units. Constant data; the functions on the
// control thread.
#pragma once

#include <cstdint>

#include "controlplane/metrics/family.hpp"
#include "controlplane/metrics/metrics.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/link/status.hpp"

namespace sluice::controlplane {

// Of each port, summed over the workers. Label: port.
struct PortRow {
  const char* name;
  const char* help;
  std::uint64_t link::PortCounters::* counter;
};
inline constexpr PortRow kPortRows[] = {
    {"sluice_port_received_frames_total", "Frames received from the port",
     &link::PortCounters::frames},
    {"sluice_port_received_bytes_total", "Bytes received from the port",
     &link::PortCounters::bytes},
    {"sluice_port_received_messages_total", "Frames addressed to the message port",
     &link::PortCounters::messages},
    {"sluice_port_host_frames_total", "Frames passed to the kernel", &link::PortCounters::to_host},
    {"sluice_port_host_dropped_frames_total", "Frames for the kernel whose queue was full",
     &link::PortCounters::to_host_dropped},
    {"sluice_port_released_messages_total", "Messages that came back from the hold queue",
     &link::PortCounters::released},
    {"sluice_port_forwarded_messages_total", "Messages that left as one, by port of arrival",
     &link::PortCounters::forwarded},
    {"sluice_port_replicated_messages_total", "Messages delivered to several members",
     &link::PortCounters::replicated},
    {"sluice_port_copies_total", "Copies made of replicated messages", &link::PortCounters::copies},
    {"sluice_port_held_messages_total", "Messages put into the hold queue",
     &link::PortCounters::held},
    {"sluice_port_punted_messages_total", "Messages passed to the control plane",
     &link::PortCounters::punted},
    {"sluice_port_answered_messages_total", "Echo requests answered by the router",
     &link::PortCounters::answered},
    {"sluice_port_notices_total", "Notices sent back to senders", &link::PortCounters::notices},
    {"sluice_port_limited_notices_total", "Notices not sent because of their rate limit",
     &link::PortCounters::notices_limited},
    {"sluice_port_sent_frames_total", "Frames handed to the port",
     &link::PortCounters::egress_frames},
    {"sluice_port_sent_bytes_total", "Bytes handed to the port", &link::PortCounters::egress_bytes},
    {"sluice_port_queued_messages_total", "Messages that waited in a class queue of the port",
     &link::PortCounters::egress_queued},
};
inline constexpr const char* kDroppedName = "sluice_port_dropped_messages_total";
inline constexpr const char* kDroppedHelp = "Messages dropped, by port of arrival and reason";

// Of each worker. Labels: worker, core.
struct WorkerRow {
  const char* name;
  const char* help;
  std::uint64_t link::WorkerCounters::* counter;
  double unit;  // of one count
};
inline constexpr WorkerRow kWorkerRows[] = {
    {"sluice_worker_loops_total", "Turns of the poll loop", &link::WorkerCounters::loops, 1},
    {"sluice_worker_busy_loops_total", "Turns that received something",
     &link::WorkerCounters::busy_loops, 1},
    {"sluice_worker_busy_cycles_total", "TSC cycles spent in busy turns",
     &link::WorkerCounters::busy_tsc, 1},
    {"sluice_worker_sleeps_total", "Times the worker went to sleep", &link::WorkerCounters::sleeps,
     1},
    {"sluice_worker_slept_seconds_total", "Time asleep", &link::WorkerCounters::slept_ns, 1e-9},
    {"sluice_worker_negative_hits_total", "Unknown ids answered from the negative cache",
     &link::WorkerCounters::negative_hits, 1},
    {"sluice_worker_traced_messages_total", "Messages traced", &link::WorkerCounters::traced, 1},
    {"sluice_worker_limited_discoveries_total", "Discoveries not asked for because of their limit",
     &link::WorkerCounters::discoveries_limited, 1},
};

// Facts of the dataplane as a whole; only while one is or was connected.
struct TableRow {
  const char* name;
  const char* help;
  Kind kind;
  std::uint64_t link::TableInfo::* value;
};
inline constexpr TableRow kTableRows[] = {
    {"sluice_table_routes", "Entries of the route table", Kind::kGauge, &link::TableInfo::routes},
    {"sluice_table_routes_capacity", "Room in the route table", Kind::kGauge,
     &link::TableInfo::routes_capacity},
    {"sluice_table_routes_bytes", "Memory of the route table", Kind::kGauge,
     &link::TableInfo::route_table_bytes},
    {"sluice_table_adjacencies", "Adjacencies in use", Kind::kGauge, &link::TableInfo::adjacencies},
    {"sluice_table_groups", "Groups in use", Kind::kGauge, &link::TableInfo::groups},
    {"sluice_hold_messages", "Messages waiting for their destination", Kind::kGauge,
     &link::TableInfo::held},
    {"sluice_hold_expired_messages_total", "Held messages whose destination did not appear",
     Kind::kCounter, &link::TableInfo::hold_expired},
    {"sluice_hold_released_messages_total", "Held messages that went on", Kind::kCounter,
     &link::TableInfo::hold_released},
    {"sluice_table_commands_applied_total", "Commands that the dataplane applied", Kind::kCounter,
     &link::TableInfo::commands_applied},
    {"sluice_table_commands_refused_total", "Commands that the dataplane refused", Kind::kCounter,
     &link::TableInfo::commands_refused},
    {"sluice_buffers_capacity", "Packet buffers of the dataplane", Kind::kGauge,
     &link::TableInfo::mbufs},
    {"sluice_buffers_free", "Packet buffers not in use", Kind::kGauge,
     &link::TableInfo::mbufs_free},
};

// Of the control plane itself.
struct OwnRow {
  const char* name;
  const char* help;
  Kind kind;
  double (*value)(const MetricSources&);
};
inline constexpr OwnRow kOwnRows[] = {
    {"sluice_link_state", "0 disconnected, 1 connecting, 2 syncing, 3 ready", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().state); }},
    {"sluice_link_stalled", "1 while the connected dataplane is silent", Kind::kGauge,
     [](const MetricSources& s) { return s.link.info().stalled ? 1.0 : 0.0; }},
    {"sluice_link_connections_total", "Connections to a dataplane", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().connections); }},
    {"sluice_link_commands_waiting", "Commands not yet in the ring", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().commands_waiting); }},
    {"sluice_link_commands_refused_total", "Commands refused, as told by events", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().commands_refused); }},
    {"sluice_link_events_total", "Events from the dataplane", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().events); }},
    {"sluice_link_punts_total", "Messages from the dataplane", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().punts); }},
    {"sluice_link_injects_total", "Messages given to the dataplane to send", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().injects); }},
    {"sluice_link_lost_injects_total", "Messages that the dataplane had no room for",
     Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().injects_lost); }},
    {"sluice_link_heartbeat_age_seconds", "Age of the dataplane's heartbeat", Kind::kGauge,
     [](const MetricSources& s) {
       return static_cast<double>(s.link.info().dataplane_heartbeat_age_ns) * 1e-9;
     }},
    {"sluice_link_last_sync_seconds", "Duration of the last synchronisation", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.link.info().last_sync_ns) * 1e-9; }},
    {"sluice_registry_available_agents", "Agents with a resolved next hop", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.forwarding.available()); }},
    {"sluice_registry_unreachable_agents", "Agents without a route over a port", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.forwarding.unreachable()); }},
    {"sluice_registry_capabilities", "Capabilities that agents have", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.registry.capabilities().count()); }},
    {"sluice_registry_programmed_routes", "Routes wanted in the dataplane", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.programmer.route_count()); }},
    {"sluice_registry_memory_bytes", "Memory of agents and routes, estimated", Kind::kGauge,
     [](const MetricSources& s) {
       return static_cast<double>(s.registry.memory_bytes() + s.forwarding.memory_bytes() +
                                  s.programmer.route_memory_bytes());
     }},
    {"sluice_lease_registrations_total", "Agents that registered in-band", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.registry.counters().registered); }},
    {"sluice_lease_renewals_total", "Leases renewed", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.registry.counters().renewed); }},
    {"sluice_lease_moves_total", "Agents that came back at another endpoint", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.registry.counters().moved); }},
    {"sluice_lease_expirations_total", "Leases that ended without renewal", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.registry.counters().expired); }},
    {"sluice_lease_unregistrations_total", "Agents that unregistered", Kind::kCounter,
     [](const MetricSources& s) {
       return static_cast<double>(s.registry.counters().unregistered);
     }},
    {"sluice_request_accepted_total", "In-band requests accepted", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.inband.counters().accepted); }},
    {"sluice_request_refused_total", "In-band requests refused", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.inband.counters().refused); }},
    {"sluice_request_malformed_total", "In-band requests that were not understood", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.inband.counters().malformed); }},
    {"sluice_request_limited_total", "In-band requests over the rate of their sender",
     Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.inband.counters().rate_limited); }},
    {"sluice_store_failing", "1 while nothing can be written to the store", Kind::kGauge,
     [](const MetricSources& s) { return s.store().error.empty() ? 0.0 : 1.0; }},
    {"sluice_store_waiting_records", "Agents and peers changed and not yet durable", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.store().waiting); }},
    {"sluice_store_written_records_total", "Agents and peers written to the store", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.store().written); }},
    {"sluice_store_failed_batches_total", "Batches that could not be written to the store",
     Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.store().failures); }},
    {"sluice_base_routes", "Routes in the base segment in use", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.base().entries); }},
    {"sluice_base_bytes", "Size of the base segment in use", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.base().bytes); }},
    {"sluice_base_uncovered_routes", "Routes that differ from the base segment", Kind::kGauge,
     [](const MetricSources& s) {
       const auto info = s.base();
       return static_cast<double>(info.uncovered + info.deleted);
     }},
    {"sluice_base_builds_total", "Base segments built", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.base().built); }},
    {"sluice_base_failures_total", "Base segments that could not be built or were refused",
     Kind::kCounter,
     [](const MetricSources& s) {
       const auto info = s.base();
       return static_cast<double>(info.failed + info.refused);
     }},
    {"sluice_base_last_build_seconds", "Duration of the last build of a base segment", Kind::kGauge,
     [](const MetricSources& s) { return static_cast<double>(s.base().last_build_ns) * 1e-9; }},
    {"sluice_log_lost_lines_total", "Log lines that could not be written", Kind::kCounter,
     [](const MetricSources& s) { return static_cast<double>(s.logs_lost()); }},
};

}  // namespace sluice::controlplane
