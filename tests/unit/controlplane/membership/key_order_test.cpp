// Orders about the keys of a cluster, and the question that goes before them.
#include "controlplane/membership/key_order.hpp"

#include <gtest/gtest.h>

#include "controlplane/membership/key_survey.hpp"
#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

Key key_of(std::uint8_t fill, std::size_t size = 32) {
  return Key::from_bytes(Bytes(size, fill)).value();
}

TEST(KeyOrders, RoundTripAndRefusal) {
  for (const auto step : {KeyStep::kAdd, KeyStep::kUse, KeyStep::kRemove})
    for (const std::size_t size : {16, 24, 32}) {
      const auto wire = encode_key_order({step, key_of(9, size), 77});
      const auto back = decode_key_order(wire);
      ASSERT_TRUE(back);
      EXPECT_EQ(back->step, step);
      EXPECT_EQ(back->key, key_of(9, size));
      EXPECT_EQ(back->given_ns, 77U);
    }
  for (const auto* bad :
       {"", "53", "5301", "53010203", "5300", "5304", "52010203", "5301000000000000004d010203"})
    EXPECT_FALSE(decode_key_order(from_hex(bad))) << bad;
}

// As a router does that follows every order.
bool take(KeyOrderFilter& filter, const KeyOrder& order, std::uint64_t now_ns) {
  if (!filter.is_news(order, now_ns)) return false;
  filter.took(order, now_ns);
  return true;
}

TEST(KeyOrders, AnOldOrderDoesNotBringAKeyBack) {
  constexpr std::uint64_t kNow = 1'000'000 * kNsPerSecond;
  KeyOrderFilter filter;
  const KeyOrder add{KeyStep::kAdd, key_of(1), kNow};
  const KeyOrder remove{KeyStep::kRemove, key_of(1), kNow + 1};
  EXPECT_TRUE(take(filter, add, kNow));
  EXPECT_FALSE(take(filter, add, kNow)) << "the same again";
  EXPECT_TRUE(take(filter, remove, kNow + 2));
  EXPECT_FALSE(take(filter, add, kNow + 3)) << "late";
  EXPECT_TRUE(take(filter, {KeyStep::kAdd, key_of(2), kNow}, kNow + 3)) << "another key";
  const std::uint64_t much_later = kNow + 3 * KeyOrderFilter::kOldest;
  EXPECT_FALSE(take(filter, add, much_later)) << "recorded, sent again when nobody remembers";
  EXPECT_FALSE(take(filter, {KeyStep::kAdd, key_of(3), much_later}, kNow)) << "from the future";
  EXPECT_TRUE(take(filter, {KeyStep::kAdd, key_of(1), much_later}, much_later)) << "given again";
}

TEST(KeyOrders, TheLastOneSaysWhichKeyIsUsed) {
  constexpr std::uint64_t kNow = 1'000'000 * kNsPerSecond;
  KeyOrderFilter filter;
  EXPECT_TRUE(take(filter, {KeyStep::kUse, key_of(2), kNow + 2}, kNow + 2));
  EXPECT_FALSE(take(filter, {KeyStep::kUse, key_of(1), kNow + 1}, kNow + 2));
}

TEST(KeyOrders, OneThatCouldNotBeFollowedMayComeAgain) {
  constexpr std::uint64_t kNow = 1'000'000 * kNsPerSecond;
  KeyOrderFilter filter;
  const KeyOrder add{KeyStep::kAdd, key_of(1), kNow};
  EXPECT_TRUE(filter.is_news(add, kNow));
  EXPECT_TRUE(filter.is_news(add, kNow + kNsPerSecond));
  filter.took(add, kNow + kNsPerSecond);
  EXPECT_FALSE(filter.is_news(add, kNow + kNsPerSecond));
}

TEST(KeyOrders, TagsTellWhoFollows) {
  const std::vector<std::string> has = {key_of(1).fingerprint(), key_of(2).fingerprint()};
  EXPECT_TRUE(follows({KeyStep::kAdd, key_of(2)}, has));
  EXPECT_FALSE(follows({KeyStep::kAdd, key_of(3)}, has));
  EXPECT_TRUE(follows({KeyStep::kUse, key_of(1)}, has));
  EXPECT_FALSE(follows({KeyStep::kUse, key_of(2)}, has));
  EXPECT_FALSE(follows({KeyStep::kUse, key_of(1)}, {}));
  EXPECT_TRUE(follows({KeyStep::kRemove, key_of(3)}, has));
  EXPECT_FALSE(follows({KeyStep::kRemove, key_of(2)}, has));
}

// Whatever order these come in, all end with the same.
TEST(KeyOrders, OfTwoThatContradictTheLaterCounts) {
  constexpr std::uint64_t kNow = 1'000'000 * kNsPerSecond;
  const KeyOrder use{KeyStep::kUse, key_of(2), kNow + 2};
  const KeyOrder earlier{KeyStep::kRemove, key_of(2), kNow + 1};
  const KeyOrder later{KeyStep::kRemove, key_of(2), kNow + 3};
  {
    KeyOrderFilter filter;
    EXPECT_TRUE(take(filter, use, kNow));
    EXPECT_FALSE(take(filter, earlier, kNow)) << "a key that is used later is there";
    EXPECT_TRUE(take(filter, later, kNow));
    EXPECT_FALSE(take(filter, use, kNow));
  }
  KeyOrderFilter filter;
  EXPECT_TRUE(take(filter, later, kNow));
  EXPECT_FALSE(take(filter, use, kNow)) << "a key that is removed later is not used";
  // To use a third one says nothing about whether the second is there.
  KeyOrderFilter third;
  EXPECT_TRUE(take(third, use, kNow));
  EXPECT_TRUE(take(third, {KeyStep::kUse, key_of(3), kNow + 4}, kNow));
  EXPECT_FALSE(take(third, earlier, kNow));
  EXPECT_TRUE(take(third, later, kNow));
}

TEST(KeyOrders, AddingAgainDoesNotUndoThatItIsUsed) {
  constexpr std::uint64_t kNow = 1'000'000 * kNsPerSecond;
  KeyOrderFilter filter;
  EXPECT_TRUE(take(filter, {KeyStep::kAdd, key_of(2), kNow + 3}, kNow));
  EXPECT_TRUE(take(filter, {KeyStep::kUse, key_of(2), kNow + 2}, kNow)) << "late";
}

TEST(KeyOrders, DatesOutlastARestart) {
  constexpr std::uint64_t kNow = 1'000'000 * kNsPerSecond;
  KeyOrderFilter before;
  const KeyOrder add{KeyStep::kAdd, key_of(1), kNow};
  ASSERT_TRUE(take(before, add, kNow));
  ASSERT_TRUE(take(before, {KeyStep::kRemove, key_of(1), kNow + 9}, kNow));
  KeyOrderFilter after;
  after.restore(before.dates());
  EXPECT_FALSE(after.is_news(add, kNow));
  EXPECT_EQ(after.date(kNow), kNow + 10);
}

TEST(KeyOrders, OnlySoManyAreRemembered) {
  constexpr std::uint64_t kNow = 1'000'000 * kNsPerSecond;
  KeyOrderFilter filter;
  for (std::uint8_t i = 0; i < 200; ++i)
    EXPECT_TRUE(take(filter, {KeyStep::kAdd, key_of(i), kNow + i}, kNow));
  EXPECT_EQ(filter.dates().size(), KeyOrderFilter::kMost);
}

TEST(KeySurvey, CountsWhoWasAskedOnce) {
  KeySurvey survey(7, {{"a", {}}, {"b", {}}});
  survey.take({7, 2, "a"});
  survey.take({7, 9, "a"});
  survey.take({8, 9, "b"});
  survey.take({7, 9, "c"});
  EXPECT_EQ(survey.most_away(), 2U);
  EXPECT_EQ(survey.unanswered().size(), 1U);
  survey.take({7, 1, "b"});
  EXPECT_EQ(survey.most_away(), 2U);
  EXPECT_TRUE(survey.unanswered().empty());
}

TEST(KeySurvey, MessagesRoundTrip) {
  EXPECT_EQ(decode_away_question(encode_away_question(77)), 77U);
  const auto wire = encode_away_answer({.number = 77, .away = 3, .name = "r 1"});
  const auto back = decode_away_answer(wire);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->number, 77U);
  EXPECT_EQ(back->away, 3U);
  EXPECT_EQ(back->name, "r 1");
  EXPECT_FALSE(decode_away_answer(ByteView(wire).first(12)));
  EXPECT_FALSE(decode_away_question(ByteView(wire).first(9)));
}

}  // namespace
}  // namespace sluice::membership
