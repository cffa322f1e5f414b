#include "controlplane/registry/names.hpp"

#include <gtest/gtest.h>

namespace sluice::controlplane {
namespace {

TEST(EditDistance, CountsInsertsDeletesReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("abc", "abc", 3), 0u);
  EXPECT_EQ(edit_distance("abc", "abd", 3), 1u);
  EXPECT_EQ(edit_distance("abc", "ab", 3), 1u);
  EXPECT_EQ(edit_distance("abc", "xabc", 3), 1u);
  EXPECT_EQ(edit_distance("abc", "acb", 3), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting", 3), 3u);
  EXPECT_EQ(edit_distance("", "ab", 3), 2u);
}

TEST(EditDistance, StopsAtItsLimit) {
  EXPECT_EQ(edit_distance("abcdefgh", "stuvwxyz", 2), 3u);
  EXPECT_EQ(edit_distance("a", "abcd", 2), 3u);
  EXPECT_EQ(edit_distance(std::string(300, 'a'), std::string(300, 'a'), 2), 3u);
}

TEST(NearNames, OffersTheNearestFirst) {
  NearNames near("acme/prod/echo/1");
  for (const auto* name : {"acme/prod/echo/2", "acme/prod/ehco/1", "other/thing/x/1", "",
                           "acme/prod/echoo/12", "acme/test/echo/1"}) {
    near.offer(name);
  }
  const auto names = near.names();
  ASSERT_EQ(names.size(), 3u);
  EXPECT_EQ(names[0], "acme/prod/echo/2");
  EXPECT_EQ(names[1], "acme/prod/ehco/1");
  EXPECT_EQ(names[2], "acme/prod/echoo/12");
}

TEST(NearNames, SaysItInWords) {
  EXPECT_EQ(did_you_mean({}), "");
  EXPECT_EQ(did_you_mean({"a"}), "; did you mean 'a'?");
  EXPECT_EQ(did_you_mean({"a", "b", "c"}), "; did you mean 'a', 'b' or 'c'?");
}

}  // namespace
}  // namespace sluice::controlplane
