// The whole member on its own thread, as the control plane uses it.
#include "controlplane/membership/membership.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <asio/ip/udp.hpp>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "controlplane/membership/key_file.hpp"

namespace sluice::membership {
namespace {

using namespace std::chrono_literals;

class MembershipTest : public testing::Test {
 protected:
  MembershipTest() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-member-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
  }
  ~MembershipTest() override {
    members_.clear();
    std::filesystem::remove_all(folder_);
  }

  // Encrypted, with files of its own; joins the first one.
  Membership& add(const std::string& name) {
    return add_joining(name, members_.empty() ? 0 : members_[0]->status().bind.port);
  }
  // Joins who listens there; 0: nobody.
  Membership& add_joining(const std::string& name, std::uint16_t join, std::uint16_t port = 0) {
    MembershipOptions options;
    if (encrypted_) options.keys_file = folder_ + "/" + name + ".keys";
    options.state_file = folder_ + "/" + name + ".state";
    if (encrypted_ && !std::filesystem::exists(options.keys_file)) {
      EXPECT_TRUE(create_keys(options.keys_file, {key_}));
    }
    options.on_log = [this](const std::string&, bool) { ++lines_; };
    auto& driver = options.driver;
    driver.name = name;
    driver.bind = {parse_ip("127.0.0.1").value(), port};
    driver.profile = local_profile();
    driver.profile.probe_interval_ns = 200 * kNsPerMs;
    driver.profile.probe_timeout_ns = 80 * kNsPerMs;
    driver.profile.gossip_interval_ns = 20 * kNsPerMs;
    driver.profile.push_pull_interval_ns = 500 * kNsPerMs;
    driver.tags = {{std::string(kSluiceTag), "1"}};
    if (encrypted_) {
      driver.wire.keyring = keyring_of(load_keys(options.keys_file).value()).value();
    }
    driver.saved = load_state(options.state_file).value();
    driver.seed = ++seed_;
    if (join != 0) driver.join = {{"127.0.0.1", join}};
    auto created = Membership::create(std::move(options));
    EXPECT_TRUE(created) << created.error().message();
    members_.push_back(std::move(*created));
    members_.back()->start();
    return *members_.back();
  }
  template <class Condition>
  static bool within(std::chrono::seconds limit, Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(5ms);
    }
    return true;
  }
  static std::size_t alive(Membership& member) { return member.status().members[0]; }

  std::string folder_;
  bool encrypted_ = true;
  std::atomic<std::size_t> lines_ = 0;
  Key key_ = Key::random();
  std::vector<std::unique_ptr<Membership>> members_;
  std::uint64_t seed_ = 0;
};

TEST_F(MembershipTest, KeysChangeInStepsThatAreSafe) {
  auto& a = add("a");
  auto& b = add("b");
  auto& c = add("c");
  ASSERT_TRUE(within(10s, [&] { return alive(a) == 3 && alive(b) == 3 && alive(c) == 3; }));
  const auto fresh = Key::random();
  // Not before it is everywhere.
  EXPECT_FALSE(a.key_step(KeyStep::kUse, fresh, false));
  ASSERT_TRUE(a.key_step(KeyStep::kAdd, fresh, false));
  const auto routers_with = [&](Membership& at, const Key& key, bool primary) {
    for (const auto& known : at.keys().keys)
      if (known.fingerprint == key.fingerprint()) return primary ? known.primary : known.routers;
    return std::size_t{0};
  };
  ASSERT_TRUE(within(10s, [&] { return routers_with(b, fresh, false) == 3; }));
  EXPECT_FALSE(b.key_step(KeyStep::kRemove, key_, false));
  ASSERT_TRUE(b.key_step(KeyStep::kUse, fresh, false));
  ASSERT_TRUE(within(10s, [&] { return routers_with(c, fresh, true) == 3; }));
  ASSERT_TRUE(c.key_step(KeyStep::kRemove, key_, false));
  ASSERT_TRUE(within(10s, [&] { return routers_with(a, key_, false) == 0; }));
  for (const auto* name : {"a", "b", "c"})
    EXPECT_EQ(load_keys(folder_ + "/" + name + ".keys").value(), std::vector<Key>{fresh}) << name;
  EXPECT_EQ(alive(a), 3U);
  EXPECT_EQ(a.find_key(fresh.fingerprint().substr(0, 4), KeyStep::kUse).value(), fresh);
  EXPECT_EQ(a.find_key("", KeyStep::kUse).error().code(), ErrorCode::kNotFound);
}

// Half a cluster behind a broken link must not find the door locked when it comes back.
TEST_F(MembershipTest, KeysWaitForThoseWhoAreAway) {
  auto& a = add("a");
  auto& b = add("b");
  add("c");
  ASSERT_TRUE(within(10s, [&] { return alive(a) == 3 && alive(b) == 3; }));
  members_.pop_back();  // without a word
  const auto dead = [](Membership& at) {
    const auto status = at.status();
    return status.members[2] + status.lost_peers == 1;
  };
  ASSERT_TRUE(within(20s, [&] { return dead(a) && dead(b); }));
  const auto fresh = Key::random();
  ASSERT_TRUE(a.key_step(KeyStep::kAdd, fresh, false));
  const auto both_have = [&] {
    for (const auto& known : a.keys().keys)
      if (known.fingerprint == fresh.fingerprint()) return known.routers == 2;
    return false;
  };
  ASSERT_TRUE(within(10s, both_have));
  EXPECT_EQ(a.keys().away, 1U);
  const auto refused = a.key_step(KeyStep::kUse, fresh, false);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("force-leave"), std::string::npos);
  ASSERT_TRUE(a.force_leave("c"));
  EXPECT_EQ(a.keys().away, 0U);
  // Once b has heard of it.
  EXPECT_TRUE(within(10s, [&] { return a.key_step(KeyStep::kUse, fresh, false).has_value(); }));
}

// Gossip passes a router by, or finds it unable: it is told again until it has done it.
TEST_F(MembershipTest, KeyOrdersAreRepeatedUntilAllFollow) {
  auto& a = add("a");
  auto& b = add("b");
  ASSERT_TRUE(within(10s, [&] { return alive(a) == 2 && alive(b) == 2; }));
  std::filesystem::create_directory(folder_ + "/b.keys.new");  // b cannot save keys
  const auto fresh = Key::random();
  ASSERT_TRUE(a.key_step(KeyStep::kAdd, fresh, false));
  const auto with_fresh = [&]() -> std::size_t {
    for (const auto& known : a.keys().keys)
      if (known.fingerprint == fresh.fingerprint()) return known.routers;
    return 0;
  };
  std::this_thread::sleep_for(1s);
  EXPECT_EQ(with_fresh(), 1U);
  std::filesystem::remove(folder_ + "/b.keys.new");
  EXPECT_TRUE(within(10s, [&] { return with_fresh() == 2; }));
  // Who comes after the order was given gets it, too.
  auto& c = add("c");
  ASSERT_TRUE(within(10s, [&] { return alive(c) == 3; }));
  EXPECT_TRUE(within(10s, [&] { return with_fresh() == 3; }));
  ASSERT_TRUE(a.key_step(KeyStep::kRemove, fresh, false));
  EXPECT_TRUE(within(10s, [&] { return with_fresh() == 0; }));
  EXPECT_FALSE(a.find_key(fresh.fingerprint(), KeyStep::kAdd)) << "it is gone";
  const auto again = a.find_key(fresh.fingerprint(), KeyStep::kRemove);
  ASSERT_TRUE(again) << "the order can be repeated";
  EXPECT_TRUE(a.key_step(KeyStep::kRemove, *again, false));
}

// Given at the same moment on two routers; each is allowed by what its router sees.
TEST_F(MembershipTest, ContradictoryOrdersEndWithTheSameKeysForAll) {
  auto& a = add("a");
  auto& b = add("b");
  auto& c = add("c");
  ASSERT_TRUE(within(10s, [&] { return alive(a) == 3 && alive(b) == 3 && alive(c) == 3; }));
  const auto fresh = Key::random();
  ASSERT_TRUE(a.key_step(KeyStep::kAdd, fresh, false));
  const auto tags = [&](Membership& at) {
    std::set<std::string> seen;
    for (const auto& member : at.members())
      seen.insert(std::string(find_tag(member.tags, kKeysTag)));
    return seen;
  };
  const auto agree = [&] {
    return tags(a).size() == 1 && tags(a) == tags(b) && tags(b) == tags(c) && alive(a) == 3 &&
           alive(b) == 3 && alive(c) == 3;
  };
  const auto files_agree = [&] {
    const auto keys = load_keys(folder_ + "/a.keys").value();
    return keys == load_keys(folder_ + "/b.keys").value() &&
           keys == load_keys(folder_ + "/c.keys").value();
  };
  ASSERT_TRUE(within(10s, [&] { return agree() && tags(a).begin()->size() > 12; }));
  for (int round = 0; round < 5; ++round) {
    // Neither key is used by anybody who does not have the other.
    std::thread one([&] { (void)a.key_step(KeyStep::kRemove, fresh, false); });
    std::thread two([&] { (void)b.key_step(KeyStep::kUse, fresh, false); });
    one.join();
    two.join();
    ASSERT_TRUE(within(20s, [&] { return agree() && files_agree(); })) << "round " << round;
    ASSERT_TRUE(c.key_step(KeyStep::kAdd, key_, false));
    ASSERT_TRUE(c.key_step(KeyStep::kAdd, fresh, false));
    ASSERT_TRUE(within(10s, [&] { return agree() && tags(a).begin()->size() > 12; }));
    ASSERT_TRUE(c.key_step(KeyStep::kUse, key_, false));
    ASSERT_TRUE(
        within(10s, [&] { return agree() && tags(a).begin()->starts_with(key_.fingerprint()); }));
  }
}

// Who joined lately does not know whom the others miss.
TEST_F(MembershipTest, ANewcomerAsksTheOthersWhoIsAway) {
  auto& a = add("a");
  add("gone");
  ASSERT_TRUE(within(10s, [&] { return alive(a) == 2; }));
  members_.pop_back();  // without a word
  ASSERT_TRUE(within(20s, [&] { return alive(a) == 1; }));
  auto& late = add("late");
  ASSERT_TRUE(within(10s, [&] { return alive(late) == 2; }));
  EXPECT_EQ(late.keys().away, 0U);
  const auto fresh = Key::random();
  ASSERT_TRUE(late.key_step(KeyStep::kAdd, fresh, false));
  ASSERT_TRUE(within(10s, [&] {
    return std::ranges::all_of(late.keys().keys, [](const auto& key) { return key.routers == 2; });
  }));
  const auto refused = late.key_step(KeyStep::kUse, fresh, false);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("1 members have failed"), std::string::npos)
      << refused.error().message();
  EXPECT_TRUE(late.key_step(KeyStep::kUse, fresh, true));
}

TEST_F(MembershipTest, WhoHasFoundNobodyDoesNotChangeKeysForAll) {
  auto& a = add("a");
  auto& b = add("b");
  ASSERT_TRUE(within(10s, [&] { return alive(b) == 2; }));
  members_.erase(members_.begin());  // a, whom b was to join
  members_.pop_back();
  std::filesystem::remove(folder_ + "/b.state");
  static_cast<void>(a);
  auto& alone = add_joining("b", 1);  // nobody is there
  EXPECT_TRUE(alone.key_step(KeyStep::kAdd, Key::random(), false));
  const auto refused = alone.key_step(KeyStep::kRemove, Key::random(), false);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("cluster.join"), std::string::npos);
}

// Somebody sends again what was recorded before.
TEST_F(MembershipTest, AKeyThatWasRemovedStaysRemovedOverARestart) {
  auto* a = &add("a");
  auto& b = add("b");
  ASSERT_TRUE(within(10s, [&] { return alive(*a) == 2 && alive(b) == 2; }));
  const auto leaked = Key::random();
  ASSERT_TRUE(b.key_step(KeyStep::kAdd, leaked, false));
  ASSERT_TRUE(within(10s, [&] {
    return b.keys().keys.size() == 2 && b.keys().keys[0].routers == 2 &&
           b.keys().keys[1].routers == 2;
  }));
  ASSERT_TRUE(a->key_step(KeyStep::kRemove, leaked, false));
  ASSERT_TRUE(within(10s, [&] { return b.keys().keys.size() == 1; }));
  const auto dates = load_key_dates(folder_ + "/b.keys");
  ASSERT_FALSE(dates.empty());
  EXPECT_TRUE(std::ranges::any_of(dates, [&](const KeyDate& date) {
    return date.step == KeyStep::kRemove && date.fingerprint == leaked.fingerprint();
  }));
}

// Others would rely on a key that is gone after the next restart.
TEST_F(MembershipTest, KeysThatCannotBeSavedAreNotTaken) {
  auto& a = add("a");
  std::filesystem::create_directory(folder_ + "/a.keys.new");
  EXPECT_FALSE(a.key_step(KeyStep::kAdd, Key::random(), false));
  ASSERT_EQ(a.keys().keys.size(), 1U);
  EXPECT_EQ(a.keys().keys[0].fingerprint, key_.fingerprint());
  const auto members = a.members();
  EXPECT_EQ(find_tag(members[0].tags, kKeysTag), key_.fingerprint()) << "nor told to others";
  std::filesystem::remove(folder_ + "/a.keys.new");
  EXPECT_TRUE(a.key_step(KeyStep::kAdd, Key::random(), false));
}

TEST_F(MembershipTest, AJoinThatFailsSaysWhy) {
  auto& a = add("a");
  const auto reason_at = [&](Membership& at) {
    std::string reason;
    EXPECT_TRUE(within(10s, [&] {
      for (const auto& event : at.events_after(0, 50'000'000))
        if (event.event.kind == EventKind::kJoinFailed) reason = event.event.reason;
      return !reason.empty();
    }));
    return reason;
  };
  EXPECT_NE(reason_at(add_joining("nobody", 1)).find("refused"), std::string::npos);
  const auto port = a.status().bind.port;
  key_ = Key::random();
  EXPECT_NE(reason_at(add_joining("stranger", port)).find("same keys"), std::string::npos);
}

TEST_F(MembershipTest, EventsAreNumberedAndAwaited) {
  auto& a = add("a");
  const auto before = a.last_event();
  EXPECT_TRUE(a.events_after(before, 1'000'000).empty());
  add("b");
  std::vector<ClusterEvent> events;
  ASSERT_TRUE(within(10s, [&] {
    events = a.events_after(before, 50'000'000);
    return !events.empty();
  }));
  EXPECT_EQ(events[0].sequence, before + 1);
  EXPECT_EQ(events[0].event.kind, EventKind::kJoined);
  EXPECT_EQ(events[0].event.name, "b");
}

TEST_F(MembershipTest, ARestartGoesOnWhereItEnded) {
  auto& a = add("a");
  add("b");
  ASSERT_TRUE(within(10s, [&] { return alive(a) == 2; }));
  EXPECT_EQ(a.force_leave("b").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(a.force_leave("nobody").error().code(), ErrorCode::kNotFound);
  const auto port = members_[1]->status().bind.port;
  members_[1]->leave();
  members_.pop_back();
  ASSERT_TRUE(within(10s, [&] { return a.status().members[3] == 1; }));
  EXPECT_GE(load_state(folder_ + "/b.state").value().incarnation, 1U);
  auto& again = add_joining("b", members_[0]->status().bind.port, port);
  ASSERT_TRUE(within(10s, [&] { return alive(a) == 2 && alive(again) == 2; }));
  const auto members = a.members();
  ASSERT_EQ(members.size(), 2U);
  EXPECT_TRUE(members[0].self);
  EXPECT_GE(members[1].incarnation, 2U);
  EXPECT_TRUE(members[1].router);
}

// Who can reach the port must not be able to fill the disk.
TEST_F(MembershipTest, AFloodOfBadMessagesWritesFewLines) {
  encrypted_ = false;
  auto& a = add("a");
  asio::io_context io;
  asio::ip::udp::socket flood(io, {asio::ip::address_v4::loopback(), 0});
  const asio::ip::udp::endpoint to(asio::ip::address_v4::loopback(), a.status().bind.port);
  const auto send = [&](const PacketMessage& message) {
    const auto packet = encoded(message);
    flood.send_to(asio::buffer(packet), to);
  };
  constexpr std::size_t kFlood = 5000;
  for (std::size_t i = 0; i < kFlood; ++i) {
    // Another of its own name, one that is accused, and rubbish.
    send(Alive{
        static_cast<std::uint32_t>(i), "a", {parse_ip("10.9.9.9").value(), 7946}, {}, kOwnVsn});
    send(Suspect{static_cast<std::uint32_t>(i + 1), "a", "nobody"});
    flood.send_to(asio::buffer("\xffrubbish", 8), to);
    if (i % 50 == 0) std::this_thread::sleep_for(1ms);
  }
  ASSERT_TRUE(
      within(10s, [&] { return a.status().core.refusals(Refused::kConflict) > kFlood / 2; }));
  EXPECT_LT(lines_, 200U);
}

TEST_F(MembershipTest, LeavingTwiceIsNoTrouble) {
  auto& a = add("a");
  a.leave();
  const auto start = std::chrono::steady_clock::now();
  a.leave();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

}  // namespace
}  // namespace sluice::membership
