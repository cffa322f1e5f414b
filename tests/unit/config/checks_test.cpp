// Keys that contradict each other.
#include <fmt/format.h>

#include "support.hpp"

namespace sluice::config {
namespace {

std::string two_ports(const std::string& first, const std::string& second) {
  return "dataplane: {workers: [1, 2], manager-core: 0}\nports:\n  - {name: a, device: d1" + first +
         "}\n  - {" + second + "}\n";
}

TEST(Together, TwoWorkersOnACore) {
  EXPECT_EQ(
      only_mistake("dataplane: {workers: [1, 2, 1]}\nports: [{name: a, device: b}]"),
      "f:1:29: dataplane.workers[2]: core 1 has a worker already; each worker needs a core of its "
      "own");
}

TEST(Together, ManagerOnAWorkersCore) {
  EXPECT_EQ(
      only_mistake(with_dataplane("manager-core: 1")),
      "f:3:17: dataplane.manager-core: core 1 is a worker's (dataplane.workers); take another "
      "one, or any");
}

TEST(Together, PortsAreUnique) {
  EXPECT_EQ(mistakes(two_ports("", "name: b, device: d2")).size(), 0U);
  EXPECT_EQ(only_mistake(two_ports("", "name: b, device: d1")),
            "f:4:23: ports[1].device: 'd1' is that of ports[0] already; must be unique");
  EXPECT_EQ(
      only_mistake(two_ports(", host-interface: x", "name: b, device: d2, host-interface: x")),
      "f:4:43: ports[1].host-interface: 'x' is that of ports[0] already; must be unique");
  // The same name gives the same host interface.
  const auto all = mistakes(two_ports("", "name: a, device: d2"));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_NE(all[1].find("ports[1].name: 'a' is that of ports[0] already"), std::string::npos);
}

TEST(Together, HostInterfaceIsNotTheTapDevices) {
  EXPECT_EQ(
      only_mistake(
          "dataplane: {workers: [1]}\nports:\n  - {name: a, device: 'net_tap0,iface=sl-a'}"),
      "f:3:5: ports[0].host-interface: 'sl-a' is the interface that the device of ports[0] makes; "
      "take another name");
}

TEST(Together, InterfacesOfDevices) {
  const auto devices = [](const std::string& first, const std::string& second,
                          const std::string& more = "") {
    return only_mistake("dataplane: {workers: [1]}\nports:\n  - {name: a, device: '" + first +
                        "'}\n  - {name: b, device: '" + second + "'" + more + "}");
  };
  EXPECT_EQ(devices("net_null0", "net_tap0,mac=fixed,iface=sixteen-letters-"),
            "f:4:23: ports[1].device: port b, 'net_tap0,mac=fixed,iface=sixteen-letters-': the "
            "interface has a name of 16 bytes; Linux takes at most 15");
  EXPECT_EQ(devices("net_tap0,iface=fifteen-letters", "net_tap1,iface=fifteen-letter"),
            "0 mistakes");
  EXPECT_EQ(devices("net_af_packet0,iface=eth0", "net_tap1,iface=eth0"),
            "f:4:23: ports[1].device: the interface 'eth0' is that of ports[0] already; must be "
            "unique");
  EXPECT_EQ(devices("net_af_xdp0,iface=eth0,start_queue=0", "net_af_xdp1,start_queue=1,iface=eth0"),
            "0 mistakes");
  EXPECT_EQ(devices("net_af_packet0,iface=eth0", "net_null0", ", host-interface: eth0"),
            "f:4:52: ports[1].host-interface: 'eth0' is the interface that the device of ports[0] "
            "has; take another name");
  EXPECT_EQ(devices("net_null0", "net_null1", ", host-interface: lo"),
            "f:4:52: ports[1].host-interface: 'lo' is the loopback interface; take another name");
}

TEST(Together, WorkersOfAPort) {
  EXPECT_EQ(only_mistake(two_ports(", workers: [1, 3]", "name: b, device: d2")),
            "f:3:40: ports[0].workers[1]: core 3 is not among dataplane.workers (1, 2)");
  EXPECT_EQ(only_mistake(two_ports(", workers: [1, 1]", "name: b, device: d2")),
            "f:3:40: ports[0].workers[1]: core 1 is named twice");
  EXPECT_EQ(only_mistake(two_ports(", workers: []", "name: b, device: d2")),
            "f:3:36: ports[0].workers: is empty; leave it out for all workers");
}

TEST(Together, TooManyPorts) {
  std::string text = "dataplane: {workers: [1]}\nports:\n";
  for (int i = 0; i < 33; ++i) {
    text += "  - {name: p" + std::to_string(i) + ", device: d" + std::to_string(i) + "}\n";
  }
  EXPECT_EQ(only_mistake(text), "f:3:3: ports: has 33 ports; at most 32 are possible");
}

TEST(Together, QueuesFitTheBuffers) {
  EXPECT_EQ(only_mistake(with_port("rx-queues: 32")),
            "f:4:5: ports[0].descriptors: 32 receive queues of 1024 packets need more than 32768 "
            "buffers; dataplane.mbufs is 32768");
}

TEST(Together, AddressesAreUniqueHosts) {
  EXPECT_EQ(only_mistake(two_ports(", addresses: [10.0.0.1/24]",
                                   "name: b, device: d2, addresses: [10.0.0.1/16]")),
            "f:4:39: ports[1].addresses[0]: 10.0.0.1 is an address of ports[0] already");
  EXPECT_EQ(only_mistake(with_port("addresses: [10.0.0.1/24, 10.0.0.1/24]")),
            "f:6:30: ports[0].addresses[1]: 10.0.0.1 is an address of ports[0] already");
  EXPECT_EQ(only_mistake(with_port("addresses: ['ff02::1/64']")),
            "f:6:17: ports[0].addresses[0]: is a multicast address; must be one of a host");
}

TEST(Together, AddressesOfAPortAreItsOwn) {
  const auto own = [](const std::string& address) {
    return only_mistake(with_port("addresses: [" + address + "]"));
  };
  const std::string place = "f:6:17: ports[0].addresses[0]: is ";
  EXPECT_EQ(own("10.0.0.0/24"), place + "the address of its network; must be one of a host");
  EXPECT_EQ(own("10.0.0.255/24"),
            place + "the broadcast address of its network; must be one of a host");
  EXPECT_EQ(own("255.255.255.255/32"), place + "the broadcast address; must be one of a host");
  for (const auto* good :
       {"10.0.1.0/23", "10.0.0.255/23", "10.0.0.0/31", "10.0.0.1/31", "10.0.0.0/32", "'fd00::/64'"})
    EXPECT_EQ(own(good), "0 mistakes") << good;
}

TEST(Together, HoldFitsTheBuffers) {
  EXPECT_EQ(
      only_mistake(with_top("hold: {total: 16385}")),
      "f:6:15: hold.total: 16385 is more than half of dataplane.mbufs; at most 16384 with 32768 "
      "buffers");
  EXPECT_EQ(only_mistake(with_top("hold: {total: 4}")),
            "f:6:7: hold.per-id: 8 is more than hold.total, which is 4");
}

TEST(Together, TenantsAreUniqueAndKnown) {
  EXPECT_EQ(only_mistake(with_top("tenants:\n  - {id: 1, name: a}\n  - {id: 1, name: b}")),
            "f:8:10: tenants[1].id: 1 is the id of tenants[0] already");
  EXPECT_EQ(only_mistake(with_top("tenants:\n  - {id: 1, name: a}\n  - {id: 2, name: a}")),
            "f:8:19: tenants[1].name: 'a' is the name of tenants[0] already");
  EXPECT_EQ(only_mistake(with_top("tenants: [{id: 1, name: a, allow: [2]}]")),
            "f:6:36: tenants[0].allow[0]: there is no tenant 2; see tenants");
  EXPECT_EQ(
      only_mistake(with_top("tenants: [{id: 1, name: a, allow: [1]}]")),
      "f:6:36: tenants[0].allow[0]: is the tenant itself, which may always address its own agents");
  EXPECT_EQ(only_mistake(with_top("tenants: [{id: 1, name: a, burst: 5}]")),
            "f:6:35: tenants[0].burst: has no meaning without rate");
  EXPECT_EQ(only_mistake(with_top("tenants: [{id: 1, name: a, token-key: "
                                  "00000000000000000000000000000000, token-key-file: x}]")),
            "f:6:89: tenants[0].token-key-file: is given beside token-key; leave out one of them");
}

TEST(Together, AgentsAreUniqueAlsoAcrossPeers) {
  const std::string tenants = "tenants: [{id: 1, name: a}]\n";
  EXPECT_EQ(only_mistake(with_top(tenants +
                                  "agents:\n  - {name: a/b/c/d, tenant: 1, endpoint: '1.1.1.1:1'}\n"
                                  "  - {name: a/b/c/d, tenant: 1, endpoint: '1.1.1.1:2'}")),
            "f:9:5: agents[1]: agent a/b/c/d is there already, in f:8");
  EXPECT_EQ(only_mistake(with_top(
                tenants + "agents:\n  - {name: a/b/c/d, tenant: 1, endpoint: '1.1.1.1:1'}\n"
                          "peers:\n  - {name: p, address: 1.1.1.2, agents: [{name: a/b/c/d, "
                          "tenant: 1}]}")),
            "f:10:42: peers[0].agents[0]: agent a/b/c/d is there already, in f:8");
}

TEST(Together, EndpointsAreOtherHosts) {
  const std::string ports = "addresses: [10.0.0.1/24, 'fd00::1/64', 10.9.9.0/31]\n";
  const auto agent = [&](const std::string& endpoint) {
    return only_mistake(with_port(ports +
                                  "tenants: [{id: 1, name: a}]\nagents: [{name: a/b/c/d, "
                                  "tenant: 1, endpoint: '" +
                                  endpoint + "'}]"));
  };
  const std::string place = "f:8:47: agents[0].endpoint: ";
  EXPECT_EQ(agent("127.0.0.1:1"),
            place + "127.0.0.1 is a loopback address; must be the address of another host");
  EXPECT_EQ(agent("255.255.255.255:1"), place +
                                            "255.255.255.255 is the broadcast address; must be "
                                            "the address of another host");
  EXPECT_EQ(agent("10.0.0.1:1"), place +
                                     "10.0.0.1 is this router's own address on port one; must "
                                     "be the address of another host");
  EXPECT_EQ(agent("[fd00::1]:1"), place +
                                      "fd00::1 is this router's own address on port one; must "
                                      "be the address of another host");
  EXPECT_EQ(agent("10.0.0.255:1"), place +
                                       "10.0.0.255 is the broadcast address of the network of "
                                       "port one; must be the address of another host");
  EXPECT_EQ(agent("10.9.9.1:1"), "0 mistakes");
  EXPECT_EQ(agent("10.0.1.255:1"), "0 mistakes");
  EXPECT_EQ(only_mistake(with_port(ports + "peers: [{name: a, address: 10.0.0.1}]")),
            "f:7:28: peers[0].address: 10.0.0.1 is this router's own address on port one; must be "
            "the address of another host");
}

TEST(Together, PeersAreUniqueAndOthers) {
  EXPECT_EQ(only_mistake(with_top("peers:\n  - {name: a, address: 1.1.1.1}\n"
                                  "  - {name: a, address: 1.1.1.2}")),
            "f:8:12: peers[1].name: 'a' is the name of peers[0] already");
  EXPECT_EQ(only_mistake(with_top("peers:\n  - {name: a, address: 1.1.1.1}\n"
                                  "  - {name: b, address: '1.1.1.1:7600'}")),
            "f:8:24: peers[1].address: 1.1.1.1 is the address of peers[0] already");
  EXPECT_EQ(only_mistake(with_top("peers:\n  - {name: a, address: '1.1.1.1:7601'}\n"
                                  "  - {name: b, address: '1.1.1.1:7602'}")),
            "f:8:24: peers[1].address: 1.1.1.1 is the address of peers[0] already")
      << "a router is known by its address, whatever its port";
  EXPECT_EQ(only_mistake(with_top("router: {name: me}\npeers: [{name: me, address: 1.1.1.1}]")),
            "f:7:16: peers[0].name: is the name of this router itself");
}

TEST(Together, NoMorePeersAndAddressesThanTheTablesHold) {
  const auto peers = [](unsigned count) {
    std::string text = "peers:\n";
    for (unsigned i = 0; i < count; ++i)
      text += fmt::format("  - {{name: p{}, address: 10.1.{}.{}}}\n", i, i / 250, i % 250 + 1);
    return with_top(text);
  };
  EXPECT_EQ(good(peers(1024)).peers.size(), 1024U);
  EXPECT_EQ(only_mistake(peers(1025)), "f:7:3: peers: are 1025; at most 1024 are possible");
  const auto port = [](unsigned count) {
    std::string addresses;
    for (unsigned i = 0; i < count; ++i)
      addresses += fmt::format("{}10.0.{}.1/24", i == 0 ? "" : ", ", i);
    return with_port("addresses: [" + addresses + "]");
  };
  EXPECT_EQ(only_mistake(port(16)),
            "f:6:16: ports[0].addresses: has 16 items; at most 15 are allowed");
  EXPECT_EQ(only_mistake(port(15)), "0 mistakes");
}

TEST(Together, LeasesAreInOrder) {
  EXPECT_EQ(only_mistake(with_top("leases: {min-s: 20, max-s: 10}")),
            "f:6:17: leases.min-s: 20 is more than leases.max-s, which is 10");
  EXPECT_EQ(
      only_mistake(with_top("leases: {default-s: 4}")),
      "f:6:21: leases.default-s: 4 is not between leases.min-s and leases.max-s, which are 5 and "
      "3600");
}

TEST(Together, ABaseIsBuiltBeforeTheTableIsFull) {
  EXPECT_EQ(only_mistake(with_top("store: {base-delta-max: 65537}")),
            "f:6:25: store.base-delta-max: 65537 is more than half of dataplane.routes, which is "
            "131072; the table would be full before a base is built: at most 65536, or raise "
            "dataplane.routes");
  EXPECT_EQ(good(with_top("store: {base-delta-max: 65536}")).store.base_delta_max, 65536U);
  EXPECT_EQ(good(with_top("store: {base: false, base-delta-max: 65537}")).store.base_delta_max,
            65537U);
  EXPECT_EQ(good(with_dataplane("routes: 16384")).store.base_delta_max, 8192U);
  EXPECT_EQ(good(with_dataplane("routes: 1000000")).store.base_delta_max, 100'000U);
}

TEST(Together, AgentsBeyondTheTableNeedBaseSegments) {
  EXPECT_EQ(only_mistake(with_top("store: {agents: 200000, base: false}")),
            "f:6:17: store.agents: 200000 agents do not fit dataplane.routes (131072) without base "
            "segments; raise that, or set store.base");
  EXPECT_EQ(good(with_top("store: {agents: 50000000}")).store.agents, 50'000'000U);
  EXPECT_EQ(good(with_top("router: {state-dir: /x}")).store.directory, "/x/store");
}

TEST(Together, Cluster) {
  const auto cluster = [](const std::string& keys) {
    return good(with_top("cluster: {" + keys + "}")).cluster;
  };
  EXPECT_FALSE(good(kSmallest).cluster.bind);
  EXPECT_FALSE(cluster("bind: off").bind);
  EXPECT_EQ(to_string(*cluster("bind: 10.0.0.1").bind), "10.0.0.1:7946");
  EXPECT_EQ(to_string(*cluster("bind: \"[::]\"").bind), "[::]:7946");
  EXPECT_EQ(to_string(*cluster("bind: \"0.0.0.0:8000\", advertise: 10.0.0.1").advertise),
            "10.0.0.1:8000");
  EXPECT_EQ(cluster("").keys_file, "/var/lib/sluice/cluster.keys");
  EXPECT_EQ(cluster("join: [a, \"b.c:1\", 10.0.0.1, \"[fd00::1]:9\"]").join.size(), 4U);
  EXPECT_NE(only_mistake(with_top("cluster: {join: [\"a:0\"]}")).find("must be a name"),
            std::string::npos);
  EXPECT_EQ(only_mistake(with_top("cluster: {bind: 224.0.0.1}")),
            "f:6:17: cluster.bind: is a multicast address; must be one of this host");
  EXPECT_EQ(only_mistake(with_top("cluster: {advertise: 0.0.0.0}")),
            "f:6:22: cluster.advertise: 0.0.0.0 is not the address of one host");
  EXPECT_EQ(only_mistake(with_top("cluster: {probe-interval-ms: 100, probe-timeout-ms: 100}")),
            "f:6:53: cluster.probe-timeout-ms: 100 leaves no time within "
            "cluster.probe-interval-ms, which "
            "is 100");
}

TEST(Together, ListenersDoNotCollide) {
  const auto both = [](const std::string& metrics, const std::string& cluster) {
    return only_mistake(
        with_top("metrics: {listen: \"" + metrics + "\"}\ncluster: {bind: \"" + cluster + "\"}"));
  };
  EXPECT_EQ(both("127.0.0.1:7946", "0.0.0.0"),
            "f:6:19: metrics.listen: TCP port 7946 is that of cluster.bind, which is 0.0.0.0:7946, "
            "already");
  EXPECT_EQ(both("10.0.0.1:7946", "[::]").substr(0, 25), "f:6:19: metrics.listen: T");
  EXPECT_EQ(both("0.0.0.0:1", "10.0.0.1:1").substr(0, 25), "f:6:19: metrics.listen: T");
  EXPECT_EQ(both("10.0.0.1:1", "10.0.0.1:1").substr(0, 25), "f:6:19: metrics.listen: T");
  for (const auto& [metrics, cluster] : {std::pair("127.0.0.1:7947", "0.0.0.0"),
                                         {"127.0.0.1:1", "10.0.0.1:1"},
                                         {"[::]:1", "0.0.0.0:1"},
                                         {"off", "0.0.0.0:9464"},
                                         {"10.0.0.1:1", "off"}})
    EXPECT_EQ(both(metrics, cluster), "0 mistakes") << metrics << " " << cluster;
  // With the default of metrics.
  EXPECT_EQ(only_mistake(with_top("cluster: {bind: '0.0.0.0:9464'}")),
            "f:6:17: cluster.bind: TCP port 9464 is that of metrics.listen, which is "
            "127.0.0.1:9464, already");
}

TEST(Together, CapabilitiesAreNotMoreThanRegistrationTakes) {
  const auto agent = [](int capabilities) {
    std::string list = "x";
    for (int i = 1; i < capabilities; ++i)
      list += ", x" + std::to_string(i);
    return only_mistake(
        with_top("tenants: [{id: 1, name: a}]\nagents: [{name: a/b/c/d, tenant: 1, endpoint: "
                 "'1.1.1.1:1', capabilities: [" +
                 list + "]}]"));
  };
  EXPECT_EQ(agent(32), "0 mistakes");
  EXPECT_EQ(agent(33), "f:7:74: agents[0].capabilities: has 33 items; at most 32 are allowed");
}

TEST(Together, SocketsFitTheirAddress) {
  const std::string deep = "/" + std::string(100, 'x');
  const auto text = only_mistake(with_top("router: {run-dir: " + deep + "}"));
  EXPECT_TRUE(text.starts_with("f:6:19: router.run-dir: the socket path '/xxx")) << text;
  EXPECT_TRUE(text.ends_with("has 116 bytes; at most 107 are possible")) << text;
  EXPECT_NE(only_mistake(with_top("api: {socket: " + deep + "/socket}")).find("has 108 bytes"),
            std::string::npos);
  EXPECT_EQ(only_mistake(with_top("api: {socket: /run/sluice/dataplane.sock}")),
            "f:6:15: api.socket: is the socket of the dataplane; take another path");
  EXPECT_EQ(only_mistake(with_top("api: {socket: /run/x/..//sluice/./dataplane.sock}")),
            "f:6:15: api.socket: is the socket of the dataplane; take another path");
}

}  // namespace
}  // namespace sluice::config
