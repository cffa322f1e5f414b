// What the control plane offers as base segments and what became of it: loading, the key check, the
// draft of a commit, the answers. Part of the applier; manager thread only. The base in force is
// Tables'; here is the one that waits to be committed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/apply/base_loader.hpp"
#include "dataplane/apply/event_sender.hpp"
#include "dataplane/table/tables.hpp"
#include "sluice/link/status.hpp"

namespace sluice::dataplane {

class BaseIntake {
 public:
  using Refusal = std::optional<link::RefusedReason>;

  BaseIntake(Tables& tables, link::StatusSegment& status, EventSender& events);
  ~BaseIntake();

  int fd() const noexcept { return loader_.fd(); }  // readable: call turn()

  void offer(const link::SegmentId& segment, UniqueFd file);
  // Takes what was loaded, prunes the delta after a commit. Bounded; true when there is more to do
  // now.
  bool turn(unsigned prune_step);
  bool working() const noexcept { return tables_.pruning(); }
  void forget();  // the connection ended: what is not committed is void
  void begin_sync() { drop_draft(); }

  // Commands. `slot`: of the handle, kNoIndex when it is not valid.
  Refusal begin(const link::BaseBegin& body);
  Refusal add(const link::BaseAdjacency& body, std::uint32_t slot);
  Refusal commit(const link::BaseRef& body, std::uint8_t epoch);
  Refusal drop();

 private:
  struct Draft {
    link::SegmentId segment{};
    std::uint32_t number = 0;
    std::uint32_t dictionary = 0;
    std::vector<std::uint32_t> slots;
  };

  std::shared_ptr<LoadedBase> find(const link::SegmentId& segment) const;
  void take(BaseLoader::Outcome outcome);
  void answer_loaded(const LoadedBase& base, std::uint64_t took_ns);
  void refuse(const link::SegmentId& segment, const BaseLoadFailure& failure);
  std::optional<link::SegmentId> unconfirmed_segment() const;
  void release_waiting();
  void drop_draft();

  Tables& tables_;
  link::StatusSegment& status_;
  EventSender& events_;
  BaseLoader loader_;
  std::shared_ptr<LoadedBase> ready_;  // loaded, not committed
  std::optional<BaseLoader::Outcome>
      unconfirmed_;  // loaded before there was a key to check against
  std::optional<Draft> draft_;
  bool announce_ = false;  // kBaseDone is due when the pruning ends
  std::size_t pruned_ = 0;
};

}  // namespace sluice::dataplane
