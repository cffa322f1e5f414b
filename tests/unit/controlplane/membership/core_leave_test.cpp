// Leaving, and being said to leave: who is believed, who is forgotten, who may come back.
#include <gtest/gtest.h>

#include "core_fixture.hpp"

namespace sluice::membership::test {
namespace {

// The reference believes anybody who knows the name: 29 s out of every view at 4 members, up to 180
// at 1000.
TEST(CoreLeave, ForgedLeaveOfAHealthyMemberIsRefuted) {
  CoreHarness h;
  h.alive("a", 2);
  h.hear({Dead{1, "a", "a"}}, at(66));
  EXPECT_EQ(h.state("a"), MemberState::kSuspect);
  EXPECT_EQ(h.out.count(EventKind::kLeft), 0u);
  // It is asked at once and told what is said of it.
  ASSERT_EQ(h.sent_to<Ping>(at(2)).size(), 1u);
  ASSERT_EQ(h.sent_to<Suspect>(at(2)).size(), 1u);
  EXPECT_EQ(h.sent_to<Suspect>(at(2))[0].incarnation, 1u);
  h.run_for(100 * kNsPerMs);
  h.alive("a", 2, 2);
  h.run_for(30 * kSecond);
  EXPECT_EQ(h.out.count(EventKind::kLeft), 0u);
  EXPECT_EQ(h.stats().leaves_refuted, 1u);
}

TEST(CoreLeave, ForgedLeaveIsNotPassedOn) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  h.hear({Dead{1, "a", "a"}});
  h.run_for(1900 * kNsPerMs);
  for (const auto& dead : h.sent<Dead>())
    EXPECT_NE(dead.node, "a");
}

TEST(CoreLeave, RealLeaveIsBelievedAfterTheCheckAndPassedOn) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  h.hear({Dead{1, "a", "a"}});
  h.run_for(2100 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kLeft);
  EXPECT_EQ(h.out.count(EventKind::kLeft), 1u);
  EXPECT_GE(h.sent_to<Suspect>(at(2)).size(), kLeaveCheckAsks);
  h.run_for(kSecond);
  const auto deads = h.sent<Dead>();
  ASSERT_FALSE(deads.empty());
  EXPECT_EQ(deads[0].node, "a");
  EXPECT_EQ(deads[0].from, "a");
}

// A process that took its leave still answers pings until it ends, as stock peers do.
TEST(CoreLeave, AnswersWithoutRefutationDoNotHoldALeaveUp) {
  CoreHarness h;
  h.alive("a", 2);
  h.hear({Dead{1, "a", "a"}});
  h.hear({Ack{h.sent_to<Ping>(at(2))[0].sequence, {}}}, at(2));
  h.run_for(2100 * kNsPerMs);
  EXPECT_EQ(h.state("a"), MemberState::kLeft);
}

// ... while one of ours says so itself, in answer to our question; then there is nothing to wait
// for.
TEST(CoreLeave, TheMembersOwnAnswerEndsTheCheck) {
  CoreHarness h;
  h.alive("a", 2);
  h.hear({Dead{1, "a", "a"}});
  const auto asked = h.sent_to<Ping>(at(2))[0].sequence;
  h.hear({Ack{asked + 1, {}}, Dead{1, "a", "a"}}, at(2));
  EXPECT_EQ(h.state("a"), MemberState::kSuspect) << "an answer to no question of ours";
  h.hear({Ack{asked, {}}, Dead{1, "a", "a"}}, at(2));
  EXPECT_EQ(h.state("a"), MemberState::kLeft);
}

TEST(CoreLeave, AnswersChecksOfItsOwnLeave) {
  CoreHarness h;
  h.alive("a", 2);
  h.core->leave(h.now);
  h.out.clear();
  h.hear({Ping{.sequence = 4, .node = "self", .source = at(2)}, Suspect{1, "self", "a"}}, at(2));
  ASSERT_EQ(h.sent_to<Ack>(at(2)).size(), 1u);
  EXPECT_GE(h.sent_to<Dead>(at(2)).size(), 1u);
}

TEST(CoreLeave, DeathByAnotherIsNotALeave) {
  CoreHarness h;
  h.alive("a", 2);
  h.hear({Dead{1, "a", "b"}});
  EXPECT_EQ(h.state("a"), MemberState::kDead);
}

// memberlist before 0.3.1, and so serf 0.9.4, keeps them for ever in every push/pull.
TEST(CoreLeave, TheLeftAndTheDeadAreForgotten) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  h.hear({Dead{1, "a", "a"}, Dead{1, "b", "c"}});
  h.run_for(40 * kSecond);
  EXPECT_EQ(h.core->view().members.size(), 1u);
  EXPECT_EQ(h.out.count(EventKind::kForgotten), 2u);
  EXPECT_EQ(h.core->view().lost.size(), 2u);
}

TEST(CoreLeave, ForgottenOnesComeBackOnlyWithAHigherIncarnation) {
  CoreHarness h;
  h.alive("a", 2, 3);
  h.hear({Dead{3, "a", "b"}});
  h.run_for(40 * kSecond);
  ASSERT_EQ(h.member("a"), nullptr);
  h.out.clear();
  h.alive("a", 2, 3);
  EXPECT_EQ(h.member("a"), nullptr);
  EXPECT_EQ(h.stats().refusals(Refused::kStale), 1u);
  // ... which it is told, so that it can.
  h.run_for(10 * kNsPerMs);
  ASSERT_EQ(h.sent_to<Suspect>(at(2)).size(), 1u);
  EXPECT_EQ(h.sent_to<Suspect>(at(2))[0].incarnation, 3u);
  h.alive("a", 2, 4);
  EXPECT_NE(h.member("a"), nullptr);
  EXPECT_EQ(h.core->view().lost.size(), 0u);
}

TEST(CoreLeave, LostPeersAreTriedAndMetAgain) {
  CoreHarness h;
  h.alive("a", 2);
  h.hear({Dead{1, "a", "b"}});
  h.run_for(31 * kSecond);
  h.out.clear();
  h.run_for(20 * kSecond);
  const auto pings = h.sent_to<Ping>(at(2));
  ASSERT_FALSE(pings.empty());
  EXPECT_EQ(pings.back().node, "a");
  EXPECT_TRUE(h.out.streams.empty()) << "no connection to who does not answer";
  h.hear({Ack{pings.back().sequence, {}}}, at(2));
  ASSERT_EQ(h.out.streams.size(), 1u);
  EXPECT_EQ(h.out.streams[0].kind, StreamKind::kPushPull);
  EXPECT_EQ(h.out.streams[0].to, at(2));
}

TEST(CoreLeave, OwnLeaveIsTold) {
  CoreHarness h;
  h.alive("a", 2);
  h.run_for(2 * kSecond);
  h.out.clear();
  h.core->leave(h.now);
  h.run_for(4 * kSecond);
  EXPECT_EQ(h.out.count(EventKind::kLeaveDone), 1u);
  auto deads = h.sent<Dead>();
  std::erase_if(deads, [](const Dead& dead) { return dead.node != "self"; });
  ASSERT_EQ(deads.size(), retransmit_limit(4, 2));
  EXPECT_EQ(deads[0].node, "self");
  EXPECT_EQ(deads[0].from, "self");
  EXPECT_TRUE(h.sent<Ping>().empty()) << "who leaves judges nobody";
  h.hear({Suspect{1, "self", "a"}, Dead{1, "self", "self"}});
  EXPECT_EQ(h.out.count(EventKind::kRefuted), 0u);
}

TEST(CoreLeave, AloneThereIsNobodyToTell) {
  CoreHarness h;
  h.core->leave(h.now);
  EXPECT_EQ(h.out.count(EventKind::kLeaveDone), 1u);
}

TEST(CoreLeave, WithoutAnyAnswererItEndsAllTheSame) {
  CoreHarness h("self", 1, [](CoreConfig& c) { c.profile.gossip_nodes = 0; });
  h.alive("a", 2);
  h.core->leave(h.now);
  h.run_for(11 * kSecond);
  EXPECT_EQ(h.out.count(EventKind::kLeaveDone), 1u);
}

TEST(CoreLeave, OperatorTurnsFailedIntoLeft) {
  CoreHarness h;
  h.alive("a", 2);
  h.alive("b", 3);
  EXPECT_FALSE(h.core->force_leave(h.now, "a")) << "alive";
  EXPECT_FALSE(h.core->force_leave(h.now, "self"));
  EXPECT_FALSE(h.core->force_leave(h.now, "unknown"));
  h.hear({Dead{1, "a", "b"}, Dead{1, "b", "a"}});
  EXPECT_TRUE(h.core->force_leave(h.now, "a"));
  EXPECT_EQ(h.state("a"), MemberState::kLeft);
  h.run_for(40 * kSecond);
  EXPECT_TRUE(h.core->force_leave(h.now, "b"));
  h.out.clear();
  h.run_for(900 * kSecond);
  EXPECT_TRUE(h.sent_to<Ping>(at(2)).empty()) << "not tried any more";
  EXPECT_TRUE(h.sent_to<Ping>(at(3)).empty());
}

}  // namespace
}  // namespace sluice::membership::test
