// Unaligned loads and stores, and network-order integers that cannot be mistaken for host-order
// ones. Any thread; no state.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace sluice {

template <class T>
inline T load(const void* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
inline void store(void* to, const T& value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

template <std::unsigned_integral T>
constexpr T host_to_network(T value) noexcept {
  if constexpr (std::endian::native == std::endian::little && sizeof(T) > 1) {
    return std::byteswap(value);
  } else {
    return value;
  }
}

// An unsigned integer kept in network byte order. Trivial, unaligned (alignment 1), same size as T.
template <std::unsigned_integral T>
class Big {
 public:
  Big() = default;
  constexpr explicit Big(T value) noexcept : bytes_(std::bit_cast<Bytes>(host_to_network(value))) {}

  constexpr T get() const noexcept { return host_to_network(std::bit_cast<T>(bytes_)); }
  // The bytes as they lie in memory; for checksums, which work in either order (RFC 1071, 2(B)).
  constexpr T raw() const noexcept { return std::bit_cast<T>(bytes_); }
  constexpr void set(T value) noexcept { *this = Big(value); }

  friend constexpr bool operator==(const Big& a, const Big& b) noexcept {
    return a.raw() == b.raw();
  }

 private:
  struct Bytes {
    std::uint8_t at[sizeof(T)];
  };
  Bytes bytes_;
};

using Big16 = Big<std::uint16_t>;
using Big32 = Big<std::uint32_t>;
using Big64 = Big<std::uint64_t>;
static_assert(sizeof(Big64) == 8 && alignof(Big64) == 1);

}  // namespace sluice
