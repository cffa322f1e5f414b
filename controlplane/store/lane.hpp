// Which lane a key belongs to: jump consistent hash (Lamping and Veach, arXiv 1406.2294) over 4096
// slots of the keyed hash, so that raising the lane count from n to m moves (m - n) / m of the keys
// and no others. The table makes it one load per key. Immutable; any thread.
#pragma once

#include <array>
#include <cstdint>

#include "sluice/hash/aes_key.hpp"

namespace sluice::controlplane::store {

inline constexpr unsigned kMaxLanes = 64;

constexpr unsigned jump_consistent_hash(std::uint64_t key, unsigned buckets) noexcept {
  std::int64_t bucket = -1;
  std::int64_t next = 0;
  while (next < static_cast<std::int64_t>(buckets)) {
    bucket = next;
    key = key * 2862933555777941757ULL + 1;
    next = static_cast<std::int64_t>(
        static_cast<double>(bucket + 1) *
        (static_cast<double>(std::int64_t{1} << 31) / static_cast<double>((key >> 33) + 1)));
  }
  return static_cast<unsigned>(bucket);
}

class LaneTable {
 public:
  static constexpr unsigned kSlotBits = 12;
  static constexpr unsigned kSlots = 1U << kSlotBits;

  explicit LaneTable(unsigned lanes) noexcept : lanes_(lanes) {
    for (unsigned slot = 0; slot < kSlots; ++slot) {
      // The slot's number is spread first: the function wants a well-mixed key.
      const std::uint64_t mixed = (slot + 1) * 0x9e3779b97f4a7c15ULL;
      lane_[slot] = static_cast<std::uint8_t>(jump_consistent_hash(mixed ^ mixed >> 29, lanes));
    }
  }

  unsigned lanes() const noexcept { return lanes_; }
  // The top bits of hi: in no fingerprint, so that lanes do not weaken it.
  unsigned of(const Hash128& hash) const noexcept { return lane_[hash.hi >> (64 - kSlotBits)]; }

 private:
  unsigned lanes_;
  std::array<std::uint8_t, kSlots> lane_;
};

}  // namespace sluice::controlplane::store
