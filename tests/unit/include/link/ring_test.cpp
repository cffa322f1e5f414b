#include "sluice/link/ring.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace sluice::link {
namespace {

struct Element {
  std::uint64_t number;
  std::uint64_t check;
};
using Small = Ring<Element, 64>;
using Producer = RingProducer<Element, 64>;
using Consumer = RingConsumer<Element, 64>;

struct RingTest : ::testing::Test {
  std::unique_ptr<Small> ring = std::make_unique<Small>();
  Producer producer{*ring};
  Consumer consumer{*ring};
  bool ok = true;
};

TEST_F(RingTest, TakesItsCapacityAndNoMore) {
  const Element element{1, ~std::uint64_t{1}};
  for (int i = 0; i < 64; ++i)
    EXPECT_EQ(producer.push(&element, 1, ok), 1u);
  EXPECT_EQ(producer.push(&element, 1, ok), 0u);
  EXPECT_TRUE(ok);
  EXPECT_EQ(producer.reserve(ok), nullptr);
  Element out{};
  EXPECT_EQ(consumer.pop(&out, 1, ok), 1u);
  EXPECT_EQ(producer.push(&element, 1, ok), 1u);
}

TEST_F(RingTest, BurstsWrapAround) {
  std::uint64_t next = 0;
  std::uint64_t expected = 0;
  for (int round = 0; round < 1000; ++round) {
    Element in[13];
    for (auto& element : in)
      element = {next, ~next}, ++next;
    ASSERT_EQ(producer.push(in, 13, ok), 13u);
    Element out[13];
    ASSERT_EQ(consumer.pop(out, 13, ok), 13u);
    for (const auto& element : out)
      ASSERT_EQ(element.number, expected++);
  }
}

TEST_F(RingTest, ImpossibleIndicesAreReportedNeverFollowed) {
  Element out{};
  for (const std::uint64_t head : {std::uint64_t{65}, std::uint64_t{1} << 63, UINT64_MAX}) {
    ring->head = head;
    ok = true;
    EXPECT_EQ(consumer.pop(&out, 1, ok), 0u);
    EXPECT_FALSE(ok);
    ok = true;
    EXPECT_FALSE(consumer.prepare_wait());
  }
  const Element element{};
  for (const std::uint64_t tail : {std::uint64_t{1}, UINT64_MAX - 64}) {
    ring->tail = tail;
    ok = true;
    EXPECT_EQ(producer.push(&element, 1, ok), 0u);
    EXPECT_FALSE(ok);
  }
}

TEST_F(RingTest, WakeUpIsAskedForOnce) {
  EXPECT_FALSE(producer.needs_wakeup());
  EXPECT_TRUE(consumer.prepare_wait());
  const Element element{};
  producer.push(&element, 1, ok);
  EXPECT_TRUE(producer.needs_wakeup());
  EXPECT_FALSE(producer.needs_wakeup());
  EXPECT_FALSE(consumer.prepare_wait());  // something is there
}

// Run under the thread sanitizer too: order, completeness, no torn element, no lost wake-up.
TEST_F(RingTest, TwoThreads) {
  constexpr std::uint64_t kCount = 200'000;
  std::atomic<int> bell{0};
  std::thread writer([&] {
    bool good = true;
    for (std::uint64_t n = 0; n < kCount;) {
      Element burst[16];
      std::uint32_t size = 0;
      for (; size < 16 && n + size < kCount; ++size)
        burst[size] = {n + size, ~(n + size)};
      n += producer.push(burst, size, good);
      if (producer.needs_wakeup()) {
        bell.store(1, std::memory_order_release);
        bell.notify_one();
      }
    }
  });
  std::uint64_t expected = 0;
  bool torn = false;
  while (expected < kCount) {
    Element out[32];
    bool good = true;
    const std::uint32_t n = consumer.pop(out, 32, good);
    ASSERT_TRUE(good);
    for (std::uint32_t i = 0; i < n; ++i, ++expected)
      torn = torn || out[i].number != expected || out[i].check != ~expected;
    if (n > 0) continue;
    if (consumer.prepare_wait()) {
      bell.wait(0, std::memory_order_acquire);
      bell.store(0, std::memory_order_relaxed);
    }
    consumer.cancel_wait();
  }
  writer.join();
  EXPECT_FALSE(torn);
}

}  // namespace
}  // namespace sluice::link
