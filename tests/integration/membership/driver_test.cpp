// Drivers on one event loop: they find one another, notice a failure, take leave, refuse strangers.
// Every wait is on a condition with a limit.
#include "controlplane/membership/driver.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <chrono>

namespace sluice::membership {
namespace {

using namespace std::chrono_literals;

Profile fast_profile() {
  Profile profile = local_profile();
  profile.probe_interval_ns = 100 * kNsPerMs;
  profile.probe_timeout_ns = 40 * kNsPerMs;
  profile.gossip_interval_ns = 20 * kNsPerMs;
  profile.push_pull_interval_ns = 500 * kNsPerMs;
  return profile;
}

struct TestMember {
  std::unique_ptr<Driver> driver;
  std::vector<MemberEvent> events;
  std::vector<std::string> log;

  std::size_t alive() const { return driver->view().members.count(MemberState::kAlive); }
  bool saw(EventKind kind, std::string_view name) const {
    return std::any_of(events.begin(), events.end(), [&](const MemberEvent& event) {
      return event.kind == kind && event.name == name;
    });
  }
};

class DriverTest : public testing::Test {
 protected:
  DriverOptions options(const std::string& name, const std::string& bind = "127.0.0.1") {
    DriverOptions options;
    options.name = name;
    options.bind = {parse_ip(bind).value(), 0};
    options.profile = fast_profile();
    options.tags = {{std::string(kSluiceTag), "1"}};
    options.seed = ++seed_;
    return options;
  }
  TestMember& add(DriverOptions options) {
    auto& member = *members_.emplace_back(std::make_unique<TestMember>());
    auto created = Driver::create(
        io_, std::move(options), [&](const MemberEvent& event) { member.events.push_back(event); },
        [&](const std::string& line, bool) { member.log.push_back(line); });
    EXPECT_TRUE(created) << created.error().message();
    member.driver = std::move(*created);
    member.driver->start();
    return member;
  }
  DriverOptions joining(DriverOptions options, const TestMember& to) {
    const auto local = to.driver->local();
    options.join = {{to_string(local.address), local.port}};
    return options;
  }
  template <class Condition>
  bool within(std::chrono::milliseconds limit, Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.run_for(5ms);
    }
    return true;
  }
  bool all_see(std::size_t count) {
    return std::all_of(members_.begin(), members_.end(), [&](const auto& member) {
      return !member->driver || member->alive() == count;
    });
  }

  asio::io_context io_;
  std::vector<std::unique_ptr<TestMember>> members_;
  std::uint64_t seed_ = 0;
};

TEST_F(DriverTest, JoinFailAndLeave) {
  auto& a = add(options("a"));
  auto& b = add(joining(options("b"), a));
  auto& c = add(joining(options("c"), a));
  auto& d = add(joining(options("d"), b));
  ASSERT_TRUE(within(10s, [&] { return all_see(4); }));
  EXPECT_TRUE(a.saw(EventKind::kJoined, "d"));
  EXPECT_TRUE(d.saw(EventKind::kJoined, "c"));

  d.driver.reset();  // without a word
  ASSERT_TRUE(within(15s, [&] { return a.saw(EventKind::kFailed, "d"); }));
  ASSERT_TRUE(within(10s, [&] { return all_see(3); }));

  bool left = false;
  c.driver->leave([&] { left = true; });
  ASSERT_TRUE(within(10s, [&] { return left; }));
  c.driver.reset();
  ASSERT_TRUE(
      within(10s, [&] { return a.saw(EventKind::kLeft, "c") && b.saw(EventKind::kLeft, "c"); }));
  EXPECT_FALSE(a.saw(EventKind::kFailed, "c"));
  EXPECT_EQ(a.driver->stats().malformed.total(), 0U);
  EXPECT_GT(a.driver->stats().streams.bytes_in, 0U);
}

TEST_F(DriverTest, JoinRetriesUntilSomebodyIsThere) {
  auto& seed = add(options("seed"));
  auto late = joining(options("late"), seed);
  const auto port = seed.driver->local().port;
  seed.driver.reset();
  auto& waiting = add(std::move(late));
  ASSERT_TRUE(within(5s, [&] { return waiting.saw(EventKind::kJoinFailed, ""); }));
  auto back = options("seed");
  back.bind.port = port;
  add(std::move(back));
  ASSERT_TRUE(within(20s, [&] { return all_see(2); }));
}

TEST_F(DriverTest, NamesAreResolved) {
  auto& a = add(options("a"));
  auto by_name = options("b");
  by_name.join = {{"localhost", a.driver->local().port}};
  add(std::move(by_name));
  ASSERT_TRUE(within(15s, [&] { return all_see(2); }));
  auto nowhere = options("c");
  nowhere.join = {{"no-such-host.invalid", 7946}};
  auto& c = add(std::move(nowhere));
  ASSERT_TRUE(within(15s, [&] { return !c.log.empty(); }));
  EXPECT_NE(c.log[0].find("no-such-host.invalid"), std::string::npos);
}

TEST_F(DriverTest, Ipv6) {
  auto& a = add(options("a", "::1"));
  add(joining(options("b", "::1"), a));
  ASSERT_TRUE(within(10s, [&] { return all_see(2); }));
}

// One socket of IPv6 for both.
TEST_F(DriverTest, AllAddresses) {
  auto any = options("a", "::");
  any.advertise = {parse_ip("127.0.0.1").value(), 0};
  auto& a = add(std::move(any));
  auto four = options("b");
  four.join = {{"127.0.0.1", a.driver->local().port}};
  add(std::move(four));
  ASSERT_TRUE(within(10s, [&] { return all_see(2); }));
}

TEST_F(DriverTest, EncryptionAndLabelKeepStrangersOut) {
  const auto key = Key::random();
  const auto with_key = [&](DriverOptions options, const Key& its, const std::string& label) {
    options.wire.keyring = Keyring::create(its).value();
    options.wire.label = label;
    return options;
  };
  auto& a = add(with_key(options("a"), key, "mesh"));
  auto& b = add(with_key(joining(options("b"), a), key, "mesh"));
  auto& wrong_key = add(with_key(joining(options("c"), a), Key::random(), "mesh"));
  auto& wrong_label = add(with_key(joining(options("d"), a), key, "mess"));
  auto& plain = add(joining(options("e"), a));
  ASSERT_TRUE(within(10s, [&] { return a.alive() == 2 && b.alive() == 2; }));
  ASSERT_TRUE(within(10s, [&] {
    const auto malformed = a.driver->stats().malformed;
    return malformed[Malformed::kDecrypt] > 0 && malformed[Malformed::kLabel] > 1;
  }));
  for (const auto* stranger : {&wrong_key, &wrong_label, &plain})
    EXPECT_EQ(stranger->alive(), 1U);
  EXPECT_EQ(a.alive(), 2U);
}

// A key is changed under way: added everywhere, used, and the old one removed, one member after the
// other; nobody is lost.
TEST_F(DriverTest, KeyRotation) {
  const auto old_key = Key::random();
  const auto new_key = Key::random();
  for (const auto* name : {"a", "b", "c"}) {
    auto its = members_.empty() ? options(name) : joining(options(name), *members_[0]);
    its.wire.keyring = Keyring::create(old_key).value();
    add(std::move(its));
  }
  ASSERT_TRUE(within(10s, [&] { return all_see(3); }));
  const auto each = [&](auto&& step) {
    for (auto& member : members_) {
      ASSERT_TRUE(step(*member->driver->keyring()));
      io_.run_for(150ms);
    }
  };
  each([&](Keyring& ring) { return ring.add(new_key); });
  each([&](Keyring& ring) { return ring.use(new_key); });
  each([&](Keyring& ring) { return ring.remove(old_key); });
  io_.run_for(500ms);
  EXPECT_TRUE(all_see(3));
  for (const auto& member : members_) {
    EXPECT_EQ(member->driver->view().stats.suspicions, 0U);
    EXPECT_EQ(member->driver->stats().malformed.total(), 0U);
  }
}

TEST_F(DriverTest, TagsAreSeenByOthers) {
  auto& a = add(options("a"));
  auto& b = add(joining(options("b"), a));
  ASSERT_TRUE(within(10s, [&] { return all_see(2); }));
  ASSERT_TRUE(b.driver->set_tags({{std::string(kSluiceTag), "1"}, {"zone", "z1"}}));
  ASSERT_TRUE(within(10s, [&] { return a.saw(EventKind::kUpdated, "b"); }));
  const auto updated = std::find_if(a.events.begin(), a.events.end(), [](const auto& event) {
    return event.kind == EventKind::kUpdated;
  });
  EXPECT_EQ(find_tag(decode_tags(updated->meta), "zone"), "z1");
  EXPECT_FALSE(b.driver->set_tags({{"long", std::string(600, 'x')}}));
}

TEST_F(DriverTest, UserMessages) {
  auto& a = add(options("a"));
  auto& b = add(joining(options("b"), a));
  ASSERT_TRUE(within(10s, [&] { return all_see(2); }));
  const Bytes hint{0x52, 1, 2, 3};
  ASSERT_TRUE(a.driver->send_user(7, hint, true));
  ASSERT_TRUE(within(5s, [&] { return b.saw(EventKind::kUser, ""); }));
}

TEST_F(DriverTest, WhatCannotBeIsRefused) {
  auto& a = add(options("a"));
  auto taken = options("b");
  taken.bind.port = a.driver->local().port;
  const auto ignore = [](const MemberEvent&) {};
  const auto quiet = [](const std::string&, bool) {};
  auto refused = Driver::create(io_, std::move(taken), ignore, quiet);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("cannot listen on TCP 127.0.0.1"), std::string::npos);
  auto many = options("c");
  many.tags = {{"t", std::string(600, 'x')}};
  EXPECT_FALSE(Driver::create(io_, std::move(many), ignore, quiet));
  EXPECT_FALSE(Driver::create(io_, options(""), ignore, quiet));
}

}  // namespace
}  // namespace sluice::membership
