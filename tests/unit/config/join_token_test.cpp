#include <gtest/gtest.h>

#include "config/join_token.hpp"
#include "sluice/base/base64.hpp"

namespace sluice::config {
namespace {

const JoinToken kToken{
    .join = {"192.0.2.1:7946", "[2001:db8::1]:7946"}, .label = "blue", .keys = {"a2V5", "b2xk"}};

TEST(JoinToken, IsReadAsItWasWritten) {
  const auto read = parse_join_token(to_text(kToken));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->join, kToken.join);
  EXPECT_EQ(read->label, kToken.label);
  EXPECT_EQ(read->keys, kToken.keys);
}

TEST(JoinToken, OfAClusterWithoutKeysHasNone) {
  const auto read =
      parse_join_token(to_text({.join = {"192.0.2.1:7946"}, .label = {}, .keys = {}}));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_TRUE(read->keys.empty());
}

// Wherever it is cut: half a token would join without its keys.
TEST(JoinToken, CutAnywhereIsRefused) {
  const auto text = to_text(kToken);
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_FALSE(parse_join_token(text.substr(0, length))) << length;
}

TEST(JoinToken, ChangedAnywhereIsRefused) {
  const auto text = to_text(kToken);
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto changed = text;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(parse_join_token(changed)) << i;
  }
}

TEST(JoinToken, SaysWhatIsWrong) {
  EXPECT_NE(parse_join_token("x").error().message().find("begins with"), std::string::npos);
  EXPECT_NE(parse_join_token("sluice1." + to_base64("join 192.0.2.1:7946\n"))
                .error()
                .message()
                .find("copy the whole line"),
            std::string::npos);
  EXPECT_NE(parse_join_token(to_text({})).error().message().find("nobody"), std::string::npos);
}

}  // namespace
}  // namespace sluice::config
