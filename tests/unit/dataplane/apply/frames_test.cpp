#include "dataplane/apply/frames.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::dataplane {
namespace {

link::SlotHeader header(Family family, std::uint16_t vlan) {
  link::SlotHeader made{};
  made.bytes = kEnvelopeBytes + 5;
  made.kind = link::SlotKind::kMessage;
  made.family = family;
  made.port = 1;
  made.vlan = vlan;
  made.mac = {2, 1, 1, 1, 1, 1};
  made.local_udp_port = 7600;
  made.remote_udp_port = 9000;
  const bool v4 = family == Family::kIpv4;
  made.local = *parse_ip(v4 ? "10.0.0.1" : "fd00::1");
  made.remote = *parse_ip(v4 ? "10.0.0.2" : "fd00::2");
  return made;
}

std::vector<std::uint8_t> frame_of(const link::SlotHeader& header) {
  const std::size_t headers = inject_header_bytes(header);
  std::vector<std::uint8_t> frame(headers + header.bytes);
  for (std::size_t i = 0; i < header.bytes; ++i)
    frame[headers + i] = static_cast<std::uint8_t>(i * 3);
  write_inject_headers(header, {2, 0, 0, 0, 0, 1}, frame.data());
  return frame;
}

struct Shape {
  Family family;
  std::uint16_t vlan;
};
class Injected : public ::testing::TestWithParam<Shape> {};

// What is injected, received by the other side and punted there says the same, mirrored.
TEST_P(Injected, ReadsBackAsAPunt) {
  const auto [family, vlan] = GetParam();
  const auto sent = header(family, vlan);
  const auto frame = frame_of(sent);
  const std::size_t l2 = vlan == 0 ? 14 : 18;
  const std::size_t l3 = family == Family::kIpv4 ? 20 : 40;
  ASSERT_EQ(inject_header_bytes(sent), l2 + l3 + 8);
  const auto view = view_message(frame.data(), frame.size(), l2, l3);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->bytes, sent.bytes);
  EXPECT_EQ(view->offset, l2 + l3 + 8);
  const auto punted = punt_header(frame.data(), l2, l3, *view, 4, 99);
  EXPECT_EQ(punted.local, sent.remote);
  EXPECT_EQ(punted.remote, sent.local);
  EXPECT_EQ(punted.local_udp_port, sent.remote_udp_port);
  EXPECT_EQ(punted.remote_udp_port, sent.local_udp_port);
  EXPECT_EQ(punted.vlan, vlan);
  EXPECT_EQ(punted.family, family);
  EXPECT_EQ(punted.mac, (MacAddress{2, 0, 0, 0, 0, 1}));
  EXPECT_EQ(punted.port, 4);
  EXPECT_EQ(punted.received_ns, 99u);
}

// Checksums over all of it, the pseudo header included, come out as all ones (RFC 1071).
TEST_P(Injected, ChecksumsAreRight) {
  const auto [family, vlan] = GetParam();
  const auto sent = header(family, vlan);
  const auto frame = frame_of(sent);
  const std::uint8_t* ip = frame.data() + (vlan == 0 ? 14 : 18);
  const bool v4 = family == Family::kIpv4;
  const std::size_t l3 = v4 ? 20 : 40;
  if (v4) {
    EXPECT_EQ(checksum_fold(checksum_add(ip, 20)), 0xffff);
  }
  const std::size_t udp_bytes = sizeof(UdpHeader) + sent.bytes;
  const Big32 length(static_cast<std::uint32_t>(udp_bytes));
  const Big32 protocol(std::uint32_t{kIpProtocolUdp});
  std::uint64_t sum = checksum_add(ip + (v4 ? 12 : 8), v4 ? 8 : 32);
  sum = checksum_add(&length, 4, sum);
  sum = checksum_add(&protocol, 4, sum);
  sum = checksum_add(ip + l3, udp_bytes, sum);
  EXPECT_EQ(checksum_fold(sum), 0xffff);
}
INSTANTIATE_TEST_SUITE_P(Shapes, Injected,
                         ::testing::Values(Shape{Family::kIpv4, 0}, Shape{Family::kIpv4, 100},
                                           Shape{Family::kIpv6, 0}, Shape{Family::kIpv6, 4094}));

TEST(Inject, EveryFieldIsChecked) {
  const auto good = header(Family::kIpv4, 0);
  ASSERT_TRUE(valid_inject(good, 2, 1500));
  const auto refused = [&](auto spoil) {
    auto bad = good;
    spoil(bad);
    return !valid_inject(bad, 2, 1500);
  };
  EXPECT_TRUE(refused([](auto& h) { h.kind = link::SlotKind::kTrace; }));
  EXPECT_TRUE(refused([](auto& h) { h.reserved = 1; }));
  EXPECT_TRUE(refused([](auto& h) { h.bytes = kEnvelopeBytes - 1; }));
  EXPECT_TRUE(refused([](auto& h) { h.bytes = sizeof(link::Slot::data) + 1; }));
  EXPECT_TRUE(refused([](auto& h) { h.bytes = UINT32_MAX; }));
  EXPECT_TRUE(refused([](auto& h) { h.bytes = 1500; }));  // with its headers over the MTU
  EXPECT_TRUE(refused([](auto& h) { h.port = 2; }));
  EXPECT_TRUE(refused([](auto& h) { h.vlan = 4095; }));
  EXPECT_TRUE(refused([](auto& h) { h.family = Family::kIpv6; }));
  EXPECT_TRUE(refused([](auto& h) { h.family = static_cast<Family>(0); }));
  EXPECT_TRUE(refused([](auto& h) { h.mac = {}; }));
  EXPECT_TRUE(refused([](auto& h) { h.mac[0] = 1; }));
  EXPECT_TRUE(refused([](auto& h) { h.local_udp_port = 0; }));
  EXPECT_TRUE(refused([](auto& h) { h.remote_udp_port = 0; }));
  EXPECT_TRUE(refused([](auto& h) { h.remote = IpAddress::v4(Big32(0u)); }));
}

TEST(View, LengthsOfTheMbufAndOfTheWireAreCheckedAgain) {
  auto frame = frame_of(header(Family::kIpv4, 0));
  EXPECT_FALSE(view_message(frame.data(), frame.size(), 13, 20));
  EXPECT_FALSE(view_message(frame.data(), frame.size(), 14, 24));
  EXPECT_FALSE(view_message(frame.data(), 14 + 20 + 8 + 63, 14, 20));
  EXPECT_FALSE(view_message(frame.data(), frame.size() - 1, 14, 20));
  store(frame.data() + 14 + 20 + 4, Big16(std::uint16_t{71}));
  EXPECT_FALSE(view_message(frame.data(), frame.size(), 14, 20));
}

}  // namespace
}  // namespace sluice::dataplane
