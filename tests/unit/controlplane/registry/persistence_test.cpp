// What of the registry survives: told to the journal, and restored in another registry.
#include <gtest/gtest.h>

#include <map>

#include "controlplane/registry/agent_record.hpp"
#include "controlplane/registry/registry.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {
namespace {

constexpr std::uint64_t kRealtimeS = 1'700'000'000;

// Keeps what the registry says, as bytes, like the real one.
class FakeJournal final : public RegistryJournal {
 public:
  Status ready() const override {
    if (!failing) return {};
    return fail(ErrorCode::kUnavailable, "no space left on device", ErrorOrigin::kStore);
  }
  void changed(const Id& id, std::uint16_t tenant) override {
    ++changes;
    waiting.insert({{id, tenant}, true});
  }
  void parked(const StoredAgent& agent) override {
    waiting.erase({agent.id, agent.tenant});
    records[{agent.id, agent.tenant}].clear();
    encode_agent(agent, records[{agent.id, agent.tenant}]);
  }
  void peer_changed(std::string_view name) override { peers.emplace_back(name); }
  void flush(Registry& registry, Time now) {
    for (const auto& [key, unused] : waiting) {
      const auto stored = registry.stored(key.first, key.second, now);
      records.erase(key);
      if (const auto* agent = std::get_if<StoredAgent>(&stored)) encode_agent(*agent, records[key]);
      if (const auto* gone = std::get_if<StoredDeparted>(&stored))
        encode_departed(*gone, records[key]);
    }
    waiting.clear();
  }

  using Key = std::pair<Id, std::uint16_t>;
  std::map<Key, bool> waiting;
  std::map<Key, std::vector<std::uint8_t>> records;
  std::vector<std::string> peers;
  unsigned changes = 0;
  bool failing = false;
};

class PersistenceTest : public ::testing::Test {
 protected:
  PersistenceTest() {
    before_.set_journal(&journal_);
    before_.set_policy(policy_);
    after_.set_policy(policy_);
  }

  Time at(std::int64_t second) const {
    return {
        static_cast<std::uint64_t>(monotonic_s_ + second) * kNsPerSecond,
        static_cast<std::uint64_t>(static_cast<std::int64_t>(kRealtimeS) + second) * kNsPerSecond};
  }
  Result<Registry::Granted> enroll(Registry& registry, std::string_view name, std::int64_t second,
                                   const char* where = "10.0.0.2:7601",
                                   const std::vector<std::string>& capabilities = {"translate"}) {
    return registry.register_agent({.id = id_of_name(name),
                                    .name = name,
                                    .tenant = 1,
                                    .endpoint = *parse_endpoint(where),
                                    .capabilities = capabilities,
                                    .lease_s = 30,
                                    .timestamp_ns = at(second).realtime_ns},
                                   at(second));
  }
  Status unregister(std::string_view name, std::int64_t second) {
    return before_.unregister({.id = id_of_name(name),
                               .tenant = 1,
                               .endpoint = *parse_endpoint("10.0.0.2:7601"),
                               .timestamp_ns = at(second).realtime_ns},
                              at(second));
  }
  // As a restarted process does it; `monotonic_s` is where the clock that starts with the machine
  // is.
  void restart(std::int64_t second, std::int64_t monotonic_s = 0) {
    journal_.flush(before_, at(second));
    if (monotonic_s != 0) monotonic_s_ = monotonic_s - second;
    after_.set_journal(&journal_);
    for (const auto& [key, bytes] : std::map(journal_.records)) {
      const auto stored = decode_agent(key.first, key.second, bytes);
      ASSERT_TRUE(stored) << stored.error().message();
      if (const auto* agent = std::get_if<StoredAgent>(&*stored)) {
        EXPECT_TRUE(after_.restore(*agent, kNoIndex, at(second)));
      } else {
        after_.restore(std::get<StoredDeparted>(*stored), at(second));
      }
    }
    after_.keep_restored_until(at(second).monotonic_ns + restart_grace_s_ * kNsPerSecond);
  }
  bool expired(std::string_view name, std::int64_t second) {
    while (after_.expire(at(second), 1000, nullptr)) {
    }
    return after_.find(id_of_name(name)) == kNoIndex;
  }
  // Seconds until the lease ends, as seen at `second`.
  std::int64_t left_s(std::string_view name, std::int64_t second) {
    const Lease* lease = after_.lease(after_.at(after_.find(id_of_name(name))));
    return lease->renewed_ns / static_cast<std::int64_t>(kNsPerSecond) + lease->granted_s -
           static_cast<std::int64_t>(at(second).monotonic_ns / kNsPerSecond);
  }

  const LeasePolicy policy_{.default_s = 30, .min_s = 5, .max_s = 60, .grace_s = 10};
  std::uint64_t restart_grace_s_ = 0;
  std::int64_t monotonic_s_ = 5000;
  FakeJournal journal_;
  Registry before_{SipKey{1, 2}};
  Registry after_{SipKey{3, 4}};
};

TEST_F(PersistenceTest, AgentsAndLeasesComeBack) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  ASSERT_TRUE(before_.add({.id = id_of_name("a/b/c/2"),
                           .name = "a/b/c/2",
                           .tenant = 2,
                           .endpoint = *parse_endpoint("10.0.0.3:1"),
                           .capabilities = std::vector<std::string>{"draw", "paint"}},
                          at(1)));
  restart(10);
  ASSERT_EQ(after_.size(), 2u);
  const Agent& first = after_.at(after_.find(id_of_name("a/b/c/1")));
  EXPECT_EQ(first.name_view(), "a/b/c/1");
  EXPECT_EQ(first.origin, Origin::kRegistered);
  EXPECT_EQ(after_.capability_names(first), std::vector<std::string>{"translate"});
  EXPECT_EQ(first.added_s, kRealtimeS);
  EXPECT_EQ(left_s("a/b/c/1", 10), 20) << "the lease continues";
  const Agent& second = after_.at(after_.find(id_of_name("a/b/c/2")));
  EXPECT_EQ(second.origin, Origin::kStatic);
  EXPECT_EQ(second.tenant, 2);
  EXPECT_EQ(to_string(second.endpoint), "10.0.0.3:1");
  EXPECT_FALSE(expired("a/b/c/1", 39)) << "30 s and 10 s of grace";
  EXPECT_TRUE(expired("a/b/c/1", 42));
  EXPECT_FALSE(expired("a/b/c/2", 100'000)) << "no lease, no end";
}

TEST_F(PersistenceTest, WhatIsForgottenIsGoneForGood) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  const Id added = id_of_name("a/b/c/2");
  ASSERT_TRUE(before_.add(
      {.id = added, .name = "a/b/c/2", .tenant = 2, .endpoint = *parse_endpoint("10.0.0.3:1")},
      at(0)));
  const Id unknown = id_of_name("a/b/c/3");  // the journal has something of it, the registry not
  journal_.flush(before_, at(1));
  journal_.records[{unknown, 2}] = {1, 2, 3};
  EXPECT_FALSE(before_.forget(added, 1, at(1))) << "it is another tenant's";
  EXPECT_NE(before_.find(added), kNoIndex);
  EXPECT_TRUE(before_.forget(added, 2, at(1)));
  EXPECT_FALSE(before_.forget(unknown, 2, at(1)));
  EXPECT_TRUE(before_.forget(id_of_name("a/b/c/1"), 1, at(1)));
  EXPECT_EQ(before_.size(), 0u);
  journal_.flush(before_, at(1));
  ASSERT_EQ(journal_.records.size(), 1u) << "the time of the last request";
  EXPECT_FALSE(enroll(before_, "a/b/c/1", 0)) << "the request that was recorded";
  while (before_.expire(at(100), 1000, nullptr)) {
  }
  journal_.flush(before_, at(100));
  EXPECT_TRUE(journal_.records.empty());
}

TEST_F(PersistenceTest, WhatIsConfiguredIsNotForgotten) {
  const Id id = id_of_name("a/b/c/1");
  ASSERT_TRUE(before_.put_configured(
      {.id = id, .name = "a/b/c/1", .tenant = 1, .endpoint = *parse_endpoint("10.0.0.3:1")}, 1,
      at(0)));
  EXPECT_FALSE(before_.forget(id, 1, at(1)));
  EXPECT_NE(before_.find(id), kNoIndex);
}

TEST_F(PersistenceTest, ParkedAgentsLeaveTheRegistryAndNotTheJournal) {
  const Id configured = id_of_name("a/b/c/3");
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  ASSERT_TRUE(before_.add({.id = id_of_name("a/b/c/2"),
                           .name = "a/b/c/2",
                           .tenant = 2,
                           .endpoint = *parse_endpoint("10.0.0.3:7601")},
                          at(0)));
  ASSERT_TRUE(before_.put_configured(
      {.id = configured, .tenant = 1, .endpoint = *parse_endpoint("10.0.0.4:1")}, 1, at(0)));
  journal_.flush(before_, at(0));
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 5));
  EXPECT_EQ(before_.park(1, at(6)), 1u);
  EXPECT_EQ(before_.find(id_of_name("a/b/c/1")), kNoIndex);
  EXPECT_NE(before_.find(id_of_name("a/b/c/2")), kNoIndex) << "of another tenant";
  EXPECT_NE(before_.find(configured), kNoIndex) << "the configuration's to take out";
  EXPECT_EQ(journal_.records.size(), 2u);
  restart(15);
  EXPECT_EQ(left_s("a/b/c/1", 15), 20) << "with the latest renewal";
  EXPECT_FALSE(enroll(after_, "a/b/c/1", 5)) << "the request that was recorded";
}

TEST_F(PersistenceTest, ParkedAgentsOutliveTheMemoryOfAnEarlierDeparture) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  ASSERT_TRUE(unregister("a/b/c/1", 2));
  ASSERT_TRUE(before_.add({.id = id_of_name("a/b/c/1"),
                           .name = "a/b/c/1",
                           .tenant = 1,
                           .endpoint = *parse_endpoint("10.0.0.3:7601")},
                          at(3)));
  journal_.flush(before_, at(3));
  EXPECT_EQ(before_.park(1, at(4)), 1u);
  before_.expire(at(100), 1000, nullptr);
  journal_.flush(before_, at(100));
  EXPECT_EQ(journal_.records.size(), 1u);
}

TEST_F(PersistenceTest, ALeaseIsOverWithItsGrace) {
  const StoredAgent leased{
      .id = id_of_name("a/b/c/1"), .granted_s = 30, .renewed_realtime_ns = at(0).realtime_ns};
  EXPECT_FALSE(after_.is_over(leased, at(39)));
  EXPECT_TRUE(after_.is_over(leased, at(40)));
  EXPECT_FALSE(after_.is_over(leased, at(-3600))) << "a clock that went back";
  EXPECT_FALSE(after_.is_over({.id = id_of_name("a/b/c/2")}, at(90'000))) << "it has none";
}

TEST_F(PersistenceTest, OldRequestsStayRefused) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 5));
  restart(6);
  EXPECT_FALSE(enroll(after_, "a/b/c/1", 5)) << "the request that was recorded";
  EXPECT_TRUE(enroll(after_, "a/b/c/1", 7));
}

TEST_F(PersistenceTest, WhoLeftStaysAwayForRecordedRequests) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  ASSERT_TRUE(unregister("a/b/c/1", 2));
  restart(3);
  EXPECT_EQ(after_.size(), 0u);
  EXPECT_FALSE(enroll(after_, "a/b/c/1", 1));
  EXPECT_TRUE(enroll(after_, "a/b/c/1", 4));
}

TEST_F(PersistenceTest, RecordsOfThoseWhoLeftDoNotStay) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  ASSERT_TRUE(unregister("a/b/c/1", 2));
  journal_.flush(before_, at(2));
  EXPECT_EQ(journal_.records.size(), 1u);
  before_.expire(at(63), 1, nullptr);
  journal_.flush(before_, at(63));
  EXPECT_TRUE(journal_.records.empty());
}

TEST_F(PersistenceTest, OutdatedRecordsOfThoseWhoLeftAreCleanedAtStart) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  ASSERT_TRUE(unregister("a/b/c/1", 2));
  journal_.flush(before_, at(2));
  ASSERT_EQ(journal_.records.size(), 1u);
  restart(100);
  journal_.flush(after_, at(100));
  EXPECT_TRUE(journal_.records.empty());
}

TEST_F(PersistenceTest, RenewalsAreWrittenWhenHalfOfTheLeaseHasPassed) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  journal_.flush(before_, at(0));
  EXPECT_EQ(journal_.changes, 1u);
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 10));
  EXPECT_EQ(journal_.changes, 1u);
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 20));
  EXPECT_EQ(journal_.changes, 2u);
  journal_.flush(before_, at(20));
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 30));
  EXPECT_EQ(journal_.changes, 2u);
  restart(34);
  EXPECT_EQ(left_s("a/b/c/1", 34), 16) << "10 s of the last renewal are lost, never more than 15";
}

TEST_F(PersistenceTest, WhatAnAgentChangesIsWrittenAtOnce) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0)->kept);
  journal_.flush(before_, at(0));
  EXPECT_FALSE(enroll(before_, "a/b/c/1", 1)->kept);
  EXPECT_TRUE(enroll(before_, "a/b/c/1", 2, "10.0.0.9:1")->kept);
  EXPECT_TRUE(enroll(before_, "a/b/c/1", 3, "10.0.0.9:1", {"draw"})->kept);
  restart(3);
  const Agent& agent = after_.at(after_.find(id_of_name("a/b/c/1")));
  EXPECT_EQ(to_string(agent.endpoint), "10.0.0.9:1");
  EXPECT_EQ(after_.capability_names(agent), std::vector<std::string>{"draw"});
  EXPECT_EQ(after_.lease(agent)->moves, 1u);
}

TEST_F(PersistenceTest, AClockThatWentBackGivesTheWholeLeaseAtMost) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  journal_.flush(before_, at(0));
  restart(-7200, 5010);
  EXPECT_EQ(left_s("a/b/c/1", -7200), 30);
  EXPECT_TRUE(expired("a/b/c/1", -7200 + 42));
}

TEST_F(PersistenceTest, AClockThatJumpedAheadLeavesTheGrace) {
  restart_grace_s_ = 30;
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  restart(90'000);
  EXPECT_EQ(left_s("a/b/c/1", 90'000), 0);
  const Lease* lease = after_.lease(after_.at(after_.find(id_of_name("a/b/c/1"))));
  EXPECT_EQ(after_.expires_ns(*lease), at(90'030).monotonic_ns);
  EXPECT_FALSE(expired("a/b/c/1", 90'029)) << "until agents had time to renew";
  EXPECT_TRUE(expired("a/b/c/1", 90'031));
}

TEST_F(PersistenceTest, ARenewedAgentHasNoMoreGraceThanOthers) {
  restart_grace_s_ = 3000;
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  restart(10);
  ASSERT_TRUE(enroll(after_, "a/b/c/1", 12));
  EXPECT_TRUE(expired("a/b/c/1", 12 + 42));
}

TEST_F(PersistenceTest, AMachineThatWasOffHasAClockThatStartsAgain) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  restart(15, 3);  // 3 s after the machine started, the lease is of before
  EXPECT_EQ(left_s("a/b/c/1", 15), 15);
  EXPECT_FALSE(expired("a/b/c/1", 39));
  EXPECT_TRUE(expired("a/b/c/1", 42));
}

TEST_F(PersistenceTest, WhatTheConfigurationHasIsNotKept) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  journal_.flush(before_, at(0));
  const AgentSpec spec{.id = id_of_name("a/b/c/1"),
                       .name = "a/b/c/1",
                       .tenant = 1,
                       .endpoint = *parse_endpoint("10.0.0.7:1")};
  ASSERT_TRUE(before_.put_configured(spec, 1, at(1)));
  journal_.flush(before_, at(1));
  EXPECT_TRUE(journal_.records.empty()) << "the configuration took its place";
  ASSERT_TRUE(before_.put_configured(spec, 2, at(2)));
  before_.drop_outdated(3);
  EXPECT_TRUE(journal_.waiting.empty());
}

TEST_F(PersistenceTest, AnAgentOfTheApiThatIsConfiguredLaterLeavesTheJournal) {
  const AgentSpec spec{
      .id = id_of_name("a/b/c/1"), .tenant = 1, .endpoint = *parse_endpoint("10.0.0.7:1")};
  ASSERT_TRUE(before_.add(spec, at(0)));
  journal_.flush(before_, at(0));
  ASSERT_EQ(journal_.records.size(), 1u);
  ASSERT_TRUE(before_.put_configured(spec, 1, at(1)));
  journal_.flush(before_, at(1));
  EXPECT_TRUE(journal_.records.empty());
}

TEST_F(PersistenceTest, WithoutRoomOnTheDiskNobodyNewComesInAndTheOthersGoOn) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  journal_.failing = true;
  const auto refused = enroll(before_, "a/b/c/2", 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(before_.add({.id = id_of_name("a/b/c/3")}, at(1)));
  EXPECT_TRUE(enroll(before_, "a/b/c/1", 10, "10.0.0.9:1")) << "renewed and moved, in memory";
  EXPECT_EQ(before_.size(), 1u);
}

TEST_F(PersistenceTest, ARegistrationThatCouldNotBeKeptIsTakenBack) {
  const auto first = at(0).realtime_ns;
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  before_.withdraw(id_of_name("a/b/c/1"), first - 1);
  EXPECT_EQ(before_.size(), 1u) << "another request was granted since";
  before_.withdraw(id_of_name("a/b/c/1"), first);
  EXPECT_EQ(before_.size(), 0u);
  journal_.flush(before_, at(1));
  EXPECT_TRUE(journal_.records.empty());
}

TEST_F(PersistenceTest, RestoreRespectsTheLimitAndWhoIsThere) {
  ASSERT_TRUE(enroll(before_, "a/b/c/1", 0));
  ASSERT_TRUE(enroll(before_, "a/b/c/2", 0));
  journal_.flush(before_, at(0));
  after_.set_limit(1);
  unsigned restored = 0;
  for (const auto& [key, bytes] : journal_.records) {
    const auto stored = decode_agent(key.first, key.second, bytes);
    const auto ok = after_.restore(std::get<StoredAgent>(*stored), kNoIndex, at(1));
    restored += ok ? 1 : 0;
    EXPECT_TRUE(ok || ok.error().code() == ErrorCode::kExhausted);
    EXPECT_FALSE(after_.restore(std::get<StoredAgent>(*stored), kNoIndex, at(1)));
  }
  EXPECT_EQ(restored, 1u);
}

}  // namespace
}  // namespace sluice::controlplane
