// Names of agents, each a byte of length and the text, packed into large blocks: a name of 25 bytes
// takes 32, not the 48 of a heap block with its pointer's overhead. A released name's place is used
// again for one of about its length. One thread; what store() returned is valid until release().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace sluice::controlplane {

class NameArena {
 public:
  // At most 255 bytes. Null for an empty name.
  const char* store(std::string_view name) {
    if (name.empty()) return nullptr;
    char* at = take(rounded(name.size()));
    at[0] = static_cast<char>(name.size());
    std::memcpy(at + 1, name.data(), name.size());
    return at;
  }
  void release(const char* name) {
    if (name == nullptr) return;
    free_[rounded(view(name).size()) / kStep].push_back(const_cast<char*>(name));
  }
  static std::string_view view(const char* name) noexcept {
    if (name == nullptr) return {};
    return {name + 1, static_cast<std::uint8_t>(name[0])};
  }
  std::size_t memory_bytes() const noexcept { return blocks_.size() * kBlockBytes; }

 private:
  static constexpr std::size_t kStep = 8;
  static constexpr std::size_t kBlockBytes = 64 * 1024;
  static constexpr std::size_t kSizes = 256 / kStep + 1;

  static std::size_t rounded(std::size_t size) noexcept { return (size + kStep) / kStep * kStep; }
  char* take(std::size_t bytes) {
    if (auto& same = free_[bytes / kStep]; !same.empty()) {
      char* at = same.back();
      same.pop_back();
      return at;
    }
    if (blocks_.empty() || used_ + bytes > kBlockBytes) {
      blocks_.push_back(std::make_unique_for_overwrite<char[]>(kBlockBytes));
      used_ = 0;
    }
    char* at = blocks_.back().get() + used_;
    used_ += bytes;
    return at;
  }

  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t used_ = 0;                         // of the last block
  std::array<std::vector<char*>, kSizes> free_;  // by size
};

}  // namespace sluice::controlplane
