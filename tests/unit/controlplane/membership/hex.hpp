// Bytes, texts and addresses as the tests of this folder write them. Bad digits throw, which fails
// the test.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "controlplane/membership/messages.hpp"

namespace sluice::membership {

inline Bytes from_hex(std::string_view text) {
  if (text.size() % 2 != 0) throw std::invalid_argument("odd number of digits");
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

inline std::string to_hex(ByteView bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text.push_back(kHex[byte >> 4]);
    text.push_back(kHex[byte & 15]);
  }
  return text;
}

inline Bytes from_text(std::string_view text) {
  return {text.begin(), text.end()};
}
inline std::string to_text(ByteView bytes) {
  return {bytes.begin(), bytes.end()};
}

inline Endpoint at(const std::string& text) {
  return parse_endpoint(text, kDefaultPort).value();
}

}  // namespace sluice::membership
