#include "controlplane/membership/serf.hpp"

#include <gtest/gtest.h>

#include "controlplane/membership/seeds.hpp"
#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

TEST(Tags, AsSerfWritesThem) {
  // Meta of the captured alive message.
  const Tags tags{{"role", "router"}, {"id", "3"}};
  const auto meta = encode_tags(tags);
  ASSERT_TRUE(meta);
  EXPECT_EQ(to_hex(*meta), "ff82a4726f6c65a6726f75746572a26964a133");
  EXPECT_EQ(decode_tags(*meta), tags);
  EXPECT_EQ(find_tag(tags, "id"), "3");
  EXPECT_EQ(find_tag(tags, "none"), "");
}

TEST(Tags, WhatDoesNotFitIsRefused) {
  EXPECT_TRUE(encode_tags({}));
  EXPECT_TRUE(encode_tags({{"k", std::string(505, 'v')}}));
  EXPECT_FALSE(encode_tags({{"k", std::string(600, 'v')}}));
  EXPECT_FALSE(encode_tags(Tags(16, {"k", "v"})));
}

TEST(Tags, OtherMetaHasNone) {
  for (const auto* other :
       {"", "726f6c65", "ff", "ff91a0", "ff81a16b", "ff81a16bc3", "ffdf00010000"})
    EXPECT_TRUE(decode_tags(from_hex(other)).empty()) << other;
  // A value that would spoil a terminal is left out, the rest is there.
  const auto meta = from_hex("ff82a16ba11ba16ca176");
  EXPECT_EQ(decode_tags(meta), (Tags{{"l", "v"}}));
}

TEST(Tags, RoutersAreKnownByTheirs) {
  EXPECT_TRUE(is_router(encode_tags({{"sluice", "1"}}).value()));
  EXPECT_FALSE(is_router(encode_tags({{"role", "router"}}).value()));
  EXPECT_FALSE(is_router({}));
}

TEST(Leave, AsThePeerOfTheCaptureWroteIt) {
  EXPECT_EQ(to_hex(leave_intent(0x15, "go-E")),
            "0083a54c54696d6515a44e6f6465a4676f2d45a55072756e65c2");
}

TEST(LamportTime, OfAPushPull) {
  EXPECT_EQ(lamport_time_of(from_hex("0281a54c54696d6507")), 7U);
  EXPECT_EQ(lamport_time_of(from_hex("0282aa4576656e744c54696d6503a54c54696d65cd0100")), 256U);
  EXPECT_FALSE(lamport_time_of(from_hex("0281a54c54696d65cfffffffffffffffff")));  // absurd
  EXPECT_FALSE(lamport_time_of(from_hex("0381a54c54696d6507")));
  EXPECT_FALSE(lamport_time_of(from_hex("02")));
  EXPECT_FALSE(lamport_time_of({}));
}

TEST(JoinTarget, Forms) {
  const auto parsed = [](const std::string& text) {
    const auto target = parse_join_target(text, 7946);
    return target ? target->host + "|" + std::to_string(target->port) : "refused";
  };
  EXPECT_EQ(parsed("router-1.example"), "router-1.example|7946");
  EXPECT_EQ(parsed("router-1.example:8000"), "router-1.example|8000");
  EXPECT_EQ(parsed("10.0.0.1"), "10.0.0.1|7946");
  EXPECT_EQ(parsed("10.0.0.1:1"), "10.0.0.1|1");
  EXPECT_EQ(parsed("fd00::1"), "fd00::1|7946");
  EXPECT_EQ(parsed("[fd00::1]:9"), "fd00::1|9");
  for (const auto* bad :
       {"", ":1", "a b", "host:", "host:0", "host:65536", "host:1x", "a/b", "[::1"})
    EXPECT_EQ(parsed(bad), "refused") << bad;
}

}  // namespace
}  // namespace sluice::membership
