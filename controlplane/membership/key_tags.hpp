// How a router tells the others which keys it has: a tag with their fingerprints, the primary one
// first. Any thread; no state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controlplane/membership/keyring.hpp"

namespace sluice::membership {

inline constexpr std::string_view kKeysTag = "keys";

inline std::string keys_tag(const std::vector<Key>& keys) {
  std::string text;
  for (const auto& key : keys) {
    if (!text.empty()) text += ',';
    text += key.fingerprint();
  }
  return text;
}

inline std::vector<std::string> parse_keys_tag(std::string_view text) {
  std::vector<std::string> fingerprints;
  while (!text.empty()) {
    const auto end = text.find(',');
    fingerprints.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return fingerprints;
}

}  // namespace sluice::membership
