#include "controlplane/store/segment/segment_blocks.hpp"

#include <algorithm>

#include "controlplane/store/segment/segment_format.hpp"

namespace sluice::controlplane::store {

namespace {

std::uint32_t block_of(std::uint64_t offset) noexcept {
  return static_cast<std::uint32_t>((offset - kSegmentAlignment) / kSegmentBlockBytes);
}

}  // namespace

SegmentBlocks::SegmentBlocks(std::span<const std::uint8_t> bytes, const std::uint8_t* sums,
                             std::uint32_t count, std::uint64_t hot_begin, std::uint64_t hot_end)
    : bytes_(bytes),
      sums_(sums),
      count_(count),
      hot_first_(block_of(hot_begin)),
      hot_last_(block_of(hot_end - 1)),
      good_(std::make_unique<std::atomic<std::uint64_t>[]>(count / 64 + 1)),
      hot_left_(hot_last_ - hot_first_ + 1) {}

std::uint64_t SegmentBlocks::offset_of(std::uint32_t block) noexcept {
  return kSegmentAlignment + block * kSegmentBlockBytes;
}

std::uint64_t SegmentBlocks::end_of(std::uint64_t offset) noexcept {
  return offset_of(block_of(offset) + 1);
}

std::uint64_t SegmentBlocks::size_of(std::uint32_t block) const noexcept {
  const auto end = static_cast<std::uint64_t>(sums_ - bytes_.data());
  return std::min(kSegmentBlockBytes, end - offset_of(block));
}

bool SegmentBlocks::check(std::uint64_t offset, std::uint64_t size) noexcept {
  if (size == 0) return true;
  const std::uint32_t last = block_of(offset + size - 1);
  for (std::uint32_t block = block_of(offset); block <= last; ++block) {
    if (!known_good(block) && !check_again(block)) return false;
  }
  return true;
}

bool SegmentBlocks::check_again(std::uint32_t block) noexcept {
  const auto content = bytes_.subspan(offset_of(block), size_of(block));
  if (crc32c(content) != load<std::uint32_t>(sums_ + std::uint64_t{block} * 4)) {
    set_damaged(offset_of(block));
    return false;
  }
  const std::uint64_t bit = std::uint64_t{1} << block % 64;
  const bool first = (good_[block / 64].fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
  // Release, with the acquire of hot_good(): only for order among the counts themselves.
  if (first && block >= hot_first_ && block <= hot_last_) {
    hot_left_.fetch_sub(1, std::memory_order_release);
  }
  return true;
}

void SegmentBlocks::set_damaged(std::uint64_t offset) noexcept {
  std::uint64_t none = 0;
  damaged_at_.compare_exchange_strong(none, offset, std::memory_order_acq_rel);
}

}  // namespace sluice::controlplane::store
