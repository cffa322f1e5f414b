// AES-128 of ids in portable code (FIPS-197, section 5.1): the reference for the other kernels, and
// the fallback on a CPU without AES-NI. Its speed depends on cached S-box lines, so it is the one
// kernel whose timing depends on data. Any thread; no state.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sluice/base/bytes.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/hash/aes_key.hpp"

namespace sluice::aes::scalar {

constexpr void add_round_key(Block& state, const Block& key) noexcept {
  for (std::size_t i = 0; i < 16; ++i)
    state[i] ^= key[i];
}

// SubBytes and ShiftRows: byte r of column c comes from column c + r.
constexpr Block substitute_and_shift(const Block& state) noexcept {
  Block out{};
  for (std::size_t i = 0; i < 16; ++i)
    out[i] = kSbox[state[(i + 4 * (i % 4)) % 16]];
  return out;
}

constexpr void mix_columns(Block& state) noexcept {
  for (std::size_t c = 0; c < 16; c += 4) {
    const std::uint8_t first = state[c];
    const auto sum =
        static_cast<std::uint8_t>(state[c] ^ state[c + 1] ^ state[c + 2] ^ state[c + 3]);
    for (std::size_t r = 0; r < 4; ++r) {
      const std::uint8_t below = r == 3 ? first : state[c + r + 1];
      state[c + r] ^= static_cast<std::uint8_t>(sum ^ xtime(state[c + r] ^ below));
    }
  }
}

constexpr Block encrypt(const RoundKeys& keys, Block state) noexcept {
  add_round_key(state, keys.at[0]);
  for (std::size_t round = 1; round < kRounds; ++round) {
    state = substitute_and_shift(state);
    mix_columns(state);
    add_round_key(state, keys.at[round]);
  }
  state = substitute_and_shift(state);
  add_round_key(state, keys.at[kRounds]);
  return state;
}

inline Hash128 one(const RoundKeys& keys, const Id& id) noexcept {
  const Block block = encrypt(keys, id.bytes);
  return {load<std::uint64_t>(block.data()), load<std::uint64_t>(block.data() + 8)};
}

inline void burst(const RoundKeys& keys, const Id* ids, Hash128* out, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i)
    out[i] = one(keys, ids[i]);
}

inline void burst32(const RoundKeys& keys, const Id* ids, std::uint32_t* out, unsigned n) noexcept {
  for (unsigned i = 0; i < n; ++i)
    out[i] = one(keys, ids[i]).signature();
}

}  // namespace sluice::aes::scalar
