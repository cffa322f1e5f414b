#include "dataplane/pipeline/class_queue.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace sluice::dataplane {
namespace {

// Only pointers are queued: any distinct ones will do.
std::vector<rte_mbuf> buffers(1200);

std::vector<rte_mbuf*> drain(ClassQueue& queue, std::uint32_t at_once) {
  std::vector<rte_mbuf*> all;
  while (!queue.empty()) {
    std::vector<rte_mbuf*> some(at_once);
    const std::uint32_t n = queue.front(some.data(), at_once);
    all.insert(all.end(), some.begin(), some.begin() + n);
    queue.pop(n);
  }
  return all;
}

TEST(ClassQueue, BestClassFirstAndInOrderWithinIt) {
  auto queue = std::make_unique<ClassQueue>();
  const unsigned classes[] = {0, 7, 3, 7, 0, 3};
  for (unsigned i = 0; i < 6; ++i)
    EXPECT_EQ(queue->push(&buffers[i], classes[i]), nullptr);
  EXPECT_EQ(queue->size(), 6u);
  const std::vector<rte_mbuf*> want = {&buffers[1], &buffers[3], &buffers[2],
                                       &buffers[5], &buffers[0], &buffers[4]};
  EXPECT_EQ(drain(*queue, 4), want);
}

TEST(ClassQueue, NewestOfTheLowestClassMakesWay) {
  auto queue = std::make_unique<ClassQueue>();
  for (std::uint32_t i = 0; i < ClassQueue::kLimit; ++i)
    EXPECT_EQ(queue->push(&buffers[i], i % 2 == 0 ? 2 : 5), nullptr);
  EXPECT_TRUE(queue->refuses(2));
  EXPECT_TRUE(queue->refuses(0));
  EXPECT_FALSE(queue->refuses(3));
  rte_mbuf* equal = &buffers[1000];
  EXPECT_EQ(queue->push(equal, 2), equal);
  rte_mbuf* better = &buffers[1001];
  EXPECT_EQ(queue->push(better, 7), &buffers[ClassQueue::kLimit - 2]);
  EXPECT_EQ(queue->size(), ClassQueue::kLimit);
  EXPECT_EQ(drain(*queue, 64).front(), better);
}

TEST(ClassQueue, LowestClassIsUsedUpBeforeTheNext) {
  auto queue = std::make_unique<ClassQueue>();
  queue->push(&buffers[0], 1);
  for (std::uint32_t i = 1; i < ClassQueue::kLimit; ++i)
    queue->push(&buffers[i], 4);
  EXPECT_EQ(queue->push(&buffers[600], 6), &buffers[0]);
  EXPECT_EQ(queue->push(&buffers[601], 6), &buffers[ClassQueue::kLimit - 1]);
  EXPECT_TRUE(queue->refuses(4));
}

TEST(ClassQueue, GoesRoundWithoutLoss) {
  auto queue = std::make_unique<ClassQueue>();
  for (unsigned turn = 0; turn < 100; ++turn) {
    for (unsigned i = 0; i < 37; ++i)
      ASSERT_EQ(queue->push(&buffers[i], 3), nullptr);
    ASSERT_EQ(drain(*queue, 10).size(), 37u);
  }
}

}  // namespace
}  // namespace sluice::dataplane
