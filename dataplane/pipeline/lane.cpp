#include "dataplane/pipeline/lane.hpp"

#include <cstring>
#include <utility>

namespace sluice::dataplane {
namespace {

HashKey key_of(std::uint64_t seed) noexcept {
  HashKey key{};
  std::memcpy(key.bytes.data(), &seed, sizeof seed);
  return key;
}

}  // namespace

Lane::Lane(const PipelineConfig& lane_config, NodeArray<Meter> tenant_meters,
           NodeArray<std::uint32_t> cursors)
    : config(lane_config),
      egress(*config.ports, config.egress, *config.counters),
      clock(config.tsc_hz),
      tenants(std::move(tenant_meters)),
      negative(NegativeCache::kDefaultEntries, key_of(config.seed)),
      group_cursors(std::move(cursors)),
      trace(config.exits.trace) {}

void Lane::adopt(const ForwardingState& state, std::uint64_t now_tsc) noexcept {
  adopted_state = &state;
  const link::Settings& settings = state.settings;
  for (std::uint16_t i = 0; i < config.ports->count; ++i) {
    const PortForwarding& port = state.port[i];
    plain_pattern[i] =
        PlainPattern({port.local.data(), port.local_count}, config.ports->port[i].mac,
                     state.message_port, config.ports->port[i].vlan);
  }
  const std::uint64_t tsc_per_ms = config.tsc_hz / 1000;
  hold_times = {.hold_tsc = settings.hold_ms * tsc_per_ms,
                .negative_tsc = settings.negative_cache_ms * tsc_per_ms,
                .hold_per_id = settings.hold_per_id};
  // A tenth of a second's worth may come at once.
  const auto set = [&](Meter& meter, bool& allowed, std::uint32_t per_second) {
    const TenantLimit limit{.rate_per_second = per_second, .burst = per_second / 10 + 1};
    allowed = per_second != 0;
    if (allowed && meter.limit() != limit) meter.configure(limit, config.workers, now_tsc);
  };
  set(notices, notices_allowed, settings.notices_per_second);
  set(punts, punts_allowed, settings.punts_per_second);
}

Burst begin_burst(Lane& lane, std::uint16_t port, std::uint64_t now_tsc, Origin origin) noexcept {
  const Tables& tables = *lane.config.tables;
  Burst burst;
  // Each pairs with the release store of the applier that published the object.
  burst.state = tables.forwarding.load(std::memory_order_acquire);
  burst.routes = tables.routes.load(std::memory_order_acquire);
  burst.trace = tables.trace.load(std::memory_order_acquire);
  if (burst.state != lane.adopted_state) [[unlikely]]
    lane.adopt(*burst.state, now_tsc);
  burst.port = &burst.state->port[port];
  burst.ingress = port;
  burst.trunk = burst.port->role == link::PortRole::kTrunk;
  burst.guard = !burst.trunk && burst.port->source_guard;
  burst.counted = origin != Origin::kQueue;
  burst.released = origin == Origin::kReleased;
  burst.metered = !burst.trunk && !burst.released && burst.state->tenants->size() != 0;
  burst.extra_checks = burst.trunk || burst.metered;
  burst.now_tsc = now_tsc;
  burst.now_ns = lane.clock.ns(now_tsc);
  burst.clear_ports = lane.egress.clear_ports();
  burst.usable_ports = lane.egress.usable_ports();
  burst.reception = {.local = {burst.port->local.data(), burst.port->local_count},
                     .mac = lane.config.ports->port[port].mac,
                     .message_port = burst.state->message_port,
                     .vlan = lane.config.ports->port[port].vlan,
                     .now_ns = burst.now_ns};
  return burst;
}

}  // namespace sluice::dataplane
