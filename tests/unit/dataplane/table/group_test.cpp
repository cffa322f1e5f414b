#include "dataplane/table/group.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <random>
#include <vector>

#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::id_of;

constexpr auto kAll = [](const GroupMember&) { return true; };

std::vector<GroupMember> members(const std::vector<std::uint16_t>& weights) {
  std::vector<GroupMember> list;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    list.push_back({.id = id_of(i + 1),
                    .adjacency = static_cast<std::uint32_t>(i),
                    .udp_port = 7600,
                    .tenant = 0,
                    .weight = weights[i]});
  }
  return list;
}

Group make(GroupPolicy policy, const std::vector<std::uint16_t>& weights) {
  return Group(id_of(99), policy, members(weights));
}

std::vector<int> served_in_turn(const Group& group, int messages) {
  std::vector<int> count(group.members().size());
  std::uint32_t cursor = 0;
  for (int i = 0; i < messages; ++i) {
    const GroupMember* member = group.next_in_turn(cursor, kAll);
    ++count[member->adjacency];
  }
  return count;
}

TEST(GroupRoundRobin, EachOnceBeforeAnyTwice) {
  const Group group = make(GroupPolicy::kRoundRobin, {1, 1, 1});
  std::uint32_t cursor = 12345;  // a worker may keep any word
  for (int turn = 0; turn < 3; ++turn) {
    std::array<int, 3> seen{};
    for (int i = 0; i < 3; ++i)
      ++seen[group.next_in_turn(cursor, kAll)->adjacency];
    EXPECT_EQ(seen, (std::array<int, 3>{1, 1, 1}));
  }
}

TEST(GroupRoundRobin, ByWeightExactly) {
  EXPECT_EQ(served_in_turn(make(GroupPolicy::kRoundRobin, {10, 20, 70}), 100),
            (std::vector<int>{10, 20, 70}));
  EXPECT_EQ(served_in_turn(make(GroupPolicy::kRoundRobin, {1000, 1000}), 10),
            (std::vector<int>{5, 5}));
}

TEST(GroupRoundRobin, SpreadsAMembersTurnsEvenly) {
  const Group group = make(GroupPolicy::kRoundRobin, {5, 1, 1});
  std::uint32_t cursor = 0;
  int run = 0;
  int longest = 0;
  for (int i = 0; i < 70; ++i) {
    run = group.next_in_turn(cursor, kAll)->adjacency == 0 ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  EXPECT_LE(longest, 4);  // a a b a c a a, and again
}

TEST(GroupRoundRobin, LongTurnsAreScaledAndLeaveNobodyOut) {
  std::vector<std::uint16_t> weights(kMaxGroupMembers, 999);
  weights[0] = 1;
  const auto count = served_in_turn(make(GroupPolicy::kRoundRobin, weights), 100'000);
  EXPECT_GT(count[0], 0);
  EXPECT_LT(count[0], count[1] / 10);
  for (std::size_t i = 2; i < count.size(); ++i)
    EXPECT_NEAR(count[i], count[1], 20);
}

TEST(GroupRoundRobin, SkipsWhoIsNotUsableAskingEachOnce) {
  const Group group = make(GroupPolicy::kRoundRobin, {50, 1, 50});
  std::uint32_t cursor = 0;
  std::map<std::uint32_t, int> asked;
  const auto only_one = [&](const GroupMember& member) {
    ++asked[member.adjacency];
    return member.adjacency == 1;
  };
  EXPECT_EQ(group.next_in_turn(cursor, only_one)->adjacency, 1U);
  for (const auto& [member, times] : asked)
    EXPECT_EQ(times, 1) << member;
  EXPECT_EQ(group.next_in_turn(cursor, [](const GroupMember&) { return false; }), nullptr);
}

TEST(Group, WithoutMembersHasNobody) {
  const Group group = make(GroupPolicy::kHash, {});
  std::uint32_t cursor = 0;
  EXPECT_EQ(group.next_in_turn(cursor, kAll), nullptr);
  EXPECT_EQ(group.owner_of(7, kAll), nullptr);
}

TEST(Group, ChoosesByItsPolicy) {
  std::uint32_t cursor = 0;
  const Group hash = make(GroupPolicy::kHash, {1, 1, 1, 1});
  const GroupMember* owner = hash.choose(42, cursor, kAll);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(hash.choose(42, cursor, kAll), owner);
  EXPECT_EQ(cursor, 0U);
  const Group turn = make(GroupPolicy::kRoundRobin, {1, 1});
  EXPECT_NE(turn.choose(42, cursor, kAll), turn.choose(42, cursor, kAll));
}

// Share of 100 000 keys per member.
std::vector<double> shares_of_keys(const Group& group) {
  std::mt19937_64 random(1);
  std::vector<double> share(group.members().size());
  for (int i = 0; i < 100'000; ++i)
    share[group.owner_of(random(), kAll)->adjacency] += 1e-5;
  return share;
}

TEST(GroupHash, EqualWeightsEqualShares) {
  for (const double share :
       shares_of_keys(make(GroupPolicy::kHash, std::vector<std::uint16_t>(10, 3))))
    EXPECT_NEAR(share, 0.1, 0.005);
}

TEST(GroupHash, SharesFollowWeights) {
  const auto share = shares_of_keys(make(GroupPolicy::kHash, {100, 200, 700}));
  EXPECT_NEAR(share[0], 0.1, 0.005);
  EXPECT_NEAR(share[1], 0.2, 0.005);
  EXPECT_NEAR(share[2], 0.7, 0.005);
  const auto extreme = shares_of_keys(make(GroupPolicy::kHash, {1, 1000}));
  EXPECT_NEAR(extreme[0], 0.001, 0.0005);
}

// Whoever leaves (or is not usable) takes only its own keys along.
TEST(GroupHash, LeavingMovesOnlyTheLeaversKeys) {
  for (const auto& weights :
       {std::vector<std::uint16_t>{1, 1, 1, 1, 1}, std::vector<std::uint16_t>{5, 1, 30, 2, 7}}) {
    auto list = members(weights);
    const Group all(id_of(99), GroupPolicy::kHash, list);
    list.erase(list.begin() + 2);
    const Group fewer(id_of(99), GroupPolicy::kHash, list);
    const auto without_third = [](const GroupMember& member) { return member.adjacency != 2; };
    std::mt19937_64 random(2);
    int moved = 0;
    for (int i = 0; i < 20'000; ++i) {
      const std::uint64_t key = random();
      const GroupMember* before = all.owner_of(key, kAll);
      const GroupMember* after = fewer.owner_of(key, kAll);
      ASSERT_EQ(all.owner_of(key, without_third)->id, after->id);
      if (before->adjacency == 2) {
        ++moved;
      } else {
        ASSERT_EQ(before->id, after->id);
      }
    }
    EXPECT_GT(moved, 1000);
  }
}

// Every router of a cluster must choose alike: the result is part of the contract.
TEST(GroupHash, SameChoiceEverywhere) {
  const Group group = make(GroupPolicy::kHash, {3, 1, 4, 1, 5, 9, 2, 6});
  std::vector<std::uint32_t> owners;
  for (std::uint64_t key = 0; key < 16; ++key)
    owners.push_back(group.owner_of(key * 0x0123456789abcdefULL, kAll)->adjacency);
  EXPECT_EQ(owners, (std::vector<std::uint32_t>{4, 7, 4, 4, 5, 7, 0, 7, 5, 3, 4, 5, 5, 5, 5, 7}));
}

}  // namespace
}  // namespace sluice::dataplane
