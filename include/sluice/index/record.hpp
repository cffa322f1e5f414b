// The compact hot record of base segments and index segments: 12 bytes, a fingerprint of the key's
// hash and a 56-bit value. A key that is not in the set is taken for one that is with probability
// 2^-bits of the fingerprint. The width is a parameter so that this can be shown by test on a short
// one; files have 40. Plain functions over memory; any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sluice/base/bytes.hpp"
#include "sluice/base/prefetch.hpp"
#include "sluice/hash/aes_key.hpp"

namespace sluice::index {

inline constexpr std::uint64_t kValueMask = (std::uint64_t{1} << 56) - 1;

// bytes 0-4 fingerprint (bits 0-39 of the hash's hi), 5-11 value, both little-endian
template <unsigned kBits>
struct RecordCodec {
  static_assert(kBits >= 1 && kBits <= 40);
  static constexpr std::size_t kBytes = 12;
  static constexpr std::uint64_t kFingerprintMask = (std::uint64_t{1} << kBits) - 1;

  static std::uint64_t fingerprint(const Hash128& hash) noexcept {
    return hash.hi & kFingerprintMask;
  }
  static std::uint64_t fingerprint(const std::uint8_t* record) noexcept {
    return load<std::uint64_t>(record) & kFingerprintMask;
  }
  static std::uint64_t value(const std::uint8_t* record) noexcept {
    return load<std::uint64_t>(record + 4) >> 8;
  }
  static bool matches(const std::uint8_t* record, const Hash128& hash) noexcept {
    return ((load<std::uint64_t>(record) ^ hash.hi) & kFingerprintMask) == 0;
  }
  // `value` below 2^56.
  static void put(std::uint8_t* record, const Hash128& hash, std::uint64_t value) noexcept {
    store(record, fingerprint(hash) | value << 40);
    store(record + 8, static_cast<std::uint32_t>(value >> 24));
  }
};
using Record = RecordCodec<40>;

// A record may lie across two cache lines.
template <Distance kDistance>
inline void prefetch_record(const std::uint8_t* record) noexcept {
  prefetch<kDistance>(record);
  prefetch<kDistance>(record + Record::kBytes - 1);
}

}  // namespace sluice::index
