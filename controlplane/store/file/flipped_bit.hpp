// Finds the one bit whose flip makes a checksum right again. For what a whole file hangs on, a
// header or a manifest: a bit that rotted there must not cost all that is behind it. Where more
// than a bit is wrong, chance finds one in 2^32 / bits tries, so the caller checks what comes out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace sluice::controlplane::store {

// `right` is asked with one bit after the other flipped. The bit, which stays flipped; nothing: no
// bit does it, and the bytes are as they were.
template <class Right>
std::optional<std::size_t> mend_flipped_bit(std::span<std::uint8_t> bytes, const Right& right) {
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto mask = static_cast<std::uint8_t>(1U << bit % 8);
    bytes[bit / 8] ^= mask;
    if (right()) return bit;
    bytes[bit / 8] ^= mask;
  }
  return std::nullopt;
}

}  // namespace sluice::controlplane::store
