// The failure detector: what is sent when, and what the answers do.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <set>

#include "core_fixture.hpp"

namespace sluice::membership::test {
namespace {

struct Probe : testing::Test {
  // Runs until the first ping to anybody, and returns whom and its number.
  Ping first_ping(CoreHarness& h) {
    for (int i = 0; i < 100; ++i) {
      h.run_for(50 * kNsPerMs);
      const auto pings = h.sent<Ping>();
      if (!pings.empty()) {
        node = std::string(pings[0].node);
        Ping ping = pings[0];
        ping.node = node;
        return ping;
      }
    }
    ADD_FAILURE() << "no ping";
    return {};
  }
  std::string node;
};

TEST_F(Probe, AsksOthersAndTcpThenSuspects) {
  CoreHarness h;
  h.alive("a", 2);
  const Ping ping = first_ping(h);
  EXPECT_EQ(ping.node, "a");
  EXPECT_EQ(ping.source, at(1));
  EXPECT_EQ(ping.source_node, "self");
  for (std::uint8_t i = 3; i < 9; ++i)
    h.alive(fmt::format("n{}", i), i);
  h.run_for(500 * kNsPerMs);
  const auto asks = h.sent<IndirectPing>();
  ASSERT_EQ(asks.size(), 3u);
  for (const auto& ask : asks) {
    EXPECT_EQ(ask.sequence, ping.sequence);
    EXPECT_EQ(ask.node, "a");
    EXPECT_EQ(ask.target, at(2));
    EXPECT_TRUE(ask.nack);
  }
  ASSERT_EQ(h.out.streams.size(), 1u);
  EXPECT_EQ(h.out.streams[0].kind, StreamKind::kPing);
  EXPECT_EQ(h.out.streams[0].to, at(2));
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  h.run_for(500 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
  // Nobody sent a nack: it is rather us.
  EXPECT_EQ(h.core->view().health, 3);
}

TEST_F(Probe, AnAnswerFromAnywhereWillDo) {
  CoreHarness h;
  h.alive("a", 2);
  const Ping ping = first_ping(h);
  h.run_for(600 * kNsPerMs);
  h.hear({Ack{ping.sequence, {}}}, at(5));
  h.run_for(300 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  EXPECT_EQ(h.stats().rtt_count, 0u) << "a relayed answer measures nothing";
  EXPECT_GT(h.member("a")->acked_ns, 0u);
}

TEST_F(Probe, TcpAloneCountsAndIsTold) {
  CoreHarness h;
  h.alive("a", 2);
  const Ping ping = first_ping(h);
  h.run_for(500 * kNsPerMs);
  ASSERT_EQ(h.out.streams.size(), 1u);
  h.core->on_stream_reply(h.now, h.out.streams[0].id, Ack{ping.sequence, {}});
  h.run_for(500 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  EXPECT_EQ(h.stats().probes_by_tcp, 1u);
}

TEST_F(Probe, ATcpAnswerToAnotherPingDoesNotCount) {
  CoreHarness h;
  h.alive("a", 2);
  const Ping ping = first_ping(h);
  h.run_for(500 * kNsPerMs);
  ASSERT_EQ(h.out.streams.size(), 1u);
  h.core->on_stream_reply(h.now, h.out.streams[0].id, Ack{ping.sequence + 1, {}});
  h.run_for(500 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
}

TEST_F(Probe, NacksTellThatItIsNotUs) {
  CoreHarness h;
  h.alive("a", 2);
  const Ping ping = first_ping(h);
  for (std::uint8_t i = 3; i < 9; ++i)
    h.alive(fmt::format("n{}", i), i);
  h.run_for(500 * kNsPerMs);
  h.hear({Nack{ping.sequence}, Nack{ping.sequence}, Nack{ping.sequence}, Nack{ping.sequence}});
  h.run_for(500 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
  EXPECT_EQ(h.core->view().health, 0);
}

TEST_F(Probe, BadHealthStretchesTheInterval) {
  CoreHarness h;
  h.alive("a", 2);
  for (std::uint32_t i = 1; i <= 4; ++i)
    h.hear({Suspect{i, "self", "a"}});
  ASSERT_EQ(h.core->view().health, 4);
  first_ping(h);
  h.run_for(4800 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  EXPECT_EQ(h.sent<Ping>().size(), 1u) << "one probe at a time";
  h.run_for(300 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
}

// Lifeguard's buddy part: a suspect hears of it from whoever probes it.
TEST_F(Probe, SuspectIsToldInThePing) {
  CoreHarness h;
  h.alive("a", 2);
  h.hear({Suspect{1, "a", "b"}});
  h.out.clear();
  h.run_for(kSecond);
  bool together = false;
  for (const auto& packet : h.out.packets) {
    PacketDecoder decoder;
    const auto messages = decoder.decode(packet.payload);
    together |= messages.size() == 2 && std::holds_alternative<Ping>(messages[0]) &&
                std::holds_alternative<Suspect>(messages[1]);
  }
  EXPECT_TRUE(together);
}

TEST_F(Probe, PlainSwimDoesNotTell) {
  CoreHarness h("self", 1, [](CoreConfig& c) { c.lifeguard = {false, false, false}; });
  h.alive("a", 2);
  h.hear({Suspect{1, "a", "b"}});
  h.run_for(kSecond);
  for (const auto& packet : h.out.packets) {
    PacketDecoder decoder;
    const auto messages = decoder.decode(packet.payload);
    if (messages.empty() || !std::holds_alternative<Ping>(messages[0])) continue;
    // Piggyback may hold the suspicion, as news; never alone beside the ping for the buddy's sake.
    EXPECT_TRUE(messages.size() != 2 || !std::holds_alternative<Suspect>(messages[1]) ||
                std::get<Suspect>(messages[1]).from == "b");
  }
}

TEST_F(Probe, AnswersPingsMeantForUs) {
  CoreHarness h;
  h.hear({Ping{.sequence = 7, .node = "self"}}, at(40));
  ASSERT_EQ(h.sent_to<Ack>(at(40)).size(), 1u);
  EXPECT_EQ(h.sent_to<Ack>(at(40))[0].sequence, 7u);
  EXPECT_TRUE(h.sent_to<Ack>(at(40))[0].payload.empty());
  h.hear({Ping{.sequence = 8, .node = "", .source = at(41)}}, at(40));
  EXPECT_EQ(h.sent_to<Ack>(at(41)).size(), 1u) << "to where the ping says";
  h.hear({Ping{.sequence = 9, .node = "other"}}, at(42));
  EXPECT_TRUE(h.sent_to<Ack>(at(42)).empty());
  EXPECT_EQ(h.stats().refusals(Refused::kNotOurs), 1u);
}

TEST_F(Probe, TheAnswerToAnAccusationComesWithTheAck) {
  CoreHarness h;
  h.alive("a", 2);
  h.out.clear();
  h.hear({Ping{.sequence = 7, .node = "self"}, Suspect{1, "self", "a"}}, at(2));
  ASSERT_EQ(h.out.packets.size(), 1u);
  const auto alive = h.sent_to<Alive>(at(2));
  ASSERT_FALSE(alive.empty());
  EXPECT_EQ(alive[0].node, "self");
  EXPECT_EQ(alive[0].incarnation, 2u);
}

// The asker may have missed what we said to an older accusation: it asks because it did.
TEST_F(Probe, AnOldAccusationIsAnsweredToTheAsker) {
  CoreHarness h;
  h.hear({Suspect{1, "self", "a"}});
  h.run_for(60 * kSecond);
  for (int i = 0; i < 20; ++i)
    h.hear({Ping{.sequence = 1, .node = "self"}}, at(3));  // until the queue is empty
  h.out.clear();
  h.hear({Suspect{1, "self", "b"}, Ping{.sequence = 7, .node = "self"}}, at(2));
  const auto alive = h.sent_to<Alive>(at(2));
  ASSERT_EQ(alive.size(), 1u);
  EXPECT_EQ(alive[0].incarnation, 2u);
}

TEST_F(Probe, ADeadOneThatPingsIsToldSo) {
  CoreHarness h;
  h.alive("a", 2, 3);
  h.hear({Dead{3, "a", "b"}});
  h.out.clear();
  h.hear({Ping{.sequence = 7, .node = "self", .source = at(2), .source_node = "a"}}, at(2));
  h.run_for(10 * kNsPerMs);
  bool told = false;
  for (const auto& suspect : h.sent_to<Suspect>(at(2)))
    told |= suspect.node == "a" && suspect.incarnation == 3;
  EXPECT_TRUE(told);
}

TEST_F(Probe, AStrangerThatPingsIsMetNowAndThen) {
  CoreHarness h;
  for (std::uint32_t i = 0; i < 50; ++i) {
    h.hear({Ping{.sequence = i, .node = "self", .source = at(2), .source_node = "stranger"}},
           at(2));
    h.run_for(100 * kNsPerMs);
  }
  EXPECT_EQ(h.out.streams.size(), 1u);
  EXPECT_EQ(h.out.streams[0].kind, StreamKind::kPushPull);
  EXPECT_EQ(h.out.streams[0].to, at(2));
}

// Nobody makes us send to all hosts of a network at once.
TEST_F(Probe, NothingGoesToGroupsBecauseSomebodySaysSo) {
  CoreHarness h;
  const Endpoint bad[] = {{*parse_ip("224.0.0.1"), 7946},
                          {*parse_ip("255.255.255.255"), 7946},
                          {*parse_ip("0.0.0.0"), 7946},
                          {*parse_ip("ff02::1"), 7946}};
  for (const Endpoint& group : bad) {
    h.hear({Ping{.sequence = 1, .node = "self", .source = group, .source_node = "x"}}, at(2));
    h.hear({IndirectPing{.sequence = 2, .node = "t", .target = group, .source = at(6)}}, at(6));
    h.hear(
        {IndirectPing{.sequence = 3, .node = "t", .target = at(5), .nack = true, .source = group}},
        at(6));
  }
  h.run_for(2 * kSecond);
  for (const auto& packet : h.out.packets)
    EXPECT_TRUE(packet.to == at(2) || packet.to == at(5) || packet.to == at(6))
        << to_string(packet.to);
  EXPECT_TRUE(h.out.streams.empty());
  EXPECT_EQ(h.sent_to<Ack>(at(2)).size(), std::size(bad)) << "answered where they came from";
  EXPECT_EQ(h.stats().refusals(Refused::kAddress), std::size(bad));
}

TEST_F(Probe, RelaysAndSendsANackInTime) {
  CoreHarness h;
  h.hear(
      {IndirectPing{.sequence = 70, .node = "t", .target = at(5), .nack = true, .source = at(6)}},
      at(6));
  ASSERT_EQ(h.sent_to<Ping>(at(5)).size(), 1u);
  const auto own = h.sent_to<Ping>(at(5))[0].sequence;
  h.hear({Ack{own, {}}}, at(5));
  ASSERT_EQ(h.sent_to<Ack>(at(6)).size(), 1u);
  EXPECT_EQ(h.sent_to<Ack>(at(6))[0].sequence, 70u);
  h.run_for(kSecond);
  EXPECT_TRUE(h.sent<Nack>().empty());

  h.hear({IndirectPing{.sequence = 71, .node = "t", .target = at(5), .nack = true, .source = at(6)},
          IndirectPing{.sequence = 72, .node = "t", .target = at(5), .nack = false}},
         at(6));
  h.run_for(kSecond);
  ASSERT_EQ(h.sent<Nack>().size(), 1u);
  EXPECT_EQ(h.sent<Nack>()[0].sequence, 71u);
}

TEST_F(Probe, RelaysAreBounded) {
  CoreHarness h;
  for (std::uint32_t i = 0; i < 300; ++i)
    h.hear({IndirectPing{.sequence = i, .node = "t", .target = at(5), .nack = true}}, at(6));
  EXPECT_EQ(h.sent_to<Ping>(at(5)).size(), Limits{}.relays);
  EXPECT_EQ(h.stats().refusals(Refused::kRelays), 300 - Limits{}.relays);
}

TEST_F(Probe, GoesRoundEverybody) {
  CoreHarness h;
  for (std::uint8_t i = 10; i < 30; ++i)
    h.alive(fmt::format("n{}", i), i);
  std::set<std::string> probed;
  for (int i = 0; i < 22; ++i) {
    h.out.clear();
    h.run_for(kSecond);
    for (const auto& ping : h.sent<Ping>()) {
      probed.insert(std::string(ping.node));
      h.hear({Ack{ping.sequence, {}}});
    }
  }
  EXPECT_EQ(probed.size(), 20u);
}

// A stopped process that comes back must not declare dead whom it could not hear.
TEST_F(Probe, AfterAPauseNobodyIsJudgedAtOnce) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  first_ping(h);
  h.hear({Suspect{1, "a", "b"}});
  h.now += 60 * kSecond;
  h.core->on_timer(h.now);
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
  EXPECT_EQ(h.stats().stalls, 1u);
  EXPECT_GT(h.core->view().health, 0);
  h.alive("a", 2, 2);
  h.run_for(1500 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
}

TEST_F(Probe, AfterAPauseTheStillSilentDie) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  h.hear({Suspect{1, "a", "b"}});
  h.now += 60 * kSecond;
  h.core->on_timer(h.now);
  h.run_for(kQuietIntervals * kSecond + 100 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kDead);
}

}  // namespace
}  // namespace sluice::membership::test
