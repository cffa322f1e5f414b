#include "controlplane/host/messages.hpp"

#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <random>

namespace sluice::controlplane::netlink {
namespace {

const nlmsghdr& header_of(const Buffer& buffer) {
  return *reinterpret_cast<const nlmsghdr*>(buffer.data());
}

IpAddress ip(const char* text) {
  return *parse_ip(text);
}

TEST(Messages, AddressRequestSaysWhatWasAskedFor) {
  Buffer buffer;
  put_address(buffer, 7, 3, {ip("fd00::1"), 64}, true);
  const auto& header = header_of(buffer);
  EXPECT_EQ(header.nlmsg_seq, 7u);
  EXPECT_EQ(header.nlmsg_len, buffer.size());
  EXPECT_TRUE(header.nlmsg_flags & NLM_F_ACK);
  // What the kernel takes as a request it sends as a fact in the same form.
  const auto parsed = parse(header);
  const auto* fact = std::get_if<AddressFact>(&parsed);
  ASSERT_NE(fact, nullptr);
  EXPECT_EQ(fact->ifindex, 3u);
  EXPECT_EQ(fact->address, (InterfaceAddress{ip("fd00::1"), 64}));
  Buffer removal;
  put_address(removal, 8, 3, {ip("10.0.0.1"), 24}, false);
  const auto gone = parse(header_of(removal));
  ASSERT_NE(std::get_if<AddressGone>(&gone), nullptr);
  EXPECT_EQ(std::get<AddressGone>(gone).address.address.address, ip("10.0.0.1"));
}

TEST(Messages, NeighborRequestUsesTheEntry) {
  Buffer buffer;
  put_ask_neighbor(buffer, 9, 4, ip("10.0.0.2"));
  const auto* body = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(&header_of(buffer)));
  EXPECT_EQ(body->ndm_flags, NTF_USE);
  EXPECT_EQ(body->ndm_ifindex, 4);
  const auto parsed = parse(header_of(buffer));
  const auto* fact = std::get_if<NeighborFact>(&parsed);
  ASSERT_NE(fact, nullptr);
  EXPECT_EQ(fact->address, ip("10.0.0.2"));
  EXPECT_FALSE(fact->mac);
}

TEST(Messages, ParsesANeighborWithItsLinkAddress) {
  alignas(nlmsghdr) std::array<std::uint8_t, 256> bytes{};
  nlmsghdr* header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = RTM_NEWNEIGH;
  auto* body = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ndmsg)));
  body->ndm_family = AF_INET;
  body->ndm_ifindex = 12;
  body->ndm_state = NUD_STALE;
  const std::uint8_t address[4] = {10, 0, 0, 2};
  const MacAddress mac{2, 1, 2, 3, 4, 5};
  mnl_attr_put(header, NDA_DST, sizeof address, address);
  mnl_attr_put(header, NDA_LLADDR, mac.size(), mac.data());
  const auto parsed = parse(*header);
  const auto* fact = std::get_if<NeighborFact>(&parsed);
  ASSERT_NE(fact, nullptr);
  EXPECT_EQ(fact->state, NeighborState::kStale);
  EXPECT_EQ(fact->mac, mac);
  header->nlmsg_type = RTM_DELNEIGH;
  EXPECT_TRUE(std::holds_alternative<NeighborGone>(parse(*header)));
}

TEST(Messages, ParsesARouteWithItsGateway) {
  alignas(nlmsghdr) std::array<std::uint8_t, 256> bytes{};
  nlmsghdr* header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = RTM_NEWROUTE;
  auto* body = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  body->rtm_family = AF_INET;
  body->rtm_type = RTN_UNICAST;
  const std::uint8_t gateway[4] = {10, 0, 0, 254};
  mnl_attr_put_u32(header, RTA_OIF, 6);
  mnl_attr_put(header, RTA_GATEWAY, sizeof gateway, gateway);
  const auto parsed = parse(*header);
  const auto* fact = std::get_if<RouteFact>(&parsed);
  ASSERT_NE(fact, nullptr);
  EXPECT_EQ(fact->ifindex, 6u);
  EXPECT_TRUE(fact->unicast);
  EXPECT_EQ(fact->gateway, ip("10.0.0.254"));
  EXPECT_FALSE(fact->source);
}

TEST(Messages, AnyBytesAreSurvived) {
  std::mt19937 random(42);
  Buffer good;
  put_address(good, 1, 2, {ip("fd00::1"), 64}, true);
  put_ask_neighbor(good, 2, 3, ip("fd00::2"));
  for (int round = 0; round < 50'000; ++round) {
    Buffer bytes(good.begin(), good.end());
    for (int i = 0; i < 4; ++i) {
      bytes[sizeof(nlmsghdr) + random() % (bytes.size() - sizeof(nlmsghdr))] =
          static_cast<std::uint8_t>(random());
    }
    auto& header = *reinterpret_cast<nlmsghdr*>(bytes.data());
    header.nlmsg_type = static_cast<std::uint16_t>(RTM_NEWLINK + random() % 20);
    header.nlmsg_len = static_cast<std::uint32_t>(sizeof(nlmsghdr) +
                                                  random() % (bytes.size() - sizeof(nlmsghdr) + 1));
    (void)parse(header);  // the sanitizers say whether it reads beyond
  }
}

}  // namespace
}  // namespace sluice::controlplane::netlink
