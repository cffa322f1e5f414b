// Evaluation of a perfect hash function: every key of the set it was built for has a slot of its
// own; any other key gets some slot. Both processes read it (base segments, index segments); a view
// is a plain value over memory that somebody else keeps, any number of threads may use it.
//
// Shape as in PtrHash (arXiv 2502.15539), after PTHash (arXiv 2104.10402) and PHOBIC (2404.18497):
// a key's hash picks a part, in it a bucket (skewed: few large ones, placed first), the bucket's
// 8-bit pilot together with the hash picks the slot. Not minimal: slots exceed keys by some 2 %, so
// that a slot is the place of a record without another step. Results are inside their bounds
// whatever the pilots and seeds are, so damaged ones can give a wrong slot, never a wild one.
// Builder: controlplane/store/segment/phf_builder.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sluice/base/prefetch.hpp"
#include "sluice/hash/aes_key.hpp"

namespace sluice::index {

// Of one function: all parts have the same size.
struct PhfGeometry {
  std::uint32_t parts = 0;
  std::uint32_t buckets = 0;  // per part: one pilot (byte) each
  std::uint32_t slots = 0;    // per part

  constexpr std::uint64_t pilot_count() const noexcept { return std::uint64_t{parts} * buckets; }
  constexpr std::uint64_t slot_count() const noexcept { return std::uint64_t{parts} * slots; }

  friend bool operator==(const PhfGeometry&, const PhfGeometry&) = default;
};

// A part's index takes up to 12 of the 32 bits that pick part and bucket; slots are 32-bit numbers.
inline constexpr std::uint32_t kMaxPhfParts = 4096;
inline constexpr std::uint32_t kMaxPhfSlotsPerPart = 1U << 19;
inline constexpr std::uint64_t kMaxPhfSlots = UINT32_MAX;

constexpr bool valid(const PhfGeometry& g) noexcept {
  return g.parts >= 1 && g.parts <= kMaxPhfParts && g.slots >= 1 &&
         g.slots <= kMaxPhfSlotsPerPart && g.buckets >= 1 && g.buckets <= g.slots &&
         g.slot_count() <= kMaxPhfSlots;
}

// What a burst may have.
inline constexpr unsigned kMaxPhfBurst = 64;

class PhfView {
 public:
  PhfView() = default;
  // `seeds`: parts bytes; `pilots`: pilot_count() bytes. The geometry must be valid.
  PhfView(const PhfGeometry& geometry, const std::uint8_t* seeds,
          const std::uint8_t* pilots) noexcept
      : seeds_(seeds), pilots_(pilots), geometry_(geometry) {}

  const PhfGeometry& geometry() const noexcept { return geometry_; }

  // Bits of the hash: lo 32..63 part and bucket, so parts follow each other in the order of lo; lo
  // and hi 0..39 the slot. hi 40..63 are not used.
  std::uint32_t part(const Hash128& hash) const noexcept {
    return static_cast<std::uint32_t>(scaled(hash) >> 32);
  }

  // Inside the part.
  std::uint32_t bucket(const Hash128& hash) const noexcept {
    return bucket_of(static_cast<std::uint32_t>(scaled(hash)), geometry_.buckets);
  }

  // Which pilot the key needs; prefetch_pilot() brings it near.
  std::uint32_t pilot_index(const Hash128& hash) const noexcept {
    return part(hash) * geometry_.buckets + bucket(hash);
  }
  template <Distance kDistance>
  void prefetch_pilot(std::uint32_t pilot_index) const noexcept {
    prefetch<kDistance>(pilots_ + pilot_index);
  }

  std::uint32_t slot(const Hash128& hash, std::uint32_t pilot_index) const noexcept {
    const std::uint32_t p = part(hash);
    return p * geometry_.slots +
           slot_of(slot_word(hash), displacement(pilots_[pilot_index], seeds_[p]), geometry_.slots);
  }
  std::uint32_t slot(const Hash128& hash) const noexcept { return slot(hash, pilot_index(hash)); }

  // The two steps of a burst of at most kMaxPhfBurst. Between them, and after the second, other
  // work gives the memory time; each() takes (position in the burst, slot).
  template <Distance kDistance>
  void locate(const Hash128* hashes, unsigned n, std::uint32_t* pilot_indexes) const noexcept {
    // Arithmetic in a loop of its own is done for several keys at a time.
    for (unsigned i = 0; i < n; ++i)
      pilot_indexes[i] = pilot_index(hashes[i]);
    for (unsigned i = 0; i < n; ++i)
      prefetch_pilot<kDistance>(pilot_indexes[i]);
  }
  template <class Each>
  void slots(const Hash128* hashes, const std::uint32_t* pilot_indexes, unsigned n,
             const Each& each) const noexcept {
    for (unsigned i = 0; i < n; ++i)
      each(i, slot(hashes[i], pilot_indexes[i]));
  }

  // The pieces, for the builder, which must compute the same.
  static std::uint64_t slot_word(const Hash128& hash) noexcept { return hash.lo ^ hash.hi << 24; }
  static std::uint64_t displacement(std::uint8_t pilot, std::uint8_t seed) noexcept {
    return (std::uint64_t{seed} << 8 | pilot) * 0x9e3779b97f4a7c15U;
  }
  static std::uint32_t slot_of(std::uint64_t word, std::uint64_t displacement,
                               std::uint32_t slots) noexcept {
    const std::uint64_t mixed = (word ^ displacement) * 0xd6e8feb86659fd93U;
    return static_cast<std::uint32_t>((mixed >> 32) * slots >> 32);
  }
  // `x` in units of 2^-32: the share of keys before this one. x^2 (1 + x) / 2 makes the first
  // buckets large; 1/256 of a uniform part keeps them bounded.
  static std::uint32_t bucket_of(std::uint32_t x, std::uint32_t buckets) noexcept {
    const std::uint64_t square = std::uint64_t{x} * x >> 32;
    const std::uint64_t cubic = square * ((std::uint64_t{1} << 31) + x / 2) >> 32;
    const std::uint64_t skewed = (cubic * 255 + x) >> 8;
    return static_cast<std::uint32_t>(skewed * buckets >> 32);
  }

 private:
  // Part in the high, place inside the part in the low 32 bits.
  std::uint64_t scaled(const Hash128& hash) const noexcept {
    return (hash.lo >> 32) * geometry_.parts;
  }

  const std::uint8_t* seeds_ = nullptr;
  const std::uint8_t* pilots_ = nullptr;
  PhfGeometry geometry_;
};

}  // namespace sluice::index
