// Ids and names: text forms, UUIDv8 of names, and what is refused.
#include <gtest/gtest.h>

#include "sluice/base/names.hpp"

namespace sluice {
namespace {

TEST(Id, TextRoundTrip) {
  const auto id = parse_id("00112233-4455-6677-8899-AABBCCDDEEFF");
  ASSERT_TRUE(id);
  EXPECT_EQ(to_string(*id), "00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(parse_id("00112233445566778899aabbccddeeff"), id);
  EXPECT_EQ(id->bytes[1], 0x11);
}

TEST(Id, RefusesOtherText) {
  for (const auto* text :
       {"", "0011", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeefg",
        "001122334455-6677-8899-aabbccddee-ff", "00112233-4455-6677-8899-aabbccddeeff0",
        "00112233 4455 6677 8899 aabbccddeeff"}) {
    EXPECT_FALSE(parse_id(text)) << text;
  }
}

// First 16 bytes of `printf 'acme/prod/translate/7' | sha256sum`, with version and variant set.
TEST(Id, OfNameIsUuidV8OfSha256) {
  EXPECT_EQ(to_string(id_of_name("abc")), "ba7816bf-8f01-8fea-8141-40de5dae2223");
  const Id id = id_of_name("acme/prod/translate/7");
  EXPECT_EQ(id.bytes[6] >> 4, 8);
  EXPECT_EQ(id.bytes[8] >> 6, 2);
  EXPECT_NE(id, id_of_name("acme/prod/translate/8"));
}

TEST(Names, AgentNameHasFourParts) {
  EXPECT_TRUE(check_agent_name("acme/prod/translate/7"));
  EXPECT_TRUE(check_agent_name("a/b.c/d_e/f-g:h"));
  for (const auto* name : {"", "acme", "a/b/c", "a/b/c/d/e", "a//c/d", "/a/b/c", "a/b/c/",
                           "a/b/c/d e", "a/b/c/\xc3\xa4"}) {
    EXPECT_FALSE(check_agent_name(name)) << name;
  }
  EXPECT_FALSE(check_agent_name("a/b/c/" + std::string(250, 'x')));
}

TEST(Names, CapabilityNameHasOneToEightParts) {
  EXPECT_TRUE(check_capability_name("translate"));
  EXPECT_TRUE(check_capability_name("a/b/c/d/e/f/g/h"));
  EXPECT_FALSE(check_capability_name("a/b/c/d/e/f/g/h/i"));
  EXPECT_FALSE(check_capability_name("translate/"));
}

TEST(Names, AgentIsGivenByIdOrName) {
  EXPECT_EQ(*parse_agent("00112233445566778899aabbccddeeff"),
            *parse_id("00112233445566778899aabbccddeeff"));
  EXPECT_EQ(*parse_agent("a/b/c/d"), id_of_name("a/b/c/d"));
  const auto bad = parse_agent("a/b");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().message().find("'a/b' has the wrong number of parts"), std::string::npos);
}

TEST(Error, ContextsAreOutermostFirst) {
  const Status inner = fail(ErrorCode::kCorrupt, "line 3: unknown key");
  const Status outer = fail(inner.error(), "reading config");
  EXPECT_EQ(outer.error().message(), "reading config: line 3: unknown key");
  EXPECT_EQ(outer.error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace sluice
