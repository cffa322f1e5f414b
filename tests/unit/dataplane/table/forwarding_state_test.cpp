#include "dataplane/table/forwarding_state.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace sluice::dataplane {
namespace {

IpAddress v4(std::uint32_t number) {
  return IpAddress::v4(Big32(number));
}

TEST(AddressSet, ContainsExactlyWhatWasGiven) {
  std::vector<IpAddress> addresses;
  for (std::uint32_t i = 0; i < kMaxPeers; ++i)
    addresses.push_back(v4(0x0a000000 + i));
  addresses.push_back(IpAddress{});  // unspecified is an address like any other here
  addresses.push_back(addresses.front());
  const AddressSet set(addresses);
  EXPECT_EQ(set.size(), kMaxPeers + 1);
  for (const IpAddress& address : addresses)
    EXPECT_TRUE(set.contains(address));
  for (std::uint32_t i = 0; i < 10'000; ++i)
    EXPECT_FALSE(set.contains(v4(0x0b000000 + i)));
}

TEST(AddressSet, EmptyContainsNothing) {
  EXPECT_FALSE(AddressSet{}.contains(v4(1)));
  EXPECT_FALSE(AddressSet(std::vector<IpAddress>{}).contains(IpAddress{}));
}

TEST(Tenants, UnknownTenantHasNoIndexAndAddressesItselfOnly) {
  const Tenants tenants;
  EXPECT_EQ(tenants.index_of(7), Tenants::kNoTenant);
  EXPECT_TRUE(tenants.allowed(7, 7));
  EXPECT_FALSE(tenants.allowed(7, 8));
  EXPECT_EQ(tenants.size(), 0U);
}

TEST(Tenants, IndexStaysAndFreedOneIsReused) {
  Tenants tenants = Tenants{}.with(100, {1000, 10}).with(65535, {2000, 20});
  const std::uint16_t first = tenants.index_of(100);
  const std::uint16_t second = tenants.index_of(65535);
  EXPECT_EQ(tenants.limit(second), (TenantLimit{2000, 20}));
  tenants = tenants.with(100, {5, 6});
  EXPECT_EQ(tenants.index_of(100), first);
  EXPECT_EQ(tenants.limit(first), (TenantLimit{5, 6}));
  tenants = tenants.without(100);
  EXPECT_EQ(tenants.index_of(100), Tenants::kNoTenant);
  EXPECT_EQ(tenants.index_of(65535), second);
  tenants = tenants.with(3, {7, 8});
  EXPECT_EQ(tenants.index_of(3), first);
  EXPECT_EQ(tenants.size(), 2U);
}

TEST(Tenants, AllowedIsOneWayAndRemovable) {
  Tenants tenants = Tenants{}.with_allowed(0, 1, true).with_allowed(1, 2, true);
  EXPECT_TRUE(tenants.allowed(0, 1));
  EXPECT_FALSE(tenants.allowed(1, 0));
  EXPECT_TRUE(tenants.allowed(1, 2));
  EXPECT_FALSE(tenants.allowed(0, 2));
  EXPECT_EQ(tenants.with_allowed(0, 1, true).allowed_by(0), 1U) << "twice is once";
  tenants = tenants.with_allowed(0, 1, false);
  EXPECT_FALSE(tenants.allowed(0, 1));
  EXPECT_TRUE(tenants.allowed(1, 2));
  tenants = tenants.with_allowed(1, 2, false).with_allowed(1, 2, false);
  EXPECT_FALSE(tenants.allowed(1, 2));
}

TEST(Tenants, ManyPairsAndDeletionOfATenant) {
  Tenants tenants;
  for (std::uint16_t to = 1; to <= kMaxAllowedPerTenant; ++to)
    tenants = tenants.with_allowed(500, static_cast<std::uint16_t>(to * 7), true)
                  .with_allowed(static_cast<std::uint16_t>(to * 7), 500, true);
  EXPECT_EQ(tenants.allowed_by(500), kMaxAllowedPerTenant);
  for (std::uint16_t to = 1; to <= kMaxAllowedPerTenant; ++to) {
    EXPECT_TRUE(tenants.allowed(500, static_cast<std::uint16_t>(to * 7)));
    EXPECT_FALSE(tenants.allowed(500, static_cast<std::uint16_t>(to * 7 + 1)));
  }
  tenants = tenants.without(500);
  EXPECT_EQ(tenants.allowed_by(500), 0U);
  EXPECT_TRUE(tenants.allowed(7, 500)) << "what others may do stays";
}

TEST(PortForwarding, LocalAddresses) {
  PortForwarding port;
  for (std::uint32_t i = 0; i < kMaxLocalAddressesPerPort; ++i)
    EXPECT_TRUE(port.add_local(v4(i + 1)));
  EXPECT_FALSE(port.add_local(v4(1)));
  EXPECT_FALSE(port.add_local(v4(99))) << "no room";
  EXPECT_TRUE(port.remove_local(v4(3)));
  EXPECT_FALSE(port.remove_local(v4(3)));
  EXPECT_FALSE(port.is_local(v4(3)));
  EXPECT_TRUE(port.is_local(v4(kMaxLocalAddressesPerPort)));
  EXPECT_FALSE(port.is_local(IpAddress{})) << "an empty cell is no address";
  EXPECT_TRUE(port.add_local(v4(99)));
  EXPECT_TRUE(port.is_local(v4(99)));
}

TEST(ForwardingState, CopiesShareWhatDoesNotChange) {
  ForwardingState first;
  EXPECT_FALSE(first.ready);
  EXPECT_FALSE(first.peers->contains(v4(1)));
  ForwardingState second = first;
  second.ready = true;
  EXPECT_EQ(first.tenants, second.tenants);
}

}  // namespace
}  // namespace sluice::dataplane
