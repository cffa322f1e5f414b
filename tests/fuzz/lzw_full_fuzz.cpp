// LZW where the table gets full, is full, and begins anew, which short inputs never reach: streams
// that begin with some thousand literals, decoded as by a second, plain decoder.
//
// Input: a byte for the number of literals, then how the stream goes on.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/lzw_plain.hpp"

namespace sluice::membership {
namespace {

// So many literals without a clear, and then the input's bits.
FUZZ_PLAIN Bytes after_literals(std::size_t count, ByteView input) {
  Bytes out;
  out.reserve(2 * count + input.size());
  std::uint32_t held = 0;
  unsigned bits = 0;
  const auto write = [&](std::uint32_t code, unsigned width) {
    held |= code << bits;
    for (bits += width; bits >= 8; bits -= 8, held >>= 8)
      out.push_back(static_cast<std::uint8_t>(held));
  };
  for (std::size_t i = 0; i < count; ++i)
    write('a' + i % 23, width_after(std::min<std::size_t>(i, 4095 - 257)));
  for (const auto byte : input)
    write(byte, 8);
  if (bits > 0) write(0, 8 - bits);
  return out;
}

}  // namespace
}  // namespace sluice::membership

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::membership;
  if (size == 0) return 0;
  // The last code, 4095, is defined after 3839.
  check_decode(after_literals(3828 + data[0] % 16, {data + 1, size - 1}), 1 << 16);
  return 0;
}
