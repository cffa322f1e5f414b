#include "dataplane/apply/small_state.hpp"

#include <algorithm>
#include <vector>

namespace sluice::dataplane {

SmallState SmallState::initial() {
  SmallState state;
  state.source_guard.fill(true);
  state.settings.hold_per_id = 8;
  state.settings.hold_total = 65'536;
  state.settings.hold_ms = 500;
  state.settings.negative_cache_ms = 1'000;
  state.settings.notices_per_second = 1'000;
  state.settings.punts_per_second = 10'000;
  state.settings.discoveries_per_second = 1'000;
  state.settings.message_port = kDefaultMessagePort;
  return state;
}

namespace {

Tenants next_tenants(const Tenants& last, const SmallState& before, const SmallState& now) {
  Tenants next = last;
  for (const auto& [tenant, model] : before.tenants) {
    if (!now.tenants.contains(tenant)) next = next.without(tenant);
  }
  for (const auto& [tenant, model] : now.tenants) {
    const auto old = before.tenants.find(tenant);
    static const TenantModel kNothing;
    const TenantModel& known = old == before.tenants.end() ? kNothing : old->second;
    if (old == before.tenants.end() || !(known.limit == model.limit))
      next = next.with(tenant, model.limit);
    for (const std::uint16_t destination : known.allowed) {
      if (!model.allowed.contains(destination))
        next = next.with_allowed(tenant, destination, false);
    }
    for (const std::uint16_t destination : model.allowed) {
      if (!known.allowed.contains(destination)) next = next.with_allowed(tenant, destination, true);
    }
  }
  return next;
}

}  // namespace

std::unique_ptr<ForwardingState> make_snapshot(const ForwardingState& last,
                                               const SmallState& before, const SmallState& now) {
  auto next = std::make_unique<ForwardingState>(last);
  next->router_id = now.router_id;
  next->settings = now.settings;
  next->message_port = now.settings.message_port;
  for (std::size_t i = 0; i < kMaxPorts; ++i) {
    PortForwarding& port = next->port[i];
    port.source_guard = now.source_guard[i];
    port.local_count = 0;
    for (const IpAddress& address : now.local[i])
      port.add_local(address);
  }
  if (now.peers != before.peers) {
    const std::vector<IpAddress> peers(now.peers.begin(), now.peers.end());
    next->peers = std::make_shared<const AddressSet>(peers);
  }
  if (now.tenants != before.tenants)
    next->tenants = std::make_shared<const Tenants>(next_tenants(*last.tenants, before, now));
  return next;
}

}  // namespace sluice::dataplane
