// The line that 'sluice cluster join-token' prints and 'sluice cluster init --token' takes: whom a
// new router joins, under which label and with which keys. A secret. It carries a checksum, because
// people cut lines when they copy them, and a token without its keys would make a router that
// speaks in the clear. Any thread; pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/result.hpp"

namespace sluice::config {

struct JoinToken {
  std::vector<std::string> join;  // ADDRESS:PORT, at least one
  std::string label;
  std::vector<std::string> keys;  // base64, the one in use first; none: the cluster has none
};

// "sluice1." and, in base64, lines: "join ADDRESS", "label TEXT", "key BASE64", at the end
// "check CRC32C" of all before it, as 8 hexadecimal digits.
std::string to_text(const JoinToken& token);

// kInvalidArgument says what is wrong with it.
Result<JoinToken> parse_join_token(std::string_view text);

}  // namespace sluice::config
