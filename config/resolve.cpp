// Defaults that follow from other values. Runs after reading, before the checks, so that those see
// what will be in effect.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "config/reader.hpp"
#include "config/table.hpp"
#include "sluice/base/names.hpp"

namespace sluice::config {
namespace {

constexpr std::uint32_t kMaxDefaultHold = 65536;
constexpr std::uint32_t kMinDefaultBurst = 64;
constexpr std::uint16_t kDefaultClusterPort = 7946;
constexpr std::uint32_t kBaseDeltaMax = 100'000;

void name_of_host(const Node& document, Report& report, Router& router) {
  if (!router.name.empty() || is_given(document, {"router", "name"})) return;
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  if (kPlainName.ok(host)) {
    router.name = host;
    return;
  }
  report.add(mark_of(document, {"router"}), "router.name",
             fmt::format("is missing, and the name of the host, {}, cannot stand in; must be {}",
                         quoted(host), kPlainName.allowed));
}

void resolve_ports(const Node& document, Config& config) {
  for (std::size_t i = 0; i < config.ports.size(); ++i) {
    Port& port = config.ports[i];
    if (!is_given(document, {"ports", i, "workers"})) port.workers = config.dataplane.workers;
    if (port.host_interface.empty() && !port.name.empty()) port.host_interface = "sl-" + port.name;
    if (!is_given(document, {"ports", i, "source-guard"})) {
      port.source_guard = port.role == PortRole::kEdge;
    }
  }
}

void resolve_cluster(Config& config) {
  auto& cluster = config.cluster;
  if (cluster.bind && cluster.bind->port == 0) cluster.bind->port = kDefaultClusterPort;
  if (cluster.advertise && cluster.advertise->port == 0) {
    cluster.advertise->port = cluster.bind ? cluster.bind->port : kDefaultClusterPort;
  }
  if (cluster.keys_file.empty()) cluster.keys_file = config.router.state_dir + "/cluster.keys";
}

void resolve_tenants(Config& config) {
  for (Tenant& tenant : config.tenants) {
    if (tenant.rate != 0 && tenant.burst == 0) {
      tenant.burst = std::max(kMinDefaultBurst, tenant.rate / 10);
    }
  }
}

void resolve_agent(const Node& document, Report& report, Steps where, StaticAgent& agent) {
  const bool named = !agent.name.empty();
  const bool numbered = !agent.id.is_nil();
  if (named && numbered) {
    where.emplace_back("id");
    report.add(mark_of(document, where), text_of(where),
               "is given beside name, from which the id is made; leave out one of them");
  }
  if (!named && !numbered) {
    auto name = where;
    name.emplace_back("name");
    auto id = where;
    id.emplace_back("id");
    // Otherwise one is there and was already found wrong.
    if (!is_given(document, name) && !is_given(document, id)) {
      report.add(mark_of(document, where), text_of(where), "needs a name or an id");
    }
  }
  if (named) agent.id = id_of_name(agent.name);
}

}  // namespace

void resolve_defaults(const Node& document, Report& report, Config& config) {
  name_of_host(document, report, config.router);
  if (!is_given(document, {"hold", "total"})) {
    config.hold.total = std::min(kMaxDefaultHold, config.dataplane.mbufs / 4);
  }
  if (config.store.directory.empty()) config.store.directory = config.router.state_dir + "/store";
  if (!is_given(document, {"store", "agents"})) config.store.agents = config.dataplane.routes - 1;
  if (config.store.base_delta_max == 0) {
    config.store.base_delta_max = std::min(kBaseDeltaMax, config.dataplane.routes / 2);
  }
  resolve_cluster(config);
  if (config.api.socket.empty()) config.api.socket = config.router.run_dir + "/api.sock";
  resolve_ports(document, config);
  resolve_tenants(config);
  for (std::size_t i = 0; i < config.agents.size(); ++i) {
    resolve_agent(document, report, {"agents", i}, config.agents[i]);
  }
  for (std::size_t p = 0; p < config.peers.size(); ++p) {
    Peer& peer = config.peers[p];
    if (peer.address.port == 0) peer.address.port = config.router.message_port;
    for (std::size_t i = 0; i < peer.agents.size(); ++i) {
      resolve_agent(document, report, {"peers", p, "agents", i}, peer.agents[i]);
    }
  }
}

Id router_id(const Config& config) {
  return id_of_name("router/" + config.router.name);
}

std::uint64_t agents_in(const Config& config) {
  std::uint64_t count = config.agents.size() + config.file_agents.size();
  for (const Peer& peer : config.peers)
    count += peer.agents.size() + peer.file_agents.size();
  return count;
}

void release_files(Config& config) {
  config.file_agents.release();
  for (Peer& peer : config.peers)
    peer.file_agents.release();
}

std::string link_socket(const Config& config) {
  return config.router.run_dir + "/dataplane.sock";
}

}  // namespace sluice::config
