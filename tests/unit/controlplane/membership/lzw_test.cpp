#include "controlplane/membership/lzw.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/controlplane/membership/hex.hpp"

namespace sluice::membership {
namespace {

constexpr std::size_t kMax = 1 << 20;

Bytes packed(ByteView plain) {
  Bytes out;
  LzwEncoder().encode(plain, out);
  return out;
}

Bytes unpacked(ByteView in) {
  Bytes out;
  EXPECT_EQ(lzw_decode(in, out, kMax), LzwResult::kOk);
  return out;
}

// Codes of 9 bits, which is all that a short stream needs.
Bytes nine_bit(std::initializer_list<std::uint32_t> codes) {
  Bytes out;
  std::uint64_t held = 0;
  unsigned bits = 0;
  for (const auto code : codes) {
    held |= std::uint64_t{code} << bits;
    for (bits += 9; bits >= 8; bits -= 8, held >>= 8)
      out.push_back(static_cast<std::uint8_t>(held));
  }
  if (bits > 0) out.push_back(static_cast<std::uint8_t>(held));
  return out;
}

Bytes random_text(std::mt19937& random, std::size_t size, unsigned alphabet) {
  Bytes plain(size);
  for (auto& byte : plain)
    byte = static_cast<std::uint8_t>(random() % alphabet);
  return plain;
}

// Sizes up to where the table is full and begins anew several times over.
TEST(Lzw, RoundTrip) {
  std::mt19937 random(7);
  for (const std::size_t size : {0, 1, 2, 3, 255, 256, 1000, 3837, 3838, 3839, 4096, 20000, 60000})
    for (const unsigned alphabet : {1U, 2U, 16U, 256U}) {
      const auto plain = random_text(random, size, alphabet);
      EXPECT_EQ(unpacked(packed(plain)), plain) << size << " of " << alphabet;
    }
}

// Every number of codes round each change of width and round the full table.
TEST(Lzw, EveryLengthRoundTheEdges) {
  std::mt19937 random(8);
  const auto plain = random_text(random, 8000, 256);
  for (const std::size_t edge : {254, 255, 256, 766, 767, 1790, 1791, 3836, 3837, 7676})
    for (std::size_t size = edge - 4; size < edge + 8; ++size) {
      const auto part = ByteView(plain).first(size);
      EXPECT_EQ(unpacked(packed(part)), Bytes(part.begin(), part.end())) << size;
    }
}

// An encoder keeps nothing of what it packed before, small or so large that its table began anew.
TEST(Lzw, EncodersAreUsedAgain) {
  std::mt19937 random(9);
  LzwEncoder used;
  for (const std::size_t size : {300, 1, 3837, 300, 3838, 300, 20000, 0, 300, 60000, 300}) {
    const auto plain = random_text(random, size, 200);
    Bytes again;
    used.encode(plain, again);
    EXPECT_EQ(again, packed(plain)) << size;
  }
}

TEST(Lzw, OldEncodersBeginWithoutClear) {
  EXPECT_EQ(to_text(unpacked(nine_bit({'a', 'b', 258, 257}))), "abab");
  EXPECT_EQ(to_text(unpacked(nine_bit({256, 'a', 'b', 258, 257}))), "abab");
  // The code that is being defined by its own use.
  EXPECT_EQ(to_text(unpacked(nine_bit({'a', 258, 259, 257}))), "aaaaaa");
  // A clear in the middle forgets.
  EXPECT_EQ(to_text(unpacked(nine_bit({'a', 'b', 256, 'c', 'd', 258, 257}))), "abcdcd");
}

TEST(Lzw, BrokenStreamsAreRefused) {
  for (const auto& broken : {Bytes{}, nine_bit({256}), nine_bit({'a', 'b'}), nine_bit({258, 257}),
                             nine_bit({'a', 259, 257}), nine_bit({'a', 'b', 256, 258, 257})}) {
    Bytes out{1, 2, 3};
    EXPECT_EQ(lzw_decode(broken, out, kMax), LzwResult::kCorrupt) << to_hex(broken);
    EXPECT_EQ(out, (Bytes{1, 2, 3}));
  }
}

// Encoders that never clear: the table stays full at 12 bits and nothing is added.
TEST(Lzw, FullTableWithoutClear) {
  Bytes stream;
  std::uint64_t held = 0;
  unsigned bits = 0;
  unsigned width = 9;
  std::uint32_t next = 257;
  Bytes expected;
  const auto write = [&](std::uint32_t code) {
    held |= std::uint64_t{code} << bits;
    for (bits += width; bits >= 8; bits -= 8, held >>= 8)
      stream.push_back(static_cast<std::uint8_t>(held));
    if (next < 4095 && ++next == 1U << width) ++width;
  };
  for (std::uint32_t i = 0; i < 6000; ++i) {
    const auto byte = static_cast<std::uint8_t>(i * 7 + i / 256);
    write(byte);
    expected.push_back(byte);
  }
  write(257);
  stream.push_back(static_cast<std::uint8_t>(held));
  EXPECT_EQ(unpacked(stream), expected);
}

TEST(Lzw, OutputIsBounded) {
  const Bytes plain(5000, 'x');
  const auto small = packed(plain);
  ASSERT_LT(small.size(), 200U);
  Bytes out{9};
  EXPECT_EQ(lzw_decode(small, out, 5000), LzwResult::kTooLong);
  EXPECT_EQ(out, Bytes{9});
  out.clear();
  EXPECT_EQ(lzw_decode(small, out, 5000), LzwResult::kOk);
  EXPECT_EQ(out, plain);
}

}  // namespace
}  // namespace sluice::membership
