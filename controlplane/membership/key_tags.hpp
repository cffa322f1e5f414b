// How a router tells the others which keys it has: a tag with their fingerprints, the primary one
// first; and the user message that carries a key from one to all, which is only ever sent and
// believed encrypted. Any thread; no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/membership/keyring.hpp"

namespace sluice::membership {

inline constexpr std::string_view kKeysTag = "keys";
inline constexpr std::uint8_t kKeyMessage = 0x53;

enum class KeyStep : std::uint8_t { kAdd = 1, kUse = 2, kRemove = 3 };

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

struct KeyOrder {
  KeyStep step;
  Key key;
};

inline Bytes encode_key_order(const KeyOrder& order) {
  Bytes out{kKeyMessage, static_cast<std::uint8_t>(order.step)};
  const auto bytes = order.key.bytes();
  out.insert(out.end(), bytes.begin(), bytes.end());
  return out;
}

inline std::optional<KeyOrder> decode_key_order(ByteView data) {
  if (data.size() < 2 || data[0] != kKeyMessage || data[1] < 1 || data[1] > 3) return std::nullopt;
  const auto key = Key::from_bytes(data.subspan(2));
  if (!key) return std::nullopt;
  return KeyOrder{static_cast<KeyStep>(data[1]), *key};
}

}  // namespace sluice::membership
