// Builds the function of sluice/index/phf.hpp, part by part. Parts are independent of each other,
// so several threads may work on them, each with a PhfPartBuilder of its own. The result depends on
// the set of keys and the geometry only, not on their order or on threads.
//
// Largest buckets first; for each the first of 256 pilots that puts all its keys on free slots.
// When there is none, the pilot that throws out the least (sum of squares of bucket sizes) is taken
// and what was thrown out goes back into the queue (PtrHash, arXiv 2502.15539, section 4.3). A part
// that does not come to an end so is tried again with another seed.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "sluice/base/result.hpp"
#include "sluice/index/phf.hpp"

namespace sluice::controlplane::store {

// Memory against the time to build.
struct PhfShape {
  std::uint64_t keys_per_part;
  double keys_per_bucket;
  double load;          // keys per slot on the average
  double largest_load;  // of the largest part
};
// For what stays: measured by perf/micro/phf_bench. Fewer pilots or free slots cost more building
// time than the bytes are worth, more of them go beyond 12.6 bytes with a 12-byte record.
inline constexpr PhfShape kSmallPhf{120'000, 3.5, 0.98, 0.993};
// For what is merged away soon: with so many free slots hardly a bucket is ever thrown out.
inline constexpr PhfShape kQuickPhf{40'000, 3.0, 0.85, 0.88};

// How many parts a set gets: small enough to be built in the second-level cache, large enough that
// their sizes, which chance decides, are near each other.
std::uint32_t phf_parts(std::uint64_t keys, const PhfShape& shape = kSmallPhf) noexcept;

// `largest_part`: keys of the largest part, as counted; all parts get slots for it. When a part
// cannot be built (kUnavailable of PhfPartBuilder::build), the whole set is tried again with the
// next attempt, which has more slots and buckets.
inline constexpr unsigned kPhfAttempts = 16;
Result<index::PhfGeometry> phf_geometry(std::uint64_t keys, std::uint32_t parts,
                                        std::uint64_t largest_part, unsigned attempt = 0,
                                        const PhfShape& shape = kSmallPhf);

class PhfPartBuilder {
 public:
  // Of a valid geometry. Takes about 16 bytes of scratch memory per key of a part.
  explicit PhfPartBuilder(const index::PhfGeometry& geometry);

  // Fills `pilots` (geometry.buckets of them) for the keys of one part and gives its seed. Equal
  // keys (in the bits that the function uses) are kAlreadyExists; when no seed places them all, it
  // is kUnavailable.
  Result<std::uint8_t> build(std::span<const Hash128> keys, std::span<std::uint8_t> pilots);

  // How many seeds failed, in all parts so far.
  std::uint64_t failed_seeds() const noexcept { return failed_seeds_; }

 private:
  static constexpr std::uint32_t kFree = UINT32_MAX;
  static constexpr std::size_t kRecent = 16;

  Status sort_by_bucket(std::span<const Hash128> keys);
  void order_by_size();
  bool place_all(std::uint8_t seed, std::span<std::uint8_t> pilots);
  bool place(std::uint32_t bucket, std::uint8_t seed, std::span<std::uint8_t> pilots);
  bool place_free(std::uint32_t bucket, std::uint8_t seed, std::uint8_t& pilot);
  bool choose_victims(std::uint32_t bucket, std::uint8_t seed, std::uint8_t& pilot);
  void evict_for(std::uint32_t bucket, std::uint8_t seed, std::uint8_t pilot,
                 std::span<std::uint8_t> pilots);
  void take(std::uint32_t bucket, std::uint64_t displacement);
  bool all_free(std::span<const std::uint64_t> words, std::uint64_t displacement) const noexcept;
  bool self_collides(std::uint32_t bucket, std::uint64_t displacement) const noexcept;

  std::uint32_t size_of(std::uint32_t bucket) const noexcept {
    return starts_[bucket + 1] - starts_[bucket];
  }
  std::span<const std::uint64_t> words_of(std::uint32_t bucket) const noexcept {
    return {words_.data() + starts_[bucket], size_of(bucket)};
  }
  std::uint32_t slot_of(std::uint64_t word, std::uint64_t displacement) const noexcept {
    return index::PhfView::slot_of(word, displacement, geometry_.slots);
  }

  index::PhfGeometry geometry_;
  std::vector<std::uint32_t> starts_;  // of each bucket in words_; one more than buckets
  std::vector<std::uint64_t> words_;   // slot words, bucket by bucket
  std::vector<std::uint32_t> order_;   // buckets, largest first
  std::vector<std::uint64_t> bitmap_;  // slots taken
  std::vector<std::uint32_t> owners_;  // bucket in each slot
  // Heap of buckets that were thrown out: size in the high half, so the largest come first.
  std::vector<std::uint64_t> queue_;
  std::array<std::uint32_t, kRecent> recent_{};  // buckets just placed by force: not thrown out
  std::size_t recent_next_ = 0;
  std::uint64_t part_evictions_ = 0;
  std::uint64_t failed_seeds_ = 0;
};

}  // namespace sluice::controlplane::store
