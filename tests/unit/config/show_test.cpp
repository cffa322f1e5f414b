// `config show`: everything in effect, readable again, and no secret in it.
#include "support.hpp"

#include <yaml-cpp/yaml.h>

namespace sluice::config {
namespace {

constexpr const char* kEverything = R"(
router: {name: "on", run-dir: "/run/a b", state-dir: '/x/"q"\y', message-port: 1}
dataplane:
  workers: [1, 3]
  manager-core: 0
  idle: poll
  idle-after-us: 5
  idle-sleep-us: 6
  huge-pages: on
  memory-mb: 100
  mbufs: 65536
  routes: 5000
  adjacencies: 500
  groups: 50
  burst: 16
  eal-args: ["--vdev=a,b=c", "# no comment", "-1", "null", "{x}"]
ports:
  - {name: a, device: "0000:3b:00.0", rx-queues: 3, descriptors: 128, mtu: 9000, vlan: 7,
     host-interface: h1, addresses: [10.0.0.1/24, "fd00::1/64"], source-guard: false, workers: [3]}
  - {name: "7", device: "net_tap0,iface=x", role: trunk}
hold: {per-id: 2, total: 3, time-ms: 4}
limits: {notices-per-second: 1, punts-per-second: 2, discoveries-per-second: 3,
         negative-cache-ms: 4}
tenants:
  - {id: 1, name: one, token-key-file: "k 1", allow: [2], rate: 7}
  - {id: 2, name: "2", rate: 8, burst: 9}
agents:
  - {name: a/b/c/d, tenant: 1, endpoint: "1.2.3.4:5", capabilities: [x/y, "1"]}
  - {id: 00112233-4455-6677-8899-aabbccddeeff, tenant: 2, endpoint: "[fd00::9]:5"}
agents-file: "./more agents"
peers:
  - {name: p, address: 9.9.9.9, agents: [{name: e/f/g/h, tenant: 1}], agents-file: p.agents}
  - {name: q, address: "[fd00::8]:1"}
leases: {default-s: 6, min-s: 5, max-s: 7, grace-s: 0, restart-grace-s: 1}
registration: {require-token: false}
store: {directory: /s, fsync: interval, fsync-interval-ms: 5, lanes: 2, overlay-mb: 3, workers: 4,
        rate-mb: 5, agents: 9, base: false, base-delta-max: 6, base-interval-s: 7}
cluster: {bind: "[::]:7", advertise: "10.0.0.9:8", join: [a.b, "10.0.0.1:5"], label: "l x",
          encryption: false, keys-file: /k, verify-incoming: false, verify-outgoing: false,
          compression: false, zone: z1, profile: wan, probe-interval-ms: 200, probe-timeout-ms: 100,
          indirect-checks: 1, suspicion-mult: 2, retransmit-mult: 3, gossip-interval-ms: 50,
          gossip-nodes: 4, gossip-to-dead-s: 5, push-pull-interval-s: 6, tcp-timeout-ms: 700}
api: {socket: /a/b, group: g}
metrics: {listen: off}
log: {level: debug, file: "/l: x # y"}
)";

TEST(Show, ParsesToTheSameConfiguration) {
  for (const std::string& text : {kSmallest, std::string(kEverything)}) {
    const Config config = good(text);
    const auto shown = show_yaml(config);
    const auto again = parse(shown, "shown");
    ASSERT_TRUE(again) << again.error().message() << "\n" << shown;
    EXPECT_EQ(*again, config) << shown;
  }
}

TEST(Show, JsonHoldsTheSame) {
  // JSON is YAML too, so our own reader tells whether it is the same.
  for (const std::string& text : {kSmallest, std::string(kEverything)}) {
    const Config config = good(text);
    const auto again = parse(show_json(config), "shown");
    ASSERT_TRUE(again) << again.error().message() << "\n" << show_json(config);
    EXPECT_EQ(*again, config);
  }
}

TEST(Show, HasEveryDefault) {
  const YAML::Node shown = YAML::Load(show_yaml(good(kSmallest)));
  EXPECT_EQ(shown["dataplane"]["burst"].as<int>(), 32);
  EXPECT_EQ(shown["dataplane"]["manager-core"].as<std::string>(), "any");
  EXPECT_EQ(shown["ports"][0]["host-interface"].as<std::string>(), "sl-one");
  EXPECT_EQ(shown["ports"][0]["workers"][0].as<int>(), 1);
  EXPECT_EQ(shown["hold"]["total"].as<int>(), 8192);
  EXPECT_EQ(shown["api"]["socket"].as<std::string>(), "/run/sluice/api.sock");
  EXPECT_EQ(shown["metrics"]["listen"].as<std::string>(), "127.0.0.1:9464");
  EXPECT_EQ(shown["tenants"].size(), 0U);
  EXPECT_EQ(shown.size(), 15U);  // agents-file is shown only when there is one
}

TEST(Show, NeverASecret) {
  const std::string key = "deadbeefdeadbeefdeadbeefdeadbeef";
  const Config config = good(with_top("tenants: [{id: 1, name: a, token-key: " + key + "}]"));
  for (const auto& shown : {show_yaml(config), show_json(config)}) {
    EXPECT_EQ(shown.find("deadbeef"), std::string::npos);
    EXPECT_EQ(shown.find(config.tenants[0].token_key), std::string::npos);
    EXPECT_NE(shown.find("\"***\""), std::string::npos);
  }
  EXPECT_NE(only_mistake(show_yaml(config)).find("is hidden here by 'config show'"),
            std::string::npos);
  // Nor in what is said of a bad one.
  for (const std::string bad : {"deadbeefx", "[deadbeef]", "{deadbeef: 1}"}) {
    const auto text = only_mistake(with_top("tenants: [{id: 1, name: a, token-key: " + bad + "}]"));
    EXPECT_EQ(text.find("deadbeef"), std::string::npos) << text;
  }
}

TEST(Show, ManualPageHasEveryKey) {
  const auto page = man_page();
  for (const char* expected :
       {".B router.name\n", ".B dataplane.idle\\-after\\-us\n", ".B ports[].source\\-guard\n",
        ".B peers[].agents[].capabilities\n", ".B agents\\-file\n",
        ".B leases.restart\\-grace\\-s\n",
        "Value: a whole number from 4 to 64.\n.br\nDefault: 32.\nChanges at start only.\n",
        "Value: trace | debug | info | warn | error.\n.br\nDefault: info.\nChanges live.\n",
        "Default: a quarter of dataplane.mbufs, at most 65536.\n"}) {
    EXPECT_NE(page.find(expected), std::string::npos) << expected;
  }
}

}  // namespace
}  // namespace sluice::config
