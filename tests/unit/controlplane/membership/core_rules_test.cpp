// What messages about members do to the list: incarnations, states, refutation, conflicts, caps.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "controlplane/membership/stream.hpp"
#include "core_fixture.hpp"

namespace sluice::membership::test {
namespace {

TEST(CoreRules, TellsAboutItselfFromTheStart) {
  CoreHarness h;
  h.alive("a", 2);
  h.run_for(kSecond);
  const auto alive = h.sent<Alive>();
  ASSERT_FALSE(alive.empty());
  EXPECT_EQ(alive[0].node, "self");
  EXPECT_EQ(alive[0].incarnation, 1u);
  EXPECT_EQ(alive[0].address, at(1));
  EXPECT_EQ(alive[0].vsn, kOwnVsn);
}

TEST(CoreRules, OnlyAHigherIncarnationRevivesOrUpdates) {
  CoreHarness h;
  h.alive("a", 2, 5, "x");
  EXPECT_EQ(h.out.count(EventKind::kJoined), 1u);
  h.alive("a", 2, 5, "y");
  EXPECT_EQ(h.out.count(EventKind::kUpdated), 0u);
  h.alive("a", 2, 6, "y");
  ASSERT_EQ(h.out.count(EventKind::kUpdated), 1u);
  EXPECT_EQ(h.out.events.back().meta, "y");
  h.hear({Dead{6, "a", "b"}});
  EXPECT_EQ(h.state("a"), MemberState::kDead);
  EXPECT_EQ(h.out.count(EventKind::kFailed), 1u);
  h.alive("a", 2, 6, "y");
  EXPECT_EQ(h.state("a"), MemberState::kDead);
  h.alive("a", 2, 7, "y");
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  EXPECT_EQ(h.out.count(EventKind::kJoined), 2u);
}

TEST(CoreRules, OldAccusationsAndStrangersAreIgnored) {
  CoreHarness h;
  h.alive("a", 2, 5);
  h.hear(
      {Suspect{4, "a", "b"}, Dead{4, "a", "b"}, Suspect{9, "nobody", "b"}, Dead{9, "nobody", "b"}});
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  EXPECT_EQ(h.member("nobody"), nullptr);
  h.hear({Suspect{5, "a", "b"}});
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
  h.alive("a", 2, 6);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  EXPECT_EQ(h.out.count(EventKind::kReprieved), 1u);
}

// In the order they stand in the packet, not the reverse as the reference may do.
TEST(CoreRules, MessagesOfAPacketApplyInTheirOrder) {
  CoreHarness h;
  h.alive("a", 2, 1);
  h.hear({Suspect{1, "a", "b"}, Alive{2, "a", at(2), {}, kOwnVsn}, Dead{2, "a", "b"}});
  EXPECT_EQ(h.state("a"), MemberState::kDead);
  EXPECT_EQ(h.member("a")->incarnation, 2u);
}

TEST(CoreRules, RefutesEveryAccusation) {
  CoreHarness h;
  h.alive("a", 2);
  h.hear({Suspect{1, "self", "a"}});
  EXPECT_EQ(h.member("self")->incarnation, 2u);
  h.hear({Dead{5, "self", "a"}});
  EXPECT_EQ(h.member("self")->incarnation, 6u);
  h.hear({Dead{6, "self", "self"}});
  EXPECT_EQ(h.member("self")->incarnation, 7u);
  EXPECT_EQ(h.state("self"), MemberState::kAlive);
  EXPECT_EQ(h.out.count(EventKind::kRefuted), 3u);
  EXPECT_EQ(h.core->view().health, 3);
  h.hear({Suspect{6, "self", "a"}});
  EXPECT_EQ(h.member("self")->incarnation, 7u) << "answered already";
  h.run_for(kSecond);
  auto alive = h.sent<Alive>();
  std::erase_if(alive, [](const Alive& a) { return a.node != "self"; });
  ASSERT_FALSE(alive.empty());
  EXPECT_EQ(alive.back().incarnation, 7u);
}

TEST(CoreRules, RefutesWhatAnEarlierLifeSaid) {
  CoreHarness h;
  h.alive("self", 1, 1);
  EXPECT_EQ(h.member("self")->incarnation, 1u) << "our own message, heard again";
  h.alive("self", 1, 1, "old meta");
  EXPECT_EQ(h.member("self")->incarnation, 2u);
  h.alive("self", 1, 9);
  EXPECT_EQ(h.member("self")->incarnation, 10u);
}

TEST(CoreRules, AnotherOfOurNameIsAConflict) {
  CoreHarness h;
  h.alive("self", 3, 50);
  EXPECT_EQ(h.member("self")->incarnation, 1u);
  ASSERT_EQ(h.out.count(EventKind::kConflict), 1u);
  EXPECT_EQ(h.out.events.back().from, "self");
}

TEST(CoreRules, AddressIsTakenOverOnlyFromTheLeft) {
  CoreHarness h;
  h.alive("a", 2, 1);
  h.alive("a", 3, 2);
  EXPECT_EQ(h.out.count(EventKind::kConflict), 1u);
  EXPECT_EQ(h.member("a")->address, at(2));
  h.hear({Dead{1, "a", "b"}});
  h.alive("a", 3, 2);
  EXPECT_EQ(h.state("a"), MemberState::kDead) << "reclaiming from the dead is off by default";
  h.hear({Dead{1, "a", "a"}});
  EXPECT_EQ(h.state("a"), MemberState::kLeft);
  h.alive("a", 3, 2);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  EXPECT_EQ(h.member("a")->address, at(3));
}

TEST(CoreRules, AddressOfTheLongDeadIsReclaimedWhenConfigured) {
  CoreHarness h("self", 1, [](CoreConfig& c) { c.profile.dead_node_reclaim_ns = 5 * kSecond; });
  h.alive("a", 2, 1);
  h.hear({Dead{1, "a", "b"}});
  h.run_for(4 * kSecond);
  h.alive("a", 3, 2);
  EXPECT_EQ(h.state("a"), MemberState::kDead);
  h.run_for(2 * kSecond);
  h.alive("a", 3, 2);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
}

TEST(CoreRules, VersionsThatDoNotMeetAreKeptOut) {
  CoreHarness h;
  // A library peer with default settings: its delegate versions would make every push/pull fail.
  h.hear({Alive{1, "d0", at(2), {}, Vsn{1, 5, 2, 0, 0, 0}}});
  h.hear({Alive{1, "p0", at(2), {}, Vsn{0, 0, 0, 2, 5, 5}}});
  h.hear({Alive{1, "pnew", at(2), {}, Vsn{3, 9, 9, 2, 5, 5}}});
  EXPECT_EQ(h.core->view().members.size(), 1u);
  EXPECT_EQ(h.stats().refusals(Refused::kVersion), 3u);
  h.hear({Alive{1, "d4", at(2), {}, Vsn{1, 5, 2, 2, 5, 4}}});
  EXPECT_NE(h.member("d4"), nullptr);
  h.run_for(2 * kSecond);
  for (const auto& alive : h.sent<Alive>())
    EXPECT_NE(alive.node, "d0");
}

TEST(CoreRules, UselessAddressesAreRefused) {
  CoreHarness h;
  const Endpoint bad[] = {at(2, 0),
                          {IpAddress::v4(Big32(0u)), 7946},
                          {IpAddress::v4(Big32(0xe0000001u)), 7946},
                          {IpAddress::v4(Big32(0xffffffffu)), 7946},
                          {IpAddress{}, 7946},
                          {*parse_ip("ff02::1"), 7946}};
  for (const Endpoint& address : bad)
    h.hear({Alive{1, "x", address, {}, kOwnVsn}});
  EXPECT_EQ(h.stats().refusals(Refused::kAddress), std::size(bad));
  EXPECT_EQ(h.core->view().members.size(), 1u);
}

TEST(CoreRules, ListIsBounded) {
  CoreHarness h("self", 1, [](CoreConfig& c) { c.limits.members = 10; });
  for (int i = 0; i < 50; ++i)
    h.alive(fmt::format("n{}", i), 2);
  EXPECT_EQ(h.core->view().members.size(), 10u);
  EXPECT_EQ(h.stats().refusals(Refused::kFull), 41u);
}

// A claim with the highest number there is would leave nothing to refute it with.
TEST(CoreRules, IncarnationsFromBeyondAreForged) {
  CoreHarness h;
  h.alive("a", 2, 1);
  h.hear({Suspect{0xffffffff, "self", "a"}, Dead{0xffffffff, "self", "a"},
          Dead{0xffffffff, "a", "b"}, Suspect{kHonestIncarnation + 2, "a", "b"},
          Alive{kMaxIncarnation + 1, "b", at(3), {}, kOwnVsn}});
  EXPECT_EQ(h.member("self")->incarnation, 1u);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
  EXPECT_EQ(h.member("b"), nullptr);
  EXPECT_EQ(h.stats().refusals(Refused::kIncarnation), 5u);
}

// Two members of one cluster and what a third, which lies, tells them.
class Forgery : public testing::Test {
 protected:
  Forgery() {
    peer.alive("victim", 1);
    victim.alive("peer", 2);
  }
  // The peer's connections reach the victim: no liar can answer them.
  void connect() {
    for (auto& stream : std::exchange(peer.out.streams, {})) {
      if (stream.kind != StreamKind::kPushPull || stream.to != at(1)) continue;
      WireSettings plain;
      StreamDecoder asked(plain, StreamRole::kAcceptor);
      ASSERT_EQ(asked.feed(stream.message), StreamDecoder::State::kMessage);
      const auto answer = victim.core->on_stream(victim.now, at(2), asked.message());
      StreamDecoder answered(plain, StreamRole::kDialer);
      ASSERT_EQ(answered.feed(answer), StreamDecoder::State::kMessage);
      peer.core->on_stream_reply(peer.now, stream.id, answered.message());
    }
  }
  // The peer finds the victim slow; what it then says reaches the victim, and the answer the peer.
  void suspect_and_answer() {
    connect();
    const Suspect suspect{peer.member("victim")->incarnation, "victim", "peer"};
    peer.hear({suspect});
    ASSERT_EQ(peer.state("victim"), MemberState::kSuspect);
    victim.hear({suspect});
    victim.run_for(kSecond);
    peer.alive("victim", 1, victim.member("victim")->incarnation);
    connect();
  }

  CoreHarness victim{"victim", 1};
  CoreHarness peer{"peer", 2};
};

// The victim counts on from what was said of it, which the peer must then believe; or neither
// believes what was said.
TEST_F(Forgery, AForgedAliveDoesNotSilenceItsVictim) {
  for (const std::uint32_t incarnation :
       {kMaxIncarnation, kMaxIncarnation - 1, 0xffffffffu, 0x7fffffffu, 70'000u, 65'536u, 1'000u}) {
    const Alive forged{incarnation, "victim", at(1), {}, kOwnVsn};
    peer.hear({forged});
    victim.hear({forged});
    suspect_and_answer();
    ASSERT_EQ(peer.state("victim"), MemberState::kAlive) << incarnation;
  }
}

// The victim does not hear it: the liar is careful.
TEST_F(Forgery, NorDoesOneOfManySteps) {
  for (std::uint32_t i = 1; i < 4'000; ++i)
    peer.alive("victim", 1, i * 60'000);
  suspect_and_answer();
  EXPECT_EQ(peer.state("victim"), MemberState::kAlive);
}

TEST_F(Forgery, NorDoForgedAccusations) {
  for (std::uint32_t i = 1; i < 40'000; ++i) {
    const Suspect forged{i * 60'000, "victim", "peer"};
    peer.hear({forged});
    victim.hear({forged});
  }
  victim.run_for(kSecond);
  peer.alive("victim", 1, victim.member("victim")->incarnation);
  connect();
  EXPECT_EQ(peer.state("victim"), MemberState::kAlive);
  suspect_and_answer();
  EXPECT_EQ(peer.state("victim"), MemberState::kAlive);
}

// A stock member follows whatever is said of it, up to the end of the numbers and round it. We take
// its own word, and it stays a member.
TEST(CoreRules, AStockMemberThatWasDrivenFarIsAskedItself) {
  CoreHarness h;
  h.alive("stock", 2);
  const auto says = [&](std::uint32_t incarnation) {
    h.alive("stock", 2, incarnation);
    const std::vector<PushPullNode> nodes{
        {.name = "stock", .address = at(2), .incarnation = incarnation, .vsn = kOwnVsn}};
    for (auto& stream : std::exchange(h.out.streams, {}))
      h.core->on_stream_reply(h.now, stream.id,
                              PushPull{.join = false, .nodes = nodes, .user_state = {}});
  };
  says(4'000'000'000);
  EXPECT_EQ(h.member("stock")->incarnation, 4'000'000'000u);
  h.hear({Suspect{4'000'000'000, "stock", "self"}});
  says(4'000'000'001);
  EXPECT_EQ(h.state("stock"), MemberState::kAlive);
  // Its numbers have run over, or it has begun anew and not heard yet what it said before.
  h.hear({Suspect{4'000'000'001, "stock", "self"}});
  EXPECT_EQ(h.state("stock"), MemberState::kSuspect);
  says(0);
  EXPECT_EQ(h.state("stock"), MemberState::kAlive);
  EXPECT_EQ(h.member("stock")->incarnation, 0u);
}

// Nobody makes us dial on and on by making up members.
TEST(CoreRules, MembersAreAskedNowAndThenOnly) {
  CoreHarness h;
  for (std::uint32_t i = 0; i < 1000; ++i)
    h.alive(fmt::format("n{}", i), 2, kHonestIncarnation + 1 + i);
  EXPECT_LE(h.out.streams.size(), kOwnWordAsks);
  EXPECT_EQ(h.core->view().members.size(), 1u);
  h.out.streams.clear();
  h.run_for(10 * kSecond);
  h.alive("known", 3);
  h.alive("known", 3, kHonestIncarnation + 1);
  EXPECT_EQ(h.out.streams.size(), 1u) << "one that we know does not wait for those";
}

// What was saved about a life that an attacker drove to the end.
TEST(CoreRules, TheHighestIncarnationDoesNotRunOver) {
  const SavedState saved{.incarnation = 0xffffffff, .peers = {}};
  CoreHarness h("self", 1, {}, &saved);
  EXPECT_EQ(h.member("self")->incarnation, 0xffffffffu);
}

TEST(CoreRules, RefutationsAreNotAsManyAsAccusations) {
  CoreHarness h;
  h.alive("a", 2);
  for (std::uint32_t i = 1; i <= 1000; ++i)
    h.hear({Suspect{i, "self", "a"}});
  EXPECT_LE(h.stats().refutations, kRefutations);
  EXPECT_LT(h.member("self")->incarnation, 1000u);
  h.run_for(kSecond);
  EXPECT_EQ(h.member("self")->incarnation, 1001u) << "but the last one is answered";
}

// Suspicions that begin and end as fast as packets come leave their timers behind.
TEST(CoreRules, TimersAreBounded) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  for (std::uint32_t i = 2; i < 50'000; i += 2) {
    h.hear({Suspect{i, "a", "b"}, Alive{i + 1, "a", at(2), {}, kOwnVsn}});
    h.hear({Dead{i, "b", "a"}, Alive{i + 1, "b", at(3), {}, kOwnVsn}});
  }
  EXPECT_LT(h.core->timers(), 3'000u);
  // Those that count are still there.
  h.hear({Suspect{60'000, "a", "b"}});
  h.run_for(5 * kSecond);
  EXPECT_EQ(h.state("a"), MemberState::kDead);
}

// Whom we hold for dead and who pings us is told so, but not once for every ping.
TEST(CoreRules, TheDeadAreToldNowAndThen) {
  CoreHarness h;
  h.alive("a", 2);
  h.hear({Dead{3, "a", "b"}});
  h.out.clear();
  for (std::uint32_t i = 0; i < 500; ++i)
    h.hear({Ping{.sequence = i, .node = "self", .source = at(2), .source_node = "a"}}, at(2));
  h.run_for(2 * kSecond);
  std::size_t told = 0;
  for (const auto& ping : h.sent_to<Ping>(at(2)))
    told += ping.node == "a";
  EXPECT_EQ(told, 1u);
}

TEST(CoreRules, SuspicionEndsInDeathUnlessRefuted) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  h.hear({Suspect{1, "a", "b"}});
  // Three members: nobody can confirm, so the minimum of 4 s holds.
  h.run_for(3900 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
  h.run_for(200 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kDead);
  const auto& failed = *std::ranges::find(h.out.events, EventKind::kFailed, &Noted::kind);
  EXPECT_EQ(failed.name, "a");
  EXPECT_EQ(failed.from, "self");
}

// Its refutation may have passed us by: it is asked twice within the last second.
TEST(CoreRules, TheSuspectIsAskedBeforeItIsDeclaredDead) {
  CoreHarness h("self", 1, [](CoreConfig& c) { c.profile.gossip_nodes = 0; });
  h.alive("a", 2);
  h.alive("b", 3);
  h.hear({Suspect{1, "a", "b"}});
  h.run_for(2900 * kNsPerMs);
  h.out.clear();
  h.run_for(1000 * kNsPerMs);
  std::size_t asked = 0;
  for (const auto& ping : h.sent_to<Ping>(at(2)))
    asked += ping.node == "a";
  EXPECT_GE(asked, 2u);
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
  h.alive("a", 2, 2);
  h.run_for(1 * kSecond);
  EXPECT_EQ(h.state("a"), MemberState::kAlive);
}

// An accusation of a higher incarnation means that the member refuted the one before.
TEST(CoreRules, ANewAccusationBeginsANewSuspicion) {
  CoreHarness h;
  for (std::uint8_t i = 2; i < 6; ++i)
    h.alive(fmt::format("n{}", i), i);
  h.hear({Suspect{1, "n2", "n3"}});
  h.run_for(3500 * kNsPerMs);
  h.hear({Suspect{2, "n2", "n3"}, Suspect{2, "n2", "n4"}, Suspect{2, "n2", "n5"}});
  for (int i = 0; i < 30; ++i) {
    h.run_for(100 * kNsPerMs);
    h.hear({Nack{1}});
  }
  EXPECT_EQ(h.state("n2"), MemberState::kSuspect);
  EXPECT_EQ(h.member("n2")->incarnation, 2u);
}

// Who hears nothing at all though there are others is the one with the trouble.
TEST(CoreRules, TheDeafJudgeLate) {
  CoreHarness h;
  for (std::uint8_t i = 2; i < 6; ++i)
    h.alive(fmt::format("n{}", i), i);
  h.hear({Suspect{1, "n2", "n3"}, Suspect{1, "n2", "n4"}, Suspect{1, "n2", "n5"}});
  CoreHarness hearing;
  for (std::uint8_t i = 2; i < 6; ++i)
    hearing.alive(fmt::format("n{}", i), i);
  hearing.hear({Suspect{1, "n2", "n3"}, Suspect{1, "n2", "n4"}, Suspect{1, "n2", "n5"}});
  for (int i = 0; i < 50; ++i) {
    h.run_for(100 * kNsPerMs);
    hearing.run_for(100 * kNsPerMs);
    hearing.hear({Nack{1}});
  }
  EXPECT_EQ(hearing.state("n2"), MemberState::kDead);
  EXPECT_EQ(h.state("n2"), MemberState::kSuspect);
  h.run_for(kDeafAsks * kSecond);
  EXPECT_EQ(h.state("n2"), MemberState::kDead) << "but not never";
}

TEST(CoreRules, AccusersWithMadeUpNamesDoNotHastenADeath) {
  CoreHarness h;
  for (std::uint8_t i = 0; i < 8; ++i)
    h.alive(fmt::format("n{}", i), static_cast<std::uint8_t>(10 + i));
  h.hear({Suspect{1, "n0", "n1"}, Suspect{1, "n0", "ghost"}, Suspect{1, "n0", "ghoul"}});
  EXPECT_EQ(h.stats().confirmations, 0u);
  h.hear({Suspect{1, "n0", "n2"}, Suspect{1, "n0", "n2"}, Suspect{1, "n0", "n3"},
          Suspect{1, "n0", "n4"}});
  EXPECT_EQ(h.stats().confirmations, 2u);
}

TEST(CoreRules, MetaUpdateSpreadsWithAHigherIncarnation) {
  CoreHarness h;
  h.alive("a", 2);
  EXPECT_TRUE(h.core->update_meta(h.now, bytes("new")));
  EXPECT_FALSE(h.core->update_meta(h.now, Bytes(kMaxMetaBytes + 1)));
  h.run_for(kSecond);
  const auto alive = h.sent<Alive>();
  ASSERT_FALSE(alive.empty());
  EXPECT_EQ(alive[0].incarnation, 2u);
  EXPECT_EQ(InternPool::text(alive[0].meta), "new");
}

TEST(CoreRules, SavedStateContinuesItsIncarnation) {
  CoreHarness h;
  h.alive("a", 2, 4);
  h.alive("b", 3, 5);
  h.hear({Suspect{1, "self", "a"}});
  const SavedState saved = h.core->save();
  EXPECT_EQ(saved.incarnation, 2u);
  ASSERT_EQ(saved.peers.size(), 2u);
  CoreHarness again("self", 1, {}, &saved);
  EXPECT_EQ(again.member("self")->incarnation, 3u);
  EXPECT_EQ(again.core->view().lost.size(), 2u);
  // The same incarnation as before our restart is no resurrection.
  again.alive("a", 2, 4);
  EXPECT_NE(again.member("a"), nullptr);
}

}  // namespace
}  // namespace sluice::membership::test
