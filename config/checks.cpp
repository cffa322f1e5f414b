// Keys that contradict each other. Every check says what is wrong at the later of the two places,
// and which the other one is. A value that was already refused is left at its default and not
// complained about again.
#include <fmt/format.h>

#include <algorithm>
#include <bitset>
#include <unordered_map>

#include "config/reachable.hpp"
#include "config/reader.hpp"
#include "sluice/route/limits.hpp"

namespace sluice::config {
namespace {

constexpr std::size_t kMaxSocketBytes = 107;  // sun_path, less the final NUL

class Checks {
 public:
  Checks(const Node& document, Report& report, const Config& config)
      : document_(document), report_(report), config_(config) {}

  void run() {
    check_workers();
    check_ports();
    check_hold();
    check_tenants();
    check_agents();
    check_peers();
    check_leases();
    check_store();
    check_cluster();
    check_listeners();
    check_sockets();
  }

 private:
  void wrong(const Steps& where, std::string message) {
    report_.add(mark_of(document_, where), text_of(where), std::move(message));
  }

  bool is_worker(std::uint32_t core) const {
    const auto& workers = config_.dataplane.workers;
    return std::find(workers.begin(), workers.end(), core) != workers.end();
  }

  // Two equal cores in one list.
  void check_cores(const std::vector<std::uint32_t>& cores, Steps where, std::string_view what) {
    std::bitset<1024> seen;
    for (std::size_t i = 0; i < cores.size(); ++i) {
      if (cores[i] < seen.size() && !seen.test(cores[i])) {
        seen.set(cores[i]);
        continue;
      }
      where.emplace_back(i);
      wrong(where, fmt::format("core {} {}", cores[i], what));
      where.pop_back();
    }
  }

  void check_workers() {
    const auto& dataplane = config_.dataplane;
    check_cores(dataplane.workers, {"dataplane", "workers"},
                "has a worker already; each worker needs a core of its own");
    if (dataplane.manager_core && is_worker(*dataplane.manager_core)) {
      wrong({"dataplane", "manager-core"},
            fmt::format("core {} is a worker's (dataplane.workers); take another one, or any",
                        *dataplane.manager_core));
    }
  }

  template <class Member>
  void check_unique_ports(Member member, const char* key) {
    for (std::size_t i = 0; i < config_.ports.size(); ++i) {
      const auto& value = config_.ports[i].*member;
      for (std::size_t j = 0; j < i && !value.empty(); ++j) {
        if (config_.ports[j].*member != value) continue;
        wrong({"ports", i, key},
              fmt::format("{} is that of ports[{}] already; must be unique", quoted(value), j));
        break;
      }
    }
  }

  void check_ports() {
    if (config_.ports.size() > kMaxPorts) {
      return wrong({"ports"}, fmt::format("has {} ports; at most {} are possible",
                                          config_.ports.size(), kMaxPorts));
    }
    check_unique_ports(&Port::name, "name");
    check_unique_ports(&Port::device, "device");
    check_unique_ports(&Port::host_interface, "host-interface");
    check_interfaces(document_, report_, config_);
    for (std::size_t i = 0; i < config_.ports.size(); ++i) {
      check_port_workers(i);
      check_port_buffers(i);
      check_addresses(i);
    }
  }

  void check_port_workers(std::size_t i) {
    if (config_.dataplane.workers.empty()) return;
    const auto& cores = config_.ports[i].workers;
    const Node* given = node_of(document_, {"ports", i, "workers"});
    if (given == nullptr) return;
    if (given->is_list() && given->children.empty()) {
      wrong({"ports", i, "workers"}, "is empty; leave it out for all workers");
    }
    check_cores(cores, {"ports", i, "workers"}, "is named twice");
    for (std::size_t w = 0; w < cores.size(); ++w) {
      if (is_worker(cores[w])) continue;
      wrong({"ports", i, "workers", w},
            fmt::format("core {} is not among dataplane.workers ({})", cores[w],
                        fmt::join(config_.dataplane.workers, ", ")));
    }
  }

  void check_port_buffers(std::size_t i) {
    const Port& port = config_.ports[i];
    const std::uint64_t needed = std::uint64_t{port.queue_count()} * port.descriptors;
    if (needed < config_.dataplane.mbufs) return;
    wrong(
        {"ports", i, "descriptors"},
        fmt::format("{} receive queues of {} packets need more than {} buffers; dataplane.mbufs is "
                    "{}",
                    port.queue_count(), port.descriptors, needed, config_.dataplane.mbufs));
  }

  static bool is_multicast(const IpAddress& ip) { return why_no_host(ip) == "a multicast address"; }

  // Why an interface cannot have it; empty: it can.
  static std::string_view why_not_own(const Prefix& own) {
    const IpAddress& ip = own.address;
    if (is_multicast(ip)) return "a multicast address";
    if (!ip.is_v4() || ip.is_unspecified()) return {};
    const std::uint32_t address = ip.v4_part().get();
    if (address == UINT32_MAX) return "the broadcast address";
    if (is_broadcast_of(ip, ip, own.length)) return "the broadcast address of its network";
    const bool has_network = own.length <= 30;
    return has_network && (address & (UINT32_MAX >> own.length)) == 0 ? "the address of its network"
                                                                      : "";
  }

  void check_addresses(std::size_t i) {
    const auto& addresses = config_.ports[i].addresses;
    for (std::size_t a = 0; a < addresses.size(); ++a) {
      const IpAddress& ip = addresses[a].address;
      const Steps where{"ports", i, "addresses", a};
      if (const auto why = why_not_own(addresses[a]); !why.empty()) {
        wrong(where, fmt::format("is {}; must be one of a host", why));
      }
      for (std::size_t j = 0; j <= i; ++j) {
        const auto& others = config_.ports[j].addresses;
        const auto end = j == i ? others.begin() + static_cast<std::ptrdiff_t>(a) : others.end();
        if (ip.is_unspecified() || std::none_of(others.begin(), end, [&](const Prefix& other) {
              return other.address == ip;
            })) {
          continue;
        }
        wrong(where,
              fmt::format("{} is an address of ports[{}] already", sluice::to_string(ip), j));
      }
    }
  }

  void check_hold() {
    const auto& hold = config_.hold;
    const std::uint32_t most = config_.dataplane.mbufs / 2;
    if (hold.total > most) {
      wrong({"hold", "total"},
            fmt::format("{} is more than half of dataplane.mbufs; at most {} with "
                        "{} buffers",
                        hold.total, most, config_.dataplane.mbufs));
    }
    if (hold.total != 0 && hold.per_id > hold.total) {
      wrong({"hold", "per-id"},
            fmt::format("{} is more than hold.total, which is {}", hold.per_id, hold.total));
    }
  }

  void check_tenants() {
    std::unordered_map<std::string, std::size_t> names;
    std::unordered_map<std::uint16_t, std::size_t> ids;
    for (std::size_t i = 0; i < config_.tenants.size(); ++i) {
      const Tenant& tenant = config_.tenants[i];
      tenants_known_ = tenants_known_ && tenant.id != 0;
      tenants_.set(tenant.id);
      if (const auto [at, fresh] = ids.emplace(tenant.id, i); !fresh && tenant.id != 0) {
        wrong({"tenants", i, "id"},
              fmt::format("{} is the id of tenants[{}] already", tenant.id, at->second));
      }
      if (const auto [at, fresh] = names.emplace(tenant.name, i); !fresh && !tenant.name.empty()) {
        wrong({"tenants", i, "name"}, fmt::format("{} is the name of tenants[{}] already",
                                                  quoted(tenant.name), at->second));
      }
      if (!tenant.token_key.empty() && !tenant.token_key_file.empty()) {
        wrong({"tenants", i, "token-key-file"}, "is given beside token-key; leave out one of them");
      }
      if (tenant.rate == 0 && tenant.burst != 0) {
        wrong({"tenants", i, "burst"}, "has no meaning without rate");
      }
    }
    for (std::size_t i = 0; i < config_.tenants.size(); ++i)
      check_allowed(i);
  }

  void check_allowed(std::size_t i) {
    const Tenant& tenant = config_.tenants[i];
    for (std::size_t a = 0; a < tenant.allow.size(); ++a) {
      const std::uint16_t other = tenant.allow[a];
      const Steps where{"tenants", i, "allow", a};
      if (other == tenant.id && other != 0) {
        wrong(where, "is the tenant itself, which may always address its own agents");
      } else {
        check_tenant(other, where);
      }
    }
  }

  void check_tenant(std::uint16_t tenant, const Steps& where) {
    if (tenant == 0 || !tenants_known_ || tenants_.test(tenant)) return;
    wrong(where, fmt::format("there is no tenant {}; see tenants", tenant));
  }

  // Of another host.
  void check_endpoint(const Endpoint& endpoint, const Steps& where) {
    if (endpoint == Endpoint{}) return;
    if (const auto why = why_unreachable(config_, endpoint.address); !why.empty()) {
      wrong(where, fmt::format("{} is {}; must be the address of another host",
                               sluice::to_string(endpoint.address), why));
    }
  }

  void check_agents() {
    for (std::size_t i = 0; i < config_.agents.size(); ++i) {
      const StaticAgent& agent = config_.agents[i];
      check_tenant(agent.tenant, {"agents", i, "tenant"});
      check_endpoint(agent.endpoint, {"agents", i, "endpoint"});
    }
  }

  void check_peers() {
    if (config_.peers.size() > kMaxPeers) {
      wrong({"peers"},
            fmt::format("are {}; at most {} are possible", config_.peers.size(), kMaxPeers));
    }
    std::unordered_map<std::string, std::size_t> names;
    std::unordered_map<std::string, std::size_t> addresses;
    for (std::size_t i = 0; i < config_.peers.size(); ++i) {
      const Peer& peer = config_.peers[i];
      if (const auto [at, fresh] = names.emplace(peer.name, i); !fresh && !peer.name.empty()) {
        wrong({"peers", i, "name"},
              fmt::format("{} is the name of peers[{}] already", quoted(peer.name), at->second));
      }
      if (!peer.name.empty() && peer.name == config_.router.name) {
        wrong({"peers", i, "name"}, "is the name of this router itself");
      }
      const bool read = peer.address.address != IpAddress{};
      // A router is known by its address, whatever its port.
      const auto text = sluice::to_string(peer.address.address);
      if (const auto [at, fresh] = addresses.emplace(text, i); !fresh && read) {
        wrong({"peers", i, "address"},
              fmt::format("{} is the address of peers[{}] already", text, at->second));
      }
      if (read) check_endpoint(peer.address, {"peers", i, "address"});
      for (std::size_t a = 0; a < peer.agents.size(); ++a) {
        check_tenant(peer.agents[a].tenant, {"peers", i, "agents", a, "tenant"});
      }
    }
  }

  void check_store() {
    const auto& store = config_.store;
    if (store.agents >= config_.dataplane.routes && !store.base) {
      wrong({"store", "agents"},
            fmt::format(
                "{} agents do not fit dataplane.routes ({}) without base segments; raise that, "
                "or set store.base",
                store.agents, config_.dataplane.routes));
    }
    // The other half is for what comes while a base is built.
    const std::uint32_t most = config_.dataplane.routes / 2;
    if (store.base && store.base_delta_max > most) {
      wrong({"store", "base-delta-max"},
            fmt::format("{} is more than half of dataplane.routes, which is {}; the table would be "
                        "full before a base is built: at most {}, or raise dataplane.routes",
                        store.base_delta_max, config_.dataplane.routes, most));
    }
  }

  void check_cluster() {
    const auto& cluster = config_.cluster;
    if (cluster.bind && is_multicast(cluster.bind->address)) {
      wrong({"cluster", "bind"}, "is a multicast address; must be one of this host");
    }
    if (cluster.advertise &&
        (cluster.advertise->address.is_unspecified() || is_multicast(cluster.advertise->address))) {
      wrong({"cluster", "advertise"}, fmt::format("{} is not the address of one host",
                                                  sluice::to_string(cluster.advertise->address)));
    }
    if (cluster.probe_interval_ms && cluster.probe_timeout_ms &&
        *cluster.probe_timeout_ms >= *cluster.probe_interval_ms) {
      wrong({"cluster", "probe-timeout-ms"},
            fmt::format("{} leaves no time within cluster.probe-interval-ms, which is {}",
                        *cluster.probe_timeout_ms, *cluster.probe_interval_ms));
    }
  }

  // Whether the one listener keeps the other from listening. [::] of the cluster takes IPv4, too.
  static bool collide(const Endpoint& metrics, const Endpoint& cluster) {
    if (metrics.port != cluster.port) return false;
    if (metrics.address == cluster.address || cluster.address == IpAddress{}) return true;
    return metrics.address.is_v4() == cluster.address.is_v4() &&
           (metrics.address.is_unspecified() || cluster.address.is_unspecified());
  }

  void check_listeners() {
    const auto& metrics = config_.metrics.listen;
    const auto& cluster = config_.cluster.bind;
    if (!metrics || !cluster || !collide(*metrics, *cluster)) return;
    // The default of the one is in the way of what was chosen for the other.
    const bool chosen = is_given(document_, {"metrics", "listen"});
    wrong(chosen ? Steps{"metrics", "listen"} : Steps{"cluster", "bind"},
          fmt::format("TCP port {} is that of {}, which is {}, already", metrics->port,
                      chosen ? "cluster.bind" : "metrics.listen",
                      sluice::to_string(chosen ? *cluster : *metrics)));
  }

  void check_leases() {
    const auto& leases = config_.leases;
    if (leases.min_s > leases.max_s) {
      return wrong({"leases", "min-s"}, fmt::format("{} is more than leases.max-s, which is {}",
                                                    leases.min_s, leases.max_s));
    }
    if (leases.default_s < leases.min_s || leases.default_s > leases.max_s) {
      wrong({"leases", "default-s"},
            fmt::format("{} is not between leases.min-s and leases.max-s, which are {} and {}",
                        leases.default_s, leases.min_s, leases.max_s));
    }
  }

  void check_sockets() {
    const auto check = [&](const std::string& path, const Steps& where) {
      if (path.size() <= kMaxSocketBytes) return;
      wrong(where, fmt::format("the socket path {} has {} bytes; at most {} are possible",
                               quoted(path), path.size(), kMaxSocketBytes));
    };
    check(link_socket(config_), {"router", "run-dir"});
    // The default is shorter than the dataplane's, which was checked.
    if (is_given(document_, {"api", "socket"})) check(config_.api.socket, {"api", "socket"});
    if (same_path(config_.api.socket, link_socket(config_))) {
      wrong({"api", "socket"}, "is the socket of the dataplane; take another path");
    }
  }

  const Node& document_;
  Report& report_;
  const Config& config_;
  std::bitset<65536> tenants_;
  bool tenants_known_ = true;
};

}  // namespace

void check_together(const Node& document, Report& report, const Config& config) {
  Checks(document, report, config).run();
}

}  // namespace sluice::config
