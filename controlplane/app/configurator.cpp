#include "controlplane/app/configurator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "sluice/route/limits.hpp"

namespace sluice::controlplane {

namespace {

std::vector<InterfaceAddress> addresses_of(const config::Port& port) {
  std::vector<InterfaceAddress> addresses;
  for (const auto& prefix : port.addresses)
    addresses.push_back({prefix.address, prefix.length});
  return addresses;
}

// Of files the loader has checked it.
bool has_agent(const config::Config& config, const Id& id) {
  const auto in = [&id](const std::vector<config::StaticAgent>& agents) {
    return std::ranges::find(agents, id, &config::StaticAgent::id) != agents.end();
  };
  return in(config.agents) ||
         std::ranges::any_of(config.peers, [&](const auto& peer) { return in(peer.agents); });
}

// Those of files, too, as long as their texts are there.
void for_each_agent(const config::Config& config,
                    const std::function<void(const config::StaticAgent&)>& take) {
  const auto in = [&take](const std::vector<config::StaticAgent>& agents,
                          const config::FileAgents& more) {
    std::ranges::for_each(agents, take);
    more.for_each([&take](const config::StaticAgent& agent) {
      take(agent);
      return true;
    });
  };
  in(config.agents, config.file_agents);
  for (const auto& peer : config.peers)
    in(peer.agents, peer.file_agents);
}

const config::Peer* find_peer(const config::Config& config, const std::string& name) {
  const auto at = std::ranges::find(config.peers, name, &config::Peer::name);
  return at == config.peers.end() ? nullptr : &*at;
}

// Gone, or at another address.
bool is_outdated(const PeerInfo& known, const config::Config& next) {
  const config::Peer* wanted = find_peer(next, known.name);
  return known.configured && (wanted == nullptr || wanted->address != known.address);
}

}  // namespace

std::vector<HostPort> host_ports(const config::Config& config) {
  std::vector<HostPort> ports;
  for (const auto& port : config.ports)
    ports.push_back({port.host_interface, addresses_of(port)});
  return ports;
}

std::vector<std::uint16_t> port_vlans(const config::Config& config) {
  std::vector<std::uint16_t> vlans;
  for (const auto& port : config.ports)
    vlans.push_back(static_cast<std::uint16_t>(port.vlan));
  return vlans;
}

Tenants tenants_of(const config::Config& config) {
  Tenants tenants;
  for (const auto& tenant : config.tenants) {
    tenants[tenant.id] = {tenant.name, tenant.token_key, tenant.allow, tenant.rate, tenant.burst};
  }
  return tenants;
}

link::Settings settings_of(const config::Config& config) {
  link::Settings settings{};
  settings.hold_per_id = config.hold.per_id;
  settings.hold_total = config.hold.total;
  settings.hold_ms = config.hold.time_ms;
  settings.negative_cache_ms = config.limits.negative_cache_ms;
  settings.notices_per_second = config.limits.notices_per_second;
  settings.punts_per_second = config.limits.punts_per_second;
  settings.discoveries_per_second = config.limits.discoveries_per_second;
  settings.message_port = config.router.message_port;
  return settings;
}

Status Configurator::check(const config::Config& next) const {
  if (has_agent(next, config::router_id(next))) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("agents: id {} is this router's own", to_string(config::router_id(next))),
        ErrorOrigin::kConfig);
  }
  if (auto ok = tenant_keeper_.check(tenants_of(next)); !ok) return ok;
  if (auto ok = check_peers(next); !ok) return ok;
  return check_room(next);
}

// Beside those that were added by command.
Status Configurator::check_peers(const config::Config& next) const {
  std::size_t others = 0;
  for (const auto number : forwarding_.peers()) {
    const PeerInfo& known = forwarding_.peer(number);
    if (known.configured) continue;
    ++others;
    for (const auto& peer : next.peers) {
      if (peer.name == known.name || peer.address.address == known.address.address) {
        return fail(ErrorCode::kAlreadyExists,
                    fmt::format("peers: '{}' ({}) is in the way of peer '{}', which was added by "
                                "command; delete that one first: sluice peer delete {}",
                                peer.name, to_string(peer.address), known.name, known.name),
                    ErrorOrigin::kConfig);
      }
    }
  }
  if (next.peers.size() + others <= kMaxPeers) return {};
  return fail(ErrorCode::kExhausted,
              fmt::format("peers: {} of the configuration and {} that were added by command are "
                          "more than {}",
                          next.peers.size(), others, kMaxPeers),
              ErrorOrigin::kConfig);
}

// For the agents of `next` and those that are not in the configuration and stay. Who leaves with
// it, with its tenant or its peer makes room, and so does whom the configuration takes over.
Status Configurator::check_room(const config::Config& next) const {
  const std::uint64_t configured = agents_in(next);
  if (configured + registry_.size() <= next.store.agents) return {};
  const Tenants tenants = tenants_of(next);
  const auto stays = [&](const Agent& agent) {
    if (agent.generation != 0 || !tenants.contains(agent.tenant)) return false;
    return agent.peer == kNoIndex || !is_outdated(forwarding_.peer(agent.peer), next);
  };
  std::uint64_t others = 0;
  for (std::uint32_t slot = 0; slot < registry_.slots_end(); ++slot)
    if (registry_.is_used(slot) && stays(registry_.at(slot))) ++others;
  if (configured + others <= next.store.agents) return {};
  for_each_agent(next, [&](const config::StaticAgent& agent) {
    const auto slot = registry_.find(agent.id);
    if (slot != kNoIndex && stays(registry_.at(slot))) --others;
  });
  if (configured + others <= next.store.agents) return {};
  return fail(ErrorCode::kExhausted,
              fmt::format("agents: {} of the configuration and {} others are more than "
                          "store.agents, {}",
                          configured, others, next.store.agents),
              ErrorOrigin::kConfig);
}

Status Configurator::apply(config::Config& next, Time now) {
  generation_ = static_cast<std::uint8_t>(generation_ % 255 + 1);
  registry_.set_limit(next.store.agents);
  registry_.set_policy({.default_s = next.leases.default_s,
                        .min_s = next.leases.min_s,
                        .max_s = next.leases.max_s,
                        .grace_s = next.leases.grace_s});
  inband_.set_require_token(next.registration.require_token);
  programmer_.set_settings(settings_of(next));
  apply_tenants(next, now);
  apply_ports(next);
  drop_outdated_peers(next);
  if (auto ok = apply_peers(next); !ok) return ok;
  drop_outdated_agents(next);
  if (auto ok = apply_agents(next, now); !ok) return ok;
  registry_.drop_outdated(generation_);
  return {};
}

void Configurator::apply_tenants(const config::Config& next, Time now) {
  Tenants wanted = tenants_of(next);
  for (const auto& [id, tenant] : tenants_)
    if (!wanted.contains(id)) programmer_.delete_tenant(id);
  // Who registered with one that leaves; its agents of the configuration are gone with it.
  tenant_keeper_.change(tenants_, wanted, now);
  tenants_ = std::move(wanted);
  for (const auto& [id, tenant] : tenants_) {
    // The loader has checked the range of everything that this could refuse.
    [[maybe_unused]] const auto ok =
        programmer_.set_tenant(id, {.rate_per_second = tenant.rate_per_second,
                                    .burst = tenant.burst,
                                    .allowed = tenant.allow});
  }
}

void Configurator::apply_ports(const config::Config& next) {
  for (std::uint16_t port = 0; port < next.ports.size(); ++port) {
    programmer_.set_port(port, next.ports[port].source_guard);
    host_.set_addresses(port, addresses_of(next.ports[port]));
  }
}

// Those that are gone, and those at another address, which are made anew with all their agents:
// meanwhile messages for these wait in the hold queue.
void Configurator::drop_outdated_peers(const config::Config& next) {
  for (const auto number : forwarding_.peers()) {
    const PeerInfo known = forwarding_.peer(number);
    if (!is_outdated(known, next)) continue;
    registry_.remove_if([number](const Agent& agent) { return agent.peer == number; });
    [[maybe_unused]] const auto ok = forwarding_.remove_peer(known.name);
  }
}

// Usually after the new ones have come, because that needs no reading of files twice; before, when
// there is no room for both.
void Configurator::drop_outdated_agents(const config::Config& next) {
  if (agents_in(next) + registry_.size() <= registry_.limit()) return;
  for_each_agent(next, [this](const config::StaticAgent& agent) {
    registry_.keep_configured(agent.id, generation_);
  });
  registry_.drop_outdated(generation_);
}

Status Configurator::apply_peers(const config::Config& next) {
  for (const auto& peer : next.peers) {
    if (forwarding_.find_peer(peer.name) != kNoIndex) continue;
    const auto added = forwarding_.add_peer(peer.name, peer.address, true);
    if (!added) return std::unexpected(added.error());
  }
  return {};
}

Status Configurator::put(const config::StaticAgent& agent, std::uint32_t peer, Time now) {
  const bool of_peer = peer != kNoIndex;
  return registry_.put_configured({.id = agent.id,
                                   .name = agent.name,
                                   .tenant = agent.tenant,
                                   .origin = of_peer ? Origin::kPeer : Origin::kStatic,
                                   .endpoint = agent.endpoint,
                                   .capabilities = agent.capabilities,
                                   .peer = peer},
                                  generation_, now);
}

Status Configurator::apply_agents(config::Config& next, Time now) {
  const auto put_all = [&](const std::vector<config::StaticAgent>& agents, config::FileAgents& more,
                           std::uint32_t peer) -> Status {
    Status ok;
    const auto put_one = [&](const config::StaticAgent& agent) {
      ok = put(agent, peer, now);
      return ok.has_value();
    };
    if (std::ranges::all_of(agents, put_one)) more.consume(put_one);
    return ok;
  };
  if (auto ok = put_all(next.agents, next.file_agents, kNoIndex); !ok) return ok;
  for (auto& peer : next.peers) {
    const std::uint32_t number = forwarding_.find_peer(peer.name);
    if (auto ok = put_all(peer.agents, peer.file_agents, number); !ok) return ok;
  }
  return {};
}

}  // namespace sluice::controlplane
