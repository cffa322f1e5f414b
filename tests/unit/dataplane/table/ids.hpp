// Ids by number, for tests of tables: distinct for distinct numbers, and the same in each run. Any
// thread.
#pragma once

#include <cstdint>
#include <cstring>

#include "sluice/base/ids.hpp"

namespace sluice::testing {

inline Id id_of(std::uint64_t number) {
  Id id;
  std::memcpy(id.bytes.data(), &number, 8);
  const std::uint64_t scrambled = number * 0x9e3779b97f4a7c15ULL;
  std::memcpy(id.bytes.data() + 8, &scrambled, 8);
  return id;
}

}  // namespace sluice::testing
