// LZW: what was encoded is decoded as it was; and any stream is decoded as by a second, plain
// decoder.
//
// Input: a byte of settings, then as it is to encode, and as it is to decode.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/lzw_plain.hpp"

namespace sluice::membership {
namespace {

void check_encode(ByteView input) {
  static LzwEncoder encoder;
  Bytes packed;
  encoder.encode(input, packed);
  Bytes unpacked;
  FUZZ_REQUIRE(lzw_decode(packed, unpacked, input.size()) == LzwResult::kOk);
  FUZZ_REQUIRE(std::ranges::equal(unpacked, input));
}

}  // namespace
}  // namespace sluice::membership

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::membership;
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  check_encode(input);
  // 64 B to 64 KiB: some are too few.
  check_decode(input, std::size_t{64} << data[0] % 11);
  return 0;
}
