// Eight places of an overlay's table, 32 bytes of one cache line, looked at together: which have a
// tag, which are free. Without a branch for each place, since nobody can predict how many there
// are to look at. Any thread, beside one writer that fills free places.
#pragma once

#include <immintrin.h>

#include <atomic>
#include <cstdint>

namespace sluice::controlplane::store {

// The tag in the upper 8 bits, a number from 1 on in the others. 0: free.
using Place = std::atomic<std::uint32_t>;
inline constexpr unsigned kTagShift = 24;
inline constexpr unsigned kGroupPlaces = 8;

struct PlaceGroup {
  unsigned same = 0;  // bit i: place i, which comes before every free one, has the tag
  unsigned free = 0;  // bit i: place i is free
};

// The reference. Acquire: what the places name was written before them.
inline PlaceGroup look_scalar(const Place* group, std::uint32_t tag) noexcept {
  PlaceGroup out;
  for (unsigned i = 0; i < kGroupPlaces; ++i) {
    const std::uint32_t place = group[i].load(std::memory_order_acquire);
    if (place == 0) out.free |= 1U << i;
    if (place != 0 && out.free == 0 && place >> kTagShift == tag) out.same |= 1U << i;
  }
  return out;
}

// `group` is aligned to 32 bytes, so no place is read in halves, and loads of this CPU acquire.
inline PlaceGroup look(const Place* group, std::uint32_t tag) noexcept {
#ifdef SLUICE_THREAD_SANITIZER  // does not know that
  return look_scalar(group, tag);
#else
  const __m256i places = _mm256_load_si256(reinterpret_cast<const __m256i*>(group));
  std::atomic_signal_fence(std::memory_order_acquire);
  const auto mask = [](__m256i lanes) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(lanes)));
  };
  const unsigned free = mask(_mm256_cmpeq_epi32(places, _mm256_setzero_si256()));
  const __m256i wanted = _mm256_set1_epi32(static_cast<int>(tag));
  const unsigned same = mask(_mm256_cmpeq_epi32(_mm256_srli_epi32(places, kTagShift), wanted));
  return {.same = same & ~free & (free - 1), .free = free};
#endif
}

}  // namespace sluice::controlplane::store
