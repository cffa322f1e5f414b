// Every key: its default, both ends of its range, the values beside them, and where it lands.
#include <functional>

#include "config/table.hpp"
#include "sluice/base/names.hpp"
#include "support.hpp"

namespace sluice::config {
namespace {

// How a key is put into a file, by the first part of its path.
std::string file_with(const std::string& path, const std::string& value) {
  const auto dot = path.find('.');
  const std::string head = path.substr(0, dot);
  const std::string key = dot == std::string::npos ? path : path.substr(dot + 1);
  const std::string line = key + ": " + value;
  if (head == "dataplane") return with_dataplane(line);
  if (head == "ports[]") return with_port(line);
  if (head == "tenants[]") return with_top("tenants:\n  - id: 9\n    name: t\n    " + line);
  if (dot == std::string::npos) return with_top(line);
  return with_top(head + ":\n  " + line);
}

struct Number {
  const char* path;
  std::uint64_t fallback;
  std::uint64_t min;
  std::uint64_t max;
  std::function<std::uint64_t(const Config&)> get;
  std::string beside = {};  // what else the value at the end of the range needs
};

const std::vector<Number>& numbers() {
  static const std::vector<Number> kAll{
      {"router.message-port", 7600, 1, 65535, [](auto& c) { return c.router.message_port; }},
      {"dataplane.idle-after-us", 1000, 0, 1000000,
       [](auto& c) { return c.dataplane.idle_after_us; }},
      {"dataplane.idle-sleep-us", 500, 1, 100000,
       [](auto& c) { return c.dataplane.idle_sleep_us; }},
      {"dataplane.memory-mb", 512, 64, 1048576, [](auto& c) { return c.dataplane.memory_mb; }},
      {"dataplane.mbufs", 32768, 1024, 16777216, [](auto& c) { return c.dataplane.mbufs; },
       "    descriptors: 64\n"},
      {"dataplane.routes", 131072, 1024, 33554432, [](auto& c) { return c.dataplane.routes; }},
      {"dataplane.adjacencies", 65536, 16, 1048576,
       [](auto& c) { return c.dataplane.adjacencies; }},
      {"dataplane.groups", 4096, 16, 1048576, [](auto& c) { return c.dataplane.groups; }},
      {"dataplane.burst", 32, 4, 64, [](auto& c) { return c.dataplane.burst; }},
      {"ports[].descriptors", 1024, 64, 32768, [](auto& c) { return c.ports[0].descriptors; },
       "    rx-queues: 1\n    mtu: 1500\n"},
      {"ports[].mtu", 1500, 576, 9600, [](auto& c) { return c.ports[0].mtu; }},
      {"ports[].vlan", 0, 0, 4094, [](auto& c) { return c.ports[0].vlan; }},
      {"hold.per-id", 8, 1, 1024, [](auto& c) { return c.hold.per_id; }},
      {"hold.time-ms", 500, 1, 60000, [](auto& c) { return c.hold.time_ms; }},
      {"limits.notices-per-second", 10000, 0, 100000000,
       [](auto& c) { return c.limits.notices_per_second; }},
      {"limits.punts-per-second", 10000, 0, 100000000,
       [](auto& c) { return c.limits.punts_per_second; }},
      {"limits.discoveries-per-second", 10000, 0, 100000000,
       [](auto& c) { return c.limits.discoveries_per_second; }},
      {"limits.negative-cache-ms", 1000, 0, 60000,
       [](auto& c) { return c.limits.negative_cache_ms; }},
      {"tenants[].rate", 0, 0, 1000000000, [](auto& c) { return c.tenants[0].rate; }},
      {"leases.grace-s", 10, 0, 3600, [](auto& c) { return c.leases.grace_s; }},
      {"leases.restart-grace-s", 30, 0, 3600, [](auto& c) { return c.leases.restart_grace_s; }},
      {"store.fsync-interval-ms", 10, 1, 60000, [](auto& c) { return c.store.fsync_interval_ms; }},
      {"store.lanes", 4, 1, 64, [](auto& c) { return c.store.lanes; }},
      {"store.overlay-mb", 64, 1, 65536, [](auto& c) { return c.store.overlay_mb; }},
      {"store.workers", 1, 1, 64, [](auto& c) { return c.store.workers; }},
      {"store.rate-mb", 64, 0, 1048576, [](auto& c) { return c.store.rate_mb; }},
      {"store.agents", 131071, 1, 1U << 30, [](auto& c) { return c.store.agents; }},
      {"store.base-delta-max", 65536, 1, 16777216, [](auto& c) { return c.store.base_delta_max; },
       "  base: false\n"},
      {"store.base-interval-s", 30, 0, 86400, [](auto& c) { return c.store.base_interval_s; }},
  };
  return kAll;
}

TEST(Numbers, HaveTheirDefault) {
  const Config config = good(with_top("tenants: [{id: 9, name: t}]"));
  for (const auto& number : numbers())
    EXPECT_EQ(number.get(config), number.fallback) << number.path;
}

TEST(Numbers, TakeBothEndsOfTheirRange) {
  for (const auto& number : numbers()) {
    if (number.path == std::string("ports[].descriptors")) continue;  // also bounded by mbufs
    for (const auto value : {number.min, number.max}) {
      auto text = file_with(number.path, std::to_string(value));
      if (!number.beside.empty()) text += number.beside;
      const auto config = parse(text, "f");
      ASSERT_TRUE(config) << number.path << "\n" << config.error().message();
      EXPECT_EQ(number.get(*config), value) << number.path;
    }
  }
  EXPECT_EQ(good(with_port("descriptors: 64")).ports[0].descriptors, 64U);
  EXPECT_EQ(good("dataplane: {workers: [1], mbufs: 65536}\n"
                 "ports: [{name: a, device: b, descriptors: 32768}]")
                .ports[0]
                .descriptors,
            32768U);
}

TEST(Numbers, RefuseWhatIsBesideTheirRange) {
  for (const auto& number : numbers()) {
    std::vector<std::string> bad{std::to_string(number.max + 1), "-1",  "1.5", "0x20", "12k", "''",
                                 "99999999999999999999999",      "many"};
    if (number.min > 0) bad.push_back(std::to_string(number.min - 1));
    std::string path = number.path;
    if (const auto at = path.find("[]"); at != std::string::npos)
      path.replace(at, 2, std::string("[0]"));
    for (const auto& value : bad) {
      const auto text = only_mistake(file_with(number.path, value));
      EXPECT_NE(text.find(": " + path + ": "), std::string::npos) << text;
      EXPECT_NE(text.find("a whole number from " + std::to_string(number.min) + " to " +
                          std::to_string(number.max)),
                std::string::npos)
          << text;
    }
  }
}

TEST(Numbers, LeasesBoundEachOther) {
  const Config config = good(with_top("leases: {default-s: 1, min-s: 1, max-s: 86400}"));
  EXPECT_EQ(config.leases.default_s, 1U);
  EXPECT_EQ(config.leases.min_s, 1U);
  EXPECT_EQ(config.leases.max_s, 86400U);
  for (const char* key : {"default-s", "min-s", "max-s"}) {
    for (const char* value : {"0", "86401", "x"}) {
      const auto text = only_mistake(with_top(std::string("leases: {") + key + ": " + value + "}"));
      EXPECT_NE(text.find("a whole number from 1 to 86400 (s)"), std::string::npos) << text;
    }
  }
}

TEST(Words, AreTakenAndOthersRefused) {
  EXPECT_EQ(good(kSmallest).dataplane.idle, IdlePolicy::kAdaptive);
  EXPECT_EQ(good(with_dataplane("idle: poll")).dataplane.idle, IdlePolicy::kPoll);
  EXPECT_EQ(good(kSmallest).dataplane.huge_pages, HugePages::kAuto);
  EXPECT_EQ(good(with_dataplane("huge-pages: on")).dataplane.huge_pages, HugePages::kOn);
  EXPECT_EQ(good(with_dataplane("huge-pages: off")).dataplane.huge_pages, HugePages::kOff);
  EXPECT_EQ(good(kSmallest).ports[0].role, PortRole::kEdge);
  EXPECT_EQ(good(with_port("role: trunk")).ports[0].role, PortRole::kTrunk);
  EXPECT_EQ(good(kSmallest).log.level, LogLevel::kInfo);
  EXPECT_EQ(good(with_top("log: {level: trace}")).log.level, LogLevel::kTrace);
  EXPECT_EQ(good(with_top("log: {level: error}")).log.level, LogLevel::kError);
  EXPECT_EQ(only_mistake(with_dataplane("idle: sleepy")),
            "f:3:9: dataplane.idle: 'sleepy' is not allowed; must be poll | adaptive");
  EXPECT_EQ(
      only_mistake(with_top("log: {level: loud}")),
      "f:6:14: log.level: 'loud' is not allowed; must be trace | debug | info | warn | error");
}

TEST(TruthValues, AreTrueAndFalseOnly) {
  EXPECT_TRUE(good(kSmallest).registration.require_token);
  EXPECT_FALSE(good(with_top("registration: {require-token: false}")).registration.require_token);
  EXPECT_EQ(only_mistake(with_top("registration: {require-token: no}")),
            "f:6:31: registration.require-token: 'no' is not allowed; must be true | false");
}

TEST(SourceGuard, FollowsTheRoleUnlessGiven) {
  EXPECT_TRUE(good(kSmallest).ports[0].source_guard);
  EXPECT_FALSE(good(with_port("role: trunk")).ports[0].source_guard);
  EXPECT_TRUE(good(with_port("role: trunk\n    source-guard: true")).ports[0].source_guard);
  EXPECT_FALSE(good(with_port("source-guard: false")).ports[0].source_guard);
}

TEST(Cores, ManagerCoreIsANumberOrAny) {
  EXPECT_EQ(good(kSmallest).dataplane.manager_core, std::nullopt);
  EXPECT_EQ(good(with_dataplane("manager-core: any")).dataplane.manager_core, std::nullopt);
  EXPECT_EQ(good(with_dataplane("manager-core: 0")).dataplane.manager_core, 0U);
  EXPECT_EQ(
      only_mistake(with_dataplane("manager-core: some")),
      "f:3:17: dataplane.manager-core: 'some' is not allowed; must be a whole number from 0 to "
      "1023 (core), or any");
}

TEST(Cores, WorkersAreRequired) {
  EXPECT_EQ(
      good("dataplane: {workers: [1, 2, 1023]}\nports: [{name: a, device: b}]").dataplane.workers,
      (std::vector<std::uint32_t>{1, 2, 1023}));
  EXPECT_EQ(
      only_mistake("dataplane: {burst: 8}\nports: [{name: a, device: b}]"),
      "f:1:12: dataplane.workers: is missing; must be a list, each a whole number from 0 to 1023 "
      "(core)");
  EXPECT_EQ(only_mistake("ports: [{name: a, device: b}]"),
            "f: dataplane.workers: is missing; must be a list, each a whole number from 0 to 1023 "
            "(core)");
  EXPECT_EQ(
      only_mistake("dataplane: {workers: []}\nports: [{name: a, device: b}]"),
      "f:1:22: dataplane.workers: is empty; at least one is needed: a list, each a whole number "
      "from 0 to 1023 (core)");
  EXPECT_EQ(
      only_mistake("dataplane: {workers: [0, 1024]}\nports: [{name: a, device: b}]"),
      "f:1:26: dataplane.workers[1]: '1024' is not allowed; must be a whole number from 0 to 1023 "
      "(core)");
}

TEST(Ports, HaveTheirDefaults) {
  const Port port = good(kSmallest).ports[0];
  EXPECT_EQ(port.host_interface, "sl-one");
  EXPECT_EQ(port.rx_queues, std::nullopt);
  EXPECT_EQ(port.queue_count(), 1U);
  EXPECT_EQ(port.workers, (std::vector<std::uint32_t>{1}));
  EXPECT_TRUE(port.addresses.empty());
}

TEST(Ports, QueuesAreANumberOrOneForEachWorker) {
  const auto text = [](const std::string& more) {
    return "dataplane: {workers: [1, 2, 3]}\nports: [{name: a, device: b" + more + "}]";
  };
  EXPECT_EQ(good(text("")).ports[0].queue_count(), 3U);
  EXPECT_EQ(good(text(", workers: [3, 1]")).ports[0].queue_count(), 2U);
  EXPECT_EQ(good(text(", rx-queues: auto")).ports[0].queue_count(), 3U);
  EXPECT_EQ(good(text(", rx-queues: 16")).ports[0].queue_count(), 16U);
  EXPECT_NE(only_mistake(text(", rx-queues: 0")).find("from 1 to 1024, or auto"),
            std::string::npos);
}

TEST(Ports, NamesAndDevicesHaveTheirLetters) {
  const auto named = [](const std::string& name) {
    return "dataplane: {workers: [1]}\nports: [{name: " + name + ", device: b}]";
  };
  EXPECT_EQ(good(named("abc-def-012")).ports[0].host_interface, "sl-abc-def-012");
  for (const char* bad : {"abc-def-0123", "Upper", "a_b", "a.b", "''", "\"a b\""}) {
    EXPECT_NE(only_mistake(named(bad)).find("1 to 11 small letters, digits and -"),
              std::string::npos)
        << only_mistake(named(bad));
  }
  EXPECT_EQ(good(with_port("host-interface: eth-agents.10x")).ports[0].host_interface,
            "eth-agents.10x");
  EXPECT_NE(only_mistake(with_port("host-interface: sixteen-letters-")).find("1 to 15 letters"),
            std::string::npos);
  EXPECT_NE(only_mistake("dataplane: {workers: [1]}\nports: [{name: a, device: 'a b'}]")
                .find("DPDK device arguments without blanks"),
            std::string::npos);
  EXPECT_EQ(mistakes("dataplane: {workers: [1]}\nports: [{role: edge}]").size(), 2U);
  EXPECT_EQ(only_mistake("dataplane: {workers: [1]}\nports: []"),
            "f:2:8: ports: is empty; at least one is needed");
  EXPECT_EQ(only_mistake("dataplane: {workers: [1]}\n"),
            "f:1:1: ports: is missing; at least one is needed");
}

TEST(Ports, AddressesHaveAPrefixLength) {
  const Port port = good(with_port("addresses: [10.77.1.1/24, 'fd77:1::1/64']")).ports[0];
  ASSERT_EQ(port.addresses.size(), 2U);
  EXPECT_EQ(to_string(port.addresses[0]), "10.77.1.1/24");
  EXPECT_EQ(to_string(port.addresses[1]), "fd77:1::1/64");
  for (const char* bad : {"10.0.0.1", "10.0.0.1/33", "10.0.0.1/0", "10.0.0/24", "'fd::1/129'",
                          "0.0.0.0/8", "'::/64'", "10.0.0.1/24x", "10.0.0.1/", "a/24"}) {
    const auto text = only_mistake(with_port(std::string("addresses: [") + bad + "]"));
    EXPECT_TRUE(text.starts_with("f:6:17: ports[0].addresses[0]: ")) << text;
  }
}

TEST(Texts, OfTheOtherSections) {
  const Config config = good(with_top(
      "router: {name: r-1.example, run-dir: /tmp/r, state-dir: /tmp/s}\n"
      "api: {group: sluice}\nmetrics: {listen: '[::1]:1'}\nlog: {file: /var/log/sluice.log}"));
  EXPECT_EQ(config.router.name, "r-1.example");
  EXPECT_EQ(config.router.run_dir, "/tmp/r");
  EXPECT_EQ(config.router.state_dir, "/tmp/s");
  EXPECT_EQ(config.api.socket, "/tmp/r/api.sock");
  EXPECT_EQ(config.api.group, "sluice");
  EXPECT_EQ(link_socket(config), "/tmp/r/dataplane.sock");
  EXPECT_EQ(sluice::to_string(*config.metrics.listen), "[::1]:1");
  EXPECT_EQ(config.log.file, "/var/log/sluice.log");
  EXPECT_EQ(router_id(config), id_of_name("router/r-1.example"));
  EXPECT_EQ(good(with_top("metrics: {listen: off}")).metrics.listen, std::nullopt);
  EXPECT_EQ(good(with_top("api: {socket: /x/y}")).api.socket, "/x/y");
  for (const char* bad : {"router: {name: a b}", "router: {run-dir: run}",
                          "router: {state-dir: ''}", "api: {socket: x}", "api: {group: -x}",
                          "metrics: {listen: 127.0.0.1}", "metrics: {listen: 'localhost:1'}",
                          "log: {file: sluice.log}", "metrics: {listen: '127.0.0.1:65536'}"}) {
    EXPECT_TRUE(only_mistake(with_top(bad)).starts_with("f:6:")) << only_mistake(with_top(bad));
  }
}

TEST(Texts, TheRouterIsNamedAfterTheHost) {
  char host[256] = {};
  ASSERT_EQ(::gethostname(host, sizeof host - 1), 0);
  EXPECT_EQ(good(kSmallest).router.name, host);
}

TEST(Texts, DefaultsOfTheRest) {
  const Config config = good(kSmallest);
  EXPECT_EQ(config.router.run_dir, "/run/sluice");
  EXPECT_EQ(config.router.state_dir, "/var/lib/sluice");
  EXPECT_EQ(config.api.socket, "/run/sluice/api.sock");
  EXPECT_EQ(config.api.group, "");
  EXPECT_EQ(sluice::to_string(*config.metrics.listen), "127.0.0.1:9464");
  EXPECT_EQ(config.log.file, "");
  EXPECT_EQ(config.leases, Leases{});
  EXPECT_EQ(config.limits, Limits{});
  EXPECT_TRUE(config.dataplane.eal_args.empty());
  EXPECT_EQ(good(with_dataplane("eal-args: [--log-level=8, '-d x']")).dataplane.eal_args,
            (std::vector<std::string>{"--log-level=8", "-d x"}));
}

TEST(Tenants, AreRead) {
  const Config config = good(with_top(
      "tenants:\n  - {id: 65535, name: a, token-key: 000102030405060708090a0b0c0d0eFF, allow: [1], "
      "rate: 1000}\n  - {id: 1, name: b, token-key-file: k, rate: 5, burst: 2}"));
  ASSERT_EQ(config.tenants.size(), 2U);
  EXPECT_EQ(config.tenants[0].token_key,
            std::string("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff", 16));
  EXPECT_EQ(config.tenants[0].allow, std::vector<std::uint16_t>{1});
  EXPECT_EQ(config.tenants[0].burst, 100U);
  EXPECT_EQ(config.tenants[1].burst, 2U);
  EXPECT_EQ(config.tenants[1].token_key_file, "k");
  for (const char* bad : {"id: 0, name: a", "id: 65536, name: a", "name: a", "id: 1",
                          "id: 1, name: a b", "id: 1, name: a, token-key: 00",
                          "id: 1, name: a, allow: [0]", "id: 1, name: a, allow: 2"}) {
    const auto text = only_mistake(with_top(std::string("tenants:\n  - {") + bad + "}"));
    EXPECT_TRUE(text.starts_with("f:7:")) << text;
  }
}

TEST(Tenants, KeysOf32To128HexDigits) {
  const auto keyed = [](std::size_t digits) {
    return with_top("tenants: [{id: 1, name: a, token-key: '" + std::string(digits, 'a') + "'}]");
  };
  EXPECT_EQ(good(keyed(32)).tenants[0].token_key.size(), 16U);
  EXPECT_EQ(good(keyed(128)).tenants[0].token_key.size(), 64U);
  for (const std::size_t bad : {0, 30, 31, 33, 130}) {
    EXPECT_EQ(only_mistake(keyed(bad)),
              "f:6:39: tenants[0].token-key: must be 32 to 128 hex digits, "
              "an even number");
  }
}

TEST(Agents, AreReadByNameOrId) {
  const Config config = good(with_top(
      "tenants: [{id: 1, name: t}]\nagents:\n"
      "  - {name: acme/prod/bot/1, tenant: 1, endpoint: '10.0.0.1:5', capabilities: [tr/en, x]}\n"
      "  - {id: 00112233-4455-6677-8899-aabbccddeeff, tenant: 1, endpoint: '[fd00::1]:6'}"));
  ASSERT_EQ(config.agents.size(), 2U);
  EXPECT_EQ(config.agents[0].id, id_of_name("acme/prod/bot/1"));
  EXPECT_EQ(config.agents[0].capabilities, (std::vector<std::string>{"tr/en", "x"}));
  EXPECT_EQ(config.agents[1].name, "");
  EXPECT_EQ(sluice::to_string(config.agents[1].id), "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(sluice::to_string(config.agents[1].endpoint), "[fd00::1]:6");
}

TEST(Agents, RefuseBadOnes) {
  for (const char* bad :
       {"tenant: 1, endpoint: '1.1.1.1:1'", "name: a/b/c, tenant: 1, endpoint: '1.1.1.1:1'",
        "id: 00000000-0000-0000-0000-000000000000, tenant: 1, endpoint: '1.1.1.1:1'",
        "id: xyz, tenant: 1, endpoint: '1.1.1.1:1'", "name: a/b/c/d, endpoint: '1.1.1.1:1'",
        "name: a/b/c/d, tenant: 1", "name: a/b/c/d, tenant: 1, endpoint: 1.1.1.1",
        "name: a/b/c/d, tenant: 1, endpoint: '0.0.0.0:1'",
        "name: a/b/c/d, tenant: 1, endpoint: '224.0.0.1:1'",
        "name: a/b/c/d, tenant: 1, endpoint: '1.1.1.1:1', capabilities: [a//b]",
        "name: a/b/c/d, tenant: 2, endpoint: '1.1.1.1:1'",
        "name: a/b/c/d, id: 00112233-4455-6677-8899-aabbccddeeff, tenant: 1, endpoint: '1.1.1.1:1'",
        "name: a/b/c/d, tenant: 1, endpoint: \"10.0.0.1\\0:1\""}) {
    const auto text = only_mistake(
        with_top(std::string("tenants: [{id: 1, name: t}]\nagents:\n  - {") + bad + "}"));
    EXPECT_TRUE(text.starts_with("f:8:")) << text;
  }
}

TEST(Peers, AreReadWithTheMessagePort) {
  const Config config = good(with_top(
      "router: {message-port: 7777}\ntenants: [{id: 1, name: t}]\npeers:\n"
      "  - {name: b, address: 192.0.2.1, agents: [{name: a/b/c/d, tenant: 1, capabilities: [x]}]}\n"
      "  - {name: c, address: '[fd00::2]:9', agents-file: c.agents}"));
  ASSERT_EQ(config.peers.size(), 2U);
  EXPECT_EQ(sluice::to_string(config.peers[0].address), "192.0.2.1:7777");
  ASSERT_EQ(config.peers[0].agents.size(), 1U);
  EXPECT_EQ(config.peers[0].agents[0].id, id_of_name("a/b/c/d"));
  EXPECT_EQ(config.peers[0].agents[0].endpoint, Endpoint{});
  EXPECT_EQ(sluice::to_string(config.peers[1].address), "[fd00::2]:9");
  EXPECT_EQ(config.peers[1].agents_file, "c.agents");
  for (const char* bad :
       {"address: 192.0.2.1", "name: b", "name: b, address: x", "name: b, address: '192.0.2.1:0'",
        "name: b, address: 255.255.255.255", "name: b, address: 0.0.0.0",
        "name: b, address: 1.1.1.1, agents: [{tenant: 1}]",
        "name: b, address: 1.1.1.1, agents: [{name: a/b/c/d, tenant: 3}]",
        "name: b, address: 1.1.1.1, agents: [{name: a/b/c/d, tenant: 1, endpoint: "
        "'1.1.1.1:1'}]"}) {
    const auto text = only_mistake(
        with_top(std::string("tenants: [{id: 1, name: t}]\npeers:\n  - {") + bad + "}"));
    EXPECT_TRUE(text.starts_with("f:8:")) << text;
  }
}

TEST(Hold, TotalFollowsTheBuffers) {
  EXPECT_EQ(good(kSmallest).hold.total, 8192U);
  EXPECT_EQ(Config{}.hold.total, 8192U);
  EXPECT_EQ(good(with_dataplane("mbufs: 1048576")).hold.total, 65536U);
  EXPECT_EQ(good(with_top("hold: {total: 0}")).hold.total, 0U);
  EXPECT_EQ(good(with_top("hold: {total: 16384}")).hold.total, 16384U);
}

// The table and these tests must not drift apart: a key that nobody tests is found here.
TEST(Table, EveryKeyHasHelpAndSensibleBounds) {
  std::size_t keys = 0;
  const auto visit = [&](const auto& self, const auto& entry) -> void {
    if constexpr (requires { entry.rule; }) {
      ++keys;
      EXPECT_FALSE(entry.rule.help.empty()) << entry.name;
      EXPECT_TRUE(entry.rule.help.ends_with('.')) << entry.name;
      EXPECT_LT(entry.rule.min, entry.rule.max) << entry.name;
    } else {
      EXPECT_FALSE(entry.help.empty()) << entry.name;
      for_each(entry.keys, [&](const auto& inner) { self(self, inner); });
    }
  };
  for_each(kConfigKeys, [&](const auto& entry) { visit(visit, entry); });
  EXPECT_EQ(keys, 98U);
}

}  // namespace
}  // namespace sluice::config
