// The tree of a YAML document with the place of every key and value, made from yaml-cpp's events.
// Only the plain part of YAML is taken: no anchors, aliases, tags, merge keys or second documents,
// and nesting is bounded, so that no input can make it large or deep. Any thread; nothing throws
// out of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/report.hpp"

namespace sluice::config {

struct Node {
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  Mark mark;
  std::string text;  // of a scalar
  std::string key;   // within a map
  Mark key_mark;
  bool duplicate = false;      // its key was there before in the same map: already reported
  std::vector<Node> children;  // of a list or a map

  bool is_null() const noexcept { return kind == Kind::kNull; }
  bool is_scalar() const noexcept { return kind == Kind::kScalar; }
  bool is_list() const noexcept { return kind == Kind::kList; }
  bool is_map() const noexcept { return kind == Kind::kMap; }
  // The value of a key of a map; nullptr when there is none.
  const Node* find(std::string_view name) const noexcept;
};

inline constexpr std::size_t kMaxNesting = 8;
inline constexpr std::size_t kMaxKeysOfMap = 64;
inline constexpr std::size_t kMaxNodes = 1'000'000;

// "a list", "a map", ... for messages.
std::string_view to_string(Node::Kind kind) noexcept;

// What is wrong goes to the report; nullopt when the text cannot be read to its end. An empty
// document is a null node.
std::optional<Node> parse_yaml(std::string_view text, Report& report);

}  // namespace sluice::config
