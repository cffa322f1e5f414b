// What the table of keys is made of: a key, a section of keys, a list of maps of keys. Plain
// aggregates; constant data; any thread.
#pragma once

#include <string_view>
#include <tuple>
#include <vector>

#include "config/value.hpp"
#include "sluice/route/limits.hpp"

namespace sluice::config {

// A key with a single value or a list of them.
template <class S, class T>
struct Key {
  std::string_view name;
  T S::* member;
  Rule rule;
};

// A key that holds a map of further keys.
template <class S, class T, class Keys>
struct Section {
  std::string_view name;
  T S::* member;
  const Keys& keys;
  std::string_view help;
  std::string_view restart;  // what reads it only at its start
};

// A key that holds a list of maps. A live one is compared and replaced as a whole.
template <class S, class T, class Keys>
struct List {
  std::string_view name;
  std::vector<T> S::* member;
  const Keys& keys;
  std::string_view help;
  Change change = Change::kBoot;
  std::string_view restart;
  bool required = false;
};

template <class S, class T>
Key(const char*, T S::*, Rule) -> Key<S, T>;

inline constexpr std::string_view kBoth = "sluice-dataplane and sluice-controlplane";
inline constexpr std::string_view kDataplane = "sluice-dataplane";
inline constexpr std::string_view kControlplane = "sluice-controlplane";

inline constexpr std::uint64_t kMaxCore = 1023;
inline constexpr std::uint64_t kMaxIndex = 1U << 20;  // 20 bits of an action
// Of a port; beside them there is the link-local one that the kernel adds.
inline constexpr std::size_t kMaxAddresses = kMaxLocalAddressesPerPort - 1;

}  // namespace sluice::config
