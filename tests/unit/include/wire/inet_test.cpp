// Addresses, endpoints and the Internet checksum.
#include "sluice/wire/inet.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace sluice {
namespace {

TEST(Endpoint, TextRoundTrip) {
  for (const auto* text : {"10.0.0.1:7600", "[fd00::1]:1", "255.255.255.255:65535"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(to_string(*endpoint), text);
  }
}

TEST(IpAddress, ThoseThatNoHostHas) {
  for (const auto* text :
       {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.0", "239.255.255.255",
        "240.0.0.0", "255.255.255.255", "::", "::1", "ff00::", "::ffff:127.0.0.1"})
    EXPECT_FALSE(why_no_host(*parse_ip(text)).empty()) << text;
  for (const auto* text : {"1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255", "::2",
                           "1::1", "fe80::1", "feff::"})
    EXPECT_TRUE(why_no_host(*parse_ip(text)).empty()) << text;
}

TEST(Endpoint, PortMayBeLeftOutWhereThereIsADefault) {
  EXPECT_EQ(parse_endpoint("10.0.0.1", 7600)->port, 7600);
  EXPECT_EQ(parse_endpoint("fd00::1", 7600)->port, 7600);
  EXPECT_EQ(parse_endpoint("[fd00::1]", 7600)->port, 7600);
  EXPECT_FALSE(parse_endpoint("10.0.0.1"));
}

TEST(Endpoint, RefusesOtherText) {
  for (const auto* text :
       {"", ":", ":1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:7x", "10.0.0:1",
        "[fd00::1", "[fd00::1]7600", "[fd00::1]:", "host:1", "10.0.0.1:99999999999999999999"}) {
    EXPECT_FALSE(parse_endpoint(text, 7600)) << text;
  }
}

TEST(IpAddress, FamilyByMapping) {
  EXPECT_TRUE(parse_ip("1.2.3.4")->is_v4());
  EXPECT_FALSE(parse_ip("::1")->is_v4());
  EXPECT_TRUE(parse_ip("0.0.0.0")->is_unspecified());
  EXPECT_TRUE(parse_ip("::")->is_unspecified());
  EXPECT_FALSE(parse_ip("::1")->is_unspecified());
}

// RFC 1071, section 3: the example's sum is ddf2.
TEST(Checksum, Rfc1071Example) {
  const std::uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(host_to_network(checksum_fold(checksum_add(data, sizeof data))), 0xddf2);
}

// Word by word, as the RFC words it.
std::uint16_t reference_sum(const std::vector<std::uint8_t>& data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); i += 2) {
    const std::uint32_t low = i + 1 < data.size() ? data[i + 1] : 0;
    sum += static_cast<std::uint32_t>(data[i]) << 8 | low;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

TEST(Checksum, AnyLengthAgreesWithReference) {
  std::mt19937 random(7);
  for (std::size_t size = 0; size < 300; ++size) {
    std::vector<std::uint8_t> data(size);
    for (auto& byte : data)
      byte = static_cast<std::uint8_t>(random());
    EXPECT_EQ(host_to_network(checksum_fold(checksum_add(data.data(), size))), reference_sum(data));
  }
}

TEST(Checksum, FoldsLargeSums) {
  EXPECT_EQ(checksum_fold(0), 0);
  EXPECT_EQ(checksum_fold(0x1fffe), 0xffff);
  EXPECT_EQ(checksum_fold(UINT64_MAX), 0xffff);
}

}  // namespace
}  // namespace sluice
