// The order of entries in segments and in everything that is merged into them: by the key's hash,
// lo first (the parts of the perfect hash function follow each other in it), then hi. Inside a key
// the newest sequence comes first. Plain functions; any thread.
#pragma once

#include <compare>

#include "controlplane/store/entry.hpp"

namespace sluice::controlplane::store {

constexpr std::strong_ordering order(const Hash128& a, const Hash128& b) noexcept {
  if (const auto by_lo = a.lo <=> b.lo; by_lo != 0) return by_lo;
  return a.hi <=> b.hi;
}

struct HashOrder {
  constexpr bool operator()(const Hash128& a, const Hash128& b) const noexcept {
    return order(a, b) < 0;
  }
};

// Negative: `a` comes before `b`.
inline std::strong_ordering order(const Entry& a, const Entry& b) noexcept {
  if (const auto by_hash = order(a.hash, b.hash); by_hash != 0) return by_hash;
  return b.sequence <=> a.sequence;
}

}  // namespace sluice::controlplane::store
