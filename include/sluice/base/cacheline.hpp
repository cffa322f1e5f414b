// The cache line as the unit of ownership between threads and processes.
#pragma once

#include <cstddef>

namespace sluice {

inline constexpr std::size_t kCacheLineBytes = 64;

}  // namespace sluice
