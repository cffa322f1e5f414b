#include "controlplane/host/host.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sluice/base/clock.hpp"

namespace sluice::controlplane {
namespace {

IpAddress ip(const char* text) {
  return *parse_ip(text);
}

// Remembers what it was asked for.
class FakeKernel final : public Kernel {
 public:
  void find_route(const IpAddress& destination) override { lookups.push_back(destination); }
  void ask_neighbor(std::uint32_t ifindex, const IpAddress& address) override {
    asked.emplace_back(ifindex, address);
  }
  void set_up(std::uint32_t ifindex) override { upped.push_back(ifindex); }
  void add_address(std::uint32_t ifindex, const InterfaceAddress& address) override {
    added.emplace_back(ifindex, address);
  }
  void remove_address(std::uint32_t ifindex, const InterfaceAddress& address) override {
    removed.emplace_back(ifindex, address);
  }
  std::vector<IpAddress> lookups;
  std::vector<std::pair<std::uint32_t, IpAddress>> asked;
  std::vector<std::uint32_t> upped;
  std::vector<std::pair<std::uint32_t, InterfaceAddress>> added;
  std::vector<std::pair<std::uint32_t, InterfaceAddress>> removed;
};

class Recorder final : public NextHopListener {
 public:
  void next_hop_changed(const IpAddress& destination, const NextHop& next_hop) override {
    hops[destination] = next_hop;
    ++changes;
  }
  void addresses_changed(std::uint16_t port, std::span<const InterfaceAddress> all) override {
    addresses[port] = {all.begin(), all.end()};
    ++announcements;
  }
  std::map<IpAddress, NextHop> hops;
  std::map<std::uint16_t, std::vector<InterfaceAddress>> addresses;
  int changes = 0;
  int announcements = 0;
};

class HostTest : public ::testing::Test {
 protected:
  HostTest() { host_.set_listener(recorder_); }

  void pass(std::uint64_t ms) {
    for (std::uint64_t i = 0; i < ms; i += 50)
      host_.tick(now_ns_ += 50 * kNsPerMs);
  }
  // The interface appears as the dataplane makes it, and the kernel does what it is asked for.
  void appear(std::uint32_t ifindex) {
    host_.link_seen({ifindex, "sl-one", true});
    for (const auto& [index, address] : kernel_.added)
      host_.address_seen({index, address});
    kernel_.added.clear();
  }
  void dump_nothing() {
    for (const auto what : {Dump::kLinks, Dump::kAddresses, Dump::kNeighbors}) {
      host_.dump_begins(what);
      host_.dump_ends(what);
    }
  }
  void start() {
    dump_nothing();
    appear(5);
    pass(50);
  }
  void answer(const char* destination, std::uint32_t ifindex = 5, const char* gateway = nullptr) {
    host_.route_found(
        ip(destination),
        {ifindex, true, gateway != nullptr ? std::optional(ip(gateway)) : std::nullopt, own_});
  }
  void neighbor(const char* address, NeighborState state, std::uint8_t last = 1,
                std::uint32_t ifindex = 5) {
    std::optional<MacAddress> mac;
    if (last != 0) mac = MacAddress{2, 0, 0, 0, 0, last};
    host_.neighbor_seen({ifindex, ip(address), state, mac});
  }
  NextHop::State state(const char* destination) { return recorder_.hops[ip(destination)].state; }

  const IpAddress own_ = ip("10.0.0.1");
  FakeKernel kernel_;
  Recorder recorder_;
  Host host_{kernel_,
             {
                 {"sl-one", {{own_, 24}}},
             }};
  std::uint64_t now_ns_ = 100 * kNsPerSecond;
};

TEST_F(HostTest, ConfiguresAnInterfaceWheneverItAppears) {
  host_.link_seen({4, "eth0", true});
  EXPECT_TRUE(kernel_.added.empty());
  host_.link_seen({5, "sl-one", false});
  EXPECT_EQ(kernel_.upped, std::vector<std::uint32_t>{5});
  ASSERT_EQ(kernel_.added.size(), 1u);
  EXPECT_EQ(kernel_.added[0].second.address, own_);
  EXPECT_FALSE(host_.ready());
  host_.address_seen({5, {own_, 24}});
  host_.link_seen({5, "sl-one", true});
  EXPECT_TRUE(host_.ready());
  pass(50);
  ASSERT_EQ(recorder_.addresses[0].size(), 1u);

  host_.link_gone(5);
  EXPECT_FALSE(host_.ready());
  kernel_.added.clear();
  host_.link_seen({9, "sl-one", true});
  EXPECT_EQ(kernel_.added.size(), 1u) << "the dataplane came back";
}

TEST_F(HostTest, ResolvesADirectNeighbor) {
  start();
  host_.watch(ip("10.0.0.2"));
  EXPECT_EQ(kernel_.lookups.back(), ip("10.0.0.2"));
  answer("10.0.0.2");
  EXPECT_EQ(state("10.0.0.2"), NextHop::State::kResolving);
  ASSERT_EQ(kernel_.asked.size(), 1u) << "the kernel is asked to resolve";
  EXPECT_EQ(kernel_.asked[0].second, ip("10.0.0.2"));
  neighbor("10.0.0.2", NeighborState::kIncomplete, 0);
  EXPECT_EQ(state("10.0.0.2"), NextHop::State::kResolving);
  neighbor("10.0.0.2", NeighborState::kReachable);
  const auto& hop = recorder_.hops[ip("10.0.0.2")];
  EXPECT_EQ(hop.state, NextHop::State::kUp);
  EXPECT_EQ(hop.mac[5], 1);
  EXPECT_EQ(hop.source, own_);
  EXPECT_EQ(hop.via, ip("10.0.0.2"));
}

TEST_F(HostTest, GatewayServesAllBehindIt) {
  start();
  for (const auto* destination : {"192.0.2.1", "192.0.2.2"}) {
    host_.watch(ip(destination));
    answer(destination, 5, "10.0.0.254");
  }
  neighbor("10.0.0.254", NeighborState::kReachable, 9);
  EXPECT_EQ(state("192.0.2.1"), NextHop::State::kUp);
  EXPECT_EQ(recorder_.hops[ip("192.0.2.2")].via, ip("10.0.0.254"));
  neighbor("10.0.0.254", NeighborState::kReachable, 10);
  EXPECT_EQ(recorder_.hops[ip("192.0.2.1")].mac[5], 10) << "a changed link address reaches all";
  host_.unwatch(ip("192.0.2.1"));
  neighbor("10.0.0.254", NeighborState::kFailed, 0);
  EXPECT_EQ(state("192.0.2.2"), NextHop::State::kFailed);
  EXPECT_EQ(state("192.0.2.1"), NextHop::State::kUp) << "nobody watches it any more";
}

TEST_F(HostTest, NoRouteAndRoutesElsewhereAreNoWay) {
  start();
  host_.watch(ip("192.0.2.1"));
  host_.route_found(ip("192.0.2.1"), {});
  EXPECT_EQ(state("192.0.2.1"), NextHop::State::kNoRoute);
  host_.watch(ip("192.0.2.2"));
  answer("192.0.2.2", 4);
  EXPECT_EQ(state("192.0.2.2"), NextHop::State::kNoRoute) << "not over a port of the router";
  host_.watch(own_);
  host_.route_found(own_, {5, false, {}, own_});
  EXPECT_EQ(state("10.0.0.1"), NextHop::State::kNoRoute) << "the router itself is no next hop";
}

TEST_F(HostTest, RouteChangesAreLookedUpAgainOncePerPeriod) {
  start();
  host_.watch(ip("10.0.0.2"));
  answer("10.0.0.2");
  neighbor("10.0.0.2", NeighborState::kReachable);
  pass(500);
  answer("10.0.0.2");
  kernel_.lookups.clear();
  for (int i = 0; i < 1000; ++i)
    host_.routes_changed();
  pass(50);
  EXPECT_EQ(kernel_.lookups.size(), 1u);
  answer("10.0.0.2", 5, "10.0.0.254");
  EXPECT_EQ(state("10.0.0.2"), NextHop::State::kResolving) << "now behind a gateway";
}

TEST_F(HostTest, FailedNeighborIsAskedEverMoreRarelyAndComesBack) {
  start();
  host_.watch(ip("10.0.0.2"));
  answer("10.0.0.2");
  neighbor("10.0.0.2", NeighborState::kReachable);
  std::size_t asks = 0;
  for (int round = 0; round < 8; ++round) {
    neighbor("10.0.0.2", NeighborState::kFailed, 0);
    EXPECT_EQ(state("10.0.0.2"), NextHop::State::kFailed);
    kernel_.asked.clear();
    pass(30'000);
    asks += kernel_.asked.size();
    neighbor("10.0.0.2", NeighborState::kIncomplete, 0);
    EXPECT_EQ(state("10.0.0.2"), NextHop::State::kFailed) << "trying is not succeeding";
  }
  EXPECT_GE(asks, 8u);
  neighbor("10.0.0.2", NeighborState::kReachable, 3);
  EXPECT_EQ(state("10.0.0.2"), NextHop::State::kUp);
}

TEST_F(HostTest, KeepsWhatIsInUseFresh) {
  start();
  host_.watch(ip("10.0.0.2"));
  answer("10.0.0.2");
  neighbor("10.0.0.2", NeighborState::kReachable);
  pass(5'000);
  kernel_.asked.clear();
  pass(5'000);
  EXPECT_TRUE(kernel_.asked.empty()) << "reachable: nothing to do";
  neighbor("10.0.0.2", NeighborState::kStale);
  neighbor("10.0.0.3", NeighborState::kStale);
  pass(2'000);
  ASSERT_FALSE(kernel_.asked.empty());
  for (const auto& [ifindex, address] : kernel_.asked)
    EXPECT_EQ(address, ip("10.0.0.2"));
  EXPECT_EQ(state("10.0.0.2"), NextHop::State::kUp) << "stale is still usable";
}

TEST_F(HostTest, TidiedUpByTheKernelIsAskedForAndStaysInUse) {
  start();
  host_.watch(ip("10.0.0.2"));
  answer("10.0.0.2");
  neighbor("10.0.0.2", NeighborState::kReachable);
  kernel_.asked.clear();
  host_.neighbor_gone({5, ip("10.0.0.2"), NeighborState::kStale, {}});
  EXPECT_EQ(kernel_.asked.size(), 1u);
  EXPECT_EQ(state("10.0.0.2"), NextHop::State::kUp);
}

TEST_F(HostTest, KeepsLastKnownWaysWhileTheDataplaneIsAway) {
  start();
  host_.watch(ip("10.0.0.2"));
  answer("10.0.0.2");
  neighbor("10.0.0.2", NeighborState::kReachable);
  const int changes = recorder_.changes;
  const int announcements = recorder_.announcements;

  host_.neighbor_gone({5, ip("10.0.0.2"), NeighborState::kReachable, {}});
  host_.address_gone({5, {own_, 24}});
  host_.link_gone(5);
  host_.routes_changed();
  pass(10'000);
  host_.route_found(ip("10.0.0.2"), {});
  EXPECT_EQ(recorder_.changes, changes);

  kernel_.asked.clear();
  kernel_.lookups.clear();
  appear(8);
  pass(50);
  ASSERT_EQ(kernel_.lookups.size(), 1u);
  answer("10.0.0.2", 8);
  EXPECT_EQ(recorder_.changes, changes) << "everything is as it was";
  pass(2'000);
  EXPECT_FALSE(kernel_.asked.empty()) << "but the new kernel interface is asked";
  EXPECT_EQ(kernel_.asked[0].first, 8u);
  EXPECT_LE(recorder_.announcements, announcements + 1);
  EXPECT_EQ(recorder_.addresses[0].size(), 1u);
}

TEST_F(HostTest, NewDestinationWaitsUntilInterfacesAreBack) {
  dump_nothing();
  host_.watch(ip("10.0.0.2"));
  host_.route_found(ip("10.0.0.2"), {});
  EXPECT_EQ(recorder_.changes, 0) << "without interfaces every answer is no";
  kernel_.lookups.clear();
  appear(5);
  pass(50);
  EXPECT_EQ(kernel_.lookups.size(), 1u);
}

TEST_F(HostTest, AddressesThatTheKernelRefusesDoNotHoldUpTheRest) {
  dump_nothing();
  host_.watch(ip("10.0.0.2"));
  host_.route_found(ip("10.0.0.2"), {});
  host_.link_seen({5, "sl-one", true});
  EXPECT_FALSE(host_.ready());
  host_.request_failed("add-address", 22);
  kernel_.lookups.clear();
  pass(3'000);
  EXPECT_TRUE(host_.ready());
  EXPECT_EQ(kernel_.lookups.size(), 1u);
}

TEST_F(HostTest, DumpTakesAwayWhatIsNotThereAnyMore) {
  start();
  host_.watch(ip("10.0.0.2"));
  answer("10.0.0.2");
  neighbor("10.0.0.2", NeighborState::kReachable);
  neighbor("10.0.0.7", NeighborState::kReachable);
  host_.dump_begins(Dump::kNeighbors);
  host_.dump_ends(Dump::kNeighbors);
  std::set<IpAddress> left;
  host_.for_each_neighbor([&](const Host::NeighborView& view) { left.insert(view.address); });
  EXPECT_EQ(left, std::set<IpAddress>{ip("10.0.0.2")}) << "only what is in use is remembered";
  host_.dump_begins(Dump::kLinks);
  host_.dump_ends(Dump::kLinks);
  EXPECT_EQ(host_.ifindex(0), 0u);
}

TEST_F(HostTest, ReloadChangesAddresses) {
  start();
  host_.set_addresses(0, {{ip("10.0.1.1"), 24}});
  ASSERT_EQ(kernel_.removed.size(), 1u);
  EXPECT_EQ(kernel_.removed[0].second.address, own_);
  ASSERT_EQ(kernel_.added.size(), 1u);
  EXPECT_EQ(kernel_.added[0].second.address, ip("10.0.1.1"));
}

TEST_F(HostTest, ChangesDuringALookupLeadToAnother) {
  start();
  pass(500);
  kernel_.lookups.clear();
  host_.watch(ip("10.0.0.2"));
  host_.routes_changed();
  pass(300);
  EXPECT_EQ(kernel_.lookups.size(), 1u) << "one at a time";
  answer("10.0.0.2");
  EXPECT_EQ(kernel_.lookups.size(), 2u);
  EXPECT_EQ(recorder_.changes, 0) << "the first answer may be out of date";
  answer("10.0.0.2");
  EXPECT_EQ(state("10.0.0.2"), NextHop::State::kResolving);
}

}  // namespace
}  // namespace sluice::controlplane
