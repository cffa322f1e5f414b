#include "controlplane/registry/registry.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {
namespace {

constexpr std::uint64_t kStartNs = 1'000 * kNsPerSecond;

Time at(std::uint64_t seconds) {
  return {kStartNs + seconds * kNsPerSecond, 1'700'000'000 * kNsPerSecond + seconds * kNsPerSecond};
}

Endpoint endpoint(const char* text) {
  return *parse_endpoint(text);
}

// Writes down what it hears, and checks that it can be: an agent is added once, and so on.
class Recorder final : public RegistryListener {
 public:
  explicit Recorder(const Registry& registry) : registry_(registry) {}
  void agent_added(std::uint32_t slot) override {
    EXPECT_TRUE(slots.insert(slot).second);
    log.push_back("added " + name(slot));
  }
  void agent_moved(std::uint32_t slot) override {
    EXPECT_TRUE(slots.contains(slot));
    log.push_back("moved " + name(slot) + " to " + to_string(registry_.at(slot).endpoint));
  }
  void agent_removed(std::uint32_t slot) override {
    log.push_back("removed " + name(slot));
    EXPECT_EQ(slots.erase(slot), 1u);
  }
  void member_added(std::uint32_t capability, std::uint32_t slot) override {
    EXPECT_TRUE(members.insert({capability, slot}).second);
  }
  void member_removed(std::uint32_t capability, std::uint32_t slot) override {
    EXPECT_EQ(members.erase({capability, slot}), 1u);
  }
  Status check_address(const IpAddress& address) const override {
    if (address != refused) return {};
    return fail(ErrorCode::kInvalidArgument, "nobody lives there");
  }
  std::string name(std::uint32_t slot) const { return std::string(registry_.at(slot).name_view()); }

  IpAddress refused;
  std::vector<std::string> log;
  std::set<std::uint32_t> slots;
  std::set<std::pair<std::uint32_t, std::uint32_t>> members;

 private:
  const Registry& registry_;
};

class RegistryTest : public ::testing::Test {
 protected:
  RegistryTest() { registry_.set_listener(&recorder_); }

  Result<Registry::Granted> enroll(std::string_view name, std::uint64_t second,
                                   const char* where = "10.0.0.2:7601",
                                   const std::vector<std::string>& capabilities = {},
                                   std::uint32_t lease_s = 0, std::uint16_t tenant = 1) {
    return registry_.register_agent({.id = id_of_name(name),
                                     .name = name,
                                     .tenant = tenant,
                                     .endpoint = endpoint(where),
                                     .capabilities = capabilities,
                                     .lease_s = lease_s,
                                     .timestamp_ns = at(second).realtime_ns},
                                    at(second));
  }
  // From where it is registered, unless it is said from where.
  Status unregister(std::string_view name, std::uint64_t second, std::uint16_t tenant = 1,
                    const char* where = nullptr) {
    const auto slot = registry_.find(id_of_name(name));
    const bool there = where == nullptr && slot != kNoIndex;
    return registry_.unregister(
        {.id = id_of_name(name),
         .tenant = tenant,
         .endpoint = there ? registry_.at(slot).endpoint : endpoint(where ? where : "10.0.0.2:1"),
         .timestamp_ns = at(second).realtime_ns},
        at(second));
  }
  std::vector<std::string> expired_at(std::uint64_t second) {
    std::vector<std::string> names;
    while (registry_.expire(at(second), 1000,
                            [&](const Agent& agent) { names.emplace_back(agent.name_view()); })) {
    }
    return names;
  }

  Registry registry_{SipKey{1, 2}};
  Recorder recorder_{registry_};
};

TEST_F(RegistryTest, NobodyIsAddedOrMovedToAnImpossibleAddress) {
  recorder_.refused = endpoint("10.0.0.9:1").address;
  const auto fresh = enroll("a/b/c/1", 1, "10.0.0.9:7601");
  ASSERT_FALSE(fresh);
  EXPECT_EQ(fresh.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(registry_.size(), 0u);

  ASSERT_TRUE(enroll("a/b/c/1", 2, "10.0.0.8:7601"));
  EXPECT_FALSE(enroll("a/b/c/1", 3, "10.0.0.9:7601"));
  const auto slot = registry_.find(id_of_name("a/b/c/1"));
  EXPECT_EQ(registry_.at(slot).endpoint, endpoint("10.0.0.8:7601")) << "it stays where it was";
  EXPECT_EQ(registry_.counters().moved, 0u);

  const auto added = registry_.add(
      {.id = id_of_name("a/b/c/2"), .tenant = 1, .endpoint = endpoint("10.0.0.9:1")}, at(4));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().message(), "nobody lives there");
  EXPECT_TRUE(registry_.add({.id = id_of_name("a/b/c/2"),
                             .tenant = 1,
                             .origin = Origin::kPeer,
                             .endpoint = endpoint("10.0.0.9:1"),
                             .peer = 0},
                            at(5)))
      << "a peer's agent has no endpoint of its own";
}

TEST_F(RegistryTest, RegistersRenewsAndExpiresAfterLeaseAndGrace) {
  registry_.set_policy({.default_s = 30, .min_s = 5, .max_s = 60, .grace_s = 10});
  const auto fresh = enroll("a/b/c/1", 0);
  ASSERT_TRUE(fresh);
  EXPECT_TRUE(fresh->fresh);
  EXPECT_EQ(fresh->lease_s, 30u);
  EXPECT_TRUE(expired_at(39).empty());
  const auto renewed = enroll("a/b/c/1", 39);
  ASSERT_TRUE(renewed);
  EXPECT_FALSE(renewed->fresh);
  EXPECT_TRUE(expired_at(42).empty()) << "the first end does not count any more";
  EXPECT_TRUE(expired_at(78).empty());
  EXPECT_EQ(expired_at(80), std::vector<std::string>{"a/b/c/1"});
  EXPECT_EQ(registry_.size(), 0u);
  EXPECT_EQ(registry_.counters().expired, 1u);
  EXPECT_EQ(recorder_.log, (std::vector<std::string>{"added a/b/c/1", "removed a/b/c/1"}));
}

TEST_F(RegistryTest, NobodyTakesTheIdOfTheRouter) {
  registry_.reserve(id_of_name("a/b/c/1"));
  const auto registered = enroll("a/b/c/1", 0);
  ASSERT_FALSE(registered);
  EXPECT_EQ(registered.error().code(), ErrorCode::kAlreadyExists);
  const AgentSpec spec{.id = id_of_name("a/b/c/1"), .origin = Origin::kStatic};
  EXPECT_FALSE(registry_.add(spec, at(0)));
  EXPECT_FALSE(registry_.put_configured(spec, 1, at(0)));
  EXPECT_TRUE(recorder_.log.empty());
  EXPECT_TRUE(enroll("a/b/c/2", 0));
}

TEST_F(RegistryTest, GrantsLeasesWithinTheLimits) {
  registry_.set_policy({.default_s = 30, .min_s = 5, .max_s = 60, .grace_s = 0});
  EXPECT_EQ(enroll("a/b/c/1", 0, "10.0.0.2:1", {}, 1)->lease_s, 5u);
  EXPECT_EQ(enroll("a/b/c/2", 0, "10.0.0.2:1", {}, 1000)->lease_s, 60u);
  EXPECT_EQ(enroll("a/b/c/3", 0, "10.0.0.2:1", {}, 20)->lease_s, 20u);
}

TEST_F(RegistryTest, ShorterLeaseOnRenewalEndsEarlier) {
  registry_.set_policy({.default_s = 30, .min_s = 5, .max_s = 3600, .grace_s = 0});
  ASSERT_TRUE(enroll("a/b/c/1", 0, "10.0.0.2:1", {}, 3000));
  ASSERT_TRUE(enroll("a/b/c/1", 1, "10.0.0.2:1", {}, 5));
  EXPECT_EQ(expired_at(8).size(), 1u);
}

TEST_F(RegistryTest, LeasesLongerThanTheWheelEndInTime) {
  registry_.set_policy({.default_s = 30, .min_s = 5, .max_s = 100'000, .grace_s = 0});
  ASSERT_TRUE(enroll("a/b/c/1", 0, "10.0.0.2:1", {}, 5000));
  for (std::uint64_t second = 0; second < 5000; second += 7)
    ASSERT_TRUE(expired_at(second).empty());
  EXPECT_EQ(expired_at(5002).size(), 1u);
}

TEST_F(RegistryTest, MovesAtOnceAndSaysSo) {
  ASSERT_TRUE(enroll("a/b/c/1", 0));
  const auto moved = enroll("a/b/c/1", 1, "10.0.0.3:7700");
  ASSERT_TRUE(moved);
  EXPECT_TRUE(moved->moved);
  EXPECT_EQ(to_string(moved->before), "10.0.0.2:7601");
  EXPECT_EQ(recorder_.log.back(), "moved a/b/c/1 to 10.0.0.3:7700");
  EXPECT_EQ(registry_.lease(registry_.at(moved->slot))->moves, 1u);
}

TEST_F(RegistryTest, RefusesOldAndRepeatedRequests) {
  ASSERT_TRUE(enroll("a/b/c/1", 5));
  EXPECT_EQ(enroll("a/b/c/1", 5).error().code(), ErrorCode::kTimeout);
  EXPECT_EQ(enroll("a/b/c/1", 4).error().code(), ErrorCode::kTimeout);
  EXPECT_EQ(unregister("a/b/c/1", 5).error().code(), ErrorCode::kTimeout);
  ASSERT_TRUE(unregister("a/b/c/1", 6));
  // A recording of the registration is worth nothing after it has left, either.
  EXPECT_EQ(enroll("a/b/c/1", 6).error().code(), ErrorCode::kTimeout);
  EXPECT_TRUE(enroll("a/b/c/1", 7));
}

TEST_F(RegistryTest, UnregisteringAgainIsNoMistake) {
  ASSERT_TRUE(enroll("a/b/c/1", 0));
  ASSERT_TRUE(unregister("a/b/c/1", 1));
  EXPECT_TRUE(unregister("a/b/c/1", 2));
  EXPECT_EQ(registry_.counters().unregistered, 1u);
  EXPECT_EQ(unregister("a/b/c/2", 2).error().code(), ErrorCode::kNotFound);
}

// Each tenant can make a token for any id, so a token says nothing about another tenant's agent.
TEST_F(RegistryTest, AnotherTenantNeitherUnregistersNorTakesTheAgentsTime) {
  ASSERT_TRUE(enroll("a/b/c/1", 1));
  EXPECT_EQ(unregister("a/b/c/1", 20, 2).error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(registry_
                .note_request({.id = id_of_name("a/b/c/1"),
                               .tenant = 2,
                               .endpoint = endpoint("10.0.0.2:7601"),
                               .timestamp_ns = at(20).realtime_ns})
                .error()
                .code(),
            ErrorCode::kAlreadyExists);
  EXPECT_EQ(registry_.size(), 1U);
  ASSERT_TRUE(enroll("a/b/c/1", 2)) << "its own requests are not too late";
  ASSERT_TRUE(unregister("a/b/c/1", 3));
  EXPECT_EQ(unregister("a/b/c/1", 20, 2).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(enroll("a/b/c/1", 4)) << "nor after it has left";
}

// A second process with the agent's token has taken the route; the first one ends.
TEST_F(RegistryTest, WhoHasMovedIsNotUnregisteredFromWhereItWas) {
  ASSERT_TRUE(enroll("a/b/c/1", 1));
  ASSERT_TRUE(enroll("a/b/c/1", 2, "10.0.0.3:7700"));
  EXPECT_EQ(unregister("a/b/c/1", 3, 1, "10.0.0.2:7601").error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(registry_.size(), 1U);
  EXPECT_TRUE(unregister("a/b/c/1", 4, 1, "10.0.0.3:7700"));
}

TEST_F(RegistryTest, StaticAgentsAndOtherTenantsAreInTheWay) {
  ASSERT_TRUE(registry_.add({.id = id_of_name("a/b/c/1"),
                             .name = "a/b/c/1",
                             .tenant = 1,
                             .endpoint = endpoint("10.0.0.9:1")},
                            at(0)));
  EXPECT_EQ(enroll("a/b/c/1", 1).error().code(), ErrorCode::kAlreadyExists);
  ASSERT_TRUE(enroll("a/b/c/2", 1));
  EXPECT_EQ(enroll("a/b/c/2", 2, "10.0.0.2:7601", {}, 0, 2).error().code(),
            ErrorCode::kAlreadyExists);
}

TEST_F(RegistryTest, RefusesWhatCannotBe) {
  const auto with = [&](Id id, std::string_view name, std::vector<std::string> capabilities) {
    return registry_
        .register_agent({.id = id,
                         .name = name,
                         .tenant = 1,
                         .endpoint = endpoint("10.0.0.2:1"),
                         .capabilities = capabilities,
                         .timestamp_ns = 1},
                        at(0))
        .error()
        .code();
  };
  EXPECT_EQ(with({}, "", {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with(id_of_name("a/b/c/1"), "a/b/c/2", {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with(id_of_name("x"), "x", {}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with(id_of_name("x"), "", {"bad name"}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(with(id_of_name("x"), "", std::vector<std::string>(33, "echo")),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(registry_.size(), 0u);
}

TEST_F(RegistryTest, KeepsToItsLimit) {
  registry_.set_limit(2);
  EXPECT_TRUE(enroll("a/b/c/1", 0));
  EXPECT_TRUE(enroll("a/b/c/2", 0));
  EXPECT_EQ(enroll("a/b/c/3", 0).error().code(), ErrorCode::kExhausted);
  EXPECT_TRUE(enroll("a/b/c/1", 1)) << "a renewal needs no room";
}

TEST_F(RegistryTest, IndexesCapabilities) {
  const auto members = [&](const char* capability) {
    std::set<std::string> names;
    const auto at = registry_.capabilities().find(id_of_name(capability));
    if (at == kNoIndex) return names;
    registry_.for_each_member(at, [&](std::uint32_t slot) {
      names.insert(recorder_.name(slot));
      return true;
    });
    return names;
  };
  ASSERT_TRUE(enroll("a/b/c/1", 0, "10.0.0.2:1", {"echo", "translate/en"}));
  ASSERT_TRUE(enroll("a/b/c/2", 0, "10.0.0.2:2", {"translate/en", "echo"}));
  EXPECT_EQ(members("echo"), (std::set<std::string>{"a/b/c/1", "a/b/c/2"}));
  ASSERT_TRUE(enroll("a/b/c/1", 1, "10.0.0.2:1", {"echo"}));
  EXPECT_EQ(members("translate/en"), std::set<std::string>{"a/b/c/2"});
  ASSERT_TRUE(unregister("a/b/c/2", 1));
  EXPECT_EQ(members("translate/en"), std::set<std::string>{});
  EXPECT_EQ(registry_.capabilities().find(id_of_name("translate/en")), kNoIndex);
  EXPECT_EQ(recorder_.members.size(), 1u);
}

TEST_F(RegistryTest, ConfigurationGoesFirstAndDropsWhatIsOutdated) {
  ASSERT_TRUE(enroll("a/b/c/1", 0));
  const std::vector<std::string> capabilities{"echo"};
  const auto put = [&](const char* name, const char* where, std::uint8_t generation) {
    return registry_.put_configured({.id = id_of_name(name),
                                     .name = name,
                                     .tenant = 1,
                                     .endpoint = endpoint(where),
                                     .capabilities = capabilities},
                                    generation, at(1));
  };
  ASSERT_TRUE(put("a/b/c/1", "10.0.0.5:1", 1));
  ASSERT_TRUE(put("a/b/c/2", "10.0.0.6:1", 1));
  EXPECT_EQ(registry_.counters().by_origin[static_cast<int>(Origin::kRegistered)], 0u);
  ASSERT_TRUE(enroll("a/b/c/3", 1));
  recorder_.log.clear();

  ASSERT_TRUE(put("a/b/c/2", "10.0.0.7:1", 2));
  registry_.drop_outdated(2);
  EXPECT_EQ(recorder_.log,
            (std::vector<std::string>{"moved a/b/c/2 to 10.0.0.7:1", "removed a/b/c/1"}));
  EXPECT_EQ(registry_.size(), 2u);
  EXPECT_EQ(registry_.agents_of(1), 2u);
}

// Random operations against a plain model.
TEST_F(RegistryTest, AgreesWithAModel) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  registry_.set_policy({.default_s = 20, .min_s = 1, .max_s = 40, .grace_s = 3});
  std::map<std::string, std::uint64_t> ends;  // second in which each has surely ended
  const std::vector<std::string> all{"c0", "c1", "c2", "c3", "c4"};
  for (std::uint64_t second = 1; second < 3000; ++second) {
    const std::string name = "a/b/c/" + std::to_string(random() % 60);
    if (random() % 4 == 0) {
      const bool known = ends.erase(name) == 1;
      const auto done = unregister(name, second);
      EXPECT_TRUE(done || !known);
    } else {
      std::vector<std::string> capabilities;
      for (const auto& capability : all) {
        if (random() % 2 == 0) capabilities.push_back(capability);
      }
      const auto granted = enroll(name, second, "10.0.0.2:1", capabilities,
                                  static_cast<std::uint32_t>(1 + random() % 40));
      ASSERT_TRUE(granted);
      ends[name] = second + granted->lease_s + 3 + 1;
    }
    expired_at(second);
    std::erase_if(ends, [&](const auto& entry) { return entry.second <= second; });
    ASSERT_EQ(registry_.size(), ends.size()) << "second " << second;
    std::size_t memberships = 0;
    for (const auto& [agent, end] : ends) {
      const auto slot = registry_.find(id_of_name(agent));
      ASSERT_NE(slot, kNoIndex);
      memberships += registry_.capability_names(registry_.at(slot)).size();
    }
    ASSERT_EQ(recorder_.members.size(), memberships);
  }
}

}  // namespace
}  // namespace sluice::controlplane
