// Finds the slot of a record by its id: open addressing with linear probing over 32-bit cells, load
// at most 3/4, so 5 to 11 bytes per id. The bits of a cell that its slot number does not need hold
// a tag out of the id's hash, so that a search hardly ever looks at a record that is not the one.
// The ids themselves stay in the records. Registered agents choose their ids, so the hash must be
// keyed. One thread.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sluice/base/ids.hpp"
#include "sluice/base/prefetch.hpp"
#include "sluice/hash/siphash.hpp"
#include "sluice/route/limits.hpp"

namespace sluice::controlplane {

struct SipIdHash {
  SipKey key;
  std::uint64_t operator()(const Id& id) const noexcept {
    return siphash24(key, std::span(id.bytes));
  }
};

// `Hash` makes 64 bits of an id; `IdOf` tells the id of a slot: const Id& operator()(uint32_t).
template <class Hash, class IdOf>
class IdIndex {
 public:
  IdIndex(const Hash& hash, IdOf id_of) : hash_(hash), id_of_(id_of), cells_(kFirstCells, kEmpty) {}

  // Slot or kNoIndex.
  std::uint32_t find(const Id& id) const noexcept {
    const std::uint64_t hash = hash_(id);
    const std::uint32_t tag = tag_of(hash);
    for (std::size_t at = home(hash);; at = next(at)) {
      const std::uint32_t cell = cells_[at];
      if (cell == kEmpty) return kNoIndex;
      if ((cell & ~slot_mask_) == tag && id_of_(cell & slot_mask_) == id) return cell & slot_mask_;
    }
  }

  // The id of `slot` must not be there yet.
  void insert(std::uint32_t slot) {
    while ((size_ + 1) * 4 > cells_.size() * 3 || slot >= cells_.size() / 4 * 3)
      grow();
    place(hash_(id_of_(slot)), slot);
    ++size_;
  }

  // Call while the record of `slot` still has its id.
  void erase(std::uint32_t slot) noexcept {
    std::size_t hole = home(hash_(id_of_(slot)));
    while (cells_[hole] == kEmpty || (cells_[hole] & slot_mask_) != slot)
      hole = next(hole);
    // Those after the hole that could live in it move up, so that no tombstones are needed.
    for (std::size_t at = next(hole); cells_[at] != kEmpty; at = next(at)) {
      const std::size_t wanted = home(hash_(id_of_(cells_[at] & slot_mask_)));
      if (((at - wanted) & slot_mask_) < ((at - hole) & slot_mask_)) continue;
      cells_[hole] = cells_[at];
      hole = at;
    }
    cells_[hole] = kEmpty;
    --size_;
  }

  void prefetch(const Id& id) const noexcept { prefetch_far(&cells_[home(hash_(id))]); }
  std::size_t size() const noexcept { return size_; }
  std::size_t memory_bytes() const noexcept { return cells_.size() * sizeof(std::uint32_t); }

 private:
  static constexpr std::size_t kFirstCells = 1024;
  static constexpr std::uint32_t kEmpty = UINT32_MAX;  // no slot is so large: see insert()
  static constexpr std::size_t kAhead = 16;            // records fetched ahead while growing

  std::size_t home(std::uint64_t hash) const noexcept { return hash & slot_mask_; }
  std::size_t next(std::size_t at) const noexcept { return (at + 1) & slot_mask_; }
  std::uint32_t tag_of(std::uint64_t hash) const noexcept {
    return static_cast<std::uint32_t>(hash >> 32) & ~slot_mask_;
  }
  void place(std::uint64_t hash, std::uint32_t slot) noexcept {
    std::size_t at = home(hash);
    while (cells_[at] != kEmpty)
      at = next(at);
    cells_[at] = slot | tag_of(hash);
  }
  void grow() {
    const std::uint32_t old_mask = slot_mask_;
    const auto old = std::exchange(cells_, std::vector<std::uint32_t>(cells_.size() * 2, kEmpty));
    slot_mask_ = static_cast<std::uint32_t>(cells_.size() - 1);
    for (std::size_t i = 0; i < old.size(); ++i) {
      if (const auto ahead = i + kAhead; ahead < old.size() && old[ahead] != kEmpty) {
        prefetch_far(&id_of_(old[ahead] & old_mask));
      }
      if (old[i] != kEmpty) place(hash_(id_of_(old[i] & old_mask)), old[i] & old_mask);
    }
  }

  Hash hash_;
  IdOf id_of_;
  std::vector<std::uint32_t> cells_;
  std::uint32_t slot_mask_ = kFirstCells - 1;
  std::size_t size_ = 0;
};

}  // namespace sluice::controlplane
