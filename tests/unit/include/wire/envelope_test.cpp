// The envelope's bytes on the wire, field by field.
#include "sluice/wire/envelope.hpp"

#include <gtest/gtest.h>

#include "sluice/link/drop_reason.hpp"

namespace sluice {
namespace {

TEST(Envelope, FieldsLieWhereTheDesignSays) {
  Envelope e{};
  e.version_and_length = kVersionAndLength;
  e.type = 6;
  e.flags = 8;
  e.set_class_and_lifetime(7, 11);
  e.hop_limit = 5;
  e.reason = 2;
  e.payload_length.set(0x0102);
  e.tenant.set(0x0304);
  e.message_type.set(0x0506);
  e.sequence.set(0x0708090a);
  e.destination.bytes.fill(0xdd);
  e.source.bytes.fill(0x55);
  e.routing_key.set(0x1112131415161718);
  e.timestamp_ns.set(0x2122232425262728);
  std::array<std::uint8_t, 64> expected{0x14, 6, 8, 0xeb, 5, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  for (int i = 16; i < 32; ++i)
    expected[i] = 0xdd;
  for (int i = 32; i < 48; ++i)
    expected[i] = 0x55;
  for (int i = 0; i < 8; ++i) {
    expected[48 + i] = static_cast<std::uint8_t>(0x11 + i);
    expected[56 + i] = static_cast<std::uint8_t>(0x21 + i);
  }
  EXPECT_EQ(std::memcmp(&e, expected.data(), 64), 0);
  EXPECT_EQ(e.version(), 1);
  EXPECT_EQ(e.header_bytes(), 64u);
  EXPECT_EQ(e.traffic_class(), 7);
  EXPECT_EQ(e.lifetime_code(), 11);
}

TEST(Envelope, LifetimeIsPowerOfTwoMilliseconds) {
  EXPECT_EQ(lifetime_ns(0), UINT64_MAX);
  EXPECT_EQ(lifetime_ns(1), 1'000'000u);
  EXPECT_EQ(lifetime_ns(11), 1'024'000'000u);
  EXPECT_EQ(lifetime_ns(31), (1ull << 30) * 1'000'000);
}

TEST(Envelope, EveryReasonAndTypeHasAName) {
  EXPECT_EQ(to_string(MessageType::kLinkProbe), "link-probe");
  EXPECT_EQ(to_string(static_cast<MessageType>(10)), "unknown");
  EXPECT_EQ(to_string(NoticeReason::kSourceDenied), "source denied");
  EXPECT_EQ(to_string(static_cast<NoticeReason>(10)), "unknown");
  for (const auto& reason : kDropReasonInfo) {
    EXPECT_FALSE(reason.label.empty());
    EXPECT_FALSE(reason.text.empty());
  }
  EXPECT_EQ(info(DropReason::kEgressFull).label, "egress_full");
}

}  // namespace
}  // namespace sluice
