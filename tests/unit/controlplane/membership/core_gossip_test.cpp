// What goes into packets and lists: shares of a packet, targets, push/pull, seeds, versions.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "controlplane/membership/stream.hpp"
#include "core_fixture.hpp"

namespace sluice::membership::test {
namespace {

// Improvement over the reference, where membership fills the packet and user data starves.
TEST(CoreGossip, UserMessagesHaveTheirShareUnderChurn) {
  CoreHarness h;
  h.alive("a", 2);
  for (std::uint64_t i = 0; i < 30; ++i)
    ASSERT_TRUE(h.core->send_user(i, bytes("Rhhhhhhhhhhhhhhhhhhhhhhh"), true));
  for (int i = 0; i < 500; ++i)
    h.hear({Alive{1, fmt::format("churn-{}", i), at(99), {}, kOwnVsn}});
  h.out.clear();
  h.run_for(200 * kNsPerMs);
  ASSERT_FALSE(h.out.packets.empty());
  for (const auto& packet : h.out.packets) {
    PacketDecoder decoder;
    std::size_t user = 0;
    std::size_t alive = 0;
    for (const auto& message : decoder.decode(packet.payload)) {
      user += std::holds_alternative<User>(message);
      alive += std::holds_alternative<Alive>(message);
    }
    if (user + alive < 5) continue;  // a ping or an ack
    EXPECT_GE(user, 12u) << "30 percent of 1400 bytes, 27 each";
    EXPECT_GE(alive, 9u);
    EXPECT_LE(packet.payload.size(), kUdpBufferBytes);
  }
}

TEST(CoreGossip, MembershipHasItsShareUnderAFloodOfUserMessages) {
  CoreHarness h;
  for (int i = 0; i < 100; ++i)
    h.hear({Alive{1, fmt::format("m-{}", i), at(99), {}, kOwnVsn}});
  for (std::uint64_t i = 0; i < 1000; ++i)
    h.core->send_user(i, bytes("Rhhhhhhhhhhhhhhhhhhhhhhh"), true);
  h.out.clear();
  h.run_for(200 * kNsPerMs);
  std::size_t alive = 0;
  for (const auto& packet : h.out.packets) {
    PacketDecoder decoder;
    for (const auto& message : decoder.decode(packet.payload))
      alive += std::holds_alternative<Alive>(message);
  }
  EXPECT_GE(alive, 3u * 9u);
}

TEST(CoreGossip, HintsGoToRoutersOnly) {
  CoreHarness h("self", 1, [](CoreConfig& c) {
    c.takes_hints = [](ByteView meta) { return InternPool::text(meta) == "router"; };
  });
  h.alive("serf", 2, 1, "agent");
  h.alive("own", 3, 1, "router");
  h.core->send_user(1, bytes("Rhint"), true);
  h.run_for(5 * kSecond);
  EXPECT_TRUE(h.sent_to<User>(at(2)).empty());
  EXPECT_FALSE(h.sent_to<User>(at(3)).empty());
}

TEST(CoreGossip, UserMessagesAreBounded) {
  CoreHarness h;
  EXPECT_FALSE(h.core->send_user(1, {}, true));
  EXPECT_FALSE(h.core->send_user(1, Bytes(Limits{}.user_bytes + 1), true));
  for (std::uint64_t i = 0; i < 5000; ++i)
    h.core->send_user(i, bytes("x"), true);
  EXPECT_EQ(h.core->view().queued_user, Limits{}.user_messages);
}

TEST(CoreGossip, SerfsIntentsArePassedOnOnce) {
  CoreHarness h;
  h.alive("a", 2);
  const std::string intent("\x01 join intent", 13);
  for (int i = 0; i < 3; ++i)
    h.hear({User{bytes(intent)}});
  EXPECT_EQ(h.core->view().queued_user, 1u);
  EXPECT_EQ(h.out.count(EventKind::kUser), 3u);
  h.hear({User{bytes("Rhint")}});
  EXPECT_EQ(h.core->view().queued_user, 1u) << "hints are the upper layer's to pass on";
}

TEST(CoreGossip, TheRecentlyDeadAreToldTheLeftAreNot) {
  CoreHarness h;
  h.alive("dead", 2);
  h.alive("left", 3);
  h.hear({Dead{1, "dead", "x"}, Dead{1, "left", "left"}});
  h.run_for(3 * kSecond);
  ASSERT_EQ(h.state("left"), MemberState::kLeft);
  h.out.clear();
  h.alive("news", 4);
  h.run_for(3 * kSecond);
  EXPECT_FALSE(h.sent_to<Alive>(at(2)).empty());
  EXPECT_TRUE(h.sent_to<Alive>(at(3)).empty());
}

TEST(CoreGossip, IdleGossipSendsNothing) {
  CoreHarness h;
  h.alive("a", 2);
  h.run_for(20 * kSecond);
  h.out.clear();
  h.alive("a", 2, 9);
  h.run_for(2 * kSecond);
  h.out.clear();
  h.now += 1;
  for (int i = 0; i < 10; ++i) {
    h.run_for(kSecond / 10);
    for (const auto& ping : h.sent<Ping>())
      h.hear({Ack{ping.sequence, {}}});
  }
  EXPECT_LE(h.out.packets.size(), 2u);
}

TEST(CoreGossip, ChecksumOnlyForPeersThatTakeIt) {
  CoreHarness h;
  h.alive("new", 2);
  h.hear({Alive{1, "old", at(3), {}, Vsn{1, 4, 2, 2, 5, 5}}});
  h.run_for(3 * kSecond);
  for (const auto& packet : h.out.packets) {
    EXPECT_EQ(packet.crc, packet.to == at(2));
  }
}

std::vector<PushPullNode> list_of(const Bytes& wire, StreamDecoder& decoder) {
  EXPECT_EQ(decoder.feed(wire), StreamDecoder::State::kMessage);
  const auto* state = std::get_if<PushPull>(&decoder.message());
  EXPECT_NE(state, nullptr);
  if (state == nullptr) return {};
  return {state->nodes.begin(), state->nodes.end()};
}

TEST(CoreExchange, AnswersWithItsListAndMerges) {
  CoreHarness h;
  h.alive("a", 2, 3);
  h.hear({Dead{3, "a", "x"}});
  const std::vector<PushPullNode> nodes{
      {.name = "b", .address = at(3), .incarnation = 2, .vsn = kOwnVsn}};
  const Bytes answer =
      h.core->on_stream(h.now, at(3), PushPull{.join = true, .nodes = nodes, .user_state = {}});
  WireSettings settings;
  StreamDecoder decoder(settings, StreamRole::kDialer);
  const auto list = list_of(answer, decoder);
  ASSERT_EQ(list.size(), 2u);
  for (const auto& node : list) {
    EXPECT_EQ(node.state, node.name == "a" ? WireState::kDead : WireState::kAlive);
  }
  EXPECT_TRUE(std::get<PushPull>(decoder.message()).join);
  EXPECT_EQ(h.state("b"), MemberState::kAlive);
}

TEST(CoreExchange, AClaimedDeathIsOnlyASuspicion) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  const std::vector<PushPullNode> nodes{
      {.name = "a", .address = at(2), .incarnation = 1, .state = WireState::kDead, .vsn = kOwnVsn},
      {.name = "self",
       .address = at(1),
       .incarnation = 1,
       .state = WireState::kDead,
       .vsn = kOwnVsn},
      {.name = "b", .address = at(3), .incarnation = 1, .state = WireState::kLeft, .vsn = kOwnVsn}};
  h.core->on_stream(h.now, at(3), PushPull{.join = false, .nodes = nodes, .user_state = {}});
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
  EXPECT_EQ(h.state("b"), MemberState::kSuspect) << "a leave is checked, wherever it comes from";
  EXPECT_EQ(h.member("self")->incarnation, 2u);
}

TEST(CoreExchange, JoinOfTheIncompatibleIsRefused) {
  CoreHarness h;
  const std::vector<PushPullNode> nodes{
      {.name = "d0", .address = at(3), .incarnation = 1, .vsn = Vsn{1, 5, 2, 0, 0, 0}}};
  const Bytes answer =
      h.core->on_stream(h.now, at(3), PushPull{.join = true, .nodes = nodes, .user_state = {}});
  ASSERT_FALSE(answer.empty());
  EXPECT_EQ(answer[0], static_cast<std::uint8_t>(MessageType::kErr));
  EXPECT_EQ(h.member("d0"), nullptr);
}

TEST(CoreExchange, TcpPingIsAnswered) {
  CoreHarness h;
  const Bytes answer = h.core->on_stream(h.now, at(3), Ping{.sequence = 5, .node = "self"});
  EXPECT_EQ(answer, encoded(Ack{.sequence = 5, .payload = {}}));
  EXPECT_TRUE(h.core->on_stream(h.now, at(3), Ping{.sequence = 5, .node = "other"}).empty());
}

// A joiner that spread all it was told would flood the cluster with what the cluster knows.
TEST(CoreExchange, AJoinerDoesNotSpreadWhatItLearns) {
  CoreHarness h;
  h.core->set_seeds(h.now, {at(3)});
  ASSERT_EQ(h.out.streams.size(), 1u);
  std::vector<PushPullNode> nodes;
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i)
    names.push_back(fmt::format("n{}", i));
  for (const auto& name : names)
    nodes.push_back({.name = name, .address = at(3), .incarnation = 1, .vsn = kOwnVsn});
  h.core->on_stream_reply(h.now, h.out.streams[0].id,
                          PushPull{.join = true, .nodes = nodes, .user_state = {}});
  EXPECT_EQ(h.core->view().members.size(), 101u);
  EXPECT_EQ(h.core->view().queued, 1u);
  EXPECT_EQ(h.out.count(EventKind::kJoinDone), 1u);
}

// Who joined in the same moment may be missing in the list it got.
TEST(CoreExchange, AJoinerLooksTwice) {
  CoreHarness h;
  h.core->set_seeds(h.now, {at(3)});
  const std::vector<PushPullNode> nodes{
      {.name = "seed", .address = at(3), .incarnation = 1, .vsn = kOwnVsn}};
  h.core->on_stream_reply(h.now, h.out.streams[0].id,
                          PushPull{.join = true, .nodes = nodes, .user_state = {}});
  h.out.clear();
  for (int i = 0; i < 60; ++i) {
    h.run_for(100 * kNsPerMs);
    for (const auto& ping : h.sent<Ping>())
      h.hear({Ack{ping.sequence, {}}});
  }
  EXPECT_GE(std::ranges::count(h.out.streams, StreamKind::kPushPull, &StreamRequest::kind), 1);
}

// Members of the same cluster, one of them with what the others have not heard of.
class Digests : public testing::Test {
 protected:
  Digests() {
    for (auto* h : {&a, &b}) {
      h->alive("a", 1);
      h->alive("b", 2);
      h->alive("c", 3, 1, "meta");
      h->out.clear();
    }
  }
  // Long enough for lists to be settled and compared.
  void run(std::uint64_t seconds) {
    for (std::uint64_t s = 0; s < seconds; ++s) {
      for (auto* h : {&a, &b}) {
        h->run_for(kSecond);
        // Everybody answers, so that nobody is suspected.
        for (const auto& ping : h->sent<Ping>())
          h->hear({Ack{ping.sequence, {}}});
        for (const auto& packet : std::exchange(h->out.packets, {})) {
          PacketDecoder decoder;
          for (const auto& message : decoder.decode(packet.payload)) {
            const auto* user = std::get_if<User>(&message);
            if (user == nullptr) continue;
            ++digests;
            bytes += packet.payload.size();
            if (packet.to == at(1)) a.hear({message}, at(2));
            if (packet.to == at(2)) b.hear({message}, at(1));
          }
        }
      }
    }
  }
  std::size_t exchanges() {
    return static_cast<std::size_t>(
        std::ranges::count(a.out.streams, StreamKind::kPushPull, &StreamRequest::kind) +
        std::ranges::count(b.out.streams, StreamKind::kPushPull, &StreamRequest::kind));
  }

  CoreHarness a{"a", 1};
  CoreHarness b{"b", 2};
  std::size_t digests = 0;
  std::size_t bytes = 0;
};

TEST_F(Digests, EqualListsAreNotExchanged) {
  run(600);
  EXPECT_GT(digests, 15u);
  EXPECT_LT(bytes / digests, 40u);
  EXPECT_EQ(exchanges(), 0u);
  EXPECT_EQ(a.stats().digests_differed + b.stats().digests_differed, 0u);
}

TEST_F(Digests, DifferentOnesAre) {
  b.alive("c", 3, 2, "other meta");
  run(100);
  EXPECT_GE(exchanges(), 1u);
  EXPECT_LE(exchanges(), 2u * (100 / 30 + 1)) << "no oftener than the reference does";
  for (const auto& stream : a.out.streams)
    EXPECT_EQ(stream.to, at(2));
}

TEST_F(Digests, AMissingMemberIsNoticed) {
  b.alive("d", 4);
  run(100);
  EXPECT_GE(exchanges(), 1u);
}

// While something always changes the lists are compared nevertheless.
TEST_F(Digests, RestlessListsAreComparedAtTheReferencesPace) {
  b.alive("d", 4);
  for (std::uint32_t i = 2; i < 240; ++i) {
    a.alive("c", 3, i);
    b.alive("c", 3, i);
    run(5);
  }
  EXPECT_GE(exchanges(), 1u);
}

// Whoever says it is a member has us compare, at most so often, and exchange with that member only.
TEST_F(Digests, ForgedOnesCostLittle) {
  run(20);
  a.out.clear();
  for (int i = 0; i < 5000; ++i) {
    Bytes forged{kDigestMessage, 1};
    forged.resize(18, static_cast<std::uint8_t>(i));
    forged.push_back('c');
    a.hear({User{forged}}, at(77));
  }
  ASSERT_EQ(a.out.streams.size(), 1u);
  EXPECT_EQ(a.out.streams[0].to, at(3));
  for (const auto* bad : {"", "x", "T\1", "T\1aaaaaaaabbbbbbbb", "T\1aaaaaaaabbbbbbbbnobody",
                          "T\2aaaaaaaabbbbbbbbc", "T\1aaaaaaaabbbbbbbba"})
    a.hear({User{test::bytes(bad)}}, at(77));
  EXPECT_EQ(a.out.streams.size(), 1u);
  EXPECT_EQ(a.out.count(EventKind::kUser), 1u) << "only what is none is the application's";
}

// Stock members do not know digests, and are spared by bytes: we exchange whole lists with them the
// more rarely the longer those are.
TEST(CoreExchange, StockMembersGetWholeListsAtABoundedRate) {
  for (const int size : {5, 300}) {
    CoreHarness h("self", 1, [](CoreConfig& c) { c.takes_hints = [](ByteView) { return false; }; });
    for (int i = 0; i < size; ++i)
      h.alive(fmt::format("n{}", i), 2);
    h.out.clear();
    std::size_t exchanged = 0;
    std::size_t count = 0;
    constexpr std::uint64_t kHours = 4;
    for (std::uint64_t s = 0; s < kHours * 3600; ++s) {
      h.run_for(kSecond);
      for (const auto& ping : h.sent<Ping>())
        h.hear({Ack{ping.sequence, {}}});
      EXPECT_TRUE(h.sent<User>().empty());
      h.out.packets.clear();
      for (const auto& stream : std::exchange(h.out.streams, {})) {
        if (stream.kind != StreamKind::kPushPull) continue;
        exchanged += 2 * stream.message.size();
        ++count;
        h.core->on_stream_failed(h.now, stream.id);
      }
    }
    EXPECT_GE(count, 4u) << size;
    EXPECT_LE(exchanged / (kHours * 3600), 2 * kExchangeBytesPerSecond) << size;
  }
}

TEST(CoreExchange, SeedsAreTriedForEver) {
  CoreHarness h;
  h.core->set_seeds(h.now, {at(1), at(3)});
  std::size_t tries = 0;
  for (int minute = 0; minute < 60; ++minute) {
    h.run_for(60 * kSecond);
    for (const auto& stream : h.out.streams) {
      EXPECT_EQ(stream.to, at(3)) << "not ourselves";
      h.core->on_stream_failed(h.now, stream.id);
      ++tries;
    }
    EXPECT_GE(h.out.streams.size(), 1u) << minute;
    h.out.clear();
  }
  EXPECT_LT(tries, 300u);
}

TEST(CoreExchange, StreamsAreBounded) {
  CoreHarness h;
  std::vector<Endpoint> seeds;
  for (std::uint8_t i = 2; i < 200; ++i)
    seeds.push_back(at(i));
  h.core->set_seeds(h.now, seeds);
  h.run_for(100 * kSecond);
  EXPECT_EQ(h.out.streams.size(), Limits{}.streams);
}

}  // namespace
}  // namespace sluice::membership::test
