// SipHash-2-4 (Aumasson and Bernstein, 2012), 64-bit result: the keyed hash of byte strings, such
// as names, that others choose and we put into hash tables. Ids use sluice/hash/id_hash.hpp, which
// is faster. Any thread; no state.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "sluice/base/bytes.hpp"

namespace sluice {

// 128 secret bits; k0 is the key's first eight bytes, little-endian.
struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;

  static SipKey of(const std::array<std::uint8_t, 16>& bytes) noexcept {
    return {load<std::uint64_t>(bytes.data()), load<std::uint64_t>(bytes.data() + 8)};
  }
};

namespace sip_detail {

struct State {
  std::uint64_t v0;
  std::uint64_t v1;
  std::uint64_t v2;
  std::uint64_t v3;

  void round() noexcept {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }

  void absorb(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

// The last word: the rest of the message, zeros, and the message's length modulo 256 on top.
inline std::uint64_t last_word(const std::uint8_t* rest, std::size_t size) noexcept {
  std::uint64_t word = static_cast<std::uint64_t>(size) << 56;
  for (std::size_t i = 0; i < size % 8; ++i)
    word |= static_cast<std::uint64_t>(rest[i]) << 8 * i;
  return word;
}

}  // namespace sip_detail

inline std::uint64_t siphash24(const SipKey& key, std::span<const std::uint8_t> message) noexcept {
  sip_detail::State state{key.k0 ^ 0x736f6d6570736575ULL, key.k1 ^ 0x646f72616e646f6dULL,
                          key.k0 ^ 0x6c7967656e657261ULL, key.k1 ^ 0x7465646279746573ULL};
  const std::uint8_t* at = message.data();
  for (std::size_t words = message.size() / 8; words > 0; --words, at += 8)
    state.absorb(load<std::uint64_t>(at));
  state.absorb(sip_detail::last_word(at, message.size()));
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i)
    state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

inline std::uint64_t siphash24(const SipKey& key, std::string_view text) noexcept {
  return siphash24(key, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

}  // namespace sluice
