// Brings the line of an address near, for reading. Not __builtin_prefetch: a function that does
// nothing else has no effect for GCC 12, which drops calls to it unless it happens to inline them.
#pragma once

namespace sluice {

inline void prefetch(const void* at) noexcept {
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(at)));
}

}  // namespace sluice
