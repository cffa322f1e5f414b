#include "controlplane/registry/forwarding.hpp"

#include <gtest/gtest.h>

#include <set>

#include "sluice/base/names.hpp"

namespace sluice::controlplane {
namespace {

IpAddress ip(const char* text) {
  return *parse_ip(text);
}

class FakeNextHops final : public NextHops {
 public:
  void watch(const IpAddress& destination) override {
    EXPECT_TRUE(watched.insert(destination).second) << "watched twice";
  }
  void unwatch(const IpAddress& destination) override { EXPECT_EQ(watched.erase(destination), 1u); }
  std::set<IpAddress> watched;
};

class ForwardingTest : public ::testing::Test {
 protected:
  ForwardingTest() {
    registry_.set_listener(&forwarding_);
    forwarding_.set_port_vlans({0, 7, 0});
    forwarding_.on_problem([](const std::string& what) { ADD_FAILURE() << what; });
  }

  void add(const char* name, const char* where, std::vector<std::string> capabilities = {},
           std::uint32_t peer = kNoIndex) {
    const auto added = registry_.add({.id = id_of_name(name),
                                      .name = name,
                                      .tenant = 4,
                                      .origin = peer == kNoIndex ? Origin::kStatic : Origin::kPeer,
                                      .endpoint = parse_endpoint(where).value_or(Endpoint{}),
                                      .capabilities = capabilities,
                                      .peer = peer},
                                     {});
    ASSERT_TRUE(added) << added.error().message();
  }
  void answer(const char* destination, NextHop::State state, std::uint16_t port = 0,
              std::uint8_t last_of_mac = 1) {
    forwarding_.next_hop_changed(ip(destination), {.state = state,
                                                   .port = port,
                                                   .mac = {2, 0, 0, 0, 0, last_of_mac},
                                                   .via = ip(destination),
                                                   .source = ip("10.0.0.1")});
  }
  std::optional<RouteSpec> route(const char* name) {
    return programmer_.find_route(id_of_name(name));
  }
  std::set<std::string> group(const char* capability) {
    forwarding_.flush();
    std::set<std::string> names;
    const auto at = registry_.capabilities().find(id_of_name(capability));
    if (at == kNoIndex) return names;
    for (const auto slot : forwarding_.group_members(at))
      names.insert(std::string(registry_.at(slot).name_view()));
    return names;
  }

  Programmer programmer_;
  FakeNextHops next_hops_;
  Registry registry_{SipKey{1, 2}};
  Forwarding forwarding_{registry_, programmer_, next_hops_};
};

TEST_F(ForwardingTest, ImpossibleAddressesAreRefusedAndSayWhy) {
  const InterfaceAddress own[] = {{ip("10.0.0.1"), 24}, {ip("10.9.9.1"), 31}, {ip("fd00::1"), 64}};
  forwarding_.addresses_changed(1, own);
  const std::pair<const char*, const char*> kRefused[] = {
      {"0.0.0.0", "the unspecified address"},
      {"::", "the unspecified address"},
      {"127.0.0.1", "a loopback address"},
      {"::1", "a loopback address"},
      {"224.0.0.1", "a multicast address"},
      {"ff02::1", "a multicast address"},
      {"255.255.255.255", "the broadcast address"},
      {"10.0.0.1", "this router's own address"},
      {"fd00::1", "this router's own address"},
      {"10.9.9.1", "this router's own address"},
      {"10.0.0.255", "the broadcast address of a network of this router"},
  };
  for (const auto& [address, why] : kRefused) {
    const auto ok = forwarding_.check_address(ip(address));
    ASSERT_FALSE(ok) << address;
    EXPECT_EQ(ok.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(ok.error().message(),
              std::string(address) + " is " + why + "; no agent or router can be reached there");
    const auto added = registry_.add(
        {.id = id_of_name("a/b/c/1"), .tenant = 4, .endpoint = {ip(address), 7600}}, {});
    EXPECT_FALSE(added) << address;
    EXPECT_FALSE(forwarding_.add_peer("p", {ip(address), 7600}, false)) << address;
  }
  for (const char* address : {"10.0.0.2", "10.0.1.255", "10.9.9.0", "fd00::ffff"})
    EXPECT_TRUE(forwarding_.check_address(ip(address))) << address;
  // An address that the router has no longer may be an agent's.
  forwarding_.addresses_changed(1, {});
  EXPECT_TRUE(forwarding_.check_address(ip("10.0.0.1")));
  EXPECT_TRUE(forwarding_.check_address(ip("10.0.0.255")));
}

TEST_F(ForwardingTest, RouteFollowsWhatTheKernelSays) {
  add("a/b/c/1", "10.0.0.2:7601");
  EXPECT_FALSE(route("a/b/c/1")) << "nothing is known yet: messages wait";
  EXPECT_EQ(forwarding_.hops_undecided(), 1u);

  answer("10.0.0.2", NextHop::State::kNoRoute);
  EXPECT_EQ(route("a/b/c/1")->kind, ActionKind::kUnreachable);
  EXPECT_EQ(forwarding_.unreachable(), 1u);

  answer("10.0.0.2", NextHop::State::kResolving, 1);
  auto spec = route("a/b/c/1");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->kind, ActionKind::kAdjacency);
  EXPECT_EQ(spec->udp_port, 7601);
  EXPECT_EQ(spec->tenant, 4);
  const auto handle = programmer_.find_adjacency({1, 7, ip("10.0.0.2")});
  ASSERT_TRUE(handle) << "port 1 has VLAN 7";
  EXPECT_EQ(spec->handle, *handle);
  EXPECT_EQ(forwarding_.available(), 0u);
  EXPECT_EQ(forwarding_.unreachable(), 0u);

  answer("10.0.0.2", NextHop::State::kUp, 1);
  EXPECT_EQ(forwarding_.available(), 1u);
  EXPECT_EQ(route("a/b/c/1")->handle, *handle) << "the same adjacency, now up";
  answer("10.0.0.2", NextHop::State::kFailed, 1);
  EXPECT_EQ(forwarding_.available(), 0u);
  EXPECT_EQ(forwarding_.hop_by_handle(*handle)->state, AdjacencyState::kDown);
}

TEST_F(ForwardingTest, AnotherPortIsAnotherAdjacencyForAllAgentsThere) {
  add("a/b/c/1", "10.0.0.2:1");
  add("a/b/c/2", "10.0.0.2:2");
  answer("10.0.0.2", NextHop::State::kUp, 0);
  const auto before = route("a/b/c/1")->handle;
  answer("10.0.0.2", NextHop::State::kUp, 2);
  EXPECT_NE(route("a/b/c/1")->handle, before);
  EXPECT_EQ(route("a/b/c/1")->handle, route("a/b/c/2")->handle);
  EXPECT_EQ(forwarding_.hop_by_handle(before), nullptr);
  EXPECT_EQ(forwarding_.available(), 2u);
}

TEST_F(ForwardingTest, AgentsAtOneAddressShareAndTheLastTakesItAway) {
  add("a/b/c/1", "10.0.0.2:1");
  add("a/b/c/2", "10.0.0.2:2");
  EXPECT_EQ(next_hops_.watched.size(), 1u);
  answer("10.0.0.2", NextHop::State::kUp);
  ASSERT_TRUE(registry_.remove(id_of_name("a/b/c/1")));
  EXPECT_FALSE(route("a/b/c/1"));
  EXPECT_TRUE(route("a/b/c/2"));
  EXPECT_EQ(forwarding_.available(), 1u);
  ASSERT_TRUE(registry_.remove(id_of_name("a/b/c/2")));
  EXPECT_TRUE(next_hops_.watched.empty());
  EXPECT_EQ(forwarding_.available(), 0u);
  EXPECT_EQ(forwarding_.hops_undecided(), 0u);
}

TEST_F(ForwardingTest, MovedAgentIsRoutedToItsNewPlace) {
  add("a/b/c/0", "10.0.0.3:1");
  answer("10.0.0.3", NextHop::State::kUp, 2);
  const auto enroll = [&](const char* where, std::uint64_t timestamp) {
    ASSERT_TRUE(registry_.register_agent({.id = id_of_name("a/b/c/1"),
                                          .name = "a/b/c/1",
                                          .tenant = 1,
                                          .endpoint = *parse_endpoint(where),
                                          .timestamp_ns = timestamp},
                                         {}));
  };
  enroll("10.0.0.2:1", 1);
  answer("10.0.0.2", NextHop::State::kUp, 0);
  enroll("10.0.0.3:9", 2);
  EXPECT_EQ(route("a/b/c/1")->handle, route("a/b/c/0")->handle);
  EXPECT_EQ(route("a/b/c/1")->udp_port, 9);
  EXPECT_EQ(next_hops_.watched, std::set<IpAddress>{ip("10.0.0.3")});
  enroll("10.0.0.3:10", 3);
  EXPECT_EQ(route("a/b/c/1")->udp_port, 10) << "another UDP port of the same host";
  EXPECT_EQ(forwarding_.available(), 2u);
}

TEST_F(ForwardingTest, PortWithoutLinkTakesItsAdjacenciesDown) {
  add("a/b/c/1", "10.0.0.2:1", {"echo"});
  add("a/b/c/2", "10.0.0.3:1", {"echo"});
  answer("10.0.0.2", NextHop::State::kUp, 0);
  answer("10.0.0.3", NextHop::State::kUp, 1);
  EXPECT_EQ(group("echo").size(), 2u);
  const auto handle = route("a/b/c/1")->handle;
  forwarding_.set_port_link(0, false);
  EXPECT_EQ(forwarding_.hop_by_handle(handle)->state, AdjacencyState::kDown);
  EXPECT_EQ(route("a/b/c/1")->handle, handle) << "routes stay as they are";
  EXPECT_EQ(group("echo"), std::set<std::string>{"a/b/c/2"});
  EXPECT_EQ(forwarding_.available(), 1u);
  forwarding_.set_port_link(0, true);
  EXPECT_EQ(forwarding_.hop_by_handle(handle)->state, AdjacencyState::kUp);
  EXPECT_EQ(group("echo").size(), 2u);
}

TEST_F(ForwardingTest, CountsHostsThatWereNotLookedForYet) {
  const auto to_go = [&] { return forwarding_.hops_undecided() + forwarding_.hops_resolving(); };
  add("a/b/c/1", "10.0.0.2:1");
  add("a/b/c/2", "10.0.0.2:2");
  add("a/b/c/3", "10.0.0.3:1");
  add("a/b/c/4", "10.0.0.4:1");
  EXPECT_EQ(forwarding_.hops(), 3u);
  EXPECT_EQ(to_go(), 3u);
  for (const auto* host : {"10.0.0.2", "10.0.0.3", "10.0.0.4"})
    answer(host, NextHop::State::kResolving);
  EXPECT_EQ(to_go(), 3u);
  answer("10.0.0.2", NextHop::State::kUp);
  EXPECT_EQ(to_go(), 2u);
  answer("10.0.0.3", NextHop::State::kFailed);
  EXPECT_EQ(to_go(), 1u);
  EXPECT_TRUE(registry_.remove(id_of_name("a/b/c/4")));
  EXPECT_EQ(to_go(), 0u);
  EXPECT_EQ(forwarding_.hops(), 2u);
  add("a/b/c/5", "10.0.0.5:1");
  answer("10.0.0.5", NextHop::State::kNoRoute);
  EXPECT_EQ(to_go(), 0u);
}

TEST_F(ForwardingTest, PeersAgentsGoToThePeer) {
  const auto peer = forwarding_.add_peer("north", *parse_endpoint("10.9.0.2:7600"), true);
  ASSERT_TRUE(peer);
  add("far/b/c/1", "", {"echo"}, *peer);
  answer("10.9.0.2", NextHop::State::kUp, 2);
  const auto spec = route("far/b/c/1");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->udp_port, 7600);
  EXPECT_EQ(forwarding_.hop_by_handle(spec->handle)->destination, ip("10.9.0.2"));
  EXPECT_EQ(forwarding_.peer(*peer).agents, 1u);
  EXPECT_EQ(group("echo"), std::set<std::string>{"far/b/c/1"});
  EXPECT_FALSE(forwarding_.remove_peer("north")) << "it has agents";
  ASSERT_TRUE(registry_.remove(id_of_name("far/b/c/1")));
  EXPECT_TRUE(forwarding_.remove_peer("north"));
  EXPECT_TRUE(next_hops_.watched.empty());
}

TEST_F(ForwardingTest, PeersAreOnceByNameAndAddress) {
  ASSERT_TRUE(forwarding_.add_peer("north", *parse_endpoint("10.9.0.2:7600"), false));
  EXPECT_EQ(forwarding_.add_peer("north", *parse_endpoint("10.9.0.3:7600"), false).error().code(),
            ErrorCode::kAlreadyExists);
  EXPECT_EQ(forwarding_.add_peer("other", *parse_endpoint("10.9.0.2:7600"), false).error().code(),
            ErrorCode::kAlreadyExists);
  EXPECT_EQ(forwarding_.remove_peer("south").error().code(), ErrorCode::kNotFound);
}

TEST_F(ForwardingTest, GroupHoldsThoseThatAreUpOrElseThoseBeingResolved) {
  add("a/b/c/1", "10.0.0.2:1", {"echo"});
  add("a/b/c/2", "10.0.0.3:1", {"echo"});
  EXPECT_TRUE(group("echo").empty());
  EXPECT_FALSE(route("echo")) << "nobody has said yet whether they can be reached";
  answer("10.0.0.2", NextHop::State::kNoRoute);
  EXPECT_TRUE(group("echo").empty());
  EXPECT_FALSE(route("echo"));
  answer("10.0.0.3", NextHop::State::kNoRoute);
  EXPECT_TRUE(group("echo").empty());
  ASSERT_TRUE(route("echo"));
  EXPECT_EQ(route("echo")->kind, ActionKind::kGroup) << "known, but nobody can be reached";
  answer("10.0.0.2", NextHop::State::kResolving);
  EXPECT_EQ(group("echo"), std::set<std::string>{"a/b/c/1"});
  answer("10.0.0.3", NextHop::State::kUp);
  EXPECT_EQ(group("echo"), std::set<std::string>{"a/b/c/2"});
  ASSERT_TRUE(registry_.remove(id_of_name("a/b/c/1")));
  ASSERT_TRUE(registry_.remove(id_of_name("a/b/c/2")));
  EXPECT_FALSE(route("echo"));
  EXPECT_FALSE(programmer_.find_group(id_of_name("echo")));
}

TEST_F(ForwardingTest, FullGroupRefillsFromTheRest) {
  for (int i = 0; i < 100; ++i)
    add(("a/b/c/" + std::to_string(i)).c_str(), "10.0.0.2:1", {"echo"});
  answer("10.0.0.2", NextHop::State::kUp);
  auto members = group("echo");
  EXPECT_EQ(members.size(), kMaxGroupMembers);
  ASSERT_TRUE(registry_.remove(id_of_name(*members.begin())));
  EXPECT_EQ(group("echo").size(), kMaxGroupMembers);
  EXPECT_FALSE(group("echo").contains(*members.begin()));
  // Removing many leaves only ones that are there.
  for (int i = 0; i < 95; ++i)
    (void)registry_.remove(id_of_name("a/b/c/" + std::to_string(i)));
  EXPECT_EQ(group("echo").size(), registry_.size());
}

TEST_F(ForwardingTest, CapabilityOfAnAgentsNameComesBackWhenTheAgentLeaves) {
  add("a/b/c/1", "10.0.0.2:1");
  add("a/b/c/2", "10.0.0.2:2", {"a/b/c/1"});
  answer("10.0.0.2", NextHop::State::kUp);
  forwarding_.flush();
  EXPECT_EQ(route("a/b/c/1")->kind, ActionKind::kAdjacency);
  ASSERT_TRUE(registry_.remove(id_of_name("a/b/c/1")));
  forwarding_.flush();
  EXPECT_EQ(route("a/b/c/1")->kind, ActionKind::kGroup);
}

TEST_F(ForwardingTest, CapabilityOfTheRoutersNameDoesNotTakeItsRoute) {
  const Id own = id_of_name("router/test");
  registry_.reserve(own);
  ASSERT_TRUE(programmer_.set_route(own, {ActionKind::kLocal, kNoIndex, 0, 0}));
  add("a/b/c/1", "10.0.0.2:1", {"router/test"});
  answer("10.0.0.2", NextHop::State::kUp);
  forwarding_.flush();
  EXPECT_EQ(route("router/test")->kind, ActionKind::kLocal);
  ASSERT_TRUE(registry_.remove(id_of_name("a/b/c/1")));
  ASSERT_TRUE(route("router/test")) << "nor does it take it along";
}

TEST_F(ForwardingTest, AsksForOneFlushForManyChanges) {
  int asked = 0;
  forwarding_.on_dirty([&] { ++asked; });
  for (int i = 0; i < 10; ++i)
    add(("a/b/c/" + std::to_string(i)).c_str(), "10.0.0.2:1", {"one", "two"});
  EXPECT_EQ(asked, 1);
  forwarding_.flush();
  answer("10.0.0.2", NextHop::State::kUp);
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace sluice::controlplane
