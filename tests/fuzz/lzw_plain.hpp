// For the fuzz targets of LZW: a second decoder, as plain as the format's description, and the
// check that ours tells broken streams from good ones as it does and reads good ones alike.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/membership/lzw.hpp"
#include "tests/fuzz/fuzz.hpp"

// What checks do themselves is not what the fuzzer shall cover, and to trace it is dear.
#define FUZZ_PLAIN __attribute__((noinline, no_sanitize("coverage")))

namespace sluice::membership {

inline constexpr std::uint32_t kClear = 256;
inline constexpr std::uint32_t kEnd = 257;
inline constexpr std::size_t kMaxStrings = 4096 - 258;

// How wide a code is after so many since the last clear.
inline unsigned width_after(std::size_t codes) {
  return codes < 255 ? 9 : codes < 767 ? 10 : codes < 1791 ? 11 : 12;
}

// Every string of the table is what a code stood for and the byte after it, so it lies in the
// output. Nothing: broken, or longer than max.
FUZZ_PLAIN inline std::optional<Bytes> plain_decode(ByteView in, std::size_t max) {
  struct Piece {
    std::size_t start;
    std::size_t length;
  };
  std::vector<Piece> table;
  table.reserve(kMaxStrings);
  std::optional<Piece> last;
  Bytes out;
  out.reserve(std::min(max, 4 * in.size()));
  std::size_t codes = 0;  // since the last clear
  std::size_t bit = 0;
  while (true) {
    const auto width = width_after(codes);
    if (bit + width > 8 * in.size()) return std::nullopt;
    std::uint32_t code = 0;
    for (auto byte = (bit + width - 1) / 8 + 1; byte > bit / 8; --byte)
      code = code << 8 | in[byte - 1];
    code = code >> bit % 8 & ((1U << width) - 1);
    bit += width;
    if (code == kEnd) return out;
    if (code == kClear) {
      table.clear();
      last.reset();
      codes = 0;
      continue;
    }
    // The byte after it is the first of what comes now.
    if (last) table.push_back({last->start, last->length + 1});
    if (code > kEnd && code - 258 >= table.size()) return std::nullopt;
    const Piece piece = code < kClear ? Piece{0, 1} : table[code - 258];
    if (out.size() + piece.length > max) return std::nullopt;
    const Piece written{out.size(), piece.length};
    out.resize(out.size() + piece.length);
    for (std::size_t i = 0; i < piece.length; ++i)
      out[written.start + i] =
          code < kClear ? static_cast<std::uint8_t>(code) : out[piece.start + i];
    if (codes < 4095 - 257) ++codes;
    // A full table takes nothing more: its last code, 4095, is defined and nothing follows it.
    if (table.size() == kMaxStrings) {
      last.reset();
    } else {
      last = written;
    }
  }
}

inline void check_decode(ByteView input, std::size_t max) {
  Bytes out;
  const auto result = lzw_decode(input, out, max);
  const auto expected = plain_decode(input, max);
  FUZZ_REQUIRE((result == LzwResult::kOk) == expected.has_value());
  FUZZ_REQUIRE(expected ? out == *expected : out.empty());
}

}  // namespace sluice::membership
