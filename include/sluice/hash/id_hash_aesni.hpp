// AES-128 of ids with AES-NI, eight blocks in flight: one aesenc takes 3 to 4 cycles, two can start
// per cycle, so eight independent blocks keep the unit busy. Call only when has_isa(Isa::kAesNi).
// Any thread; no state.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "sluice/base/ids.hpp"
#include "sluice/hash/aes_key.hpp"

#define SLUICE_AESNI __attribute__((target("aes,avx")))
#define SLUICE_AESNI_INLINE __attribute__((target("aes,avx"), always_inline)) inline

namespace sluice::aes::aesni {

SLUICE_AESNI_INLINE __m128i round_key(const RoundKeys& keys, unsigned round) noexcept {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(keys.at[round].data()));
}

template <unsigned kBlocks>
SLUICE_AESNI_INLINE void encrypt(const RoundKeys& keys, const Id* ids, __m128i* state) noexcept {
  __m128i key = round_key(keys, 0);
  for (unsigned b = 0; b < kBlocks; ++b) {
    state[b] = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(ids + b)), key);
  }
  for (unsigned round = 1; round < kRounds; ++round) {
    key = round_key(keys, round);
    for (unsigned b = 0; b < kBlocks; ++b)
      state[b] = _mm_aesenc_si128(state[b], key);
  }
  key = round_key(keys, kRounds);
  for (unsigned b = 0; b < kBlocks; ++b)
    state[b] = _mm_aesenclast_si128(state[b], key);
}

SLUICE_AESNI_INLINE void put(Hash128* out, __m128i block) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), block);
}

SLUICE_AESNI_INLINE void put(std::uint32_t* out, __m128i block) noexcept {
  *out = static_cast<std::uint32_t>(_mm_cvtsi128_si32(block));
}

template <unsigned kBlocks, class Out>
SLUICE_AESNI_INLINE void hash_blocks(const RoundKeys& keys, const Id* ids, Out* out) noexcept {
  __m128i state[kBlocks];
  encrypt<kBlocks>(keys, ids, state);
  for (unsigned b = 0; b < kBlocks; ++b)
    put(out + b, state[b]);
}

// The pieces of the rest are independent of each other, so they overlap in the pipeline.
template <class Out>
SLUICE_AESNI_INLINE void hash_all(const RoundKeys& keys, const Id* ids, Out* out,
                                  unsigned n) noexcept {
  for (; n >= 8; n -= 8, ids += 8, out += 8)
    hash_blocks<8>(keys, ids, out);
  if ((n & 4) != 0) {
    hash_blocks<4>(keys, ids, out);
    ids += 4;
    out += 4;
  }
  if ((n & 2) != 0) {
    hash_blocks<2>(keys, ids, out);
    ids += 2;
    out += 2;
  }
  if ((n & 1) != 0) hash_blocks<1>(keys, ids, out);
}

SLUICE_AESNI inline Hash128 one(const RoundKeys& keys, const Id& id) noexcept {
  Hash128 out;
  hash_blocks<1>(keys, &id, &out);
  return out;
}

SLUICE_AESNI inline void burst(const RoundKeys& keys, const Id* ids, Hash128* out,
                               unsigned n) noexcept {
  hash_all(keys, ids, out, n);
}

SLUICE_AESNI inline void burst32(const RoundKeys& keys, const Id* ids, std::uint32_t* out,
                                 unsigned n) noexcept {
  hash_all(keys, ids, out, n);
}

}  // namespace sluice::aes::aesni

#undef SLUICE_AESNI
#undef SLUICE_AESNI_INLINE
