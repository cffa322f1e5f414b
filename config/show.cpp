// `config show`: the configuration in effect as YAML that can be read again, and as JSON.
#include <fmt/format.h>

#include "config/table.hpp"

namespace sluice::config {
namespace {

template <class S, class Keys>
Value to_map(const Keys& keys, const S& object);

bool is_empty(const std::string& text) {
  return text.empty();
}
bool is_empty(const Id& id) {
  return id.is_nil();
}
template <class T>
bool is_empty(const T&) {
  return false;
}

// Of an agent with a name the id is not shown: it follows from the name.
template <class S>
bool follows(const S&, std::string_view) {
  return false;
}
bool follows(const StaticAgent& agent, std::string_view key) {
  return key == "id" && !agent.name.empty();
}
// The key that came from a file is not shown: the file is.
bool follows(const Tenant& tenant, std::string_view key) {
  return key == "token-key" && !tenant.token_key_file.empty();
}

template <class S, class T>
void append(Value& map, const Key<S, T>& key, const S& object) {
  const T& value = object.*key.member;
  if (key.rule.omit_empty && is_empty(value)) return;
  if (follows(object, key.name)) return;
  map.children.push_back(write(key.rule, value));
  map.children.back().key = key.name;
}

template <class S, class T, class Keys>
void append(Value& map, const Section<S, T, Keys>& section, const S& object) {
  map.children.push_back(to_map(section.keys, object.*section.member));
  map.children.back().key = section.name;
}

template <class S, class T, class Keys>
void append(Value& map, const List<S, T, Keys>& list, const S& object) {
  Value values{.kind = Value::Kind::kList, .key = std::string(list.name)};
  for (const T& item : object.*list.member)
    values.children.push_back(to_map(list.keys, item));
  map.children.push_back(std::move(values));
}

template <class S, class Keys>
Value to_map(const Keys& keys, const S& object) {
  Value map{.kind = Value::Kind::kMap};
  for_each(keys, [&](const auto& entry) { append(map, entry, object); });
  return map;
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\';
    if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out += '"';
}

// Text that YAML reads back as the same text without quotes. Words and numbers count as text for
// us, and only for other readers would they change their type.
bool is_plain(std::string_view text) {
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' || c == '_';
  };
  const auto inner = [&](char c) {
    return word(c) || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '=' || c == ',';
  };
  if (text.empty() || !word(text.front())) return false;
  for (const char c : text) {
    if (!inner(c)) return false;
  }
  for (const std::string_view special :
       {"null", "Null", "NULL", "true", "false", "yes", "no", "on", "off", "y", "n"}) {
    if (text == special) return false;
  }
  return true;
}

std::string yaml_scalar(const Value& value) {
  if (value.kind == Value::Kind::kBare || is_plain(value.text)) return value.text;
  return in_quotes(value.text);
}

void yaml(std::string& out, const Value& value, std::size_t indent, bool first_on_line);

void yaml_list(std::string& out, const Value& list, std::size_t indent) {
  const bool numbers = !list.children.empty() && list.children[0].kind == Value::Kind::kBare;
  if (list.children.empty() || numbers) {
    out += " [";
    for (std::size_t i = 0; i < list.children.size(); ++i) {
      out += (i > 0 ? ", " : "") + list.children[i].text;
    }
    out += "]\n";
    return;
  }
  out += '\n';
  for (const Value& item : list.children) {
    out += std::string(indent, ' ') + "- ";
    if (item.kind == Value::Kind::kMap) {
      yaml(out, item, indent + 2, true);
    } else {
      out += yaml_scalar(item) + '\n';
    }
  }
}

void yaml(std::string& out, const Value& map, std::size_t indent, bool first_on_line) {
  for (const Value& child : map.children) {
    if (!first_on_line) out += std::string(indent, ' ');
    first_on_line = false;
    out += child.key + ":";
    if (child.kind == Value::Kind::kMap) {
      out += '\n';
      yaml(out, child, indent + 2, false);
    } else if (child.kind == Value::Kind::kList) {
      yaml_list(out, child, indent + 2);
    } else {
      out.append(" ").append(yaml_scalar(child)) += '\n';
    }
  }
}

void json(std::string& out, const Value& value, std::size_t indent) {
  if (value.kind == Value::Kind::kBare) {
    out += value.text;
    return;
  }
  if (value.kind == Value::Kind::kText) {
    out += in_quotes(value.text);
    return;
  }
  const bool map = value.kind == Value::Kind::kMap;
  out += map ? '{' : '[';
  for (std::size_t i = 0; i < value.children.size(); ++i) {
    out += (i > 0 ? ",\n" : "\n") + std::string(indent + 2, ' ');
    if (map) out += in_quotes(value.children[i].key) + ": ";
    json(out, value.children[i], indent + 2);
  }
  if (!value.children.empty()) out += '\n' + std::string(indent, ' ');
  out += map ? '}' : ']';
}

}  // namespace

std::string show_yaml(const Config& config) {
  std::string out;
  yaml(out, to_map(kConfigKeys, config), 0, false);
  return out;
}

std::string show_json(const Config& config) {
  std::string out;
  json(out, to_map(kConfigKeys, config), 0);
  return out += '\n';
}

}  // namespace sluice::config
