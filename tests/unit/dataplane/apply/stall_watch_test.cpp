#include "dataplane/apply/stall_watch.hpp"

#include <gtest/gtest.h>

#include "sluice/base/clock.hpp"

namespace sluice::dataplane {
namespace {

using Change = StallWatch::Change;
constexpr std::uint64_t kStart = 50 * kNsPerSecond;
constexpr std::uint64_t kLimit = link::kHeartbeatStalledNs;

TEST(StallWatch, TellsOfTheStallAndOfItsEndOnce) {
  StallWatch watch;
  watch.start(kStart, 1);
  EXPECT_EQ(watch.look(kStart + kLimit, 1), Change::kNone);
  EXPECT_EQ(watch.look(kStart + kLimit + 1, 1), Change::kStalled);
  EXPECT_EQ(watch.look(kStart + 5 * kNsPerSecond, 1), Change::kNone);
  EXPECT_EQ(watch.look(kStart + 6 * kNsPerSecond, 2), Change::kResumed);
  EXPECT_EQ(watch.silent_ns(), 6 * kNsPerSecond);
  EXPECT_EQ(watch.look(kStart + 6 * kNsPerSecond + kLimit, 2), Change::kNone);
  EXPECT_EQ(watch.look(kStart + 6 * kNsPerSecond + kLimit + 1, 2), Change::kStalled);
}

TEST(StallWatch, AnotherConnectionBeginsAnew) {
  StallWatch watch;
  watch.start(kStart, 1);
  EXPECT_EQ(watch.look(kStart + 2 * kLimit, 1), Change::kStalled);
  watch.start(kStart + 2 * kLimit, 1);
  EXPECT_EQ(watch.look(kStart + 2 * kLimit + 1, 1), Change::kNone);
  EXPECT_EQ(watch.look(kStart + 3 * kLimit + 1, 1), Change::kStalled);
}

// From the future or from long ago: it moves, so somebody is there.
TEST(StallWatch, TheValueItselfIsNotBelieved) {
  StallWatch watch;
  watch.start(kStart, 1);
  for (std::uint64_t i = 0; i < 1000; ++i)
    EXPECT_EQ(watch.look(kStart + i * kNsPerMs * 100, i % 2 == 0 ? UINT64_MAX : 0), Change::kNone);
}

}  // namespace
}  // namespace sluice::dataplane
