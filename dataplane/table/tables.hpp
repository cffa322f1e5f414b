// All tables of one dataplane. Workers read through `const Tables&` between their quiescent
// reports; the manager thread (the applier) is the only writer. Objects that are replaced as a
// whole (route table, forwarding state, trace filter) are published with release and loaded with
// acquire; the old one lives until every worker has been quiescent since (reclaim()).
//
// The functions for routes here, not those of RouteTable, keep the references that routes hold to
// adjacencies and groups: use them for everything but tests of RouteTable itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <variant>

#include "dataplane/table/adjacency_table.hpp"
#include "dataplane/table/forwarding_state.hpp"
#include "dataplane/table/group_table.hpp"
#include "dataplane/table/readers.hpp"
#include "dataplane/table/route_table.hpp"
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
  std::atomic<const RouteTable*> routes{nullptr};
  std::atomic<const ForwardingState*> forwarding{nullptr};
  std::atomic<const TraceFilter*> trace{nullptr};

  Readers readers;
  AdjacencyTable adjacencies;
  GroupTable groups;

  // From here on: manager thread only.

  // Creates the route table, or rehashes the present one when the key differs (readers go on
  // meanwhile). The same key again does nothing. Needs an initialised EAL.
  Status set_hash_key(const HashKey& key);
  RouteTable* route_table() noexcept { return routes_.get(); }

  // RouteTable's functions with references kept. There must be a route table, and an action of kind
  // kAdjacency or kGroup must name a slot in use.
  void set_routes(const Id* ids, const Action* actions, unsigned n, RouteChange* changes);
  Action erase_route(const Id& id);
  // One step of forgetting what carries another epoch, looking at about `max` entries: routes
  // first, then groups, then adjacencies. True when all is done; begin again by calling it again.
  bool sweep(std::uint8_t epoch, unsigned max, std::size_t& erased);

  void publish(std::unique_ptr<const ForwardingState> next);
  void publish(std::unique_ptr<const TraceFilter> next);  // null: tracing off

  // Frees what no worker can see any more, at most about `max` things of each kind. Never waits.
  void reclaim(unsigned max);
  // Everything erased or replaced whose memory or slot is not free yet.
  std::size_t pending() const;
  const TableLimits& limits() const noexcept { return limits_; }

 private:
  using Object =
      std::variant<std::unique_ptr<const RouteTable>, std::unique_ptr<const ForwardingState>,
                   std::unique_ptr<const TraceFilter>>;
  struct Retired {
    Readers::Token token;
    Object object;
  };
  enum class SweepPhase : std::uint8_t { kRoutes, kGroups, kAdjacencies };

  Tables(const TableLimits& limits, NodeArray<Adjacency> adjacency_lines,
         NodeArray<GroupTable::Slot> group_slots);
  void retire(Object object);
  void reference(Action action);
  void unreference(Action action);

  TableLimits limits_;
  std::unique_ptr<RouteTable> routes_;
  std::unique_ptr<const ForwardingState> forwarding_;
  std::unique_ptr<const TraceFilter> trace_;
  std::deque<Retired> retired_;
  SweepPhase sweep_phase_ = SweepPhase::kRoutes;
};

}  // namespace sluice::dataplane
