// Epochs, key, addresses, peers, tenants, settings and traces.
#include <spdlog/spdlog.h>

#include "dataplane/apply/applier_state.hpp"

namespace sluice::dataplane {

using link::RefusedReason;

Applier::State::Refusal Applier::State::begin_sync(std::uint8_t new_epoch) {
  // What the tables carry of this very epoch could not be told from what it brings.
  if (begun || new_epoch == epoch) return RefusedReason::kWrongEpoch;
  begun = true;
  epoch = new_epoch;
  wanted = SmallState::initial();
  adjacency_slots.clear();
  group_slots.clear();
  draft = {};
  base.begin_sync();
  sweep_broken_off = sweep_broken_off || sweep_passes > 0;
  sweep_passes = 0;
  return {};
}

Applier::State::Refusal Applier::State::end_sync() {
  if (ended) return RefusedReason::kWrongEpoch;
  if (tables.route_table() == nullptr) return RefusedReason::kNoHashKey;
  ended = true;
  tables.release_routes();
  publish_small();
  count_event(link::EventKind::kSyncDone, tables.route_table()->size());
  spdlog::info("event=sync_done epoch={} routes={} commands={}", epoch,
               tables.route_table()->size(), sequence);
  return {};
}

Applier::State::Refusal Applier::State::start_sweep() {
  if (!ended) return RefusedReason::kWrongEpoch;
  // One that was broken off goes on where it stopped, so it needs another round for the rest.
  tables.begin_sweep();
  sweep_passes = sweep_broken_off ? 2 : 1;
  sweep_broken_off = false;
  swept = 0;
  return {};
}

Applier::State::Refusal Applier::State::set_hash_key(const std::array<std::uint8_t, 16>& bytes) {
  HashKey key;
  key.bytes = bytes;
  auto made = tables.set_hash_key(key);
  if (made) return {};
  spdlog::error("event=route_table_failed error=\"{}\"", made.error().message());
  return RefusedReason::kTableFull;
}

Applier::State::Refusal Applier::State::set_local_address(const link::LocalAddress& body) {
  auto& addresses = wanted.local[body.port];
  small_dirty = true;
  if (body.present == 0) {
    addresses.erase(body.address);
    return {};
  }
  if (!addresses.contains(body.address) && addresses.size() >= kMaxLocalAddressesPerPort)
    return RefusedReason::kTableFull;
  addresses.insert(body.address);
  return {};
}

Applier::State::Refusal Applier::State::set_peer(const link::PeerAddress& body) {
  small_dirty = true;
  if (body.present == 0) {
    wanted.peers.erase(body.address);
    return {};
  }
  if (!wanted.peers.contains(body.address) && wanted.peers.size() >= kMaxPeers)
    return RefusedReason::kTableFull;
  wanted.peers.insert(body.address);
  return {};
}

Applier::State::Refusal Applier::State::set_tenant(const link::TenantSet& body) {
  wanted.tenants[body.tenant].limit = {.rate_per_second = body.rate_per_second,
                                       .burst = body.burst};
  small_dirty = true;
  return {};
}

Applier::State::Refusal Applier::State::allow_tenant(const link::TenantAllow& body) {
  const auto tenant = wanted.tenants.find(body.tenant);
  // Taking something away from a tenant that is gone is done already.
  if (tenant == wanted.tenants.end())
    return body.present == 0 ? Refusal{} : RefusedReason::kBadHandle;
  auto& allowed = tenant->second.allowed;
  small_dirty = true;
  if (body.present == 0) {
    allowed.erase(body.destination);
    return {};
  }
  if (!allowed.contains(body.destination) && allowed.size() >= kMaxAllowedPerTenant)
    return RefusedReason::kTableFull;
  allowed.insert(body.destination);
  return {};
}

Applier::State::Refusal Applier::State::start_trace(const link::TraceStart& body) {
  tables.publish(std::unique_ptr<const TraceFilter>(
      std::make_unique<TraceFilter>(body.source, body.destination, body.count, body.token)));
  observer.trace_changed(body.token, body.count);
  return {};
}

// Each block is cleared by the thread that owns it; the manager's is ours.
void Applier::State::clear_counters() {
  for (std::uint32_t i = 0; i < link::kManagerCounters; ++i)
    link::add(status.counters[i].clear_requests, 1);
  auto& own = status.counters[link::kManagerCounters];
  own = {};
}

void Applier::State::publish_small() {
  const ForwardingState& last = *tables.forwarding.load(std::memory_order_relaxed);
  const bool take = ended || !begun;  // else an epoch is half told
  auto next = make_snapshot(last, published, take ? wanted : published);
  for (std::size_t i = 0; i < kMaxPorts; ++i)
    next->port[i].role = status.port[i].role;
  next->control_plane_connected = region != nullptr;
  next->ready = last.ready || ended;
  if (ended) next->epoch = epoch;
  tables.publish(std::unique_ptr<const ForwardingState>(std::move(next)));
  if (!take) return;
  published = wanted;
  small_dirty = false;
  observer.settings_changed(published.settings);
}

}  // namespace sluice::dataplane
