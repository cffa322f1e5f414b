#include "config/value.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace sluice::config {
namespace {

// The spellings of an enumeration in the order of its values.
template <class E>
struct Words;
template <>
struct Words<IdlePolicy> {
  static constexpr std::array<std::string_view, 2> kAll{"poll", "adaptive"};
};
template <>
struct Words<HugePages> {
  static constexpr std::array<std::string_view, 3> kAll{"auto", "on", "off"};
};
template <>
struct Words<PortRole> {
  static constexpr std::array<std::string_view, 2> kAll{"edge", "trunk"};
};
template <>
struct Words<StoreSync> {
  static constexpr std::array<std::string_view, 3> kAll{"each", "interval", "never"};
};
template <>
struct Words<ClusterProfile> {
  static constexpr std::array<std::string_view, 3> kAll{"lan", "wan", "local"};
};
template <>
struct Words<LogLevel> {
  static constexpr std::array<std::string_view, 5> kAll{"trace", "debug", "info", "warn", "error"};
};

template <class E>
std::string_view word_of(E value) noexcept {
  const auto index = static_cast<std::size_t>(value);
  return index < Words<E>::kAll.size() ? Words<E>::kAll[index] : "?";
}

template <class E>
std::string words_of() {
  return fmt::format("{}", fmt::join(Words<E>::kAll, " | "));
}

// The text of a single value; nullptr after reporting that it is none.
const std::string* scalar(const Place& place, const Node& node, const std::string& wanted) {
  if (node.is_scalar()) return &node.text;
  if (node.is_null()) {
    // The parser puts nothing where the next thing begins; the key is where to look.
    place.wrong(node.key_mark.line != 0 ? node.key_mark : node.mark,
                fmt::format("has no value; must be {}", wanted));
  } else {
    place.wrong(node.mark, fmt::format("must be {}; here is {}", wanted, to_string(node.kind)));
  }
  return nullptr;
}

void refuse(const Place& place, const Node& node, const std::string& wanted) {
  place.wrong(node.mark, fmt::format("{} is not allowed; must be {}", quoted(node.text), wanted));
}

std::string number_allowed(const Rule& rule) {
  std::string text = fmt::format("a whole number from {} to {}", rule.min, rule.max);
  if (!rule.unit.empty()) text += fmt::format(" ({})", rule.unit);
  return text;
}

std::optional<std::uint64_t> number_in(const Rule& rule, std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < rule.min || value > rule.max) return std::nullopt;
  return value;
}

template <class T>
void read_number(const Place& place, const Node& node, const Rule& rule, T& out) {
  const auto* text = scalar(place, node, number_allowed(rule));
  if (text == nullptr) return;
  const auto value = number_in(rule, *text);
  if (!value) return refuse(place, node, number_allowed(rule));
  out = static_cast<T>(*value);
}

template <class E>
void read_word(const Place& place, const Node& node, E& out) {
  const auto* text = scalar(place, node, words_of<E>());
  if (text == nullptr) return;
  for (std::size_t i = 0; i < Words<E>::kAll.size(); ++i) {
    if (*text == Words<E>::kAll[i]) {
      out = static_cast<E>(i);
      return;
    }
  }
  refuse(place, node, words_of<E>());
}

// An address with a port, or, where the rule has a word for the default port, the address alone
// (port 0).
std::optional<Endpoint> endpoint_of(const Rule& rule, const std::string& text) {
  auto endpoint = parse_endpoint(text);
  if (!endpoint && !rule.fallback.empty()) {
    endpoint = parse_endpoint(text, 1);
    if (endpoint) endpoint->port = 0;
  }
  return endpoint;
}

Value text_value(std::string text) {
  return {.kind = Value::Kind::kText, .text = std::move(text)};
}
Value bare_value(std::string text) {
  return {.kind = Value::Kind::kBare, .text = std::move(text)};
}

}  // namespace

std::string_view to_string(IdlePolicy value) noexcept {
  return word_of(value);
}
std::string_view to_string(HugePages value) noexcept {
  return word_of(value);
}
std::string_view to_string(PortRole value) noexcept {
  return word_of(value);
}
std::string_view to_string(StoreSync value) noexcept {
  return word_of(value);
}
std::string_view to_string(ClusterProfile value) noexcept {
  return word_of(value);
}
std::string_view to_string(LogLevel value) noexcept {
  return word_of(value);
}

std::string to_string(const Prefix& prefix) {
  return sluice::to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

std::string allowed(const Rule&, bool) {
  return "true | false";
}
std::string allowed(const Rule& rule, std::uint16_t) {
  return number_allowed(rule);
}
std::string allowed(const Rule& rule, std::uint32_t) {
  return number_allowed(rule);
}
std::string allowed(const Rule& rule, const std::optional<std::uint32_t>&) {
  return fmt::format("{}, or {}", number_allowed(rule), rule.word);
}
std::string allowed(const Rule& rule, const std::string&) {
  return std::string(rule.secret ? kKeyAllowed : (rule.syntax ? *rule.syntax : kAnyText).allowed);
}
std::string allowed(const Rule&, IdlePolicy) {
  return words_of<IdlePolicy>();
}
std::string allowed(const Rule&, HugePages) {
  return words_of<HugePages>();
}
std::string allowed(const Rule&, PortRole) {
  return words_of<PortRole>();
}
std::string allowed(const Rule&, StoreSync) {
  return words_of<StoreSync>();
}
std::string allowed(const Rule&, ClusterProfile) {
  return words_of<ClusterProfile>();
}
std::string allowed(const Rule&, LogLevel) {
  return words_of<LogLevel>();
}
std::string allowed(const Rule&, const Id&) {
  return "a UUID such as 0a1b2c3d-4e5f-8071-9283-a4b5c6d7e8f9, not all zero";
}
std::string allowed(const Rule&, const Prefix&) {
  return "an address with its prefix length: 10.0.0.1/24 or fd00::1/64";
}
std::string allowed(const Rule& rule, const Endpoint&) {
  return rule.fallback.empty() ? "an address and port: 10.0.0.1:7600 or [fd00::1]:7600"
                               : "an address, with or without port: 10.0.0.1, 10.0.0.1:7600 or "
                                 "[fd00::1]:7600";
}
std::string allowed(const Rule& rule, const std::optional<Endpoint>&) {
  return fmt::format("{}, or {}", allowed(rule, Endpoint{}), rule.word);
}

void read(const Place& place, const Node& node, const Rule& rule, bool& out) {
  const auto* text = scalar(place, node, allowed(rule, out));
  if (text == nullptr) return;
  if (*text != "true" && *text != "false") return refuse(place, node, allowed(rule, out));
  out = *text == "true";
}

void read(const Place& place, const Node& node, const Rule& rule, std::uint16_t& out) {
  read_number(place, node, rule, out);
}
void read(const Place& place, const Node& node, const Rule& rule, std::uint32_t& out) {
  read_number(place, node, rule, out);
}

void read(const Place& place, const Node& node, const Rule& rule,
          std::optional<std::uint32_t>& out) {
  const auto* text = scalar(place, node, allowed(rule, out));
  if (text == nullptr) return;
  if (*text == rule.word) return out.reset();
  const auto value = number_in(rule, *text);
  if (!value) return refuse(place, node, allowed(rule, out));
  out = static_cast<std::uint32_t>(*value);
}

void read(const Place& place, const Node& node, const Rule& rule, std::string& out) {
  const auto* text = scalar(place, node, allowed(rule, out));
  if (text == nullptr) return;
  if (rule.secret) {
    // Never quotes what was given.
    if (*text == kHidden) {
      return place.wrong(node.mark, "is hidden here by 'config show'; put the key itself");
    }
    auto key = decode_key(*text);
    if (!key) return place.wrong(node.mark, fmt::format("must be {}", kKeyAllowed));
    out = std::move(*key);
    return;
  }
  const Syntax& syntax = rule.syntax ? *rule.syntax : kAnyText;
  if (!syntax.ok(*text)) return refuse(place, node, allowed(rule, out));
  out = *text;
}

void read(const Place& place, const Node& node, const Rule&, IdlePolicy& out) {
  read_word(place, node, out);
}
void read(const Place& place, const Node& node, const Rule&, HugePages& out) {
  read_word(place, node, out);
}
void read(const Place& place, const Node& node, const Rule&, PortRole& out) {
  read_word(place, node, out);
}
void read(const Place& place, const Node& node, const Rule&, StoreSync& out) {
  read_word(place, node, out);
}
void read(const Place& place, const Node& node, const Rule&, ClusterProfile& out) {
  read_word(place, node, out);
}
void read(const Place& place, const Node& node, const Rule&, LogLevel& out) {
  read_word(place, node, out);
}

void read(const Place& place, const Node& node, const Rule& rule, Id& out) {
  const auto* text = scalar(place, node, allowed(rule, out));
  if (text == nullptr) return;
  const auto id = parse_id(*text);
  if (!id || id->is_nil()) return refuse(place, node, allowed(rule, out));
  out = *id;
}

void read(const Place& place, const Node& node, const Rule& rule, Prefix& out) {
  const auto* text = scalar(place, node, allowed(rule, out));
  if (text == nullptr) return;
  const auto slash = text->find('/');
  const auto address = parse_ip(text->substr(0, slash));
  if (slash == std::string::npos || !address || address->is_unspecified()) {
    return refuse(place, node, allowed(rule, out));
  }
  const Rule range{.min = 1, .max = address->is_v4() ? 32U : 128U};
  const auto length = number_in(range, std::string_view(*text).substr(slash + 1));
  if (!length) return refuse(place, node, allowed(rule, out));
  out = {*address, static_cast<std::uint8_t>(*length)};
}

void read(const Place& place, const Node& node, const Rule& rule, Endpoint& out) {
  const auto* text = scalar(place, node, allowed(rule, out));
  if (text == nullptr) return;
  const auto endpoint = endpoint_of(rule, *text);
  if (!endpoint) return refuse(place, node, allowed(rule, out));
  out = *endpoint;
}

void read(const Place& place, const Node& node, const Rule& rule, std::optional<Endpoint>& out) {
  const auto* text = scalar(place, node, allowed(rule, out));
  if (text == nullptr) return;
  if (*text == rule.word) return out.reset();
  const auto endpoint = endpoint_of(rule, *text);
  if (!endpoint) return refuse(place, node, allowed(rule, out));
  out = *endpoint;
}

Value write(const Rule&, bool value) {
  return bare_value(value ? "true" : "false");
}
Value write(const Rule& rule, std::uint16_t value) {
  return write(rule, std::uint32_t{value});
}
Value write(const Rule&, std::uint32_t value) {
  return bare_value(std::to_string(value));
}
Value write(const Rule& rule, const std::optional<std::uint32_t>& value) {
  return value ? bare_value(std::to_string(*value)) : text_value(std::string(rule.word));
}
Value write(const Rule& rule, const std::string& value) {
  return text_value(rule.secret && !value.empty() ? std::string(kHidden) : value);
}
Value write(const Rule&, IdlePolicy value) {
  return text_value(std::string(to_string(value)));
}
Value write(const Rule&, HugePages value) {
  return text_value(std::string(to_string(value)));
}
Value write(const Rule&, PortRole value) {
  return text_value(std::string(to_string(value)));
}
Value write(const Rule&, StoreSync value) {
  return text_value(std::string(to_string(value)));
}
Value write(const Rule&, ClusterProfile value) {
  return text_value(std::string(to_string(value)));
}
Value write(const Rule&, LogLevel value) {
  return text_value(std::string(to_string(value)));
}
Value write(const Rule&, const Id& value) {
  return text_value(sluice::to_string(value));
}
Value write(const Rule&, const Prefix& value) {
  return text_value(to_string(value));
}
Value write(const Rule&, const Endpoint& value) {
  return text_value(sluice::to_string(value));
}
Value write(const Rule& rule, const std::optional<Endpoint>& value) {
  return text_value(value ? sluice::to_string(*value) : std::string(rule.word));
}

}  // namespace sluice::config
