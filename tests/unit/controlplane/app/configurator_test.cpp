#include "controlplane/app/configurator.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "controlplane/host/kernel.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {
namespace {

class SilentKernel final : public Kernel {
 public:
  void find_route(const IpAddress&) override {}
  void ask_neighbor(std::uint32_t, const IpAddress&) override {}
  void set_up(std::uint32_t) override {}
  void add_address(std::uint32_t, const InterfaceAddress&) override {}
  void remove_address(std::uint32_t, const InterfaceAddress&) override {}
};

constexpr const char* kHead = R"(
router: {name: test, state-dir: /tmp/x, run-dir: /tmp/x}
dataplane: {workers: [1], routes: 1024}
ports:
  - {name: one, device: net_null0, addresses: [10.0.0.1/24], vlan: 5}
  - {name: two, device: net_null1, role: trunk}
)";

class ConfiguratorTest : public ::testing::Test {
 protected:
  ConfiguratorTest() {
    registry_.set_listener(&forwarding_);
    forwarding_.set_port_vlans({5, 0});
    registry_.set_journal(&journal_);
    tenant_keeper_.begin({});
  }
  config::Config parse(const std::string& rest) {
    auto config = config::parse(kHead + rest, "test.yaml");
    EXPECT_TRUE(config) << config.error().message();
    return config.value_or(config::Config{});
  }
  Status apply(config::Config next) {
    if (auto ok = configurator_.check(next); !ok) return ok;
    return configurator_.apply(next, {});
  }
  const Agent* find(const char* name) {
    const auto slot = registry_.find(id_of_name(name));
    return slot == kNoIndex ? nullptr : &registry_.at(slot);
  }

  SilentKernel kernel_;
  Programmer programmer_;
  Tenants tenants_;
  Registry registry_{SipKey{1, 2}};
  Host host_{kernel_, std::vector<HostPort>(2)};
  Forwarding forwarding_{registry_, programmer_, host_};
  InBand inband_{registry_, tenants_, SipKey{1, 2}, InBandOptions{}};
  const Journal::Post post_ = [](const std::function<void()>&) {};
  const Journal::Clock clock_ = [] { return Time{}; };
  Journal journal_{registry_, forwarding_, {}, post_, clock_};
  TenantKeeper tenant_keeper_{registry_, forwarding_, tenants_, journal_, {}, post_, clock_};
  Configurator configurator_{registry_, forwarding_, programmer_,   host_,
                             inband_,   tenants_,    tenant_keeper_};
};

constexpr const char* kFirst = R"(
tenants:
  - {id: 1, name: one, allow: [2]}
  - {id: 2, name: two}
agents:
  - {name: a/b/c/1, tenant: 1, endpoint: "10.0.0.2:1", capabilities: [echo]}
  - {name: a/b/c/2, tenant: 1, endpoint: "10.0.0.3:1"}
peers:
  - {name: north, address: 10.9.0.2, agents: [{name: far/b/c/1, tenant: 2}]}
leases: {default-s: 20}
)";

TEST_F(ConfiguratorTest, NoAgentHasTheIdOfTheRouter) {
  const auto own = to_string(config::router_id(parse("")));
  const auto refused = apply(parse("tenants: [{id: 1, name: one}]\nagents:\n  - {id: " + own +
                                   ", tenant: 1, endpoint: \"10.0.0.2:1\"}\n"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find(own), std::string::npos);
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(ConfiguratorTest, PutsEverythingIntoEffect) {
  ASSERT_TRUE(apply(parse(kFirst)));
  EXPECT_EQ(registry_.size(), 3u);
  EXPECT_EQ(registry_.limit(), 1023u);
  EXPECT_EQ(registry_.policy().default_s, 20u);
  EXPECT_EQ(tenants_.at(1).allow, std::vector<std::uint16_t>{2});
  ASSERT_NE(find("far/b/c/1"), nullptr);
  EXPECT_EQ(find("far/b/c/1")->origin, Origin::kPeer);
  EXPECT_EQ(find("far/b/c/1")->peer, forwarding_.find_peer("north"));
  EXPECT_EQ(to_string(forwarding_.peer(forwarding_.find_peer("north")).address), "10.9.0.2:7600");
}

TEST_F(ConfiguratorTest, ReloadChangesOnlyWhatIsDifferent) {
  ASSERT_TRUE(apply(parse(kFirst)));
  const auto kept = registry_.find(id_of_name("a/b/c/1"));
  ASSERT_TRUE(apply(parse(R"(
tenants:
  - {id: 1, name: one}
agents:
  - {name: a/b/c/1, tenant: 1, endpoint: "10.0.0.2:9"}
  - {name: a/b/c/3, tenant: 1, endpoint: "10.0.0.4:1"}
)")));
  EXPECT_EQ(registry_.find(id_of_name("a/b/c/1")), kept);
  EXPECT_EQ(find("a/b/c/1")->endpoint.port, 9);
  EXPECT_TRUE(registry_.capability_names(*find("a/b/c/1")).empty());
  EXPECT_EQ(find("a/b/c/2"), nullptr);
  EXPECT_NE(find("a/b/c/3"), nullptr);
  EXPECT_EQ(find("far/b/c/1"), nullptr);
  EXPECT_EQ(forwarding_.find_peer("north"), kNoIndex);
  EXPECT_FALSE(tenants_.contains(2));
}

TEST_F(ConfiguratorTest, PeerAtAnotherAddressKeepsItsAgents) {
  ASSERT_TRUE(apply(parse(kFirst)));
  std::string moved = kFirst;
  moved.replace(moved.find("10.9.0.2"), 8, "10.9.0.3");
  ASSERT_TRUE(apply(parse(moved)));
  const auto peer = forwarding_.find_peer("north");
  ASSERT_NE(peer, kNoIndex);
  EXPECT_EQ(to_string(forwarding_.peer(peer).address), "10.9.0.3:7600");
  ASSERT_NE(find("far/b/c/1"), nullptr);
  EXPECT_EQ(find("far/b/c/1")->peer, peer);
  EXPECT_EQ(forwarding_.peer(peer).agents, 1u);
}

TEST_F(ConfiguratorTest, KeepsWhatCameByOtherWays) {
  ASSERT_TRUE(apply(parse(kFirst)));
  ASSERT_TRUE(registry_.add({.id = id_of_name("a/b/c/8"),
                             .name = "a/b/c/8",
                             .tenant = 1,
                             .endpoint = *parse_endpoint("10.0.0.8:1")},
                            {}));
  ASSERT_TRUE(registry_.register_agent({.id = id_of_name("a/b/c/9"),
                                        .name = "a/b/c/9",
                                        .tenant = 2,
                                        .endpoint = *parse_endpoint("10.0.0.9:1"),
                                        .timestamp_ns = 1},
                                       {}));
  ASSERT_TRUE(forwarding_.add_peer("south", *parse_endpoint("10.9.0.7:7600"), false));
  ASSERT_TRUE(apply(parse("tenants: [{id: 1, name: one}]\n")));
  EXPECT_NE(find("a/b/c/8"), nullptr);
  EXPECT_NE(forwarding_.find_peer("south"), kNoIndex);
  EXPECT_EQ(find("a/b/c/9"), nullptr) << "its tenant is away";
  ASSERT_EQ(journal_.parked_of(2).size(), 1u)
      << "and with it who registered, not who is configured";
  EXPECT_EQ(journal_.parked_of(2)[0].first, id_of_name("a/b/c/9"));
}

TEST_F(ConfiguratorTest, ATenantThatIsAwayKeepsItsNumber) {
  ASSERT_TRUE(apply(parse(kFirst)));
  ASSERT_TRUE(registry_.add(
      {.id = id_of_name("a/b/c/9"), .tenant = 2, .endpoint = *parse_endpoint("10.0.0.9:1")}, {}));
  ASSERT_TRUE(apply(parse("tenants: [{id: 1, name: one}]\n")));
  const auto refused = apply(parse("tenants: [{id: 2, name: three}]\n"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("'two'"), std::string::npos);
  EXPECT_TRUE(tenants_.contains(1)) << "nothing has changed";
  EXPECT_TRUE(apply(parse("tenants: [{id: 2, name: two}]\n")));
}

TEST_F(ConfiguratorTest, RefusesMoreAgentsThanThereIsRoomForBeforeChangingAnything) {
  const std::string room = "store: {agents: 3}\n";
  ASSERT_TRUE(apply(parse(room + "tenants: [{id: 1, name: one}, {id: 2, name: two}]\n")));
  const auto add = [this](const char* name, std::uint16_t tenant) {
    ASSERT_TRUE(registry_.add({.id = id_of_name(name),
                               .name = name,
                               .tenant = tenant,
                               .endpoint = *parse_endpoint("10.0.0.8:1")},
                              {}));
  };
  add("a/b/c/1", 1);
  add("a/b/c/2", 1);
  add("a/b/c/3", 2);
  const auto refused = apply(parse(room + R"(
tenants: [{id: 1, name: one}]
agents:
  - {name: s/b/c/1, tenant: 1, endpoint: "10.0.0.2:1"}
  - {name: s/b/c/2, tenant: 1, endpoint: "10.0.0.2:2"}
)"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("2 of the configuration and 2 others"),
            std::string::npos)
      << refused.error().message();
  EXPECT_NE(find("a/b/c/3"), nullptr);
  EXPECT_TRUE(tenants_.contains(2));
}

TEST_F(ConfiguratorTest, WhoLeavesMakesRoomForWhoComes) {
  const auto agents = [](const char* a, const char* b, const char* c) {
    return fmt::format(R"(
store: {{agents: 3}}
tenants: [{{id: 1, name: one}}]
agents:
  - {{name: s/b/c/{}, tenant: 1, endpoint: "10.0.0.2:1"}}
  - {{name: s/b/c/{}, tenant: 1, endpoint: "10.0.0.2:2"}}
peers:
  - {{name: north, address: 10.9.0.2, agents: [{{name: s/b/c/{}, tenant: 1}}]}}
)",
                       a, b, c);
  };
  ASSERT_TRUE(
      apply(parse("store: {agents: 3}\ntenants: [{id: 1, name: one}, {id: 2, name: two}]\n")));
  for (const char* name : {"s/b/c/1", "a/b/c/2", "a/b/c/3"})  // one is taken over
    ASSERT_TRUE(registry_.add({.id = id_of_name(name),
                               .name = name,
                               .tenant = static_cast<std::uint16_t>(name[0] == 's' ? 1 : 2),
                               .endpoint = *parse_endpoint("10.0.0.8:1")},
                              {}));
  ASSERT_TRUE(apply(parse(agents("1", "2", "3"))));
  const auto kept = registry_.find(id_of_name("s/b/c/2"));
  ASSERT_TRUE(apply(parse(agents("2", "4", "5"))));
  EXPECT_EQ(registry_.size(), 3u);
  EXPECT_EQ(registry_.find(id_of_name("s/b/c/2")), kept);
  EXPECT_NE(find("s/b/c/5"), nullptr);
}

TEST_F(ConfiguratorTest, RefusesWhatCannotWorkBeforeChangingAnything) {
  ASSERT_TRUE(apply(parse(kFirst)));
  ASSERT_TRUE(forwarding_.add_peer("south", *parse_endpoint("10.9.0.7:7600"), false));
  const auto refused = apply(parse("peers: [{name: other, address: 10.9.0.7}]\n"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("sluice peer delete south"), std::string::npos);
  EXPECT_EQ(registry_.size(), 3u);
}

TEST_F(ConfiguratorTest, RefusesMorePeersThanThereIsRoomForBesideThoseAddedByCommand) {
  ASSERT_TRUE(apply(parse(kFirst)));
  ASSERT_TRUE(forwarding_.add_peer("south", *parse_endpoint("10.9.0.7:7600"), false));
  const auto peers = [this](unsigned count) {
    std::string text = "peers:\n";
    for (unsigned i = 0; i < count; ++i)
      text += fmt::format("  - {{name: p{}, address: 10.8.{}.{}}}\n", i, i / 250, i % 250 + 1);
    return parse(text);
  };
  const auto refused = apply(peers(kMaxPeers));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kExhausted);
  EXPECT_NE(find("a/b/c/1"), nullptr) << "nothing was changed";
  EXPECT_TRUE(apply(peers(kMaxPeers - 1)));
  EXPECT_EQ(forwarding_.peers().size(), kMaxPeers);
}

}  // namespace
}  // namespace sluice::controlplane
