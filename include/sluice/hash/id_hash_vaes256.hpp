// AES-128 of ids with VAES on 256-bit registers: two blocks per instruction, eight vectors in
// flight, an odd last id alone in a half vector. Call only when has_isa(Isa::kVaes256). Any thread;
// no state. Memory outside the n ids and the n results is never touched.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "sluice/base/ids.hpp"
#include "sluice/hash/aes_key.hpp"

#define SLUICE_VAES256 __attribute__((target("vaes,avx2")))
#define SLUICE_VAES256_INLINE __attribute__((target("vaes,avx2"), always_inline)) inline

namespace sluice::aes::vaes256 {

inline constexpr unsigned kIdsPerVector = 2;

SLUICE_VAES256_INLINE __m256i round_key(const RoundKeys& keys, unsigned round) noexcept {
  return _mm256_broadcastsi128_si256(
      _mm_load_si128(reinterpret_cast<const __m128i*>(keys.at[round].data())));
}

template <unsigned kVectors>
SLUICE_VAES256_INLINE void encrypt(const RoundKeys& keys, __m256i* state) noexcept {
  __m256i key = round_key(keys, 0);
  for (unsigned v = 0; v < kVectors; ++v)
    state[v] = _mm256_xor_si256(state[v], key);
  for (unsigned round = 1; round < kRounds; ++round) {
    key = round_key(keys, round);
    for (unsigned v = 0; v < kVectors; ++v)
      state[v] = _mm256_aesenc_epi128(state[v], key);
  }
  key = round_key(keys, kRounds);
  for (unsigned v = 0; v < kVectors; ++v)
    state[v] = _mm256_aesenclast_epi128(state[v], key);
}

SLUICE_VAES256_INLINE std::uint32_t signature(__m128i block) noexcept {
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(block));
}

SLUICE_VAES256_INLINE void put(Hash128* out, __m256i blocks) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), blocks);
}

SLUICE_VAES256_INLINE void put(std::uint32_t* out, __m256i blocks) noexcept {
  out[0] = signature(_mm256_castsi256_si128(blocks));
  out[1] = signature(_mm256_extracti128_si256(blocks, 1));
}

SLUICE_VAES256_INLINE void put_low(Hash128* out, __m256i blocks) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm256_castsi256_si128(blocks));
}

SLUICE_VAES256_INLINE void put_low(std::uint32_t* out, __m256i blocks) noexcept {
  *out = signature(_mm256_castsi256_si128(blocks));
}

template <unsigned kVectors, class Out>
SLUICE_VAES256_INLINE void hash_vectors(const RoundKeys& keys, const Id* ids, Out* out) noexcept {
  __m256i state[kVectors];
  for (unsigned v = 0; v < kVectors; ++v) {
    state[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ids + v * kIdsPerVector));
  }
  encrypt<kVectors>(keys, state);
  for (unsigned v = 0; v < kVectors; ++v)
    put(out + v * kIdsPerVector, state[v]);
}

template <class Out>
SLUICE_VAES256_INLINE void hash_one(const RoundKeys& keys, const Id* id, Out* out) noexcept {
  __m256i state = _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(id)));
  encrypt<1>(keys, &state);
  put_low(out, state);
}

// The pieces of the rest are independent of each other, so they overlap in the pipeline.
template <class Out>
SLUICE_VAES256_INLINE void hash_all(const RoundKeys& keys, const Id* ids, Out* out,
                                    unsigned n) noexcept {
  for (; n >= 16; n -= 16, ids += 16, out += 16)
    hash_vectors<8>(keys, ids, out);
  if ((n & 8) != 0) {
    hash_vectors<4>(keys, ids, out);
    ids += 8;
    out += 8;
  }
  if ((n & 4) != 0) {
    hash_vectors<2>(keys, ids, out);
    ids += 4;
    out += 4;
  }
  if ((n & 2) != 0) {
    hash_vectors<1>(keys, ids, out);
    ids += 2;
    out += 2;
  }
  if ((n & 1) != 0) hash_one(keys, ids, out);
}

SLUICE_VAES256 inline void burst(const RoundKeys& keys, const Id* ids, Hash128* out,
                                 unsigned n) noexcept {
  hash_all(keys, ids, out, n);
}

SLUICE_VAES256 inline void burst32(const RoundKeys& keys, const Id* ids, std::uint32_t* out,
                                   unsigned n) noexcept {
  hash_all(keys, ids, out, n);
}

}  // namespace sluice::aes::vaes256

#undef SLUICE_VAES256
#undef SLUICE_VAES256_INLINE
