// CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of all files of the store and of base
// segments. Reflected, initial value and final xor all ones; "123456789" gives e3069283. Pass the
// result of the bytes before as `before` to go on. Any thread; no state.
//
// crc32c() uses SSE4.2, which is in the baseline (x86-64-v3): three independent streams hide the
// instruction's three cycles of latency. crc32c_scalar() is the reference that tests compare with.
#pragma once

#include <nmmintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/base/bytes.hpp"

namespace sluice {

namespace crc32c_detail {

inline constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected

inline constexpr auto kByteTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = value >> 1 ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[i] = value;
  }
  return table;
}();

// What a checksum becomes after some number of zero bytes is a linear map of its 32 bits; here it
// is tabulated per byte of the checksum.
using ZerosTable = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr std::uint32_t image(const std::array<std::uint32_t, 32>& map, std::uint32_t bits) {
  std::uint32_t out = 0;
  for (int i = 0; bits != 0; ++i, bits >>= 1)
    if ((bits & 1) != 0) out ^= map[static_cast<std::size_t>(i)];
  return out;
}

// The map of 2^log2_bytes zero bytes: that of one zero bit, squared 3 + log2_bytes times.
constexpr ZerosTable zeros_table(int log2_bytes) {
  std::array<std::uint32_t, 32> map{};
  map[0] = kPolynomial;
  for (std::size_t i = 1; i < 32; ++i)
    map[i] = std::uint32_t{1} << (i - 1);
  for (int step = 0; step < 3 + log2_bytes; ++step) {
    std::array<std::uint32_t, 32> squared{};
    for (std::size_t i = 0; i < 32; ++i)
      squared[i] = image(map, map[i]);
    map = squared;
  }
  ZerosTable table{};
  for (std::size_t byte = 0; byte < 4; ++byte)
    for (std::uint32_t value = 0; value < 256; ++value)
      table[byte][value] = image(map, value << (8 * byte));
  return table;
}

inline constexpr int kLog2Stream = 10;
inline constexpr std::size_t kStream = std::size_t{1} << kLog2Stream;
inline constexpr ZerosTable kAfterOneStream = zeros_table(kLog2Stream);

inline std::uint64_t after_one_stream(std::uint64_t crc) noexcept {
  return kAfterOneStream[0][crc & 255] ^ kAfterOneStream[1][crc >> 8 & 255] ^
         kAfterOneStream[2][crc >> 16 & 255] ^ kAfterOneStream[3][crc >> 24 & 255];
}

}  // namespace crc32c_detail

inline std::uint32_t crc32c_scalar(std::span<const std::uint8_t> data,
                                   std::uint32_t before = 0) noexcept {
  std::uint32_t crc = ~before;
  for (const std::uint8_t byte : data)
    crc = crc >> 8 ^ crc32c_detail::kByteTable[(crc ^ byte) & 255];
  return ~crc;
}

inline std::uint32_t crc32c(std::span<const std::uint8_t> data, std::uint32_t before = 0) noexcept {
  using crc32c_detail::kStream;
  std::uint64_t crc = static_cast<std::uint32_t>(~before);
  const std::uint8_t* at = data.data();
  std::size_t left = data.size();
  for (; left >= 3 * kStream; at += 3 * kStream, left -= 3 * kStream) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kStream; i += 8) {
      crc = _mm_crc32_u64(crc, load<std::uint64_t>(at + i));
      second = _mm_crc32_u64(second, load<std::uint64_t>(at + kStream + i));
      third = _mm_crc32_u64(third, load<std::uint64_t>(at + 2 * kStream + i));
    }
    crc = crc32c_detail::after_one_stream(crc) ^ second;
    crc = crc32c_detail::after_one_stream(crc) ^ third;
  }
  for (; left >= 8; at += 8, left -= 8)
    crc = _mm_crc32_u64(crc, load<std::uint64_t>(at));
  auto low = static_cast<std::uint32_t>(crc);
  for (; left > 0; ++at, --left)
    low = _mm_crc32_u8(low, *at);
  return ~low;
}

}  // namespace sluice
