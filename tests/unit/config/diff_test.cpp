// What a reload may change.
#include "support.hpp"

namespace sluice::config {
namespace {

std::string keys_of(const std::vector<Difference>& differences) {
  std::string text;
  for (const auto& difference : differences) {
    if (!text.empty()) text += ' ';
    text += difference.key + (difference.change == Change::kLive ? "=live" : "=boot");
  }
  return text;
}

TEST(Diff, NothingChanged) {
  EXPECT_TRUE(diff(good(kSmallest), good(kSmallest)).empty());
  EXPECT_TRUE(check_reload(good(kSmallest), good(kSmallest)));
}

TEST(Diff, EveryKeyOnItsOwn) {
  const Config base = good(kSmallest);
  const auto changed = [&](const std::string& text) { return keys_of(diff(base, good(text))); };
  EXPECT_EQ(changed(with_dataplane("burst: 16")), "dataplane.burst=boot");
  EXPECT_EQ(changed(with_dataplane("idle: poll")), "dataplane.idle=boot");
  EXPECT_EQ(changed(with_dataplane("idle-after-us: 1")), "dataplane.idle-after-us=boot");
  EXPECT_EQ(changed(with_dataplane("idle-sleep-us: 1")), "dataplane.idle-sleep-us=boot");
  EXPECT_EQ(changed(with_dataplane("huge-pages: on")), "dataplane.huge-pages=boot");
  EXPECT_EQ(changed(with_dataplane("manager-core: 0")), "dataplane.manager-core=boot");
  EXPECT_EQ(changed(with_dataplane("routes: 5000")),
            "dataplane.routes=boot store.agents=live store.base-delta-max=live");
  EXPECT_EQ(changed(with_dataplane("mbufs: 16384")), "dataplane.mbufs=boot hold.total=live");
  EXPECT_EQ(changed(with_port("mtu: 9000")), "ports[0].mtu=boot");
  EXPECT_EQ(changed(with_port("addresses: [10.0.0.1/24]")), "ports[0].addresses=boot");
  EXPECT_EQ(changed(with_port("source-guard: false")), "ports[0].source-guard=live");
  EXPECT_EQ(changed(kSmallest + "  - {name: two, device: d}\n"), "ports=boot");
  EXPECT_EQ(changed(with_top("hold: {per-id: 1, time-ms: 1}")),
            "hold.per-id=live hold.time-ms=live");
  EXPECT_EQ(changed(with_top("limits: {punts-per-second: 1}")), "limits.punts-per-second=live");
  EXPECT_EQ(changed(with_top("tenants: [{id: 1, name: a}]")), "tenants=live");
  EXPECT_EQ(changed(with_top("agents-file: x")), "agents-file=live");
  EXPECT_EQ(changed(with_top("peers: [{name: a, address: 1.1.1.1}]")), "peers=live");
  EXPECT_EQ(changed(with_top("leases: {grace-s: 1}")), "leases.grace-s=live");
  EXPECT_EQ(changed(with_top("registration: {require-token: false}")),
            "registration.require-token=live");
  EXPECT_EQ(changed(with_top("store: {fsync: never, base-delta-max: 5}")),
            "store.fsync=boot store.base-delta-max=live");
  EXPECT_EQ(changed(with_top("api: {group: x}")), "api.group=boot");
  EXPECT_EQ(changed(with_top("metrics: {listen: off}")), "metrics.listen=boot");
  EXPECT_EQ(changed(with_top("log: {level: warn, file: /x}")), "log.level=live log.file=boot");
  EXPECT_EQ(changed(with_top("router: {run-dir: /x}")), "router.run-dir=boot api.socket=boot");
}

TEST(Diff, ContentOfListsAndFiles) {
  const std::string tenant =
      "tenants: [{id: 1, name: a, token-key: 00000000000000000000000000000000}]";
  const std::string other =
      "tenants: [{id: 1, name: a, token-key: 00000000000000000000000000000001}]";
  EXPECT_EQ(keys_of(diff(good(with_top(tenant)), good(with_top(other)))), "tenants=live");
  Config before = good(with_top("agents-file: x"));
  Config after = before;
  after.file_agents = FileAgents("a/b/c/d 1 1.1.1.1:1\n", true, 1);
  EXPECT_EQ(keys_of(diff(before, after)), "agents-file=live");
}

TEST(Diff, ReloadIsRefusedWholeAndNamesEveryKey) {
  const auto refused =
      check_reload(good(kSmallest),
                   good("dataplane: {workers: [2], idle: poll}\nports: [{name: one, device: x}]\n"
                        "api: {group: g}\nrouter: {message-port: 1}"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "router.message-port can only change at start; restart sluice-dataplane and "
            "sluice-controlplane\n"
            "dataplane.workers can only change at start; restart sluice-dataplane\n"
            "dataplane.idle can only change at start; restart sluice-dataplane\n"
            "ports[0].device can only change at start; restart sluice-dataplane\n"
            "ports[0].workers can only change at start; restart sluice-dataplane\n"
            "api.group can only change at start; restart sluice-controlplane");
  EXPECT_TRUE(check_reload(good(kSmallest), good(with_top("hold: {per-id: 1}"))));
}

}  // namespace
}  // namespace sluice::config
