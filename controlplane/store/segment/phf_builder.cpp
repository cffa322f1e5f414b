#include "controlplane/store/segment/phf_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace sluice::controlplane::store {

using index::PhfGeometry;
using index::PhfView;

namespace {

constexpr unsigned kSeeds = 16;
// Chance weighs more in small parts: they get so much more than their share.
constexpr double kMoreSlots = 6;
constexpr double kMoreBuckets = 4;
constexpr unsigned kPilots = 256;
// Beyond so many evictions per slot a part does not converge any more.
constexpr std::uint64_t kEvictionsPerSlot = 10;

}  // namespace

std::uint32_t phf_parts(std::uint64_t keys, const PhfShape& shape) noexcept {
  const std::uint64_t parts = (keys + shape.keys_per_part - 1) / shape.keys_per_part;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(parts, 1, index::kMaxPhfParts));
}

Result<PhfGeometry> phf_geometry(std::uint64_t keys, std::uint32_t parts,
                                 std::uint64_t largest_part, unsigned attempt,
                                 const PhfShape& shape) {
  const double per_part = static_cast<double>(keys) / parts;
  const double more = 1 + 0.03 * attempt;
  const double slots =
      std::max(per_part / shape.load, static_cast<double>(largest_part) / shape.largest_load);
  const PhfGeometry geometry{
      .parts = parts,
      .buckets = static_cast<std::uint32_t>(more * per_part / shape.keys_per_bucket + kMoreBuckets),
      .slots = static_cast<std::uint32_t>(
          std::min(more * slots, 1e9) +
          kMoreSlots * (attempt + std::log2(static_cast<double>(largest_part) + 2))),
  };
  if (!index::valid(geometry)) {
    return fail(ErrorCode::kExhausted, fmt::format("{} keys are too many for one segment", keys),
                ErrorOrigin::kStore);
  }
  return geometry;
}

PhfPartBuilder::PhfPartBuilder(const PhfGeometry& geometry)
    : geometry_(geometry),
      starts_(geometry.buckets + 2),
      bitmap_((geometry.slots + 63) / 64),
      owners_(geometry.slots) {
  order_.reserve(geometry.buckets);
  words_.reserve(geometry.slots);
}

Result<std::uint8_t> PhfPartBuilder::build(std::span<const Hash128> keys,
                                           std::span<std::uint8_t> pilots) {
  if (keys.size() > geometry_.slots || pilots.size() != geometry_.buckets) {
    return fail(ErrorCode::kInvalidArgument, "a part has more keys than slots",
                ErrorOrigin::kStore);
  }
  if (Status sorted = sort_by_bucket(keys); !sorted) return std::unexpected(sorted.error());
  order_by_size();
  for (unsigned seed = 0; seed < kSeeds; ++seed) {
    if (place_all(static_cast<std::uint8_t>(seed), pilots)) return static_cast<std::uint8_t>(seed);
    ++failed_seeds_;
  }
  return fail(ErrorCode::kUnavailable, fmt::format("no seed places {} keys", keys.size()),
              ErrorOrigin::kStore);
}

// A counting sort: sizes, starts, then every word to its place. starts_ is shifted by one while
// filling, so that it ends up as the starts.
Status PhfPartBuilder::sort_by_bucket(std::span<const Hash128> keys) {
  const PhfView function(geometry_, nullptr, nullptr);
  std::ranges::fill(starts_, 0);
  for (const Hash128& key : keys)
    ++starts_[function.bucket(key) + 2];
  for (std::size_t bucket = 2; bucket < starts_.size(); ++bucket)
    starts_[bucket] += starts_[bucket - 1];
  words_.resize(keys.size());
  for (const Hash128& key : keys)
    words_[starts_[function.bucket(key) + 1]++] = PhfView::slot_word(key);
  // Sorted inside the bucket: equal keys are neighbours, and the order of the input does not
  // matter.
  for (std::uint32_t bucket = 0; bucket < geometry_.buckets; ++bucket) {
    const auto first = words_.begin() + starts_[bucket];
    const auto last = words_.begin() + starts_[bucket + 1];
    std::sort(first, last);
    if (std::adjacent_find(first, last) != last) {
      return fail(ErrorCode::kAlreadyExists, "a key was added twice", ErrorOrigin::kStore);
    }
  }
  return {};
}

void PhfPartBuilder::order_by_size() {
  std::uint32_t largest = 0;
  for (std::uint32_t bucket = 0; bucket < geometry_.buckets; ++bucket)
    largest = std::max(largest, size_of(bucket));
  std::vector<std::uint32_t> at(largest + 2);  // where buckets of a size begin, largest first
  for (std::uint32_t bucket = 0; bucket < geometry_.buckets; ++bucket)
    ++at[largest - size_of(bucket) + 1];
  for (std::size_t i = 1; i < at.size(); ++i)
    at[i] += at[i - 1];
  order_.resize(geometry_.buckets);
  for (std::uint32_t bucket = 0; bucket < geometry_.buckets; ++bucket)
    order_[at[largest - size_of(bucket)]++] = bucket;
}

bool PhfPartBuilder::place_all(std::uint8_t seed, std::span<std::uint8_t> pilots) {
  std::ranges::fill(bitmap_, 0);
  std::ranges::fill(owners_, kFree);
  std::ranges::fill(pilots, std::uint8_t{0});
  recent_.fill(kFree);
  part_evictions_ = 0;
  for (const std::uint32_t next : order_) {
    if (size_of(next) == 0) break;
    if (!place(next, seed, pilots)) return false;
    while (!queue_.empty()) {
      std::ranges::pop_heap(queue_);
      const auto bucket = static_cast<std::uint32_t>(queue_.back());
      queue_.pop_back();
      if (!place(bucket, seed, pilots)) return false;
    }
  }
  return true;
}

bool PhfPartBuilder::place(std::uint32_t bucket, std::uint8_t seed,
                           std::span<std::uint8_t> pilots) {
  std::uint8_t pilot = 0;
  if (!place_free(bucket, seed, pilot)) {
    const bool possible = part_evictions_ < kEvictionsPerSlot * geometry_.slots + 1000 &&
                          choose_victims(bucket, seed, pilot);
    if (!possible) {
      queue_.clear();
      return false;
    }
    evict_for(bucket, seed, pilot, pilots);
    recent_[recent_next_++ % kRecent] = bucket;
  }
  pilots[bucket] = pilot;
  take(bucket, PhfView::displacement(pilot, seed));
  return true;
}

// Four at a time without a branch: most pilots fail, but at a key that nobody can predict.
bool PhfPartBuilder::all_free(std::span<const std::uint64_t> words,
                              std::uint64_t displacement) const noexcept {
  const auto busy = [&](std::uint64_t word) {
    const std::uint32_t slot = slot_of(word, displacement);
    return bitmap_[slot / 64] >> slot % 64 & 1;
  };
  std::size_t i = 0;
  for (; i + 4 <= words.size(); i += 4) {
    if ((busy(words[i]) | busy(words[i + 1]) | busy(words[i + 2]) | busy(words[i + 3])) != 0)
      return false;
  }
  std::uint64_t any = 0;
  for (; i < words.size(); ++i)
    any |= busy(words[i]);
  return any == 0;
}

bool PhfPartBuilder::place_free(std::uint32_t bucket, std::uint8_t seed, std::uint8_t& pilot) {
  const auto words = words_of(bucket);
  for (unsigned p = 0; p < kPilots; ++p) {
    const std::uint64_t displacement = PhfView::displacement(static_cast<std::uint8_t>(p), seed);
    const bool free = all_free(words, displacement);
    if (free && !self_collides(bucket, displacement)) {
      pilot = static_cast<std::uint8_t>(p);
      return true;
    }
  }
  return false;
}

bool PhfPartBuilder::self_collides(std::uint32_t bucket,
                                   std::uint64_t displacement) const noexcept {
  const auto words = words_of(bucket);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::uint32_t slot = slot_of(words[i], displacement);
    for (std::size_t j = 0; j < i; ++j) {
      if (slot_of(words[j], displacement) == slot) return true;
    }
  }
  return false;
}

// The pilots are tried from a place that moves on with the evictions, so that two buckets do not
// throw each other out for ever.
bool PhfPartBuilder::choose_victims(std::uint32_t bucket, std::uint8_t seed, std::uint8_t& pilot) {
  const auto words = words_of(bucket);
  const auto first = static_cast<unsigned>(part_evictions_ * 0x9e3779b97f4a7c15U >> 56);
  std::uint64_t best = std::numeric_limits<std::uint64_t>::max();
  for (unsigned i = 0; i < kPilots; ++i) {
    const auto p = static_cast<std::uint8_t>(first + i);
    const std::uint64_t displacement = PhfView::displacement(p, seed);
    std::uint64_t cost = 0;
    for (const std::uint64_t word : words) {
      const std::uint32_t owner = owners_[slot_of(word, displacement)];
      if (owner == kFree) continue;
      if (std::ranges::find(recent_, owner) != recent_.end()) {
        cost = best;
        break;
      }
      cost += std::uint64_t{size_of(owner)} * size_of(owner);
      if (cost >= best) break;
    }
    if (cost >= best || self_collides(bucket, displacement)) continue;
    best = cost;
    pilot = p;
  }
  return best != std::numeric_limits<std::uint64_t>::max();
}

void PhfPartBuilder::evict_for(std::uint32_t bucket, std::uint8_t seed, std::uint8_t pilot,
                               std::span<std::uint8_t> pilots) {
  const std::uint64_t displacement = PhfView::displacement(pilot, seed);
  for (const std::uint64_t word : words_of(bucket)) {
    const std::uint32_t victim = owners_[slot_of(word, displacement)];
    if (victim == kFree) continue;
    const std::uint64_t old = PhfView::displacement(pilots[victim], seed);
    for (const std::uint64_t freed : words_of(victim)) {
      const std::uint32_t slot = slot_of(freed, old);
      owners_[slot] = kFree;
      bitmap_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
    }
    queue_.push_back(std::uint64_t{size_of(victim)} << 32 | victim);
    std::ranges::push_heap(queue_);
    ++part_evictions_;
  }
}

void PhfPartBuilder::take(std::uint32_t bucket, std::uint64_t displacement) {
  for (const std::uint64_t word : words_of(bucket)) {
    const std::uint32_t slot = slot_of(word, displacement);
    owners_[slot] = bucket;
    bitmap_[slot / 64] |= std::uint64_t{1} << slot % 64;
  }
}

}  // namespace sluice::controlplane::store
