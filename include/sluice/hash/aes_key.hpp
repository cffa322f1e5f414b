// AES-128 key expansion (FIPS-197, section 5.2) and the S-box, shared by every kernel of the id
// hash. Run once per key, never per message; no state, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice {

// The secret of one router's tables, made once at random (see DESIGN §2, "Route table").
struct HashKey {
  std::array<std::uint8_t, 16> bytes{};

  friend bool operator==(const HashKey&, const HashKey&) = default;
};
static_assert(sizeof(HashKey) == 16);

// The whole AES output. It is a permutation of the id, so equal hashes mean equal ids; the parts
// are the block's bytes 0-7 and 8-15 read as little-endian numbers.
struct Hash128 {
  std::uint64_t lo = 0;
  std::uint64_t hi = 0;

  friend bool operator==(const Hash128&, const Hash128&) = default;
  // What rte_hash takes as the signature of a key.
  constexpr std::uint32_t signature() const noexcept { return static_cast<std::uint32_t>(lo); }
};
static_assert(sizeof(Hash128) == 16);

namespace aes {

inline constexpr unsigned kRounds = 10;
using Block = std::array<std::uint8_t, 16>;

// Round key 0 is the key itself. One aligned 16-byte load per round key.
struct alignas(16) RoundKeys {
  std::array<Block, kRounds + 1> at;
};

// Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS-197, section 4.2.1).
constexpr std::uint8_t xtime(std::uint8_t a) noexcept {
  return static_cast<std::uint8_t>(a << 1 ^ (a >> 7) * 0x1b);
}

// S-box = affine map of the multiplicative inverse (FIPS-197, section 5.1.1). The walk visits every
// nonzero p = 3^i beside q = 3^-i, so no inverse has to be searched.
constexpr std::array<std::uint8_t, 256> make_sbox() noexcept {
  std::array<std::uint8_t, 256> sbox{};
  const auto rotate = [](std::uint8_t v, int n) {
    return static_cast<std::uint8_t>(v << n | v >> (8 - n));
  };
  std::uint8_t p = 1;
  std::uint8_t q = 1;
  do {
    p = static_cast<std::uint8_t>(p ^ xtime(p));  // times 3
    q = static_cast<std::uint8_t>(q ^ q << 1);    // divided by 3
    q = static_cast<std::uint8_t>(q ^ q << 2);
    q = static_cast<std::uint8_t>(q ^ q << 4);
    if ((q & 0x80) != 0) q ^= 0x09;
    sbox[p] = static_cast<std::uint8_t>(q ^ rotate(q, 1) ^ rotate(q, 2) ^ rotate(q, 3) ^
                                        rotate(q, 4) ^ 0x63);
  } while (p != 1);
  sbox[0] = 0x63;
  return sbox;
}

inline constexpr std::array<std::uint8_t, 256> kSbox = make_sbox();
static_assert(kSbox[0x53] == 0xed && kSbox[0xff] == 0x16);

constexpr RoundKeys expand_key(const HashKey& key) noexcept {
  RoundKeys keys{};
  keys.at[0] = key.bytes;
  std::uint8_t round_constant = 1;
  for (std::size_t round = 1; round <= kRounds; ++round) {
    const Block& last = keys.at[round - 1];
    Block& next = keys.at[round];
    for (std::size_t i = 0; i < 4; ++i) {  // first word: rotated, substituted, round constant
      next[i] = static_cast<std::uint8_t>(last[i] ^ kSbox[last[12 + (i + 1) % 4]]);
    }
    next[0] ^= round_constant;
    for (std::size_t i = 4; i < 16; ++i)
      next[i] = static_cast<std::uint8_t>(last[i] ^ next[i - 4]);
    round_constant = xtime(round_constant);
  }
  return keys;
}

}  // namespace aes
}  // namespace sluice
