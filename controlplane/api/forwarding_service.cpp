#include <fmt/format.h>

#include <algorithm>

#include "controlplane/api/convert.hpp"
#include "controlplane/api/services.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint32_t kHopsAtOnce = 512;

std::string_view name_of(NeighborState state) {
  switch (state) {
    case NeighborState::kNone:
      return "none";
    case NeighborState::kIncomplete:
      return "incomplete";
    case NeighborState::kReachable:
      return "reachable";
    case NeighborState::kStale:
      return "stale";
    case NeighborState::kDelay:
      return "delay";
    case NeighborState::kProbe:
      return "probe";
    case NeighborState::kFailed:
      return "failed";
    case NeighborState::kNoArp:
      return "noarp";
    case NeighborState::kPermanent:
      return "permanent";
  }
  return "unknown";
}

// Why messages for a known agent have no way, for people.
std::string why_not(const Hop* hop) {
  if (hop == nullptr || hop->next.state == NextHop::State::kUnknown) {
    return "the kernel has not said yet how to reach its endpoint";
  }
  return fmt::format("the kernel has no route to {} over a port of this router",
                     to_string(hop->destination));
}

void fill_group(const Subsystems& subsystems, std::uint32_t capability,
                api::LookupRouteReply& reply) {
  for (const auto slot : subsystems.forwarding.group_members(capability)) {
    const Agent& agent = subsystems.registry.at(slot);
    auto* member = reply.add_members();
    member->set_id(bytes_of(agent.id));
    member->set_name(std::string(agent.name_view()));
    member->set_tenant(agent.tenant);
    member->set_weight(1);
    member->set_udp_port(agent.peer != kNoIndex
                             ? subsystems.forwarding.peer(agent.peer).address.port
                             : agent.endpoint.port);
    const Hop* hop = subsystems.forwarding.hop_of(slot);
    if (hop != nullptr && hop->handle != kNoIndex) {
      fill_adjacency(subsystems, *hop, *member->mutable_adjacency());
    }
  }
  if (reply.members().empty()) reply.set_reason("no member is reachable");
}

void fill_route(const Subsystems& subsystems, const Id& id, const RouteSpec& route,
                api::LookupRouteReply& reply) {
  reply.set_kind(static_cast<api::RouteKind>(route.kind));
  reply.set_tenant(route.tenant);
  reply.set_udp_port(route.udp_port);
  const auto slot = subsystems.registry.find(id);
  const auto capability = subsystems.registry.capabilities().find(id);
  if (slot != kNoIndex) {
    reply.set_name(std::string(subsystems.registry.at(slot).name_view()));
  } else if (capability != kNoIndex) {
    reply.set_name(subsystems.registry.capabilities().at(capability).name);
  }
  if (route.kind == ActionKind::kAdjacency) {
    if (const Hop* hop = subsystems.forwarding.hop_by_handle(route.handle)) {
      fill_adjacency(subsystems, *hop, *reply.mutable_adjacency());
    }
  } else if (route.kind == ActionKind::kGroup && capability != kNoIndex) {
    fill_group(subsystems, capability, reply);
  } else if (route.kind == ActionKind::kUnreachable && slot != kNoIndex) {
    reply.set_reason(why_not(subsystems.forwarding.hop_of(slot)));
  } else if (route.kind == ActionKind::kLocal) {
    reply.set_reason("this router itself");
  }
}

}  // namespace

grpc::Status ForwardingService::LookupRoute(grpc::ServerContext*,
                                            const api::LookupRouteRequest* request,
                                            api::LookupRouteReply* reply) {
  const std::string& what = request->what();
  const auto given = parse_id(what);
  if (!given) {
    if (auto ok = check_capability_name(what); !ok) return to_grpc(ok.error());
  }
  const Id id = given ? *given : id_of_name(what);
  reply->set_id(bytes_of(id));
  const bool found = control_.run([&] {
    const auto route = subsystems_.programmer.find_route(id);
    if (route) {
      fill_route(subsystems_, id, *route, *reply);
      return true;
    }
    const auto slot = subsystems_.registry.find(id);
    if (slot == kNoIndex) return false;
    reply->set_name(std::string(subsystems_.registry.at(slot).name_view()));
    reply->set_reason(why_not(subsystems_.forwarding.hop_of(slot)));
    return true;
  });
  if (found) return grpc::Status::OK;
  auto near = suggest_agents(control_, subsystems_, what);
  if (near.empty()) near = suggest_capabilities(control_, subsystems_, what);
  return {grpc::StatusCode::NOT_FOUND, fmt::format("no route to '{}'{}", what, near)};
}

grpc::Status ForwardingService::CountRoutes(grpc::ServerContext*, const api::CountRoutesRequest*,
                                            api::CountRoutesReply* reply) {
  control_.run([&] {
    reply->set_programmed(subsystems_.programmer.route_count());
    reply->set_agents(subsystems_.registry.size());
    reply->set_capabilities(subsystems_.forwarding.groups());
    reply->set_unreachable(subsystems_.forwarding.unreachable());
    reply->set_local(1);
    if (const auto* status = subsystems_.link.status()) {
      reply->set_dataplane(link::read(status->tables.routes));
      reply->set_capacity(link::read(status->tables.routes_capacity));
    }
  });
  return grpc::Status::OK;
}

grpc::Status ForwardingService::ListAdjacencies(grpc::ServerContext* context,
                                                const api::ListAdjacenciesRequest* request,
                                                grpc::ServerWriter<api::AdjacencyPage>* writer) {
  std::uint32_t wanted = kNoIndex;
  if (!request->port().empty()) {
    const auto port = control_.run([&] { return find_port(subsystems_, request->port()); });
    if (!port) return to_grpc(port.error());
    wanted = *port;
  }
  bool more = true;
  for (std::uint32_t first = 0; more; first += kHopsAtOnce) {
    api::AdjacencyPage page;
    more = control_.run([&] {
      const std::uint32_t end = subsystems_.forwarding.hops_end();
      const std::uint32_t last = std::min(end, first + kHopsAtOnce);
      for (std::uint32_t number = first; number < last; ++number) {
        const Hop* hop = subsystems_.forwarding.hop_at(number);
        if (hop == nullptr || hop->handle == kNoIndex) continue;
        if (wanted != kNoIndex && hop->key.port != wanted) continue;
        fill_adjacency(subsystems_, *hop, *page.add_adjacencies());
      }
      return last < end;
    });
    if (page.adjacencies().empty()) continue;
    if (context->IsCancelled() || !streams_.write(*context, *writer, page))
      return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

grpc::Status ForwardingService::ListPorts(grpc::ServerContext*,
                                          const api::ListPortsRequest* request,
                                          api::ListPortsReply* reply) {
  const auto done = control_.run([&]() -> sluice::Status {
    if (!request->port().empty()) {
      const auto port = find_port(subsystems_, request->port());
      if (!port) return std::unexpected(port.error());
      fill_port(subsystems_, *port, *reply->add_ports());
      return {};
    }
    for (std::uint32_t port = 0; port < port_count(subsystems_); ++port)
      fill_port(subsystems_, port, *reply->add_ports());
    return {};
  });
  return done ? grpc::Status::OK : to_grpc(done.error());
}

grpc::Status ForwardingService::ListNeighbors(grpc::ServerContext*,
                                              const api::ListNeighborsRequest* request,
                                              api::ListNeighborsReply* reply) {
  std::vector<Host::NeighborView> neighbors;
  const auto done = control_.run([&]() -> sluice::Status {
    std::uint32_t wanted = kNoIndex;
    if (!request->port().empty()) {
      const auto port = find_port(subsystems_, request->port());
      if (!port) return std::unexpected(port.error());
      wanted = *port;
    }
    subsystems_.host.for_each_neighbor([&](const Host::NeighborView& neighbor) {
      const bool counts = neighbor.state != NeighborState::kNoArp || neighbor.users > 0;
      if (counts && (wanted == kNoIndex || neighbor.port == wanted)) neighbors.push_back(neighbor);
    });
    return {};
  });
  if (!done) return to_grpc(done.error());
  std::ranges::sort(neighbors, {}, [](const auto& neighbor) {
    return std::pair(neighbor.port, neighbor.address);
  });
  const auto names = control_.run([&] { return port_names(subsystems_); });
  for (const auto& neighbor : neighbors) {
    auto* out = reply->add_neighbors();
    out->set_address(to_string(neighbor.address));
    out->set_port(neighbor.port < names.size() ? names[neighbor.port] : "");
    if (neighbor.has_mac) out->set_mac(sluice::to_string(neighbor.mac));
    out->set_state(std::string(name_of(neighbor.state)));
    out->set_adjacencies(static_cast<std::uint32_t>(neighbor.users));
  }
  return grpc::Status::OK;
}

grpc::Status ForwardingService::AddPeer(grpc::ServerContext*, const api::AddPeerRequest* request,
                                        api::AddPeerReply* reply) {
  const auto done = control_.run([&]() -> sluice::Status {
    const auto address =
        parse_endpoint(request->address(), subsystems_.runtime.config().router.message_port);
    if (!address) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("'{}' is no address; expected 192.0.2.2, 192.0.2.2:7600 or "
                              "[fd00::1]:7600",
                              request->address()));
    }
    if (auto ok = check_capability_name(request->name());
        !ok || request->name().find('/') != std::string::npos) {
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("'{}' is no name; letters, digits and - _ . : are allowed", request->name()));
    }
    const auto number = subsystems_.forwarding.add_peer(request->name(), *address, false);
    if (!number) return std::unexpected(number.error());
    fill_peer(subsystems_, *number, *reply->mutable_peer());
    return {};
  });
  if (!done) return to_grpc(done.error());
  if (auto durable = wait_durable(control_, subsystems_); !durable) {
    control_.run([&] { return subsystems_.forwarding.remove_peer(request->name()); });
    return to_grpc(fail(std::move(durable.error()), "not added").error());
  }
  wait_applied(control_, subsystems_);
  return grpc::Status::OK;
}

grpc::Status ForwardingService::DeletePeer(grpc::ServerContext*,
                                           const api::DeletePeerRequest* request,
                                           api::DeletePeerReply* reply) {
  const auto done = control_.run([&]() -> sluice::Status {
    const auto number = subsystems_.forwarding.find_peer(request->name());
    if (number == kNoIndex) {
      return fail(ErrorCode::kNotFound, no_peer(subsystems_.forwarding, request->name()));
    }
    if (subsystems_.forwarding.peer(number).configured) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("peer '{}' is in the configuration; remove it from {} and run "
                              "`sluice config reload`",
                              request->name(), subsystems_.runtime.config_file()));
    }
    fill_peer(subsystems_, number, *reply->mutable_peer());
    return subsystems_.forwarding.remove_peer(request->name());
  });
  if (!done) return to_grpc(done.error());
  wait_applied(control_, subsystems_);
  if (auto durable = wait_durable(control_, subsystems_); !durable) {
    return to_grpc(fail(std::move(durable.error()),
                        "deleted, but it is back after a restart unless the store works again "
                        "before")
                       .error());
  }
  return grpc::Status::OK;
}

grpc::Status ForwardingService::ListPeers(grpc::ServerContext*, const api::ListPeersRequest*,
                                          api::ListPeersReply* reply) {
  control_.run([&] {
    for (const auto number : subsystems_.forwarding.peers())
      fill_peer(subsystems_, number, *reply->add_peers());
  });
  return grpc::Status::OK;
}

grpc::Status ForwardingService::ListTenants(grpc::ServerContext*, const api::ListTenantsRequest*,
                                            api::ListTenantsReply* reply) {
  control_.run([&] {
    for (const auto& [id, tenant] : subsystems_.tenants) {
      auto* out = reply->add_tenants();
      out->set_id(id);
      out->set_name(tenant.name);
      for (const auto allowed : tenant.allow)
        out->add_allow(allowed);
      out->set_rate(tenant.rate_per_second);
      out->set_burst(tenant.burst);
      out->set_agents(subsystems_.registry.agents_of(id));
      out->set_has_key(!tenant.token_key.empty());
    }
  });
  return grpc::Status::OK;
}

}  // namespace sluice::controlplane
