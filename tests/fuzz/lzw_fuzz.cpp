// LZW: what was encoded is decoded as it was; broken streams are told from good ones, and good ones
// read alike, by a second decoder that is as plain as the format's description.
//
// Input: as it is to encode, and as it is to decode.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/membership/lzw.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::membership {
namespace {

constexpr std::size_t kMax = 1 << 16;

// A table of whole strings. Nothing: broken, or longer than kMax.
std::optional<std::string> plain_decode(ByteView in) {
  std::vector<std::string> table;
  std::string out;
  std::optional<std::string> last;
  std::size_t codes = 0;  // since the last clear
  std::size_t bit = 0;
  while (true) {
    unsigned width = 9;
    while (width < 12 && 257 + codes >= 1U << width)
      ++width;
    if (bit + width > 8 * in.size()) return std::nullopt;
    std::size_t code = 0;
    for (unsigned i = 0; i < width; ++i, ++bit)
      code |= static_cast<std::size_t>(in[bit / 8] >> bit % 8 & 1) << i;
    if (code == 257) return out;
    if (code == 256) {
      table.clear();
      last.reset();
      codes = 0;
      continue;
    }
    std::string text;
    if (code < 256) {
      text.assign(1, static_cast<char>(code));
    } else if (code - 258 < table.size()) {
      text = table[code - 258];
    } else if (code - 258 == table.size() && last) {
      text = *last + last->front();
    } else {
      return std::nullopt;
    }
    if (last) table.push_back(*last + text.front());
    out += text;
    if (out.size() > kMax) return std::nullopt;
    if (codes < 4095 - 257) ++codes;
    // A full table takes nothing more: its last code, 4095, is defined and nothing follows it.
    last = table.size() == 4096 - 258 ? std::nullopt : std::optional(text);
  }
}

}  // namespace
}  // namespace sluice::membership

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::membership;
  const ByteView input(data, size);
  Bytes packed;
  static LzwEncoder encoder;
  encoder.encode(input, packed);
  Bytes unpacked;
  FUZZ_REQUIRE(lzw_decode(packed, unpacked, size) == LzwResult::kOk);
  FUZZ_REQUIRE(std::equal(unpacked.begin(), unpacked.end(), data, data + size));

  Bytes out;
  const auto result = lzw_decode(input, out, kMax);
  const auto expected = plain_decode(input);
  FUZZ_REQUIRE((result == LzwResult::kOk) == expected.has_value());
  FUZZ_REQUIRE(out.size() <= kMax);
  if (expected) {
    FUZZ_REQUIRE(
        std::equal(out.begin(), out.end(), expected->begin(), expected->end(),
                   [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }));
  }
  return 0;
}
