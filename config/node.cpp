#include "config/node.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>

namespace sluice::config {
namespace {

// Thrown through yaml-cpp, which stops reading then; caught in parse_yaml.
struct Refused {
  Mark mark;
  std::string message;
};

Mark place(const YAML::Mark& mark) noexcept {
  if (mark.is_null()) return {};
  return {static_cast<std::uint32_t>(mark.line + 1), static_cast<std::uint32_t>(mark.column + 1)};
}

class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(Report& report) : report_(report) {}

  Node take() noexcept { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) throw Refused{place(mark), "only one YAML document is allowed"};
  }
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { no_anchors(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { no_anchors(mark); }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (awaits_key()) throw Refused{place(mark), "a key is missing before ':'"};
    add(Node{.kind = Node::Kind::kNull, .mark = place(mark)});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    no_tags(mark, tag);
    // From escapes and block scalars; a NUL would also end the text early for C functions.
    if (std::any_of(value.begin(), value.end(),
                    [](char c) { return (c & ~0x1f) == 0 || c == 0x7f; })) {
      throw Refused{place(mark), "line breaks and control characters are not allowed in a value"};
    }
    if (awaits_key()) return key(place(mark), value);
    add(Node{.kind = Node::Kind::kScalar, .mark = place(mark), .text = value});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, Node::Kind::kList);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, Node::Kind::kMap);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  struct Level {
    Node* node;  // stays where it is: its parent gets no further child while it is open
    std::optional<Node> keyed;  // of a map: key read, value not yet
    bool duplicate = false;
  };

  bool awaits_key() const noexcept {
    return !open_.empty() && open_.back().node->is_map() && !open_.back().keyed;
  }

  [[noreturn]] static void no_anchors(const YAML::Mark& mark) {
    throw Refused{place(mark), "anchors and aliases (& and *) are not supported; quote the text"};
  }

  static void no_tags(const YAML::Mark& mark, const std::string& tag) {
    // "?" is a plain scalar, "!" a quoted one.
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Refused{place(mark), "tags (!...) are not supported; quote the text"};
  }

  void key(Mark mark, const std::string& name) {
    Level& level = open_.back();
    auto& siblings = level.node->children;
    if (siblings.size() >= kMaxKeysOfMap) {
      throw Refused{mark, fmt::format("more than {} keys in one map", kMaxKeysOfMap)};
    }
    const auto first = std::find_if(siblings.begin(), siblings.end(),
                                    [&](const Node& node) { return node.key == name; });
    level.duplicate = first != siblings.end();
    if (level.duplicate) {
      report_.add(
          mark, name,
          fmt::format("is given twice in the same map; first in line {}", first->key_mark.line));
    }
    level.keyed = Node{.key = name, .key_mark = mark};
  }

  Node* add(Node node) {
    if (++nodes_ > kMaxNodes) {
      throw Refused{node.mark,
                    fmt::format("more than {} values; put agents into an agents-file", kMaxNodes)};
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return &root_;
    }
    Level& level = open_.back();
    if (level.keyed) {
      node.key = std::move(level.keyed->key);
      node.key_mark = level.keyed->key_mark;
      level.keyed.reset();
      node.duplicate = level.duplicate;
    }
    level.node->children.push_back(std::move(node));
    return &level.node->children.back();
  }

  void open(const YAML::Mark& mark, const std::string& tag, Node::Kind kind) {
    no_tags(mark, tag);
    if (open_.size() >= kMaxNesting) {
      throw Refused{place(mark), fmt::format("nested deeper than {} levels", kMaxNesting)};
    }
    if (awaits_key()) throw Refused{place(mark), "a list or map cannot be a key"};
    Node* node = add(Node{.kind = kind, .mark = place(mark)});
    open_.push_back(Level{node, std::nullopt});
  }

  Report& report_;
  Node root_;
  std::vector<Level> open_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

// YAML allows no tabs there, but the parser's message does not say so.
bool indented_by_tab(std::string_view text) {
  bool indenting = true;
  for (const char c : text) {
    if (indenting && c == '\t') return true;
    indenting = c == '\n' || (indenting && c == ' ');
  }
  return false;
}

// The place of the first byte that is no UTF-8 (RFC 3629) or a control character YAML does not
// allow.
std::optional<Mark> bad_byte(std::string_view text) noexcept {
  Mark mark{1, 1};
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const bool control = lead < 0x20 && lead != '\n' && lead != '\r' && lead != '\t';
    std::size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : 0;
    if (lead >= 0xe0 && lead < 0xf0) length = 3;
    if (lead >= 0xf0 && lead < 0xf5) length = 4;
    if (control || lead == 0x7f || length == 0 || at + length > text.size()) return mark;
    for (std::size_t i = 1; i < length; ++i) {
      if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return mark;
    }
    const auto second = length > 2 ? static_cast<unsigned char>(text[at + 1]) : 0x90;
    // Overlong forms, surrogates, beyond U+10FFFF.
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
      return mark;
    }
    at += length;
    ++mark.column;
    if (lead == '\n') mark = {mark.line + 1, 1};
  }
  return std::nullopt;
}

}  // namespace

const Node* Node::find(std::string_view name) const noexcept {
  for (const Node& child : children) {
    if (child.key == name) return &child;
  }
  return nullptr;
}

std::string_view to_string(Node::Kind kind) noexcept {
  switch (kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kScalar:
      return "a single value";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
  }
  return "nothing";
}

std::optional<Node> parse_yaml(std::string_view text, Report& report) {
  if (text.size() > kMaxFileBytes) {
    report.add(
        {}, std::string(),
        fmt::format("is larger than {} MiB; put agents into an agents-file", kMaxFileBytes >> 20));
    return std::nullopt;
  }
  if (const auto mark = bad_byte(text)) {
    report.add(*mark, std::string(), "a byte that is not UTF-8 text");
    return std::nullopt;
  }
  Builder builder(report);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const Refused& refused) {
    report.add(refused.mark, std::string(), refused.message);
  } catch (const YAML::Exception& error) {
    report.add(place(error.mark), std::string(),
               "not valid YAML: " + error.msg +
                   (indented_by_tab(text) ? "; a line begins with a tab, indent with blanks" : ""));
  } catch (const std::exception& error) {
    report.add({}, std::string(), std::string("cannot be read: ") + error.what());
  }
  return std::nullopt;
}

}  // namespace sluice::config
