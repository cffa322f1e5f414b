// One router's state for the golden texts, as fixed as a text can be.
#include "fixture.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::cli {
namespace {

constexpr std::uint64_t kHourNs = 3600 * kNsPerSecond;

void fill_status(api::StatusReply& s) {
  s.set_router_name("r1");
  s.set_router_id(id_bytes("router/r1"));
  s.set_message_port(7600);
  s.set_now_ns(2'000 * kNsPerSecond);
  auto& cp = *s.mutable_control_plane();
  cp.set_version("0.1.0");
  cp.set_pid(71);
  cp.set_uptime_ns(kHourNs + 120 * kNsPerSecond);
  cp.set_memory_bytes(45 << 20);
  cp.set_config_file("/etc/sluice/sluice.yaml");
  cp.set_config_loaded_ns(1'990 * kNsPerSecond);
  auto& link = *s.mutable_link();
  link.set_state(api::LINK_READY);
  link.set_epoch(2);
  link.set_connections(1);
  link.set_state_since_ns(kHourNs);
  link.set_sequence(1234);
  link.set_applied_sequence(1234);
  link.set_dataplane_heartbeat_age_ns(12'300'000);
  link.set_controlplane_heartbeat_age_ns(8'000'000);
  link.set_last_sync_ns(1'500'000);
  link.set_punts(4);
  auto& d = *s.mutable_dataplane();
  d.set_instance(99);
  d.set_pid(70);
  d.set_uptime_ns(kHourNs);
  d.set_adaptive(true);
  d.set_hash_implementation("vaes512");
  auto& t = *d.mutable_tables();
  t.set_routes(2);
  t.set_routes_capacity(131072);
  t.set_route_table_bytes(9 << 20);
  t.set_adjacencies(2);
  t.set_adjacencies_capacity(65536);
  t.set_groups(1);
  t.set_groups_capacity(4096);
  t.set_hold_capacity(8192);
  t.set_mbufs(32768);
  t.set_mbufs_free(30000);
  auto& w = *d.add_workers();
  w.set_core(1);
  w.set_sleeping(true);
  w.add_ports("agents");
  auto& r = *s.mutable_registry();
  r.set_agents(2);
  r.set_agents_static(1);
  r.set_agents_registered(1);
  r.set_agents_available(2);
  r.set_agents_limit(131072);
  r.set_capabilities(1);
}

void fill_port(api::Port& p) {
  p.set_name("agents");
  p.set_role("edge");
  p.set_device("net_tap0,iface=edge1");
  p.set_driver("net_tap");
  p.set_mac("02:00:00:00:00:01");
  p.set_host_interface("sl-agents");
  p.set_host_ifindex(7);
  p.set_link_up(true);
  p.set_speed_mbps(10'000);
  p.set_mtu(1500);
  p.set_source_guard(true);
  p.set_rx_queues(1);
  p.set_tx_queues(1);
  p.set_socket(-1);
  p.add_workers(0);
  p.add_addresses("10.77.1.1/24");
  p.add_addresses("fd00:77::1/64");
}

void fill_agent(api::Agent& a) {
  a.set_id(id_bytes("acme/prod/translate/7"));
  a.set_name("acme/prod/translate/7");
  a.set_tenant(1);
  a.set_origin(api::ORIGIN_REGISTERED);
  a.set_endpoint("10.77.1.2:7601");
  a.add_capabilities("translate");
  a.set_reachability(api::REACH_UP);
  a.set_port("agents");
  a.set_lease_s(30);
  a.set_lease_left_ns(21 * kNsPerSecond);
  a.set_registered_ns(1'700'000'000 * kNsPerSecond);
  a.set_renewed_ns(1'700'000'100 * kNsPerSecond);
}

void fill_adjacency(api::Adjacency& a) {
  a.set_handle(5);
  a.set_port("agents");
  a.set_mac("02:00:00:00:00:02");
  a.set_source("10.77.1.1");
  a.set_destination("10.77.1.2");
  a.set_next_hop("10.77.1.2");
  a.set_state(api::ADJACENCY_UP);
  a.set_mtu(1500);
  a.set_agents(1200);
}

void fill_counters(api::PortCounters& c) {
  c.set_frames(1'001'010);
  c.set_bytes(106'000'000);
  c.set_messages(1'001'000);
  c.set_forwarded(1'000'000);
  c.set_dropped(1'000);
  c.set_to_host(10);
  c.set_egress_frames(12);
  auto& drop = *c.add_drops();
  drop.set_reason("unknown_destination");
  drop.set_text("nobody has that id");
  drop.set_count(1'000);
}

void fill_stats(FakeState& state) {
  api::StatsReply s;
  s.set_taken_ns(10 * kNsPerSecond);
  s.set_dataplane_instance(99);
  s.set_tsc_hz(2'000'000'000);
  auto& p = *s.add_ports();
  p.set_port("agents");
  p.set_link_up(true);
  fill_counters(*p.mutable_counters());
  auto& w = *s.add_workers();
  w.set_core(1);
  w.set_loops(1'000'000);
  w.set_busy_loops(250'000);
  w.set_busy_tsc(4'000'000'000);
  w.set_longest_loop_tsc(2'000'000);
  state.stats = {s};
  auto& drops = *state.drops.add_ports();
  drops.set_port("agents");
  drops.set_messages(1'001'000);
  drops.set_dropped(1'000);
  *drops.mutable_drops() = p.counters().drops();
  state.drops.set_taken_ns(10 * kNsPerSecond);
}

void fill_forwarding(FakeState& state) {
  auto& agent = state.agent;
  auto& r = state.route;
  r.set_id(agent.id());
  r.set_name(agent.name());
  r.set_kind(api::ROUTE_ADJACENCY);
  r.set_tenant(1);
  r.set_udp_port(7601);
  fill_adjacency(*r.mutable_adjacency());
  state.routes.set_programmed(3);
  state.routes.set_agents(2);
  state.routes.set_capabilities(1);
  state.routes.set_dataplane(3);
  state.routes.set_capacity(131072);
  state.adjacencies.resize(1);
  fill_adjacency(*state.adjacencies[0].add_adjacencies());
  fill_port(*state.ports.add_ports());
  auto& n = *state.neighbors.add_neighbors();
  n.set_address("10.77.1.2");
  n.set_port("agents");
  n.set_mac("02:00:00:00:00:02");
  n.set_state("reachable");
  n.set_adjacencies(1);
  state.peer.set_name("r2");
  state.peer.set_address("192.0.2.2:7600");
  state.peer.set_origin(api::ORIGIN_STATIC);
  state.peer.set_agents(40);
  state.peer.set_reachability(api::REACH_NO_ROUTE);
  *state.peers.add_peers() = state.peer;
  auto& t = *state.tenants.add_tenants();
  t.set_id(1);
  t.set_name("research");
  t.add_allow(2);
  t.set_rate(50'000);
  t.set_burst(64);
  t.set_agents(2);
  t.set_has_key(true);
}

void fill_node(api::Node& n, const char* name, const char* address, api::NodeState state) {
  n.set_name(name);
  n.set_address(address);
  n.set_state(state);
  n.set_incarnation(3);
  n.set_state_age_ns(3'600'000'000'000);
  n.set_answered_age_ns(500'000'000);
  n.set_protocol_min(1);
  n.set_protocol_max(5);
  n.set_protocol_current(2);
}

void fill_cluster(FakeState& state) {
  auto& self = *state.nodes.add_nodes();
  fill_node(self, "r1", "192.0.2.1:7946", api::NODE_ALIVE);
  self.set_self(true);
  self.set_router(true);
  auto& tag = *self.add_tags();
  tag.set_key("zone");
  tag.set_value("z1");
  fill_node(*state.nodes.add_nodes(), "serf-1", "192.0.2.9:7946", api::NODE_DEAD);
  auto& c = *state.nodes.mutable_cluster();
  c.set_name("r1");
  c.set_bind("0.0.0.0:7946");
  c.set_advertise("192.0.2.1:7946");
  c.set_health(2);
  c.set_alive(1);
  c.set_dead(1);
  c.set_lost_peers(1);
  auto& key = *state.keys.add_keys();
  key.set_fingerprint("0123456789ab");
  key.set_here(true);
  key.set_primary_here(true);
  key.set_routers(2);
  key.set_primary(2);
  state.keys.set_routers(3);
  state.keys.set_others(1);
  state.key_step.set_fingerprint("0123456789ab");
  state.key_step.set_routers(3);
  state.join_token.set_token("sluice1.am9pbiAxOTIuMC4yLjE6Nzk0Ngo=");
  auto& event = state.cluster_events.emplace_back();
  event.set_sequence(7);
  event.set_time_ns(1'800'000'000'000'000'000);
  event.set_kind("failed");
  event.set_node("serf-1");
  event.set_address("192.0.2.9:7946");
  event.set_incarnation(3);
  event.set_from("r1");
}

template <class Reply>
void add_progress(std::vector<Reply>& replies) {
  auto& progress = *replies.emplace_back().mutable_progress();
  progress.set_done(std::uint64_t{1} << 30);
  progress.set_total(std::uint64_t{4} << 30);
  replies.emplace_back();
}

void fill_store_contents(api::ShowStoreReply& store) {
  store.set_sequence(1'234'567);
  store.set_generation(42);
  store.set_format(2);
  store.set_lanes(4);
  store.set_entries(1'000'100);
  store.set_segment_bytes(123'456'789);
  store.set_hot_bytes(34'000'000);
  store.set_log_bytes(8 << 20);
  store.set_debt_bytes(1 << 20);
  store.set_verified_bytes(50);
  store.set_to_verify_bytes(100);
  auto& away = *store.add_away();
  away.set_tenant(9);
  away.set_name("gone");
  auto& table = *store.add_tables();
  table.set_id(1);
  table.set_name("agents");
  table.set_kind("record");
  auto& tree = *store.add_trees();
  tree.set_form("exact");
  tree.set_lane(3);
  tree.set_overlay_entries(100);
  tree.set_overlay_bytes(12'345);
  tree.add_segment_entries(1000);
  tree.add_segment_entries(999'000);
  tree.set_segment_bytes(123'456'789);
  tree.set_debt_bytes(1 << 20);
  tree.set_size_ratio(8);
  store.add_trees()->set_form("compact");  // empty: not shown
}

void fill_store(FakeState& state) {
  auto& store = state.store;
  store.set_directory("/var/lib/sluice/store");
  store.set_waiting(3);
  store.set_disk_free_bytes(std::uint64_t{10} << 30);
  store.set_disk_total_bytes(std::uint64_t{40} << 30);
  fill_store_contents(store);
  store.set_lookups(2000);
  store.set_hits(1990);
  store.set_segment_probes(2500);
  store.set_filter_false_positives(4);
  store.set_writes(1'234'567);
  store.set_batches(20'000);
  store.set_slowed_writes(2);
  store.set_stall_ns(1'500'000);
  store.set_fsyncs(19'000);
  store.set_fsync_ns(19'000 * std::uint64_t{170'000});
  store.set_fsync_max_ns(4'200'000);
  store.set_flushes(12);
  store.set_compactions(5);
  store.set_compaction_read_bytes(500'000'000);
  store.set_compaction_written_bytes(450'000'000);
  add_progress(state.verified);
  auto& verified = *state.verified.back().mutable_report();
  verified.set_files(9);
  verified.set_bytes(123'456'789);
  add_progress(state.backup);
  auto& copied = *state.backup.back().mutable_report();
  copied.set_directory("/var/lib/sluice/backup");
  copied.set_files(9);
  copied.set_bytes(123'456'789);
  copied.set_sequence(1'234'567);
  add_progress(state.compacted);
  auto& compacted = *state.compacted.back().mutable_report();
  compacted.set_segments_before(12);
  compacted.set_segments(4);
  compacted.set_bytes_before(200'000'000);
  compacted.set_bytes(123'456'789);
  add_progress(state.migrated);
  auto& migrated = *state.migrated.back().mutable_report();
  migrated.set_lanes_before(4);
  migrated.set_lanes(8);
  migrated.set_format_before(1);
  migrated.set_format(2);
}

void fill_tenants(FakeState& state) {
  add_progress(state.usage);
  auto& usage = *state.usage.back().mutable_report();
  auto& tenant = *usage.add_tenants();
  tenant.set_tenant(1);
  tenant.set_name("acme");
  tenant.set_configured(true);
  tenant.set_agents(1'000'000);
  auto& table = *tenant.add_tables();
  table.set_table("agents");
  table.set_keys(999'990);
  table.set_key_bytes(std::uint64_t{999'990} * 16);
  table.set_value_bytes(123'456'789);
  usage.add_tenants()->set_tenant(9);
  usage.mutable_tenants(1)->set_name("gone");
  state.exported.resize(2);
  auto& items = *state.exported[0].mutable_items();
  auto& item = *items.add_items();
  item.set_table("agents");
  auto& agent = *item.mutable_agent();
  agent.set_id(id_bytes("acme/prod/translate/7"));
  agent.set_name("acme/prod/translate/7");
  agent.set_origin("registered");
  agent.set_endpoint("10.0.0.7:7601");
  agent.add_capabilities("translate");
  agent.set_added_ns(1'700'000'000'000'000'000);
  agent.set_lease_s(30);
  auto& gone = *items.add_items();
  gone.set_table("agents");
  gone.mutable_departed()->set_id(std::string(16, '\x11'));
  gone.mutable_departed()->set_last_request_ns(1'700'000'000'000'000'000);
  auto& other = *items.add_items();
  other.set_table("more");
  other.mutable_other()->set_key_hex("0102");
  auto& exported = *state.exported[1].mutable_report();
  exported.set_tenant(1);
  exported.set_items(3);
  exported.set_sequence(1'234'567);
  add_progress(state.deleted);
  auto& deleted = *state.deleted.back().mutable_report();
  deleted.set_tenant(1);
  deleted.set_agents(1'000'000);
  deleted.set_records(12);
  deleted.set_configured(true);
}

}  // namespace

void fill(FakeState& state) {
  fill_store(state);
  fill_tenants(state);
  fill_cluster(state);
  fill_status(state.status);
  fill_port(*state.status.mutable_dataplane()->add_ports());
  fill_agent(state.agent);
  state.pages.resize(1);
  *state.pages[0].add_agents() = state.agent;
  auto& second = *state.pages[0].add_agents();
  second.set_id(std::string(16, '\x11'));
  second.set_tenant(2);
  second.set_origin(api::ORIGIN_PEER);
  second.set_peer("r2");
  second.set_reachability(api::REACH_DOWN);
  state.resolved.set_id(id_bytes("translate"));
  state.resolved.set_capability(true);
  *state.resolved.add_members() = state.agent;
  state.token.set_agent_id(state.agent.id());
  state.token.set_token(std::string(32, '\xab'));
  state.config.set_text("router:\n  name: r1\n");
  state.check.set_ok(true);
  state.check.set_compared(true);
  state.check.set_file("/etc/sluice/sluice.yaml");
  auto& difference = *state.check.add_differences();
  difference.set_key("dataplane.burst");
  difference.set_restart("sluice-dataplane");
  state.reload.set_file("/etc/sluice/sluice.yaml");
  auto& applied = *state.reload.add_applied();
  applied.set_key("agents");
  applied.set_live(true);
  fill_stats(state);
  fill_forwarding(state);
}

}  // namespace sluice::cli
