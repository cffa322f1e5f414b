#include "controlplane/api/convert.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

grpc::Status to_grpc(const Error& error) {
  grpc::StatusCode code = grpc::StatusCode::INTERNAL;
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
      code = grpc::StatusCode::INVALID_ARGUMENT;
      break;
    case ErrorCode::kNotFound:
      code = grpc::StatusCode::NOT_FOUND;
      break;
    case ErrorCode::kAlreadyExists:
      code = grpc::StatusCode::ALREADY_EXISTS;
      break;
    case ErrorCode::kPermissionDenied:
      code = grpc::StatusCode::PERMISSION_DENIED;
      break;
    case ErrorCode::kUnavailable:
      code = grpc::StatusCode::UNAVAILABLE;
      break;
    case ErrorCode::kExhausted:
      code = grpc::StatusCode::RESOURCE_EXHAUSTED;
      break;
    case ErrorCode::kTimeout:
      code = grpc::StatusCode::DEADLINE_EXCEEDED;
      break;
    case ErrorCode::kCorrupt:
      code = grpc::StatusCode::DATA_LOSS;
      break;
    case ErrorCode::kUnsupported:
      code = grpc::StatusCode::UNIMPLEMENTED;
      break;
    case ErrorCode::kInternal:
      break;
  }
  return {code, error.message()};
}

std::string bytes_of(const Id& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::uint32_t port_count(const Subsystems& subsystems) {
  return static_cast<std::uint32_t>(subsystems.runtime.config().ports.size());
}

std::string port_name(const Subsystems& subsystems, std::uint32_t port) {
  const auto& ports = subsystems.runtime.config().ports;
  return port < ports.size() ? ports[port].name : fmt::format("port{}", port);
}

std::vector<std::string> port_names(const Subsystems& subsystems) {
  std::vector<std::string> names;
  for (const auto& port : subsystems.runtime.config().ports)
    names.push_back(port.name);
  return names;
}

Result<std::uint32_t> find_port(const Subsystems& subsystems, const std::string& name) {
  const auto names = port_names(subsystems);
  const auto at = std::ranges::find(names, name);
  if (at == names.end()) {
    return fail(ErrorCode::kNotFound,
                fmt::format("no port '{}'; there are: {}", name, fmt::join(names, ", ")));
  }
  return static_cast<std::uint32_t>(at - names.begin());
}

namespace {

proto::Reachability reachability_of(const Subsystems& subsystems, const Hop* hop) {
  if (hop == nullptr) return proto::REACH_UNKNOWN;
  switch (hop->next.state) {
    case NextHop::State::kUnknown:
      return proto::REACH_UNKNOWN;
    case NextHop::State::kNoRoute:
      return proto::REACH_NO_ROUTE;
    default:
      break;
  }
  if (subsystems.link.info().state != LinkState::kReady) return proto::REACH_DOWN;
  switch (hop->state) {
    case AdjacencyState::kUp:
      return proto::REACH_UP;
    case AdjacencyState::kDown:
      return proto::REACH_DOWN;
    default:
      return proto::REACH_RESOLVING;
  }
}

std::uint64_t left(std::uint64_t end_ns, std::uint64_t now_ns) {
  return end_ns > now_ns ? end_ns - now_ns : 0;
}

void fill_lease(const Subsystems& subsystems, const Lease& lease, proto::Agent& to) {
  const std::uint64_t now_ns = monotonic_ns();
  const std::uint64_t end_ns = lease.renewed_ns + lease.granted_s * kNsPerSecond;
  const std::uint64_t expires_ns = subsystems.registry.expires_ns(lease);
  to.set_lease_s(lease.granted_s);
  to.set_lease_left_ns(left(end_ns, now_ns));
  to.set_grace_left_ns(left(expires_ns, std::max(end_ns, now_ns)));
  to.set_renewed_ns(lease.renewed_realtime_ns);
  to.set_moves(lease.moves);
}

}  // namespace

void fill_agent(const Subsystems& subsystems, std::uint32_t slot, proto::Agent& to) {
  const Agent& agent = subsystems.registry.at(slot);
  to.set_id(bytes_of(agent.id));
  to.set_name(std::string(agent.name_view()));
  to.set_tenant(agent.tenant);
  to.set_origin(static_cast<proto::AgentOrigin>(agent.origin));
  if (agent.peer != kNoIndex) {
    const PeerInfo& peer = subsystems.forwarding.peer(agent.peer);
    to.set_peer(peer.name);
    to.set_endpoint(to_string(peer.address));
  } else {
    to.set_endpoint(to_string(agent.endpoint));
  }
  for (auto& name : subsystems.registry.capability_names(agent))
    to.add_capabilities(std::move(name));
  const Hop* hop = subsystems.forwarding.hop_of(slot);
  to.set_reachability(reachability_of(subsystems, hop));
  if (hop != nullptr && hop->handle != kNoIndex) to.set_port(port_name(subsystems, hop->key.port));
  to.set_registered_ns(agent.added_s * kNsPerSecond);
  if (const Lease* lease = subsystems.registry.lease(agent)) fill_lease(subsystems, *lease, to);
}

void fill_adjacency(const Subsystems& subsystems, const Hop& hop, proto::Adjacency& to) {
  to.set_handle(hop.handle);
  to.set_port(port_name(subsystems, hop.key.port));
  to.set_vlan(hop.key.vlan);
  if (hop.next.mac != MacAddress{}) to.set_mac(sluice::to_string(hop.next.mac));
  to.set_source(to_string(hop.next.source));
  to.set_destination(to_string(hop.destination));
  to.set_next_hop(to_string(hop.next.via));
  to.set_state(hop.state == AdjacencyState::kUp     ? proto::ADJACENCY_UP
               : hop.state == AdjacencyState::kDown ? proto::ADJACENCY_DOWN
                                                    : proto::ADJACENCY_UNRESOLVED);
  const auto& ports = subsystems.runtime.config().ports;
  if (hop.key.port < ports.size()) to.set_mtu(ports[hop.key.port].mtu);
  to.set_agents(hop.agents);
  if (hop.peer != kNoIndex) to.set_peer(subsystems.forwarding.peer(hop.peer).name);
}

void fill_peer(const Subsystems& subsystems, std::uint32_t number, proto::Peer& to) {
  const PeerInfo& peer = subsystems.forwarding.peer(number);
  to.set_name(peer.name);
  to.set_address(to_string(peer.address));
  to.set_origin(proto::ORIGIN_STATIC);
  to.set_agents(peer.agents);
  const Hop* hop = subsystems.forwarding.hop_at(peer.hop);
  to.set_reachability(reachability_of(subsystems, hop));
  if (hop != nullptr && hop->handle != kNoIndex) to.set_port(port_name(subsystems, hop->key.port));
}

void fill_port(const Subsystems& subsystems, std::uint32_t port, proto::Port& to) {
  const auto& configured = subsystems.runtime.config().ports[port];
  to.set_index(port);
  to.set_name(configured.name);
  to.set_role(std::string(config::to_string(configured.role)));
  to.set_device(configured.device);
  to.set_host_interface(configured.host_interface);
  to.set_mtu(configured.mtu);
  to.set_vlan(configured.vlan);
  to.set_source_guard(configured.source_guard);
  to.set_host_ifindex(subsystems.host.ifindex(static_cast<std::uint16_t>(port)));
  for (const auto& own : subsystems.host.addresses(static_cast<std::uint16_t>(port)))
    to.add_addresses(fmt::format("{}/{}", to_string(own.address), own.prefix_length));
  to.set_socket(-1);
  const auto* status = subsystems.link.status();
  if (status == nullptr || port >= std::min<std::uint32_t>(status->ports, kMaxPorts)) return;
  const link::PortInfo& info = status->port[port];
  to.set_driver(text_of(info.driver));
  to.set_mac(sluice::to_string(info.mac));
  to.set_link_up(info.link_up != 0);
  to.set_speed_mbps(info.speed_mbps);
  to.set_mtu(info.mtu);
  to.set_rx_queues(info.rx_queues);
  to.set_tx_queues(info.tx_queues);
  to.set_dispatch(info.dispatch != 0);
  to.set_socket(info.socket);
  to.set_missed(link::read(info.missed));
  for (std::uint32_t worker = 0; worker < kMaxWorkers; ++worker) {
    if ((info.workers >> worker & 1) != 0) to.add_workers(worker);
  }
}

}  // namespace sluice::controlplane
