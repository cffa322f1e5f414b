// 128-bit ids of agents, capabilities and routers: a UUID in network byte order, compared as bytes.
// Making one from a name needs SHA-256 and is in sluice/base/names.hpp. Any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct Id {
  std::array<std::uint8_t, 16> bytes{};

  friend bool operator==(const Id&, const Id&) = default;
  friend auto operator<=>(const Id&, const Id&) = default;
  bool is_nil() const noexcept { return *this == Id{}; }
};
static_assert(sizeof(Id) == 16 && alignof(Id) == 1);

// "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", lower case.
inline std::string to_string(const Id& id) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
    text.push_back(kHex[id.bytes[i] >> 4]);
    text.push_back(kHex[id.bytes[i] & 15]);
  }
  return text;
}

// Accepts the form above in either case, with all four hyphens or none; anything else is nullopt.
inline std::optional<Id> parse_id(std::string_view text) noexcept {
  const bool hyphens = text.size() == 36;
  if (!hyphens && text.size() != 32) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Id id;
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (hyphens && (i == 8 || i == 13 || i == 18 || i == 23)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = digit(text[i]);
    if (value < 0) return std::nullopt;
    auto& byte = id.bytes[nibble / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
    ++nibble;
  }
  return id;
}

// For hash maps of the control plane only (ids of named agents are SHA-256 output, others are
// chosen by their owner): the tables of the dataplane use the keyed hash of sluice/hash.
struct IdHash {
  std::size_t operator()(const Id& id) const noexcept {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::memcpy(&a, id.bytes.data(), 8);
    std::memcpy(&b, id.bytes.data() + 8, 8);
    a ^= b * 0x9e3779b97f4a7c15ULL;
    return a ^ (a >> 29);
  }
};

}  // namespace sluice
