#include "controlplane/link/programmer.hpp"

#include <algorithm>
#include <ranges>

#include "controlplane/link/programmer_state.hpp"
#include "sluice/base/random.hpp"

namespace sluice::controlplane {

using link::CommandKind;

void Programmer::State::notify() {
  if (!connected || notified) return;
  notified = true;
  if (dirty_callback) dirty_callback();
}

void Programmer::State::set_misc(const MiscKey& key, const link::Command& command, bool removal) {
  auto [it, fresh] = misc.try_emplace(key);
  MiscItem& item = it->second;
  const bool same = !fresh && item.removal == removal &&
                    std::memcmp(&item.command, &command, sizeof command) == 0;
  if (same) return;
  if (removal && !connected) {
    misc.erase(it);
    return;
  }
  item.command = command;
  item.removal = removal;
  if (!connected) return;
  if (!item.queued) misc_queue.push_back(key);
  item.queued = true;
  notify();
}

void Programmer::State::queue_adjacency(std::uint32_t handle, bool content) {
  if (!connected) return;
  auto& slot = adjacencies.slots[handle];
  slot.content_dirty = slot.content_dirty || content;
  if (!slot.queued) adjacencies.queue.push_back(handle);
  slot.queued = true;
  notify();
}

void Programmer::State::queue_group(std::uint32_t handle) {
  if (!connected) return;
  auto& slot = groups.slots[handle];
  if (!slot.queued) groups.queue.push_back(handle);
  slot.queued = true;
  notify();
}

void Programmer::State::queue_route(std::uint32_t slot) {
  if (!connected) return;
  routes.mark_dirty(slot);
  notify();
}

void Programmer::State::forget_route(std::uint32_t slot) {
  RouteEntry& entry = routes.at(slot);
  differs(slot);
  if (fits_base(entry.kind)) --base_routes;
  release(entry.kind, entry.handle);
  --live_routes;
  entry.kind = ActionKind::kNone;
  entry.handle = kNoIndex;
  entry.flags |= route_flag::kDeleted;
  if (retained(slot)) {
    bury(slot);
  } else if (!connected) {
    routes.erase(slot);
    return;
  }
  queue_route(slot);
}

void Programmer::State::reference(ActionKind kind, std::uint32_t handle) {
  if (kind == ActionKind::kAdjacency) ++adjacencies.slots[handle].references;
  if (kind == ActionKind::kGroup) ++groups.slots[handle].references;
}

void Programmer::State::release(ActionKind kind, std::uint32_t handle) {
  if (kind == ActionKind::kAdjacency && --adjacencies.slots[handle].references == 0)
    adjacency_unreferenced(handle);
  if (kind == ActionKind::kGroup && --groups.slots[handle].references == 0)
    group_unreferenced(handle);
}

void Programmer::State::adjacency_unreferenced(std::uint32_t handle) {
  if (!adjacencies.slots[handle].doomed) return;
  if (!connected) {
    adjacencies.remove(handle);
    return;
  }
  adjacencies.deletes.push_back(handle);
  notify();
}

void Programmer::State::group_unreferenced(std::uint32_t handle) {
  if (!groups.slots[handle].doomed) return;
  if (!connected) {
    groups.remove(handle);
    return;
  }
  groups.deletes.push_back(handle);
  notify();
}

Programmer::Programmer() : state_(std::make_unique<State>()), base_(new RouteBase(*state_)) {
  // A key is needed before the first route; whoever has a durable one sets it before starting.
  set_hash_key(random_bytes<16>());
}
Programmer::~Programmer() = default;

Feed& Programmer::feed() {
  return *state_;
}

void Programmer::sweep_after(std::uint64_t deadline_ns) {
  state_->sweep_not_before_ns = deadline_ns;
}

void Programmer::set_hash_key(const std::array<std::uint8_t, 16>& key) {
  auto command = blank(CommandKind::kHashKey);
  command.body.hash_key = key;
  state_->set_misc({.kind = CommandKind::kHashKey}, command, false);
}

void Programmer::set_router_id(const Id& id) {
  auto command = blank(CommandKind::kRouterId);
  command.body.router_id = id;
  state_->set_misc({.kind = CommandKind::kRouterId}, command, false);
}

void Programmer::set_settings(const link::Settings& settings) {
  auto command = blank(CommandKind::kSettings);
  auto& body = command.body.settings;  // field by field: padding stays zero
  body.hold_per_id = settings.hold_per_id;
  body.hold_total = settings.hold_total;
  body.hold_ms = settings.hold_ms;
  body.negative_cache_ms = settings.negative_cache_ms;
  body.notices_per_second = settings.notices_per_second;
  body.punts_per_second = settings.punts_per_second;
  body.discoveries_per_second = settings.discoveries_per_second;
  body.message_port = settings.message_port;
  state_->set_misc({.kind = CommandKind::kSettings}, command, false);
}

void Programmer::set_port(std::uint16_t port, bool source_guard) {
  auto command = blank(CommandKind::kPortSettings);
  command.body.port_settings.port = port;
  command.body.port_settings.source_guard = source_guard ? 1 : 0;
  state_->set_misc({.kind = CommandKind::kPortSettings, .a = port}, command, false);
}

namespace {

link::Command local_address(std::uint16_t port, const IpAddress& address, bool present) {
  auto command = blank(CommandKind::kLocalAddress);
  command.body.local_address.address = address;
  command.body.local_address.port = port;
  command.body.local_address.present = present ? 1 : 0;
  return command;
}

link::Command peer_address(const IpAddress& address, bool present) {
  auto command = blank(CommandKind::kPeerAddress);
  command.body.peer_address.address = address;
  command.body.peer_address.present = present ? 1 : 0;
  return command;
}

link::Command tenant_allow(std::uint16_t tenant, std::uint16_t destination, bool present) {
  auto command = blank(CommandKind::kTenantAllow);
  command.body.tenant_allow.tenant = tenant;
  command.body.tenant_allow.destination = destination;
  command.body.tenant_allow.present = present ? 1 : 0;
  return command;
}

template <class Map>
std::size_t present_of(const Map& misc, CommandKind kind, std::optional<std::uint16_t> a) {
  return static_cast<std::size_t>(std::ranges::count_if(misc, [&](const auto& item) {
    return item.first.kind == kind && !item.second.removal && (!a || item.first.a == *a);
  }));
}

}  // namespace

Status Programmer::add_local_address(std::uint16_t port, const IpAddress& address) {
  if (port >= kMaxPorts) return fail(ErrorCode::kInvalidArgument, "port index out of range");
  const MiscKey key{.kind = CommandKind::kLocalAddress, .a = port, .address = address};
  const auto known = state_->misc.find(key);
  const bool fresh = known == state_->misc.end() || known->second.removal;
  if (fresh && present_of(state_->misc, key.kind, port) >= kMaxLocalAddressesPerPort)
    return fail(ErrorCode::kExhausted,
                "a port has at most " + std::to_string(kMaxLocalAddressesPerPort) + " addresses");
  state_->set_misc(key, local_address(port, address, true), false);
  return {};
}

void Programmer::remove_local_address(std::uint16_t port, const IpAddress& address) {
  const MiscKey key{.kind = CommandKind::kLocalAddress, .a = port, .address = address};
  if (state_->misc.contains(key)) state_->set_misc(key, local_address(port, address, false), true);
}

Status Programmer::add_peer(const IpAddress& address) {
  const MiscKey key{.kind = CommandKind::kPeerAddress, .address = address};
  const auto known = state_->misc.find(key);
  const bool fresh = known == state_->misc.end() || known->second.removal;
  if (fresh && present_of(state_->misc, key.kind, std::nullopt) >= kMaxPeers)
    return fail(ErrorCode::kExhausted, "at most " + std::to_string(kMaxPeers) + " peer addresses");
  state_->set_misc(key, peer_address(address, true), false);
  return {};
}

void Programmer::remove_peer(const IpAddress& address) {
  const MiscKey key{.kind = CommandKind::kPeerAddress, .address = address};
  if (state_->misc.contains(key)) state_->set_misc(key, peer_address(address, false), true);
}

Status Programmer::set_tenant(std::uint16_t tenant, const TenantSpec& spec) {
  if (spec.allowed.size() > kMaxAllowedPerTenant)
    return fail(
        ErrorCode::kInvalidArgument,
        "a tenant may address at most " + std::to_string(kMaxAllowedPerTenant) + " other tenants");
  auto command = blank(CommandKind::kTenantSet);
  command.body.tenant_set.tenant = tenant;
  command.body.tenant_set.burst = spec.burst;
  command.body.tenant_set.rate_per_second = spec.rate_per_second;
  state_->set_misc({.kind = CommandKind::kTenantSet, .a = tenant}, command, false);
  auto& known = state_->tenants[tenant];
  const auto change = [&](std::uint16_t destination, bool present) {
    state_->set_misc({.kind = CommandKind::kTenantAllow, .a = tenant, .b = destination},
                     tenant_allow(tenant, destination, present), !present);
  };
  for (const std::uint16_t old : known.allowed) {
    if (std::ranges::find(spec.allowed, old) == spec.allowed.end()) change(old, false);
  }
  for (const std::uint16_t destination : spec.allowed)
    change(destination, true);
  known = spec;
  return {};
}

void Programmer::delete_tenant(std::uint16_t tenant) {
  const auto it = state_->tenants.find(tenant);
  if (it == state_->tenants.end()) return;
  for (const std::uint16_t destination : it->second.allowed) {
    state_->set_misc({.kind = CommandKind::kTenantAllow, .a = tenant, .b = destination},
                     tenant_allow(tenant, destination, false), true);
  }
  state_->tenants.erase(it);
  auto command = blank(CommandKind::kTenantDelete);
  command.body.tenant.tenant = tenant;
  state_->set_misc({.kind = CommandKind::kTenantSet, .a = tenant}, command, true);
}

}  // namespace sluice::controlplane
