// Little-endian fields and the checksum of the store's files, in one place: files are read and
// written through these only, never by casting bytes to structures. Any thread; no state.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sluice/base/bytes.hpp"
#include "sluice/hash/crc32c.hpp"

namespace sluice::controlplane::store {

using Buffer = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

static_assert(std::endian::native == std::endian::little);

template <std::unsigned_integral T>
void put(Buffer& to, T value) {
  const std::size_t at = to.size();
  to.resize(at + sizeof value);
  sluice::store(to.data() + at, value);
}

inline void put_bytes(Buffer& to, ByteView bytes) {
  if (bytes.empty()) return;
  const std::size_t at = to.size();
  to.resize(at + bytes.size());
  std::memcpy(to.data() + at, bytes.data(), bytes.size());
}

// Two bytes of length, then the text; longer text is cut (nothing here has that long a name).
inline void put_text(Buffer& to, std::string_view text) {
  text = text.substr(0, 0xffff);
  put(to, static_cast<std::uint16_t>(text.size()));
  to.insert(to.end(), text.begin(), text.end());
}

// Takes fields off the front of untrusted bytes; nothing when too few are left.
class FieldReader {
 public:
  explicit FieldReader(ByteView bytes) noexcept : left_(bytes) {}

  template <std::unsigned_integral T>
  std::optional<T> take() noexcept {
    if (left_.size() < sizeof(T)) return std::nullopt;
    const T value = load<T>(left_.data());
    left_ = left_.subspan(sizeof(T));
    return value;
  }

  std::optional<ByteView> take_bytes(std::size_t count) noexcept {
    if (left_.size() < count) return std::nullopt;
    const ByteView bytes = left_.first(count);
    left_ = left_.subspan(count);
    return bytes;
  }

  std::optional<std::string> take_text() {
    const auto size = take<std::uint16_t>();
    if (!size) return std::nullopt;
    const auto bytes = take_bytes(*size);
    if (!bytes) return std::nullopt;
    return std::string(bytes->begin(), bytes->end());
  }

  std::size_t left() const noexcept { return left_.size(); }

 private:
  ByteView left_;
};

}  // namespace sluice::controlplane::store
