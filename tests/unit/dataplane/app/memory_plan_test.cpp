#include "dataplane/app/memory_plan.hpp"

#include <gtest/gtest.h>

#include "tests/unit/dataplane/app/fake_machine.hpp"

namespace sluice::dataplane {
namespace {

TEST(MemoryPlan, OneBufferHoldsAFrameOfTheLargestMtu) {
  auto config = small_config();
  EXPECT_EQ(mbuf_data_room(config), 2048U + 128);
  config.ports[0].mtu = 9000;
  EXPECT_GE(mbuf_data_room(config), 9000U + 22 + 128);
  EXPECT_EQ(mbuf_data_room(config) % 64, 0U);
}

TEST(MemoryPlan, NeedsGrowWithBuffersAndRoutes) {
  auto config = small_config();
  const auto before = memory_need(config).bytes();
  config.dataplane.mbufs *= 2;
  const auto more_buffers = memory_need(config).bytes();
  EXPECT_GE(more_buffers - before, 32768ULL * 2304);
  config.dataplane.routes = 1'000'000;
  EXPECT_GE(memory_need(config).bytes() - more_buffers, 800'000ULL * 50);
}

TEST(MemoryPlan, HugePagesAreUsedWhenThereAreEnoughOnEveryNode) {
  const FakeMachine fake;
  fake.write("/sys/devices/system/node/node0/cpulist", "0-1\n");
  fake.write("/sys/devices/system/node/node1/cpulist", "2-3\n");
  auto config = small_config();
  config.dataplane.workers = {1, 2};
  fake.huge_pages(0, "2048", 256);
  fake.huge_pages(1, "2048", 255);
  auto plan = plan_memory(config, fake.machine());
  EXPECT_EQ(plan.nodes, (std::vector<int>{0, 1}));
  EXPECT_FALSE(plan.huge_pages);
  EXPECT_NE(plan.huge_shortage.find("node 1, 510 MiB free"), std::string::npos);
  EXPECT_NE(plan.huge_remedy.find("+ 1))"), std::string::npos) << plan.huge_remedy;
  fake.huge_pages(1, "2048", 256);
  plan = plan_memory(config, fake.machine());
  EXPECT_TRUE(plan.huge_pages);
  config.dataplane.huge_pages = config::HugePages::kOff;
  EXPECT_FALSE(plan_memory(config, fake.machine()).huge_pages);
}

TEST(MemoryPlan, SharedMemoryNeedsAMountedHugetlbfs) {
  const FakeMachine fake;
  fake.huge_pages(0, "2048", 256);
  auto config = small_config();
  config.ports[0].device = "net_memif0,role=server";
  auto plan = plan_memory(config, fake.machine());
  EXPECT_FALSE(plan.huge_pages);
  EXPECT_NE(plan.huge_remedy.find("mount -t hugetlbfs"), std::string::npos);
  fake.write("/proc/self/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw 0 0\n");
  plan = plan_memory(config, fake.machine());
  EXPECT_TRUE(plan.huge_pages) << plan.huge_shortage;
}

TEST(MemoryPlan, TheLargerPagesAreTakenWhenThereIsMoreOfThem) {
  const FakeMachine fake;
  fake.huge_pages(0, "2048", 10);
  fake.huge_pages(0, "1048576", 1);
  const auto plan = plan_memory(small_config(), fake.machine());
  EXPECT_TRUE(plan.huge_pages);
  EXPECT_EQ(plan.huge[0].page_bytes, 1ULL << 30);
}

TEST(MemoryPlan, QueuesHeldMessagesAndRingsCountAsBuffersInUse) {
  auto config = small_config();
  config.ports[0].device = "0000:03:00.0";
  const auto before = mbufs_in_use(config);
  config.ports[0].descriptors *= 2;
  EXPECT_EQ(mbufs_in_use(config) - before, 1024U * 2);  // one receive, one transmit queue
  config.hold.total += 100;
  EXPECT_EQ(mbufs_in_use(config) - before, 1024U * 2 + 100);
}

}  // namespace
}  // namespace sluice::dataplane
