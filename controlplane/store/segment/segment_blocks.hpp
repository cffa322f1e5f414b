// Which blocks of a mapped segment are known to be good. A block's checksum is computed when it is
// first asked for; the answer is kept, also a bad one. Once the hot blocks have all been seen good,
// hot_good() says so with one load. Any thread: two may check the same block at once, to the same
// end.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

namespace sluice::controlplane::store {

class SegmentBlocks {
 public:
  SegmentBlocks() = default;
  // `bytes`: the file; blocks begin at its offset 4096, `sums` has 4 bytes for each. Hot are the
  // blocks that [hot_begin, hot_end) touches.
  SegmentBlocks(std::span<const std::uint8_t> bytes, const std::uint8_t* sums, std::uint32_t count,
                std::uint64_t hot_begin, std::uint64_t hot_end);

  std::uint32_t count() const noexcept { return count_; }
  bool hot_good() const noexcept { return hot_left_.load(std::memory_order_acquire) == 0; }

  // All blocks of [offset, offset + size) are good; the range lies inside the blocks.
  bool check(std::uint64_t offset, std::uint64_t size) noexcept;
  // Computes the checksum again, whatever is known.
  bool check_again(std::uint32_t block) noexcept;

  static std::uint64_t offset_of(std::uint32_t block) noexcept;
  // Of the block that holds this offset: where the next one begins.
  static std::uint64_t end_of(std::uint64_t offset) noexcept;
  std::uint64_t size_of(std::uint32_t block) const noexcept;

  // Something is wrong at this offset; the first is kept.
  void set_damaged(std::uint64_t offset) noexcept;
  // 0: nothing was found so far.
  std::uint64_t damaged_at() const noexcept { return damaged_at_.load(std::memory_order_acquire); }

 private:
  bool known_good(std::uint32_t block) const noexcept {
    // Acquire is not needed: the bytes were there before the segment was.
    return (good_[block / 64].load(std::memory_order_relaxed) >> block % 64 & 1) != 0;
  }

  std::span<const std::uint8_t> bytes_;
  const std::uint8_t* sums_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint32_t hot_first_ = 0;
  std::uint32_t hot_last_ = 0;
  std::unique_ptr<std::atomic<std::uint64_t>[]> good_;
  std::atomic<std::uint32_t> hot_left_{0};  // hot blocks that are not known to be good
  std::atomic<std::uint64_t> damaged_at_{0};
};

}  // namespace sluice::controlplane::store
