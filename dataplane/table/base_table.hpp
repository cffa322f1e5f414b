// The base tier as workers see it: a loaded segment, and which slot of the adjacency table each
// position of its dictionary means. Immutable; the manager thread makes a new one to change the
// latter. Needs no EAL.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "dataplane/table/base_load.hpp"
#include "dataplane/table/node_array.hpp"
#include "sluice/route/action.hpp"

namespace sluice::dataplane {

class BaseTable {
 public:
  // `slots`: by position of the dictionary, as many as it has; kNoIndex: nobody there can be
  // reached. `number` and `epoch` are the control plane's. Fails with kExhausted.
  static Result<std::unique_ptr<const BaseTable>> create(std::shared_ptr<LoadedBase> loaded,
                                                         std::span<const std::uint32_t> slots,
                                                         std::uint32_t number, std::uint8_t epoch,
                                                         int numa_node);

  // Readers. What the segment says with the index translated and no epoch; kind kNone when it does
  // not have the key. A key that was never in it is taken for another's once in 2^40.
  Action find(const Hash128& hash) const noexcept { return translated(view_.find(hash)); }
  bool contains(const Hash128& hash) const noexcept { return view_.find(hash) != 0; }

  // A burst of at most index::kMaxPhfBurst in three passes, between which other work gives the
  // memory time: locate() fetches pilots, fetch() records, then read() one by one.
  void locate(const Hash128* hashes, unsigned n, std::uint32_t* at) const noexcept {
    if (distance_ == Distance::kFar) return locate_at<Distance::kFar>(hashes, n, at);
    locate_at<Distance::kNear>(hashes, n, at);
  }
  void fetch(const Hash128* hashes, unsigned n, std::uint32_t* at) const noexcept {
    if (distance_ == Distance::kFar) return fetch_at<Distance::kFar>(hashes, n, at);
    fetch_at<Distance::kNear>(hashes, n, at);
  }
  // With the lines fetched as for a segment that lies there.
  template <Distance kDistance>
  void locate_at(const Hash128* hashes, unsigned n, std::uint32_t* at) const noexcept {
    view_.function().locate<kDistance>(hashes, n, at);
  }
  template <Distance kDistance>
  void fetch_at(const Hash128* hashes, unsigned n, std::uint32_t* at) const noexcept {
    view_.function().slots(hashes, at, n, [&](unsigned i, std::uint32_t slot) {
      at[i] = slot;
      view_.prefetch<kDistance>(slot);
    });
  }
  // No branch on whether it is there, or on what it says: that is the traffic's to choose.
  Action read(std::uint32_t at, const Hash128& hash) const noexcept {
    const std::uint8_t* record = view_.record(at);
    const std::uint64_t mine = -static_cast<std::uint64_t>(index::Record::matches(record, hash));
    return translated(index::Record::value(record) & mine);
  }

  // The manager's.
  const std::shared_ptr<LoadedBase>& loaded() const noexcept { return loaded_; }
  std::span<const std::uint32_t> slots() const noexcept { return slots_; }
  std::uint32_t number() const noexcept { return number_; }
  std::uint8_t epoch() const noexcept { return epoch_; }

 private:
  BaseTable(std::shared_ptr<LoadedBase> loaded, NodeArray<std::uint32_t> low_bits)
      : view_(loaded->view),
        low_bits_(std::move(low_bits)),
        distance_(distance_of(view_.header().total_bytes)),
        loaded_(std::move(loaded)) {}

  // Kind and index are the low 24 bits of an action. Loading checked that the index of an adjacency
  // is in the dictionary, and that of anything else 0, which is in the array always.
  Action translated(std::uint64_t action) const noexcept {
    const Action stored = Action::from_bits(action);
    const std::uint64_t adjacency =
        -static_cast<std::uint64_t>(stored.kind() == ActionKind::kAdjacency) & kLowBits;
    return Action::from_bits((action & ~adjacency) | (low_bits_[stored.index()] & adjacency));
  }
  static constexpr std::uint64_t kLowBits = 0xffffff;

  index::BaseSegmentView view_;
  NodeArray<std::uint32_t> low_bits_;  // by position; at least one
  Distance distance_;                  // of pilots and records
  // The manager's from here on.
  std::shared_ptr<LoadedBase> loaded_;
  std::vector<std::uint32_t> slots_;
  std::uint32_t number_ = 0;
  std::uint8_t epoch_ = 0;
};

}  // namespace sluice::dataplane
