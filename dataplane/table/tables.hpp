// All tables of one dataplane. Workers read through `const Tables&` between their quiescent
// reports; the manager thread (the applier) is the only writer. Objects that are replaced as a
// whole (routes, forwarding state, trace filter) are published with release and loaded with
// acquire; the old one lives until every worker has been quiescent since (reclaim()).
//
// Routes have two tiers (routes.hpp). The delta takes every change. A base segment, when there is
// one, holds what was true when the control plane built it; to delete what the base has, the delta
// gets a deletion mark.
//
// The functions for routes here, not those of RouteTable, keep the references that routes hold to
// adjacencies and groups: use them for everything but tests of RouteTable itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <variant>

#include "dataplane/table/adjacency_table.hpp"
#include "dataplane/table/forwarding_state.hpp"
#include "dataplane/table/group_table.hpp"
#include "dataplane/table/readers.hpp"
#include "dataplane/table/routes.hpp"
#include "dataplane/table/trace_filter.hpp"

namespace sluice::dataplane {

struct TableLimits {
  std::size_t routes = 1'000'000;
  std::size_t adjacencies = 65'536;
  std::size_t groups = 65'536;
  int numa_node = -1;  // of the ports; -1: any
};

class Tables {
 public:
  // Starts with an empty ForwardingState, no route table and no trace filter. Needs no EAL; fails
  // with kExhausted or kInvalidArgument (a limit is 0 or too large).
  static Result<std::unique_ptr<Tables>> create(const TableLimits& limits);
  ~Tables();

  // For workers, once per burst. routes: null until the control plane gave a hash key. forwarding
  // is never null. trace: null while tracing is off.
  std::atomic<const Routes*> routes{nullptr};
  std::atomic<const ForwardingState*> forwarding{nullptr};
  std::atomic<const TraceFilter*> trace{nullptr};

  Readers readers;
  AdjacencyTable adjacencies;
  GroupTable groups;

  // From here on: manager thread only.

  // Creates the delta, or rehashes the present one when the key differs (readers go on meanwhile);
  // a base of the old key is dropped. The same key again does nothing. Needs an initialised EAL.
  Status set_hash_key(const HashKey& key);
  RouteTable* route_table() noexcept { return delta_.get(); }  // the delta

  // RouteTable's functions with references kept. There must be a route table, and an action of kind
  // kAdjacency or kGroup must name a slot in use.
  void set_routes(const Id* ids, const Action* actions, unsigned n, RouteChange* changes);
  // kInserted when a deletion mark was stored, because the base has the id; kReplaced when an entry
  // was erased or became the mark; kFull: the mark found no room, the base's route stays in force.
  RouteOutcome erase_route(const Id& id, std::uint8_t epoch);
  // One step of forgetting what carries another epoch, looking at about `max` entries: the base if
  // it was not committed in this one, then routes, groups and adjacencies. True when all is done;
  // begin again by calling it again.
  bool sweep(std::uint8_t epoch, unsigned max, std::size_t& erased);
  void begin_sweep() noexcept { sweep_phase_ = SweepPhase::kBase; }  // after one was broken off

  // The base tier (tables_base.cpp). Puts a segment, or the present one again with other slots, in
  // force: `slots` by position of its dictionary, kNoIndex or in use. The segment's key must be the
  // route table's. Then the delta is to be pruned. Fails with kExhausted.
  Status commit_base(std::shared_ptr<LoadedBase> loaded, std::span<const std::uint32_t> slots,
                     std::uint32_t number, std::uint8_t epoch);
  void drop_base();  // what only the base knew has no route any more
  // The one that is about to be committed, null: none. What it has leaves a mark when it is
  // deleted, so that it does not come back with the commit.
  void expect_base(std::shared_ptr<const LoadedBase> next) { expected_ = std::move(next); }
  // Workers have no route table until release_routes(): what is in the tables is half told.
  void withhold_routes();
  void release_routes();
  const BaseTable* base() const noexcept { return base_.get(); }
  bool pruning() const noexcept { return pruning_.active; }
  // Goes over about `max` places of the delta and erases what the base says too, and deletion marks
  // of what it does not have. Does nothing until every worker sees the base. True when there is
  // nothing (more) to do.
  bool prune(unsigned max, std::size_t& erased);
  // Makes a filter of the delta for the workers when there is a base and the last one is worn, or
  // there is none; goes over about `max` places. True when there is nothing (more) to do.
  bool tend_filter(unsigned max);
  // Gives memory back in steps of reclaim(). Nobody else may refer to it, or does but the base.
  void discard(std::shared_ptr<LoadedBase> loaded);
  std::size_t deletion_marks() const noexcept { return marks_; }

  void publish(std::unique_ptr<const ForwardingState> next);
  void publish(std::unique_ptr<const TraceFilter> next);  // null: tracing off

  // Frees what no worker can see any more, at most about `max` things of each kind. Never waits.
  void reclaim(unsigned max);
  // Everything erased or replaced whose memory or slot is not free yet.
  std::size_t pending() const;
  const TableLimits& limits() const noexcept { return limits_; }

 private:
  using Object =
      std::variant<std::unique_ptr<const RouteTable>, std::unique_ptr<const Routes>,
                   std::unique_ptr<const BaseTable>, std::unique_ptr<const DeltaFilter>,
                   std::unique_ptr<const ForwardingState>, std::unique_ptr<const TraceFilter>>;
  struct Retired {
    Readers::Token token;
    Object object;
  };
  enum class SweepPhase : std::uint8_t { kBase, kRoutes, kGroups, kAdjacencies };
  struct Pruning {
    bool active = false;
    Readers::Token token = 0;  // of the publication of the base
    std::uint32_t cursor = 0;
  };

  Tables(const TableLimits& limits, NodeArray<Adjacency> adjacency_lines,
         NodeArray<GroupTable::Slot> group_slots);
  void retire(Object object);
  struct FilterMaking {
    std::unique_ptr<DeltaFilter> filter;  // null: none is being made
    std::uint32_t cursor = 0;
    std::uint32_t moves = 0;  // of the delta, when the walk began
    unsigned walks = 0;
  };

  void reference(Action action);
  void unreference(Action action);
  void add_to_filters(const Id* ids, unsigned n);
  std::unique_ptr<DeltaFilter> take_filter();
  // Of the delta, kept for changes and deletions of what the base has: these cannot be refused
  // without leaving something old in force.
  std::size_t reserve() const noexcept { return delta_->capacity() / 32; }
  void set_routes_tight(const Id* ids, const Action* actions, unsigned n, RouteChange* changes);
  bool begin_filter();
  void finish_filter();
  void publish_routes();
  void replace_base(std::unique_ptr<const BaseTable> next);
  bool says_the_same(Action recent, Action base) const;

  TableLimits limits_;
  std::unique_ptr<RouteTable> delta_;
  std::unique_ptr<const BaseTable> base_;
  std::shared_ptr<const LoadedBase> expected_;
  std::unique_ptr<const Routes> published_;
  bool withheld_ = false;
  std::unique_ptr<DeltaFilter> filter_;
  FilterMaking making_;
  bool filter_impossible_ = false;  // for this base
  Pruning pruning_;
  std::size_t marks_ = 0;           // entries of kind kDeleted in the delta
  std::deque<BaseMemory> leaving_;  // given back bit by bit
  std::unique_ptr<const ForwardingState> forwarding_;
  std::unique_ptr<const TraceFilter> trace_;
  std::deque<Retired> retired_;
  SweepPhase sweep_phase_ = SweepPhase::kBase;
};

}  // namespace sluice::dataplane
