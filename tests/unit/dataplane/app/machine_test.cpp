#include "dataplane/app/machine.hpp"

#include <gtest/gtest.h>

#include "tests/unit/dataplane/app/fake_machine.hpp"

namespace sluice::dataplane {
namespace {

using Names = std::set<std::string>;

TEST(CoreList, IsReadAndWrittenAsTheKernelDoes) {
  EXPECT_EQ(parse_core_list("0-2,5\n"), (CoreSet{0, 1, 2, 5}));
  EXPECT_EQ(to_string(CoreSet{0, 1, 2, 5}), "0-2,5");
  EXPECT_EQ(to_string(CoreSet{}), "none");
  EXPECT_EQ(parse_core_list("\n"), CoreSet{});
  EXPECT_EQ(parse_core_list("0-99999999999,3"), CoreSet{3});  // nonsense is left out
}

TEST(Machine, ReadsCoresAndMemory) {
  const FakeMachine fake;
  fake.huge_pages(0, "2048", 3);
  const auto machine = fake.machine();
  EXPECT_EQ(machine.online_cores(), (CoreSet{0, 1, 2, 3}));
  EXPECT_EQ(machine.node_of_core(2), 0);
  EXPECT_EQ(machine.node_of_core(9), -1);
  EXPECT_EQ(machine.available_memory_bytes(), 8388608ULL * 1024);
  const auto pages = machine.huge_pages(0);
  ASSERT_EQ(pages.size(), 1U);
  EXPECT_EQ(pages[0].bytes, 2048U * 1024);
  EXPECT_EQ(pages[0].free_pages, 3U);
}

TEST(Machine, CapabilitiesAreBitsOfTheEffectiveMask) {
  const FakeMachine fake;
  fake.status("0-3", "0000000000001000");
  EXPECT_TRUE(fake.machine().has_capability(Capability::kNetAdmin));
  EXPECT_FALSE(fake.machine().has_capability(Capability::kNetRaw));
}

TEST(Machine, TheDefaultRouteAndWhatLiesBelowItAreLifelines) {
  const FakeMachine fake;
  fake.route(
      "br0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
      "eth7\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
  fake.write("/sys/class/net/br0/lower_bond0", "");
  fake.write("/sys/class/net/bond0/lower_eth0", "");
  EXPECT_EQ(fake.machine().lifelines(), (Names{"br0", "bond0", "eth0"}));
}

TEST(Machine, AnSshSessionIsALifelineByItsLocalAddress) {
  const FakeMachine fake;
  fake.route("eth7\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
  const std::string heading = "  sl  local_address rem_address   st\n";
  fake.write("/proc/net/tcp", heading + "   0: 0502000A:0016 0902000A:C350 0A 0\n");  // listening
  EXPECT_EQ(fake.machine().lifelines(), Names{});
  fake.write("/proc/net/tcp", heading + "   0: 0502000A:0016 0902000A:C350 01 0\n");
  EXPECT_EQ(fake.machine().lifelines(), Names{"eth7"});
}

TEST(Machine, IPv6DefaultRoutesCountButTheKernelsOwnDoesNot) {
  const FakeMachine fake;
  const std::string zero(32, '0');
  const auto line = [&](const std::string& name) {
    return zero + " 00 " + zero +
           " 00 fe800000000000000000000000000001 00000400 00000000 00000000 "
           "00000003     " +
           name + "\n";
  };
  fake.write("/proc/net/ipv6_route", line("lo") + line("eth3"));
  EXPECT_EQ(fake.machine().lifelines(), Names{"eth3"});
}

}  // namespace
}  // namespace sluice::dataplane
