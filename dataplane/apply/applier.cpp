#include "dataplane/apply/applier.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>

#include "dataplane/apply/applier_state.hpp"
#include "dataplane/apply/command_check.hpp"

namespace sluice::dataplane {

namespace {

using link::CommandKind;
using link::RefusedReason;

constexpr std::uint32_t kBurst = RouteTable::kMaxBurst;
// About a tenth of a millisecond of work each: the manager has other duties.
constexpr unsigned kSweepStep = 4096;
constexpr unsigned kReclaimStep = 4096;
constexpr unsigned kPruneStep = 16'384;
constexpr unsigned kFilterStep = 16'384;

std::uint32_t handle_of(const link::Command& command) noexcept {
  switch (command.header.kind) {
    case CommandKind::kRouteSet:
      return command.body.route_set.handle;
    case CommandKind::kAdjacencySet:
      return command.body.adjacency_set.handle;
    case CommandKind::kAdjacencyState:
      return command.body.adjacency_state.handle;
    case CommandKind::kAdjacencyDelete:
      return command.body.adjacency_delete.handle;
    case CommandKind::kGroupBegin:
      return command.body.group_begin.handle;
    case CommandKind::kGroupMember:
      return command.body.group_member.group;
    case CommandKind::kGroupCommit:
    case CommandKind::kGroupDelete:
      return command.body.group.handle;
    default:
      return kNoIndex;
  }
}

Id id_of(const link::Command& command) noexcept {
  switch (command.header.kind) {
    case CommandKind::kRouteSet:
      return command.body.route_set.id;
    case CommandKind::kRouteDelete:
      return command.body.route_delete.id;
    case CommandKind::kGroupBegin:
      return command.body.group_begin.capability;
    case CommandKind::kGroupMember:
      return command.body.group_member.id;
    default:
      return {};
  }
}

}  // namespace

Applier::Applier(Tables& tables, const PortTable& ports, link::StatusSegment& status,
                 EventSender& events, ApplyObserver& observer)
    : state_(std::make_unique<State>(tables, ports, status, events, observer)) {
  state_->publish_small();
}
Applier::~Applier() = default;

void Applier::assume(std::uint16_t message_port, std::span<const std::vector<IpAddress>> local) {
  SmallState& small = state_->wanted;
  small.settings.message_port = message_port;
  for (std::size_t port = 0; port < std::min<std::size_t>(local.size(), kMaxPorts); ++port) {
    const auto& addresses = local[port];
    const auto n = std::min<std::size_t>(addresses.size(), kMaxLocalAddressesPerPort);
    small.local[port] = {addresses.begin(), addresses.begin() + static_cast<std::ptrdiff_t>(n)};
  }
  state_->publish_small();
}

void Applier::attach(link::Region& region) {
  state_->region = &region;
  state_->commands.emplace(region.commands);
  state_->sequence = 0;
  state_->begun = state_->ended = false;
  state_->publish_small();
}

void Applier::detach() {
  state_->region = nullptr;
  state_->commands.reset();
  state_->draft = {};
  // What was collected of an unfinished epoch is void; the workers keep what they have.
  if (!state_->ended) state_->wanted = state_->published;
  state_->base.forget();
  state_->begun = state_->ended = false;
  state_->publish_small();
}

Applier::Progress Applier::run(std::uint32_t budget) {
  State& s = *state_;
  bool ok = true;
  bool more = false;
  if (s.commands) {
    std::uint32_t done = 0;
    while (done < budget) {
      const std::uint32_t n = s.commands->pop(s.burst.data(), kBurst, ok);
      if (n == 0) break;
      for (std::uint32_t i = 0; i < n; ++i)
        s.apply(s.burst[i]);
      done += n;
    }
    s.flush_routes();
    if (s.small_dirty && s.ended) s.publish_small();
    if (done > 0) {
      link::add(s.status.tables.commands_applied, done);
      // Pairs with the control plane's acquire load: the tables are changed before it sees this.
      std::atomic_ref(s.region->applied_sequence).store(s.sequence, std::memory_order_release);
    }
    if (!ok) return Progress::kCorrupt;
    more = s.commands->available(ok) > 0;
  }
  if (s.adjacencies_dirty) {
    s.adjacencies_dirty = false;
    s.observer.adjacencies_changed();
  }
  s.maintain();
  const bool pruning = s.base.turn(kPruneStep);
  const bool filtering = !s.tables.tend_filter(kFilterStep);
  return more || pruning || filtering || s.sweep_passes > 0 ? Progress::kMore : Progress::kIdle;
}

void Applier::State::maintain() {
  tables.reclaim(kReclaimStep);
  if (sweep_passes == 0 || !tables.sweep(epoch, kSweepStep, swept)) return;
  if (--sweep_passes > 0) return;
  count_event(link::EventKind::kSweepDone, swept);
  spdlog::info("event=sweep_done epoch={} removed={}", epoch, swept);
}

void Applier::State::apply(const link::Command& command) {
  ++sequence;
  // Only routes are put off; anything else finds the tables as the commands before it left them.
  if (command.header.kind != CommandKind::kRouteSet) flush_routes();
  Refusal refusal;
  if (!known_kind(command.header.kind)) {
    refusal = RefusedReason::kBadKind;
  } else if (!well_formed(command, ports.count)) {
    refusal = RefusedReason::kBadField;
  } else if (command.header.kind != CommandKind::kBeginSync &&
             (!begun || command.header.epoch != epoch)) {
    refusal = RefusedReason::kWrongEpoch;
  } else {
    refusal = dispatch(command);
  }
  if (refusal) refuse(command, *refusal);
}

Applier::State::Refusal Applier::State::dispatch(const link::Command& command) {
  const auto& body = command.body;
  switch (command.header.kind) {
    case CommandKind::kRouteSet:
      return add_route(body.route_set);
    case CommandKind::kRouteDelete:
      return delete_route(body.route_delete);
    case CommandKind::kBeginSync:
      return begin_sync(command.header.epoch);
    case CommandKind::kEndSync:
      return end_sync();
    case CommandKind::kSweep:
      return start_sweep();
    case CommandKind::kHashKey:
      return set_hash_key(body.hash_key);
    case CommandKind::kRouterId:
      wanted.router_id = body.router_id;
      break;
    case CommandKind::kAdjacencySet:
      return set_adjacency(body.adjacency_set);
    case CommandKind::kAdjacencyState:
      return set_adjacency_state(body.adjacency_state);
    case CommandKind::kAdjacencyDelete:
      return delete_adjacency(body.adjacency_delete.handle);
    case CommandKind::kGroupBegin:
      return begin_group(body.group_begin);
    case CommandKind::kGroupMember:
      return add_member(body.group_member);
    case CommandKind::kGroupCommit:
      return commit_group(body.group.handle);
    case CommandKind::kGroupDelete:
      return delete_group(body.group.handle);
    case CommandKind::kLocalAddress:
      return set_local_address(body.local_address);
    case CommandKind::kPeerAddress:
      return set_peer(body.peer_address);
    case CommandKind::kTenantSet:
      return set_tenant(body.tenant_set);
    case CommandKind::kTenantAllow:
      return allow_tenant(body.tenant_allow);
    case CommandKind::kTenantDelete:
      wanted.tenants.erase(body.tenant.tenant);
      break;
    case CommandKind::kPortSettings:
      wanted.source_guard[body.port_settings.port] = body.port_settings.source_guard == 1;
      break;
    case CommandKind::kSettings:
      wanted.settings = body.settings;
      break;
    case CommandKind::kTraceStart:
      return start_trace(body.trace_start);
    case CommandKind::kTraceStop:
      tables.publish(std::unique_ptr<const TraceFilter>());
      observer.trace_changed(0, 0);
      return {};
    case CommandKind::kCountersClear:
      clear_counters();
      return {};
    case CommandKind::kBaseBegin:
      return base.begin(body.base_begin);
    case CommandKind::kBaseAdjacency:
      return add_to_base(body.base_adjacency);
    case CommandKind::kBaseCommit:
      return commit_base(body.base);
    case CommandKind::kBaseDrop:
      return base.drop();
  }
  small_dirty = true;
  return {};
}

void Applier::State::refuse(const link::Command& command, RefusedReason reason) {
  refuse(sequence, command.header.kind, reason, handle_of(command), id_of(command));
}

// Each is counted; told one by one only as far as a person could read it.
void Applier::State::refuse(std::uint64_t at, CommandKind kind, RefusedReason reason,
                            std::uint32_t handle, const Id& id) {
  link::add(status.tables.commands_refused, 1);
  if (reason == RefusedReason::kTableFull) table_full();
  // That a base is not in force must be heard: all that it covers would never be sent.
  const bool surely = kind == CommandKind::kBaseBegin || kind == CommandKind::kBaseCommit;
  if (!surely && !refusal_events.take(monotonic_ns())) return;
  link::Event event{};
  event.kind = link::EventKind::kCommandRefused;
  auto& body = event.body.refused;
  body.sequence = at;
  body.kind = kind;
  body.reason = reason;
  body.handle = handle;
  body.id = id;
  surely ? events.send_surely(event) : static_cast<void>(events.send(event));
}

// Not once per command: a table that is full may stay so, with things coming and going.
void Applier::State::table_full() {
  if (!full_reports.allow(monotonic_ns())) return;
  const RouteTable* routes = tables.route_table();
  count_event(link::EventKind::kTableFull, routes != nullptr ? routes->size() : 0);
  spdlog::error("event=table_full routes={} adjacencies={} groups={} suppressed={}",
                routes != nullptr ? routes->size() : 0, tables.adjacencies.size(),
                tables.groups.size(), full_reports.take_refused());
}

void Applier::State::count_event(link::EventKind kind, std::uint64_t count) {
  link::Event event{};
  event.kind = kind;
  event.body.counted.count = count;
  event.body.counted.epoch_or_token = epoch;
  events.send(event);
}

bool Applier::prepare_wait() {
  if (state_->sweep_passes > 0 || state_->base.working()) return false;
  return !state_->commands || state_->commands->prepare_wait();
}
void Applier::cancel_wait() {
  if (state_->commands) state_->commands->cancel_wait();
}

void Applier::offer_base(const link::SegmentId& segment, UniqueFd file) {
  state_->base.offer(segment, std::move(file));
}
int Applier::base_fd() const noexcept {
  return state_->base.fd();
}

std::uint8_t Applier::epoch() const {
  return state_->epoch;
}
const link::Settings& Applier::settings() const {
  return state_->published.settings;
}

void Applier::publish_status() {
  auto& info = state_->status.tables;
  const auto put = [](std::uint64_t& field, std::uint64_t value) {
    std::atomic_ref(field).store(value, std::memory_order_relaxed);
  };
  const Tables& tables = state_->tables;
  if (const RouteTable* routes = state_->tables.route_table(); routes != nullptr) {
    put(info.routes, routes->size());
    put(info.route_table_bytes, routes->memory_bytes());
  }
  const BaseTable* base = tables.base();
  put(info.base_entries, base != nullptr ? base->loaded()->view.entries() : 0);
  put(info.base_bytes, base != nullptr ? base->loaded()->memory.mapped_bytes() : 0);
  put(info.base_number, base != nullptr ? base->number() : 0);
  put(info.routes_deleted, tables.deletion_marks());
  put(info.routes_capacity, tables.limits().routes);
  put(info.adjacencies, tables.adjacencies.size());
  put(info.adjacencies_capacity, tables.adjacencies.capacity());
  put(info.groups, tables.groups.size());
  put(info.groups_capacity, tables.groups.capacity());
  put(info.grace_pending, tables.pending());
}

}  // namespace sluice::dataplane
