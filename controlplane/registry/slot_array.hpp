// Storage of many small records under 32-bit numbers ("slots") that stay valid while the record
// lives. Grows by chunks, so that a million records never move; freed slots are used again. One
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace sluice::controlplane {

template <class T>
class SlotArray {
 public:
  // A default-constructed record.
  std::uint32_t allocate() {
    ++used_;
    if (!free_.empty()) {
      const std::uint32_t slot = free_.back();
      free_.pop_back();
      return slot;
    }
    if (end_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<T[]>(kChunk));
    return end_++;
  }
  void release(std::uint32_t slot) {
    (*this)[slot] = T{};
    free_.push_back(slot);
    --used_;
  }

  T& operator[](std::uint32_t slot) noexcept { return chunks_[slot / kChunk][slot % kChunk]; }
  const T& operator[](std::uint32_t slot) const noexcept {
    return chunks_[slot / kChunk][slot % kChunk];
  }

  std::uint32_t size() const noexcept { return used_; }
  // All slots ever used are below; released ones hold a default record.
  std::uint32_t end() const noexcept { return end_; }
  std::size_t memory_bytes() const noexcept {
    return chunks_.size() * kChunk * sizeof(T) + free_.capacity() * sizeof(std::uint32_t);
  }

 private:
  static constexpr std::uint32_t kChunk = 1024;

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t end_ = 0;
  std::uint32_t used_ = 0;
};

}  // namespace sluice::controlplane
