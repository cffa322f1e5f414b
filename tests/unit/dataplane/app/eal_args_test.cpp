#include "dataplane/app/eal_args.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/dataplane/app/fake_machine.hpp"

namespace sluice::dataplane {
namespace {

using Arguments = std::vector<std::string>;

MemoryPlan plan(bool huge_pages, std::vector<int> nodes = {0}) {
  MemoryPlan plan;
  plan.huge_pages = huge_pages;
  plan.nodes = std::move(nodes);
  plan.reserve_bytes = 512 * kMebibyte;
  return plan;
}

bool has(const Arguments& arguments, const std::string& wanted) {
  return std::ranges::find(arguments, wanted) != arguments.end();
}

TEST(EalArguments, WithoutHugePagesAndPci) {
  const auto arguments = eal_arguments(small_config(), plan(false), CoreSet{0, 2});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(*arguments, (Arguments{"sluice-dataplane", "--file-prefix=sluice-run-sluice",
                                   "--lcores=0@(0,2),1@1", "--main-lcore=0", "--no-huge", "-m512",
                                   "--no-shconf", "--no-pci", "--vdev=net_tap0,iface=dtap0",
                                   "--no-telemetry"}));
}

TEST(EalArguments, HugePagesAreReservedOnEachNodeInUse) {
  const auto arguments = eal_arguments(small_config(), plan(true, {0, 2}), CoreSet{0});
  ASSERT_TRUE(arguments);
  EXPECT_TRUE(has(*arguments, "--socket-mem=512,0,512"));
  EXPECT_TRUE(has(*arguments, "--in-memory"));
  EXPECT_FALSE(has(*arguments, "--no-huge"));
}

TEST(EalArguments, DevicesThatShareMemoryNeedFilesBehindIt) {
  auto config = small_config();
  config.ports[0].device = "net_memif0,role=client";
  const auto arguments = eal_arguments(config, plan(true), CoreSet{0});
  ASSERT_TRUE(arguments);
  EXPECT_TRUE(has(*arguments, "--single-file-segments"));
  EXPECT_FALSE(has(*arguments, "--in-memory"));
}

TEST(EalArguments, OnlyConfiguredPciDevicesAreTouched) {
  auto config = small_config();
  config.ports[0].device = "03:00.0,mpwqe=1";
  const auto arguments = eal_arguments(config, plan(true), CoreSet{0});
  ASSERT_TRUE(arguments);
  EXPECT_TRUE(has(*arguments, "--allow=0000:03:00.0,mpwqe=1"));
  EXPECT_FALSE(has(*arguments, "--no-pci"));
}

TEST(EalArguments, ExtraOnesComeLastAndMaySwitchTelemetryOn) {
  auto config = small_config();
  config.dataplane.eal_args = {"--telemetry", "--iova-mode=va"};
  const auto arguments = eal_arguments(config, plan(false), CoreSet{0});
  ASSERT_TRUE(arguments);
  EXPECT_FALSE(has(*arguments, "--no-telemetry"));
  EXPECT_EQ(arguments->back(), "--iova-mode=va");
}

TEST(EalArguments, WhatTheConfigurationDecidesCannotBeSetTwice) {
  for (const char* argument : {"-l", "--lcores=0-3", "-m512", "--vdev=net_null0", "--file-prefix",
                               "--no-huge", "--proc-type=secondary"}) {
    auto config = small_config();
    config.dataplane.eal_args = {argument};
    const auto arguments = eal_arguments(config, plan(false), CoreSet{0});
    ASSERT_FALSE(arguments) << argument;
    EXPECT_NE(arguments.error().message().find("not yours to set"), std::string::npos);
  }
}

TEST(EalArguments, TwoRunDirectoriesNeverShareAPrefix) {
  EXPECT_NE(file_prefix("/run/a"), file_prefix("/run/b"));
}

}  // namespace
}  // namespace sluice::dataplane
