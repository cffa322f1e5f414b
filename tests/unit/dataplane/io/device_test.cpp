#include "dataplane/io/device.hpp"

#include <gtest/gtest.h>

namespace sluice::dataplane {
namespace {

TEST(Device, PciAddressesAreSpelledAsTheKernelDoes) {
  const auto device = parse_device("3B:00.1,mpwqe=1");
  ASSERT_TRUE(device);
  EXPECT_TRUE(device->is_pci());
  EXPECT_EQ(device->name, "0000:3b:00.1");
  EXPECT_EQ(device->arguments, "mpwqe=1");
  EXPECT_EQ(parse_device("0001:03:00.0")->name, "0001:03:00.0");
}

TEST(Device, SoftwareDriversAreKnownByTheirPrefix) {
  for (const auto& driver : software_drivers()) {
    const auto device = parse_device(std::string(driver.name) + "3");
    ASSERT_TRUE(device) << driver.name;
    EXPECT_EQ(device->driver, &driver);
    EXPECT_EQ(device->name, std::string(driver.name) + "3");
  }
}

TEST(Device, ArgumentsAreFoundByTheirKey) {
  const auto device = parse_device("net_af_packet0,iface=eth1,qpairs=2");
  ASSERT_TRUE(device);
  EXPECT_EQ(device->argument("iface"), "eth1");
  EXPECT_EQ(device->argument("qpairs"), "2");
  EXPECT_EQ(device->argument("q"), std::nullopt);
}

TEST(Device, UnknownDriversAreRefusedWithTheKnownOnes) {
  for (const char* text :
       {"net_foo0", "net_tapp0", "", "03:00", "0000:03:00.8", "zz:00.0", ",iface=a"}) {
    const auto device = parse_device(text);
    ASSERT_FALSE(device) << text;
    EXPECT_NE(device.error().message().find("net_tap"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace sluice::dataplane
