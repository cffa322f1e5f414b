#include "dataplane/apply/event_sender.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace sluice::dataplane {
namespace {

struct Free {
  void operator()(link::Region* region) const { std::free(region); }
};

TEST(EventSenderTest, FaultOfOnePeerEndsWithItsConnection) {
  void* memory = std::aligned_alloc(alignof(link::Region), sizeof(link::Region));
  std::memset(memory, 0, sizeof(link::Region));
  const std::unique_ptr<link::Region, Free> region(static_cast<link::Region*>(memory));
  const link::Event event{};
  EventSender events;
  events.attach(*region);
  EXPECT_TRUE(events.send(event));
  EXPECT_FALSE(events.corrupt());
  region->events.tail = 1'000'000;
  EXPECT_FALSE(events.send(event));
  EXPECT_TRUE(events.corrupt());
  events.detach();
  EXPECT_FALSE(events.corrupt()) << "else the manager would end a connection that there is not";
  EXPECT_FALSE(events.send(event));
}

}  // namespace
}  // namespace sluice::dataplane
