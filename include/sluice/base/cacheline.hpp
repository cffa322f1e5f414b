// The cache line as the unit of ownership between threads and processes: what different writers own
// lies in different lines. A constant.
#pragma once
#include <cstddef>

namespace sluice {

inline constexpr std::size_t kCacheLineBytes = 64;

}  // namespace sluice
