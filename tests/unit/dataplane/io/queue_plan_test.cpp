#include "dataplane/io/queue_plan.hpp"

#include <gtest/gtest.h>

namespace sluice::dataplane {
namespace {

using Workers = std::vector<std::uint16_t>;

TEST(QueuePlan, EachServingWorkerGetsAQueueOfItsOwn) {
  const auto plan = plan_queues({{}, {1, 2}, 3}, {16, 16, false});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->poller, (Workers{1, 2}));
  EXPECT_EQ(plan->tx_queues, 3);
  EXPECT_FALSE(plan->dispatch);
  for (std::uint16_t worker = 0; worker < 3; ++worker)
    EXPECT_TRUE(plan->own_tx(worker));
}

TEST(QueuePlan, TooFewQueuesMeanDispatchAndSendingThroughOthers) {
  const auto plan = plan_queues({{}, {0, 1, 2}, 3}, {1, 1, false});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->poller, (Workers{0}));
  EXPECT_TRUE(plan->dispatch);
  EXPECT_EQ(plan->sender, (Workers{0, 0, 0}));
  EXPECT_TRUE(plan->own_tx(0));
  EXPECT_FALSE(plan->own_tx(2));
}

TEST(QueuePlan, MoreQueuesThanWorkersArePolledInTurn) {
  const auto plan = plan_queues({4U, {0, 1}, 2}, {8, 8, false});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->poller, (Workers{0, 1, 0, 1}));
  EXPECT_FALSE(plan->dispatch);
}

TEST(QueuePlan, EqualQueuesFollowTheWorkersThatSend) {
  const auto plan = plan_queues({{}, {1}, 2}, {16, 16, true});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->rx_queues, 2);
  EXPECT_EQ(plan->tx_queues, 2);
  EXPECT_EQ(plan->poller, (Workers{1, 1}));
}

TEST(QueuePlan, EqualQueuesFollowTheConfigurationWhenItSaysSo) {
  const auto plan = plan_queues({1U, {0, 1}, 2}, {16, 16, true});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->rx_queues, 1);
  EXPECT_EQ(plan->tx_queues, 1);
  EXPECT_TRUE(plan->dispatch);
  EXPECT_EQ(plan->sender, (Workers{0, 0}));
}

TEST(QueuePlan, MoreThanTheDeviceHasIsRefused) {
  EXPECT_FALSE(plan_queues({3U, {0}, 1}, {2, 2, false}));
  EXPECT_FALSE(plan_queues({2U, {0}, 1}, {2, 1, true}));
  EXPECT_FALSE(plan_queues({{}, {0}, 1}, {1, 0, false}));
  EXPECT_TRUE(plan_queues({2U, {0}, 1}, {2, 1, false}));
}

}  // namespace
}  // namespace sluice::dataplane
