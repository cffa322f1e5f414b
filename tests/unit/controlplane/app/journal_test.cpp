#include "controlplane/app/journal.hpp"

#include <gtest/gtest.h>

#include "controlplane/registry/agent_record.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"
#include "tests/unit/controlplane/app/no_hops.hpp"

namespace sluice::controlplane {
namespace {

// The index, as far as the journal sees it: batches become durable when the test says so.
class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    registry_.set_journal(&journal_);
    forwarding_.set_journal(&journal_);
    journal_.on_state([this](const Status& status) {
      told_.push_back(status ? "works" : status.error().message());
    });
  }

  void run_posted() {
    while (!posted_.empty()) {
      const auto work = std::move(posted_.front());
      posted_.pop_front();
      work();
    }
  }
  // The oldest batch that is under way ends.
  void complete(const Status& status = {}) {
    ASSERT_FALSE(written_.empty());
    const auto [batch, done] = std::move(written_.front());
    written_.pop_front();
    if (status) {
      for (const auto& operation : batch.operations()) {
        const auto key = batch.key(operation);
        const std::string bytes(key.begin(), key.end());
        const auto value = batch.value(operation);
        records_.erase(bytes);
        if (operation.op == store::Op::kPut) records_[bytes] = {value.begin(), value.end()};
      }
    }
    done(status);
    run_posted();
  }
  std::size_t under_way() {
    run_posted();
    return written_.size();
  }
  Result<Registry::Granted> enroll(std::string_view name, const char* where = "10.0.0.2:7601") {
    now_.monotonic_ns += kNsPerMs;
    now_.realtime_ns += kNsPerMs;
    return registry_.register_agent({.id = id_of_name(name),
                                     .name = name,
                                     .tenant = 1,
                                     .endpoint = *parse_endpoint(where),
                                     .timestamp_ns = now_.realtime_ns},
                                    now_);
  }
  bool has(std::string_view name) const {
    const Id id = id_of_name(name);
    return records_.contains(std::string(id.bytes.begin(), id.bytes.end()));
  }
  void wait(std::string what) {
    journal_.when_durable([this, what](const Status& status) {
      answers_.push_back(what + (status ? " ok" : " refused"));
    });
  }
  static Status full() {
    return fail(ErrorCode::kExhausted, "no space left on device", ErrorOrigin::kStore);
  }

  Time now_{5000 * kNsPerSecond, 1'700'000'000 * kNsPerSecond};
  Registry registry_{SipKey{1, 2}};
  Programmer programmer_;
  NoHops hops_;
  Forwarding forwarding_{registry_, programmer_, hops_};
  std::deque<std::function<void()>> posted_;
  std::deque<std::pair<store::WriteBatch, std::function<void(Status)>>> written_;
  std::map<std::string, std::vector<std::uint8_t>> records_;
  std::vector<std::string> answers_;
  std::vector<std::string> told_;
  Journal journal_{registry_, forwarding_,
                   [this](store::WriteBatch batch, std::function<void(Status)> done) {
                     written_.emplace_back(std::move(batch), std::move(done));
                   },
                   [this](std::function<void()> work) { posted_.push_back(std::move(work)); },
                   [this] { return now_; }};
};

TEST_F(JournalTest, AnswersWaitForTheDisk) {
  ASSERT_TRUE(enroll("a/b/c/1"));
  wait("first");
  EXPECT_EQ(under_way(), 1u);
  EXPECT_TRUE(answers_.empty());
  complete();
  EXPECT_EQ(answers_, std::vector<std::string>{"first ok"});
  EXPECT_TRUE(has("a/b/c/1"));
  wait("nothing new");
  EXPECT_EQ(answers_.back(), "nothing new ok");
}

TEST_F(JournalTest, WhatComesTogetherIsWrittenTogether) {
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(enroll("a/b/c/" + std::to_string(i)));
  EXPECT_EQ(under_way(), 1u);
  EXPECT_EQ(written_.front().first.size(), 100u);
  complete();
  EXPECT_EQ(records_.size(), 100u);
  EXPECT_EQ(journal_.info().written, 100u);
}

TEST_F(JournalTest, WhileTheDiskIsBusyChangesGather) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(enroll("a/b/c/" + std::to_string(i)));
    run_posted();
  }
  EXPECT_EQ(under_way(), 4u);
  wait("all");
  for (int i = 0; i < 4; ++i)
    complete();
  EXPECT_TRUE(answers_.empty());
  EXPECT_EQ(under_way(), 1u);
  EXPECT_EQ(written_.front().first.size(), 46u);
  complete();
  EXPECT_EQ(answers_, std::vector<std::string>{"all ok"});
  EXPECT_EQ(records_.size(), 50u);
}

// The first of two batches fails, the second does not: what is owed again is not durable yet,
// though nothing has changed since.
TEST_F(JournalTest, WhatFailedIsNotDurableBecauseALaterBatchIs) {
  ASSERT_TRUE(enroll("a/b/c/1"));
  ASSERT_EQ(under_way(), 1u);
  ASSERT_TRUE(enroll("a/b/c/2"));
  ASSERT_EQ(under_way(), 2u);
  const auto second = std::move(written_.back());
  written_.pop_back();
  const auto first = std::move(written_.front());
  written_.clear();
  first.second(full());
  second.second({});
  while (!posted_.empty() && written_.empty()) {
    const auto work = std::move(posted_.front());
    posted_.pop_front();
    work();
  }
  wait("owed");
  EXPECT_TRUE(answers_.empty());
  ASSERT_EQ(under_way(), 1u);
  complete();
  EXPECT_EQ(answers_, std::vector<std::string>{"owed ok"});
  EXPECT_TRUE(has("a/b/c/1"));
}

TEST_F(JournalTest, AFullDiskRefusesTheNewAndGoesOnWithTheOld) {
  ASSERT_TRUE(enroll("a/b/c/1"));
  under_way();
  complete();
  ASSERT_TRUE(enroll("a/b/c/2"));
  wait("second");
  ASSERT_TRUE(under_way());
  complete(full());
  EXPECT_EQ(answers_, std::vector<std::string>{"second refused"});
  EXPECT_EQ(told_, std::vector<std::string>{"no space left on device"});
  EXPECT_NE(journal_.info().failing_since_ns, 0u);
  EXPECT_EQ(journal_.info().waiting, 1u);
  EXPECT_FALSE(enroll("a/b/c/3"));
  EXPECT_FALSE(forwarding_.add_peer("p", *parse_endpoint("10.0.0.9:1"), false));
  EXPECT_TRUE(enroll("a/b/c/1", "10.0.0.3:1"));
  EXPECT_EQ(under_way(), 0u) << "nothing is tried before the second is over";
  wait("known");
  EXPECT_EQ(answers_.back(), "known refused") << "who asks decides what that means";
}

TEST_F(JournalTest, RecoversByItselfAndOwesNothing) {
  ASSERT_TRUE(enroll("a/b/c/1"));
  ASSERT_TRUE(enroll("a/b/c/2"));
  ASSERT_TRUE(under_way());
  complete(full());
  registry_.withdraw(id_of_name("a/b/c/2"), now_.realtime_ns);
  for (int round = 0; round < 3; ++round) {
    journal_.tick();
    EXPECT_EQ(under_way(), 0u);
    now_.monotonic_ns += kNsPerSecond;
    journal_.tick();
    ASSERT_EQ(under_way(), 1u);
    if (round < 2) complete(full());
  }
  EXPECT_EQ(told_.size(), 1u) << "once";
  complete();
  EXPECT_EQ(told_, (std::vector<std::string>{"no space left on device", "works"}));
  EXPECT_TRUE(has("a/b/c/1"));
  EXPECT_FALSE(has("a/b/c/2"));
  EXPECT_EQ(journal_.info().waiting, 0u);
  EXPECT_EQ(journal_.info().failures, 3u);
  EXPECT_TRUE(enroll("a/b/c/3"));
}

TEST_F(JournalTest, AnIndexThatTakesNoWritesIsAFailureFromTheStart) {
  Status health = full();
  journal_.watch([&] { return health; });
  EXPECT_EQ(told_, std::vector<std::string>{"no space left on device"});
  EXPECT_EQ(journal_.info().error, "no space left on device");
  const auto refused = enroll("a/b/c/1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  // Nothing is owed, and still nothing may be promised.
  now_.monotonic_ns += 2 * kNsPerSecond;
  journal_.tick();
  EXPECT_FALSE(enroll("a/b/c/1"));
  EXPECT_EQ(told_.size(), 1u) << "said once";
  health = {};
  EXPECT_FALSE(enroll("a/b/c/1")) << "asked once a second";
  now_.monotonic_ns += 2 * kNsPerSecond;
  journal_.tick();
  EXPECT_EQ(told_.back(), "works");
  EXPECT_TRUE(enroll("a/b/c/1"));
  EXPECT_EQ(under_way(), 1u);
  complete();
  EXPECT_TRUE(has("a/b/c/1"));
}

TEST_F(JournalTest, AChangeWhileABatchIsUnderWayIsWrittenAgain) {
  ASSERT_TRUE(enroll("a/b/c/1"));
  ASSERT_EQ(under_way(), 1u);
  ASSERT_TRUE(enroll("a/b/c/1", "10.0.0.3:1"));
  wait("moved");
  ASSERT_EQ(under_way(), 2u);
  complete();
  EXPECT_TRUE(answers_.empty());
  complete();
  EXPECT_EQ(answers_, std::vector<std::string>{"moved ok"});
  const auto& bytes = records_.begin()->second;
  const auto stored = decode_agent(id_of_name("a/b/c/1"), 1, bytes);
  ASSERT_TRUE(stored);
  EXPECT_EQ(to_string(std::get<StoredAgent>(*stored).endpoint), "10.0.0.3:1");
}

TEST_F(JournalTest, PeersOfCommandsAreKeptAndConfiguredOnesAreNot) {
  ASSERT_TRUE(forwarding_.add_peer("p", *parse_endpoint("10.0.0.9:7"), false));
  ASSERT_TRUE(forwarding_.add_peer("q", *parse_endpoint("10.0.0.8:7"), true));
  ASSERT_EQ(under_way(), 1u);
  complete();
  ASSERT_EQ(records_.size(), 1u);
  const auto address = decode_peer("p", records_.begin()->second);
  ASSERT_TRUE(address);
  EXPECT_EQ(to_string(*address), "10.0.0.9:7");
  ASSERT_TRUE(forwarding_.remove_peer("p"));
  ASSERT_TRUE(forwarding_.remove_peer("q"));
  ASSERT_EQ(under_way(), 1u);
  complete();
  EXPECT_TRUE(records_.empty());
  EXPECT_FALSE(decode_peer("p", std::vector<std::uint8_t>(19)));
  EXPECT_FALSE(decode_peer("p", std::vector<std::uint8_t>{1, 0}));
}

class ParkedTest : public JournalTest {
 protected:
  ParkedTest() {
    EXPECT_TRUE(enroll("a/b/c/1"));
    EXPECT_EQ(under_way(), 1u);
    complete();
    now_.realtime_ns += kNsPerSecond;
    EXPECT_TRUE(enroll("a/b/c/1"));  // not written
  }
  // What failed is written, a while later.
  void try_again() {
    now_.monotonic_ns += 2 * kNsPerSecond;
    journal_.tick();
    ASSERT_EQ(under_way(), 1u);
    complete();
  }
  std::uint64_t renewed() const {
    const auto stored = decode_agent(id_of_name("a/b/c/1"), 1, records_.begin()->second);
    return std::get<StoredAgent>(*stored).renewed_realtime_ns;
  }
};

TEST_F(ParkedTest, IsWrittenAsItWas) {
  const auto latest = now_.realtime_ns;
  EXPECT_EQ(registry_.park(1, now_), 1u);
  EXPECT_EQ(registry_.size(), 0u);
  EXPECT_EQ(journal_.parked_of(1).size(), 1u);
  ASSERT_EQ(under_way(), 1u);
  complete();
  ASSERT_TRUE(has("a/b/c/1"));
  EXPECT_EQ(renewed(), latest);
  EXPECT_TRUE(journal_.parked_of(1).empty());
}

// The change before is still under way and fails, the parked record does not: what is owed then is
// the parked record again, and not that there is no agent.
TEST_F(ParkedTest, SurvivesAFailureOfWhatWasBefore) {
  ASSERT_TRUE(enroll("a/b/c/1", "10.0.0.3:1"));
  ASSERT_EQ(under_way(), 1u);
  registry_.park(1, now_);
  ASSERT_EQ(under_way(), 2u);
  const auto second = std::move(written_.back());
  written_.pop_back();
  const auto first = std::move(written_.front());
  written_.clear();
  first.second(full());
  second.second({});
  run_posted();
  try_again();
  EXPECT_TRUE(has("a/b/c/1"));
}

TEST_F(ParkedTest, SurvivesItsOwnFailure) {
  registry_.park(1, now_);
  ASSERT_EQ(under_way(), 1u);
  complete(full());
  EXPECT_EQ(journal_.parked_of(1).size(), 1u);
  try_again();
  EXPECT_TRUE(has("a/b/c/1"));
}

TEST_F(ParkedTest, GoesWhenItIsForgotten) {
  registry_.park(1, now_);
  EXPECT_FALSE(registry_.forget(id_of_name("a/b/c/1"), 1, now_));
  ASSERT_EQ(under_way(), 1u);
  complete();
  EXPECT_FALSE(has("a/b/c/1"));
}

TEST_F(JournalTest, KnowsWhatIsNewerThanTheIndex) {
  const auto newer = [&](std::string_view name, std::uint16_t tenant = 1) {
    return journal_.is_newer(id_of_name(name), tenant);
  };
  ASSERT_TRUE(enroll("a/b/c/1"));
  ASSERT_EQ(under_way(), 1u);
  complete();
  ASSERT_TRUE(enroll("a/b/c/2"));
  ASSERT_EQ(under_way(), 1u);
  ASSERT_TRUE(enroll("a/b/c/3"));
  EXPECT_FALSE(newer("a/b/c/3")) << "nobody reads";
  journal_.begin_reading({1});
  EXPECT_FALSE(newer("a/b/c/1"));
  EXPECT_TRUE(newer("a/b/c/2")) << "under way";
  EXPECT_TRUE(newer("a/b/c/3")) << "waits";
  complete();
  EXPECT_TRUE(newer("a/b/c/2")) << "what is read is of before";
  ASSERT_TRUE(registry_.remove(id_of_name("a/b/c/1")));
  EXPECT_TRUE(newer("a/b/c/1"));
  EXPECT_FALSE(newer("a/b/c/1", 2));
  journal_.end_reading();
  EXPECT_FALSE(newer("a/b/c/1"));
}

TEST_F(JournalTest, TenantsAreKeptTheLatestLast) {
  const StoredTenant two{"two", false};
  const StoredTenant away{"two", true};
  journal_.tenant_changed(2, &two);
  ASSERT_EQ(under_way(), 1u);
  journal_.tenant_changed(2, &away);
  ASSERT_EQ(under_way(), 2u);
  const auto second = std::move(written_.back());
  written_.pop_back();
  const auto first = std::move(written_.front());
  written_.clear();
  first.second(full());
  second.second({});
  run_posted();
  ASSERT_EQ(under_way(), 1u) << "the first is owed";
  complete();
  ASSERT_EQ(records_.size(), 1u);
  const auto& [key, record] = *records_.begin();
  const auto stored =
      decode_tenant({reinterpret_cast<const std::uint8_t*>(key.data()), key.size()}, record);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->first, 2);
  EXPECT_EQ(stored->second, away) << "not what it was when that failed";
  journal_.tenant_changed(2, nullptr);
  ASSERT_EQ(under_way(), 1u);
  complete();
  EXPECT_TRUE(records_.empty());
}

TEST_F(JournalTest, ARecordThatIsNoTenantIsRefused) {
  const std::vector<std::uint8_t> key{0, 2};
  EXPECT_TRUE(decode_tenant(key, std::vector<std::uint8_t>{1, 0}));
  EXPECT_FALSE(decode_tenant(key, std::vector<std::uint8_t>{1}));
  EXPECT_FALSE(decode_tenant(key, std::vector<std::uint8_t>{2, 0}));
  EXPECT_FALSE(decode_tenant(key, std::vector<std::uint8_t>{1, 2}));
  EXPECT_FALSE(decode_tenant(std::vector<std::uint8_t>{2}, std::vector<std::uint8_t>{1, 0}));
}

TEST_F(JournalTest, AnOrderlyStopWritesTheLatestRenewals) {
  ASSERT_TRUE(enroll("a/b/c/1"));
  under_way();
  complete();
  now_.monotonic_ns += 2 * kNsPerSecond;
  now_.realtime_ns += 2 * kNsPerSecond;
  ASSERT_TRUE(enroll("a/b/c/1"));
  EXPECT_EQ(under_way(), 0u) << "not half of the lease";
  journal_.finish();
  ASSERT_EQ(written_.size(), 1u);
  complete();
  const auto stored = decode_agent(id_of_name("a/b/c/1"), 1, records_.begin()->second);
  EXPECT_EQ(std::get<StoredAgent>(*stored).renewed_realtime_ns, now_.realtime_ns);
}

}  // namespace
}  // namespace sluice::controlplane
