#include "controlplane/store/filter/fuse_filter.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::controlplane::store {

namespace {

constexpr unsigned kSeeds = 256;

}  // namespace

// The paper's sizes for three places (section 3.3): they make peeling succeed at the first or
// second seed.
FuseGeometry fuse_geometry(std::uint32_t parts, std::uint64_t largest_part) noexcept {
  const double keys = std::max(2.0, static_cast<double>(largest_part));
  const double log2_segment = std::floor(std::log(keys) / std::log(3.33) + 2.25);
  const auto segment =
      std::min(kMaxFuseSegmentBytes, 1U << static_cast<unsigned>(std::min(log2_segment, 18.0)));
  const double factor = std::max(1.125, 0.875 + 0.25 * std::log(1e6) / std::log(keys));
  const auto segments = static_cast<std::int64_t>(std::ceil(keys * factor / segment)) - 2;
  return {.parts = parts,
          .segment_bytes = segment,
          .segments = static_cast<std::uint32_t>(std::max<std::int64_t>(segments, 1))};
}

FuseBuilder::FuseBuilder(const FuseGeometry& geometry)
    : geometry_(geometry), counts_(geometry.part_bytes()), xors_(geometry.part_bytes()) {}

Result<std::uint8_t> FuseBuilder::build(std::span<const Hash128> keys,
                                        std::span<std::uint8_t> out) {
  if (out.size() != geometry_.part_bytes() || keys.size() > UINT32_MAX) {
    return fail(ErrorCode::kInvalidArgument, "the part of a filter has another size",
                ErrorOrigin::kStore);
  }
  unsigned seed = 0;
  while (!peel(keys, static_cast<std::uint8_t>(seed))) {
    if (++seed == kSeeds) {
      return fail(ErrorCode::kInternal, "no seed makes a filter of the keys", ErrorOrigin::kStore);
    }
  }
  // Last peeled first: when a key's byte is set, its other two are final.
  std::ranges::fill(out, std::uint8_t{0});
  for (auto peeled = order_.rbegin(); peeled != order_.rend(); ++peeled) {
    const FusePlaces places =
        FuseFilterView::places_of(keys[peeled->key], static_cast<std::uint8_t>(seed), geometry_);
    std::uint8_t byte = places.fingerprint;
    for (const std::uint32_t at : places.at)
      byte ^= out[at];
    out[places.at[peeled->which]] ^= byte;
  }
  return static_cast<std::uint8_t>(seed);
}

// Takes away, again and again, a key that is alone at one of its places. True when none is left.
bool FuseBuilder::peel(std::span<const Hash128> keys, std::uint8_t seed) {
  std::ranges::fill(counts_, 0U);
  std::ranges::fill(xors_, 0U);
  order_.clear();
  alone_.clear();
  for (std::uint32_t key = 0; key < keys.size(); ++key) {
    for (const std::uint32_t at : FuseFilterView::places_of(keys[key], seed, geometry_).at) {
      ++counts_[at];
      xors_[at] ^= key;
    }
  }
  for (std::uint32_t at = 0; at < counts_.size(); ++at)
    if (counts_[at] == 1) alone_.push_back(at);
  while (!alone_.empty()) {
    const std::uint32_t at = alone_.back();
    alone_.pop_back();
    if (counts_[at] != 1) continue;  // its key went by another place
    const std::uint32_t key = xors_[at];
    const FusePlaces places = FuseFilterView::places_of(keys[key], seed, geometry_);
    Peeled peeled{key, 0};
    for (std::uint8_t which = 0; which < 3; ++which) {
      const std::uint32_t place = places.at[which];
      if (place == at) peeled.which = which;
      xors_[place] ^= key;
      if (--counts_[place] == 1) alone_.push_back(place);
    }
    order_.push_back(peeled);
  }
  return order_.size() == keys.size();
}

}  // namespace sluice::controlplane::store
