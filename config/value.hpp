// How single values are read from a document, checked against the rule of their key, and written
// again. One overload of read() and write() for each C++ type that a key of the table may have. Any
// thread; no state; nothing throws.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/node.hpp"

namespace sluice::config {

// A kind of text: what it may be, and the same in words.
struct Syntax {
  bool (*ok)(std::string_view text);
  std::string_view allowed;
};

extern const Syntax kAnyText;
extern const Syntax kPlainName;  // of routers, tenants, peers
extern const Syntax kPortName;
extern const Syntax kInterfaceName;  // of Linux
extern const Syntax kDeviceArgs;
extern const Syntax kAbsolutePath;
extern const Syntax kLogFile;
extern const Syntax kAnyPath;
extern const Syntax kUnixGroup;
extern const Syntax kJoinTarget;
extern const Syntax kLabel;
extern const Syntax kZone;
extern const Syntax kAgentName;
extern const Syntax kCapabilityName;

// What the table says of a key besides its name and C++ member.
struct Rule {
  std::string_view help;
  Change change = Change::kBoot;
  std::uint64_t min = 0;  // of numbers
  std::uint64_t max = std::numeric_limits<std::uint32_t>::max();
  std::string_view unit;
  std::string_view word;           // how an optional value says that there is none
  const Syntax* syntax = nullptr;  // of text
  std::size_t max_items = 4096;    // of lists
  bool required = false;           // and lists must not be empty
  bool secret = false;             // read as hex digits, shown as ***
  bool omit_empty = false;         // not shown when empty, for keys of which one of two is given
  std::string_view fallback;       // a default made from other values, in words
};

// Where a value is being read.
struct Place {
  const Path& path;
  Report& report;

  void wrong(Mark mark, std::string message) const { report.add(mark, path, std::move(message)); }
};

void read(const Place&, const Node&, const Rule&, bool& out);
void read(const Place&, const Node&, const Rule&, std::uint16_t& out);
void read(const Place&, const Node&, const Rule&, std::uint32_t& out);
void read(const Place&, const Node&, const Rule&, std::optional<std::uint32_t>& out);
void read(const Place&, const Node&, const Rule&, std::string& out);
void read(const Place&, const Node&, const Rule&, IdlePolicy& out);
void read(const Place&, const Node&, const Rule&, HugePages& out);
void read(const Place&, const Node&, const Rule&, PortRole& out);
void read(const Place&, const Node&, const Rule&, StoreSync& out);
void read(const Place&, const Node&, const Rule&, ClusterProfile& out);
void read(const Place&, const Node&, const Rule&, LogLevel& out);
void read(const Place&, const Node&, const Rule&, Id& out);
void read(const Place&, const Node&, const Rule&, Prefix& out);
void read(const Place&, const Node&, const Rule&, Endpoint& out);
void read(const Place&, const Node&, const Rule&, std::optional<Endpoint>& out);

template <class T>
void read(const Place& place, const Node& node, const Rule& rule, std::vector<T>& out);

// A value as it is shown: text that already has its final spelling, and how it is quoted.
struct Value {
  enum class Kind : std::uint8_t { kBare, kText, kList, kMap };

  Kind kind = Kind::kBare;  // bare: numbers and truth values
  std::string text;
  std::string key;
  std::vector<Value> children;
};

Value write(const Rule&, bool value);
Value write(const Rule&, std::uint16_t value);
Value write(const Rule&, std::uint32_t value);
Value write(const Rule&, const std::optional<std::uint32_t>& value);
Value write(const Rule&, const std::string& value);
Value write(const Rule&, IdlePolicy value);
Value write(const Rule&, HugePages value);
Value write(const Rule&, PortRole value);
Value write(const Rule&, StoreSync value);
Value write(const Rule&, ClusterProfile value);
Value write(const Rule&, LogLevel value);
Value write(const Rule&, const Id& value);
Value write(const Rule&, const Prefix& value);
Value write(const Rule&, const Endpoint& value);
Value write(const Rule&, const std::optional<Endpoint>& value);

template <class T>
Value write(const Rule& rule, const std::vector<T>& values) {
  Value list{.kind = Value::Kind::kList};
  for (const T& value : values)
    list.children.push_back(write(rule, value));
  return list;
}

// What a key of this type and rule takes, in words: "a whole number from 4 to 64".
std::string allowed(const Rule&, bool);
std::string allowed(const Rule&, std::uint16_t);
std::string allowed(const Rule&, std::uint32_t);
std::string allowed(const Rule&, const std::optional<std::uint32_t>&);
std::string allowed(const Rule&, const std::string&);
std::string allowed(const Rule&, IdlePolicy);
std::string allowed(const Rule&, HugePages);
std::string allowed(const Rule&, PortRole);
std::string allowed(const Rule&, StoreSync);
std::string allowed(const Rule&, ClusterProfile);
std::string allowed(const Rule&, LogLevel);
std::string allowed(const Rule&, const Id&);
std::string allowed(const Rule&, const Prefix&);
std::string allowed(const Rule&, const Endpoint&);
std::string allowed(const Rule&, const std::optional<Endpoint>&);

template <class T>
std::string allowed(const Rule& rule, const std::vector<T>&) {
  return "a list, each " + allowed(rule, T{});
}

template <class T>
void read(const Place& place, const Node& node, const Rule& rule, std::vector<T>& out) {
  out.clear();
  if (!node.is_list() && !node.is_null()) {
    place.wrong(node.mark,
                "must be " + allowed(rule, out) + "; here is " + std::string(to_string(node.kind)));
    return;
  }
  if (rule.required && node.children.empty()) {
    place.wrong(node.mark, "is empty; at least one is needed: " + allowed(rule, out));
  }
  if (node.children.size() > rule.max_items) {
    place.wrong(node.mark, "has " + std::to_string(node.children.size()) + " items; at most " +
                               std::to_string(rule.max_items) + " are allowed");
    return;
  }
  const std::size_t before = place.report.count();
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const Path item = place.path.at(i);
    read(Place{item, place.report}, node.children[i], rule, out.emplace_back());
  }
  // The rest would be checked against keys that depend on the whole.
  if (place.report.count() != before) out.clear();
}

// Hex digits to bytes; nullopt for anything but 32 to 128 of them, two a byte.
std::optional<std::string> decode_key(std::string_view hex);
inline constexpr std::string_view kKeyAllowed = "32 to 128 hex digits, an even number";
inline constexpr std::string_view kHidden = "***";

}  // namespace sluice::config
