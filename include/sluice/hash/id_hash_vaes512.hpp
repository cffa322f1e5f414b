// AES-128 of ids with VAES on AVX-512: four blocks per instruction, eight vectors in flight to
// cover the latency of vaesenc, the rest of a burst under a mask. Call only when
// has_isa(Isa::kVaes512). Any thread; no state. Memory outside the n ids and the n results is never
// touched.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "sluice/base/ids.hpp"
#include "sluice/hash/aes_key.hpp"

#define SLUICE_VAES512 __attribute__((target("vaes,avx512f,avx512vl")))
#define SLUICE_VAES512_INLINE __attribute__((target("vaes,avx512f,avx512vl"), always_inline)) inline

namespace sluice::aes::vaes512 {

inline constexpr unsigned kIdsPerVector = 4;

// Below, "maskz" forms with a full mask and __builtin_shufflevector stand in for plain intrinsics
// whose undefined operand makes gcc 12 warn (-Wmaybe-uninitialized); the code is
// the same.

SLUICE_VAES512_INLINE __m512i round_key(const RoundKeys& keys, unsigned round) noexcept {
  return _mm512_maskz_broadcast_i32x4(
      0xffff, _mm_load_si128(reinterpret_cast<const __m128i*>(keys.at[round].data())));
}

template <unsigned kVectors>
SLUICE_VAES512_INLINE void encrypt(const RoundKeys& keys, __m512i* state) noexcept {
  __m512i key = round_key(keys, 0);
  for (unsigned v = 0; v < kVectors; ++v)
    state[v] = _mm512_xor_si512(state[v], key);
  for (unsigned round = 1; round < kRounds; ++round) {
    key = round_key(keys, round);
    for (unsigned v = 0; v < kVectors; ++v)
      state[v] = _mm512_aesenc_epi128(state[v], key);
  }
  key = round_key(keys, kRounds);
  for (unsigned v = 0; v < kVectors; ++v)
    state[v] = _mm512_aesenclast_epi128(state[v], key);
}

// The lowest 32 bits of each block, together in 128 bits.
SLUICE_VAES512_INLINE __m128i signatures(__m512i blocks) noexcept {
  const __m512i order = _mm512_zextsi128_si512(_mm_setr_epi32(0, 4, 8, 12));
  const __m512i packed = _mm512_maskz_permutexvar_epi32(0xffff, order, blocks);
  return __builtin_shufflevector(packed, packed, 0, 1);
}

SLUICE_VAES512_INLINE void put(Hash128* out, __m512i blocks) noexcept {
  _mm512_storeu_si512(out, blocks);
}

SLUICE_VAES512_INLINE void put(std::uint32_t* out, __m512i blocks) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), signatures(blocks));
}

SLUICE_VAES512_INLINE void put_first(Hash128* out, __m512i blocks, unsigned n) noexcept {
  _mm512_mask_storeu_epi64(out, static_cast<__mmask8>((1U << 2 * n) - 1), blocks);
}

SLUICE_VAES512_INLINE void put_first(std::uint32_t* out, __m512i blocks, unsigned n) noexcept {
  _mm_mask_storeu_epi32(out, static_cast<__mmask8>((1U << n) - 1), signatures(blocks));
}

template <unsigned kVectors, class Out>
SLUICE_VAES512_INLINE void hash_vectors(const RoundKeys& keys, const Id* ids, Out* out) noexcept {
  __m512i state[kVectors];
  for (unsigned v = 0; v < kVectors; ++v)
    state[v] = _mm512_loadu_si512(ids + v * kIdsPerVector);
  encrypt<kVectors>(keys, state);
  for (unsigned v = 0; v < kVectors; ++v)
    put(out + v * kIdsPerVector, state[v]);
}

// One to three ids.
template <class Out>
SLUICE_VAES512_INLINE void hash_first(const RoundKeys& keys, const Id* ids, Out* out,
                                      unsigned n) noexcept {
  __m512i state = _mm512_maskz_loadu_epi64(static_cast<__mmask8>((1U << 2 * n) - 1), ids);
  encrypt<1>(keys, &state);
  put_first(out, state, n);
}

// The pieces of the rest are independent of each other, so they overlap in the pipeline.
template <class Out>
SLUICE_VAES512_INLINE void hash_all(const RoundKeys& keys, const Id* ids, Out* out,
                                    unsigned n) noexcept {
  for (; n >= 32; n -= 32, ids += 32, out += 32)
    hash_vectors<8>(keys, ids, out);
  if ((n & 16) != 0) {
    hash_vectors<4>(keys, ids, out);
    ids += 16;
    out += 16;
  }
  if ((n & 8) != 0) {
    hash_vectors<2>(keys, ids, out);
    ids += 8;
    out += 8;
  }
  if ((n & 4) != 0) {
    hash_vectors<1>(keys, ids, out);
    ids += 4;
    out += 4;
  }
  if ((n & 3) != 0) hash_first(keys, ids, out, n & 3);
}

SLUICE_VAES512 inline void burst(const RoundKeys& keys, const Id* ids, Hash128* out,
                                 unsigned n) noexcept {
  hash_all(keys, ids, out, n);
}

SLUICE_VAES512 inline void burst32(const RoundKeys& keys, const Id* ids, std::uint32_t* out,
                                   unsigned n) noexcept {
  hash_all(keys, ids, out, n);
}

}  // namespace sluice::aes::vaes512

#undef SLUICE_VAES512
#undef SLUICE_VAES512_INLINE
