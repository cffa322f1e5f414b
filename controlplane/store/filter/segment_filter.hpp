// The filter of a segment for keys that it does not have, of the kind that its format says: none
// (the bottom segment of a tree), a binary fuse filter (formats 1 and 2), or one of blocks (from
// format 3 on). A plain value over the segment's memory; any thread.
#pragma once

#include <cstdint>

#include "controlplane/store/filter/block_filter.hpp"
#include "controlplane/store/filter/fuse_filter.hpp"

namespace sluice::controlplane::store {

class SegmentFilter {
 public:
  SegmentFilter() = default;
  explicit SegmentFilter(const FuseFilterView& fuse) noexcept : kind_(Kind::kFuse), fuse_(fuse) {}
  explicit SegmentFilter(const BlockFilter& blocks) noexcept
      : kind_(Kind::kBlocks), blocks_(blocks) {}

  bool there() const noexcept { return kind_ != Kind::kNone; }

  void prefetch(const Hash128& hash) const noexcept {
    if (kind_ == Kind::kBlocks) [[likely]] {
      blocks_.prefetch(hash);
    } else if (kind_ == Kind::kFuse) {
      FuseFilterView::prefetch(fuse_.part(hash), fuse_.places(hash));
    }
  }
  // False: the segment does not have the key.
  bool passes(const Hash128& hash) const noexcept {
    if (kind_ == Kind::kBlocks) [[likely]]
      return blocks_.passes(hash);
    return kind_ == Kind::kNone || fuse_.contains(hash);
  }
  // Whether `good(address, bytes)` says so of all that passes() will read.
  template <class Good>
  bool readable(const Hash128& hash, const Good& good) const noexcept {
    if (kind_ == Kind::kNone) return true;
    if (kind_ == Kind::kBlocks)
      return good(reinterpret_cast<const std::uint8_t*>(blocks_.block_of(hash)),
                  BlockFilter::kBlockBytes);
    const std::uint8_t* const part = fuse_.part(hash);
    for (const std::uint32_t at : fuse_.places(hash).at)
      if (!good(part + at, 1)) return false;
    return true;
  }

 private:
  enum class Kind : std::uint8_t { kNone, kFuse, kBlocks };

  Kind kind_ = Kind::kNone;
  BlockFilter blocks_;
  FuseFilterView fuse_;
};

}  // namespace sluice::controlplane::store
