// Names and Metas, each kept once and counted: a thousand cores in one process share them, and a
// member record holds a number instead of a string. Numbers are small and used again, so a table
// may be indexed by them. One thread; the pool outlives who uses it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controlplane/membership/messages.hpp"

namespace sluice::membership {

class InternPool {
 public:
  using Id = std::uint32_t;
  static constexpr Id kNone = ~Id{0};

  // A reference more to these bytes.
  Id acquire(std::string_view bytes);
  Id acquire(ByteView bytes) { return acquire(text(bytes)); }
  // The last one frees the bytes and the number.
  void release(Id id) noexcept;
  Id find(std::string_view bytes) const noexcept;

  std::string_view view(Id id) const noexcept { return slots_[id].bytes; }
  ByteView bytes(Id id) const noexcept {
    const auto v = view(id);
    return {reinterpret_cast<const std::uint8_t*>(v.data()), v.size()};
  }
  std::size_t size() const noexcept { return index_.size(); }

  static std::string_view text(ByteView bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  struct Slot {
    std::unique_ptr<char[]> storage;
    std::string_view bytes;
    std::uint32_t references = 0;
  };

  std::vector<Slot> slots_;
  std::vector<Id> free_;
  std::unordered_map<std::string_view, Id> index_;  // keys point into the slots' storage
};

}  // namespace sluice::membership
