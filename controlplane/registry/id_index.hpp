// Finds the slot of a record by its id: open addressing with linear probing over 32-bit slots, 8
// bytes per id at half load. Hashed with SipHash under a key made at random, because registered
// agents choose their ids. The ids themselves stay in the records. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sluice/base/ids.hpp"
#include "sluice/hash/siphash.hpp"
#include "sluice/route/limits.hpp"

namespace sluice::controlplane {

// `IdOf` tells the id of a slot: const Id& operator()(std::uint32_t slot).
template <class IdOf>
class IdIndex {
 public:
  IdIndex(const SipKey& key, IdOf id_of)
      : key_(key), id_of_(id_of), cells_(kFirstCells, kNoIndex) {}

  std::uint32_t find(const Id& id) const noexcept {
    for (std::size_t at = home(id);; at = next(at)) {
      if (cells_[at] == kNoIndex || id_of_(cells_[at]) == id) return cells_[at];
    }
  }

  // The id of `slot` must not be there yet.
  void insert(std::uint32_t slot) {
    if ((size_ + 1) * 2 > cells_.size()) grow();
    place(slot);
    ++size_;
  }

  // Call while the record of `slot` still has its id.
  void erase(std::uint32_t slot) noexcept {
    std::size_t hole = home(id_of_(slot));
    while (cells_[hole] != slot)
      hole = next(hole);
    // Those after the hole that could live in it move up, so that no tombstones are needed.
    for (std::size_t at = next(hole); cells_[at] != kNoIndex; at = next(at)) {
      const std::size_t wanted = home(id_of_(cells_[at]));
      if (((at - wanted) & (cells_.size() - 1)) < ((at - hole) & (cells_.size() - 1))) continue;
      cells_[hole] = cells_[at];
      hole = at;
    }
    cells_[hole] = kNoIndex;
    --size_;
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t memory_bytes() const noexcept { return cells_.size() * sizeof(std::uint32_t); }

 private:
  static constexpr std::size_t kFirstCells = 1024;

  std::size_t home(const Id& id) const noexcept {
    return siphash24(key_, std::span(id.bytes)) & (cells_.size() - 1);
  }
  std::size_t next(std::size_t at) const noexcept { return (at + 1) & (cells_.size() - 1); }
  void place(std::uint32_t slot) noexcept {
    std::size_t at = home(id_of_(slot));
    while (cells_[at] != kNoIndex)
      at = next(at);
    cells_[at] = slot;
  }
  void grow() {
    const auto old = std::exchange(cells_, std::vector<std::uint32_t>(cells_.size() * 2, kNoIndex));
    for (const auto slot : old) {
      if (slot != kNoIndex) place(slot);
    }
  }

  SipKey key_;
  IdOf id_of_;
  std::vector<std::uint32_t> cells_;
  std::size_t size_ = 0;
};

}  // namespace sluice::controlplane
