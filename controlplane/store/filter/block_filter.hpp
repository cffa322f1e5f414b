// A Bloom filter of blocks (Putze, Sanders, Singler 2007; the shape of Parquet's): a key has one
// bit in each of the eight words of one 32-byte block, so a question costs one cache line and a few
// instructions, and keys can be added one after the other. With 8, 12 and 16 bits of memory per key
// another key passes with probability 3 %, 0.5 % and 0.15 %; a key that was added always does.
//
// A view is a plain value over memory that somebody else keeps. Any number of threads may ask,
// beside one that adds.
#pragma once

#include <immintrin.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "sluice/base/prefetch.hpp"
#include "sluice/hash/aes_key.hpp"

namespace sluice::controlplane::store {

class BlockFilter {
 public:
  using Word = std::atomic<std::uint32_t>;
  static constexpr unsigned kWords = 8;
  static constexpr std::size_t kBlockBytes = kWords * sizeof(Word);

  static constexpr std::uint32_t blocks_for(std::uint64_t keys, unsigned bits_per_key) noexcept {
    return static_cast<std::uint32_t>(keys * bits_per_key / (8 * kBlockBytes) + 1);
  }

  BlockFilter() = default;
  // `words`: of `blocks` blocks. Aligned to a block, a question costs one line.
  BlockFilter(const Word* words, std::uint32_t blocks) noexcept : words_(words), blocks_(blocks) {}

  // The only memory that a question needs.
  const Word* block_of(const Hash128& hash) const noexcept {
    return words_ + first_word(hash, blocks_);
  }
  void prefetch(const Hash128& hash) const noexcept { prefetch_far(block_of(hash)); }

  bool passes(const Hash128& hash) const noexcept {
#ifdef SLUICE_THREAD_SANITIZER  // does not know that no word is read in halves
    return passes_scalar(hash);
#else
    const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block_of(hash)));
    const __m256i salts = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kSalts.data()));
    const __m256i mixed = _mm256_mullo_epi32(_mm256_set1_epi32(static_cast<int>(hash.lo)), salts);
    const __m256i bits = _mm256_sllv_epi32(_mm256_set1_epi32(1), _mm256_srli_epi32(mixed, 27));
    return _mm256_testc_si256(block, bits) != 0;
#endif
  }
  // The reference.
  bool passes_scalar(const Hash128& hash) const noexcept {
    const Word* const block = block_of(hash);
    bool all = true;
    for (unsigned i = 0; i < kWords; ++i)
      all = all && (block[i].load(std::memory_order_relaxed) & bit_of(hash, i)) != 0;
    return all;
  }

  // To the filter of so many blocks at `words`, which are zero at first. One thread at a time.
  static void add(Word* words, std::uint32_t blocks, const Hash128& hash) noexcept {
    Word* const block = words + first_word(hash, blocks);
    for (unsigned i = 0; i < kWords; ++i)
      block[i].store(block[i].load(std::memory_order_relaxed) | bit_of(hash, i),
                     std::memory_order_relaxed);
  }

 private:
  // Odd numbers without a pattern: fractions of square roots of primes, the last bit set. They and
  // the two functions below are what segment files hold, so they may never change.
  static constexpr std::array<std::uint32_t, kWords> kSalts = {0x6a09e667, 0xbb67ae85, 0x3c6ef373,
                                                               0xa54ff53b, 0x510e527f, 0x9b05688d,
                                                               0x1f83d9ab, 0x5be0cd19};

  // lo 32..63 pick the block, in the order of lo like the parts of a function; lo 0..31 the bits.
  static std::size_t first_word(const Hash128& hash, std::uint32_t blocks) noexcept {
    return ((hash.lo >> 32) * blocks >> 32) * kWords;
  }
  static std::uint32_t bit_of(const Hash128& hash, unsigned word) noexcept {
    return 1U << (static_cast<std::uint32_t>(hash.lo) * kSalts[word] >> 27);
  }

  const Word* words_ = nullptr;
  std::uint32_t blocks_ = 0;
};

}  // namespace sluice::controlplane::store
