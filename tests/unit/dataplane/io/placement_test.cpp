#include "dataplane/io/placement.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace sluice::dataplane {
namespace {

TEST(Placement, OneLineForEachWorkerAndPort) {
  const auto lines =
      placement_report({{"p0", 0, {0}}, {"p1", -1, {0, 1}}}, {{0, 2, 0, 0}, {1, 3, 0, 0}});
  ASSERT_EQ(lines.size(), 4U);
  for (const auto& line : lines)
    EXPECT_FALSE(line.crosses) << line.text;
  EXPECT_EQ(lines[0].text, "event=placement worker=0 core=2 socket=0 mempool_socket=0");
  EXPECT_EQ(lines[3].text, "event=placement port=p1 socket=any");
}

TEST(Placement, AWorkerFarFromItsPortIsAWarningThatNamesTheCore) {
  const auto lines = placement_report({{"p0", 1, {0, 1}}}, {{0, 2, 0, 0}, {1, 9, 1, 1}});
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_TRUE(lines[2].crosses);
  EXPECT_NE(lines[2].text.find("far_cores=2 "), std::string::npos) << lines[2].text;
}

TEST(Placement, BuffersOnAnotherNodeAreAWarning) {
  const auto lines = placement_report({}, {{0, 2, 0, 1}});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].crosses);
}

TEST(Placement, WhatIsNotKnownDoesNotCross) {
  const auto lines = placement_report({{"p0", 1, {0}}}, {{0, 2, -1, 0}});
  for (const auto& line : lines)
    EXPECT_FALSE(line.crosses) << line.text;
}

TEST(Placement, NodesInUseAreSortedWithoutDoubles) {
  EXPECT_EQ(nodes_in_use({{0, 0, 1, 1}, {1, 1, 0, 0}, {2, 2, 1, 1}}), (std::vector<int>{0, 1}));
  EXPECT_EQ(nodes_in_use({}), (std::vector<int>{0}));
  EXPECT_EQ(nodes_in_use({{0, 0, -1, -1}}), (std::vector<int>{0}));
}

TEST(Placement, MemoryThatWasTouchedIsOnSomeNodeOrNotKnown) {
  const auto memory = std::make_unique<int>(1);
  EXPECT_GE(node_of_memory(memory.get()), -1);
  EXPECT_LT(node_of_memory(nullptr), 0);
}

}  // namespace
}  // namespace sluice::dataplane
