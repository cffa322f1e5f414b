// A binary fuse filter with 8 bits per key (arXiv 2201.01174): a key that is in the set always
// passes, another one with probability 1/256; 9.0 to 9.4 bits of memory per key and three loads per
// question, from three places near each other. Split into the same parts as the perfect hash
// function beside it (sluice/index/phf.hpp), all of one size, so that each is built in cache.
//
// The view is a plain value over memory that somebody else keeps; any thread. Its loads stay inside
// that memory whatever the seeds are. A builder belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sluice/base/prefetch.hpp"
#include "sluice/base/result.hpp"
#include "sluice/hash/aes_key.hpp"
#include "sluice/index/phf.hpp"

namespace sluice::controlplane::store {

struct FuseGeometry {
  std::uint32_t parts = 0;
  std::uint32_t segment_bytes = 0;  // a power of two; of each part
  std::uint32_t segments = 0;       // in which a key's first byte may be; there are two more

  constexpr std::uint64_t part_bytes() const noexcept {
    return (std::uint64_t{segments} + 2) * segment_bytes;
  }
  constexpr std::uint64_t byte_count() const noexcept { return parts * part_bytes(); }

  friend bool operator==(const FuseGeometry&, const FuseGeometry&) = default;
};

inline constexpr std::uint32_t kMaxFuseSegmentBytes = 1U << 18;

constexpr bool valid(const FuseGeometry& g) noexcept {
  return g.parts >= 1 && g.parts <= index::kMaxPhfParts && g.segments >= 1 &&
         g.segment_bytes >= 1 && g.segment_bytes <= kMaxFuseSegmentBytes &&
         (g.segment_bytes & (g.segment_bytes - 1)) == 0 && g.part_bytes() <= UINT32_MAX;
}

// For parts of at most this many keys.
FuseGeometry fuse_geometry(std::uint32_t parts, std::uint64_t largest_part) noexcept;

// The three places of a key inside its part, and what their bytes' xor must be.
struct FusePlaces {
  std::uint32_t at[3];
  std::uint8_t fingerprint;
};

class FuseFilterView {
 public:
  FuseFilterView() = default;
  // `seeds`: parts bytes; `bytes`: byte_count(). The geometry must be valid.
  FuseFilterView(const FuseGeometry& geometry, const std::uint8_t* seeds,
                 const std::uint8_t* bytes) noexcept
      : seeds_(seeds), bytes_(bytes), geometry_(geometry) {}

  // Looks at lo and bits 0..39 of hi, like the function.
  static FusePlaces places_of(const Hash128& hash, std::uint8_t seed,
                              const FuseGeometry& g) noexcept {
    // The seed changes how the two halves meet, so that no two keys meet under every seed.
    std::uint64_t h = hash.lo ^ (hash.hi << 24) * (2 * std::uint64_t{seed} + 1);
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93U;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93U;
    h ^= h >> 32;
    const std::uint32_t mask = g.segment_bytes - 1;
    const auto first =
        static_cast<std::uint32_t>((h >> 32) * (std::uint64_t{g.segments} * g.segment_bytes) >> 32);
    return {{first, (first + g.segment_bytes) ^ (static_cast<std::uint32_t>(h >> 14) & mask),
             (first + 2 * g.segment_bytes) ^ (static_cast<std::uint32_t>(h) & mask)},
            static_cast<std::uint8_t>((h * 0x9e3779b97f4a7c15U) >> 56)};
  }

  // Where to look, from the start of the filter; `fingerprint` for passes().
  FusePlaces places(const Hash128& hash) const noexcept {
    const std::uint32_t part = part_of(hash);
    return places_of(hash, seeds_[part], geometry_);
  }
  const std::uint8_t* part(const Hash128& hash) const noexcept {
    return bytes_ + part_of(hash) * geometry_.part_bytes();
  }
  static void prefetch(const std::uint8_t* part, const FusePlaces& places) noexcept {
    for (const std::uint32_t at : places.at)
      prefetch_far(part + at);
  }
  static bool passes(const std::uint8_t* part, const FusePlaces& places) noexcept {
    return (part[places.at[0]] ^ part[places.at[1]] ^ part[places.at[2]]) == places.fingerprint;
  }
  bool contains(const Hash128& hash) const noexcept { return passes(part(hash), places(hash)); }

 private:
  std::uint32_t part_of(const Hash128& hash) const noexcept {
    return static_cast<std::uint32_t>((hash.lo >> 32) * geometry_.parts >> 32);
  }

  const std::uint8_t* seeds_ = nullptr;
  const std::uint8_t* bytes_ = nullptr;
  FuseGeometry geometry_;
};

// Fills the bytes of parts, one after another, reusing its memory (some 20 bytes per key of a
// part).
class FuseBuilder {
 public:
  explicit FuseBuilder(const FuseGeometry& geometry);

  // `out`: part_bytes(). The seed that worked; no two keys may be the same.
  Result<std::uint8_t> build(std::span<const Hash128> keys, std::span<std::uint8_t> out);

 private:
  struct Peeled {
    std::uint32_t key;
    std::uint8_t which;  // of its three places: the one that it alone decides
  };
  bool peel(std::span<const Hash128> keys, std::uint8_t seed);

  FuseGeometry geometry_;
  std::vector<std::uint32_t> counts_;  // keys at a place
  std::vector<std::uint32_t> xors_;    // of their numbers: when one is left, its number
  std::vector<std::uint32_t> alone_;   // places with one key
  std::vector<Peeled> order_;
};

}  // namespace sluice::controlplane::store
