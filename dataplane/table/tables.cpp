#include "dataplane/table/tables.hpp"

#include <fmt/core.h>

#include <cassert>
#include <utility>

namespace sluice::dataplane {

Result<std::unique_ptr<Tables>> Tables::create(const TableLimits& limits) {
  const auto check = [](std::string_view what, std::size_t value, std::size_t most) -> Status {
    if (value >= 1 && value <= most) return {};
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("a table of {} {}; 1 to {} are possible", value, what, most));
  };
  if (auto s = check("routes", limits.routes, RouteTable::kMaxCapacity); !s)
    return std::unexpected(s.error());
  if (auto s = check("adjacencies", limits.adjacencies, kMaxAdjacencies); !s)
    return std::unexpected(s.error());
  if (auto s = check("groups", limits.groups, kMaxGroups); !s) return std::unexpected(s.error());
  auto lines = AdjacencyTable::allocate(limits.numa_node);
  if (!lines) return fail(std::move(lines.error()), "adjacency table");
  auto slots = GroupTable::allocate(limits.numa_node);
  if (!slots) return fail(std::move(slots.error()), "group table");
  return std::unique_ptr<Tables>(new Tables(limits, std::move(*lines), std::move(*slots)));
}

Tables::Tables(const TableLimits& limits, NodeArray<Adjacency> adjacency_lines,
               NodeArray<GroupTable::Slot> group_slots)
    : adjacencies(std::move(adjacency_lines), limits.adjacencies, readers),
      groups(std::move(group_slots), limits.groups, adjacencies, readers),
      limits_(limits),
      forwarding_(std::make_unique<const ForwardingState>()) {
  forwarding.store(forwarding_.get(), std::memory_order_release);
}

Tables::~Tables() = default;

void Tables::retire(Object object) {
  retired_.push_back({readers.start(), std::move(object)});
}

Status Tables::set_hash_key(const HashKey& key) {
  if (delta_ && delta_->key() == key) return {};
  auto next = delta_ ? delta_->rehashed(key)
                     : RouteTable::create(limits_.routes, key, readers, limits_.numa_node);
  if (!next) return std::unexpected(std::move(next.error()));
  std::unique_ptr<RouteTable> old = std::exchange(delta_, std::move(*next));
  replace_base(nullptr);
  if (old) retire(std::unique_ptr<const RouteTable>(std::move(old)));
  return {};
}

void Tables::publish_routes() {
  auto next = std::make_unique<const Routes>(*delta_, base_.get(), filter_.get());
  // Release, here and in publish(): pairs with the workers' acquire load of the pointer.
  if (!withheld_) routes.store(next.get(), std::memory_order_release);
  if (auto old = std::exchange(published_, std::move(next))) retire(std::move(old));
}

void Tables::reference(Action action) {
  if (action.kind() == ActionKind::kAdjacency) adjacencies.reference(action.index());
  if (action.kind() == ActionKind::kGroup) groups.reference(action.index());
  if (action.kind() == ActionKind::kDeleted) ++marks_;
}

void Tables::unreference(Action action) {
  if (action.kind() == ActionKind::kAdjacency) adjacencies.unreference(action.index());
  if (action.kind() == ActionKind::kGroup) groups.unreference(action.index());
  if (action.kind() == ActionKind::kDeleted) --marks_;
}

void Tables::set_routes(const Id* ids, const Action* actions, unsigned n, RouteChange* changes) {
  assert(delta_);
  add_to_filters(ids, n);
  if (base_ && delta_->size() + n > delta_->capacity() - reserve()) {
    set_routes_tight(ids, actions, n, changes);
  } else {
    delta_->set_burst(ids, actions, n, changes);
  }
  for (unsigned i = 0; i < n; ++i) {
    if (changes[i].outcome == RouteOutcome::kFull) continue;
    reference(actions[i]);
    unreference(changes[i].previous);
  }
}

bool Tables::sweep(std::uint8_t epoch, unsigned max, std::size_t& erased) {
  switch (sweep_phase_) {
    case SweepPhase::kBase:
      // Before the routes: an old one may hide something older still that the base says.
      if (base_ && base_->epoch() != epoch) drop_base();
      sweep_phase_ = SweepPhase::kRoutes;
      return false;
    case SweepPhase::kRoutes:
      if (delta_ && !delta_->sweep(epoch, max, [&](const Id&, Action action) {
            unreference(action);
            ++erased;
          }))
        return false;
      sweep_phase_ = SweepPhase::kGroups;
      return false;
    case SweepPhase::kGroups:
      if (groups.sweep(epoch, max, erased)) sweep_phase_ = SweepPhase::kAdjacencies;
      return false;
    case SweepPhase::kAdjacencies:
      if (!adjacencies.sweep(epoch, max, erased)) return false;
      sweep_phase_ = SweepPhase::kBase;
      return true;
  }
  return true;
}

void Tables::publish(std::unique_ptr<const ForwardingState> next) {
  assert(next);
  forwarding.store(next.get(), std::memory_order_release);
  retire(std::exchange(forwarding_, std::move(next)));
}

void Tables::publish(std::unique_ptr<const TraceFilter> next) {
  trace.store(next.get(), std::memory_order_release);
  if (auto old = std::exchange(trace_, std::move(next))) retire(std::move(old));
}

void Tables::reclaim(unsigned max) {
  for (unsigned i = 0; i < max && !retired_.empty() && readers.passed(retired_.front().token);
       ++i) {
    Object done = std::move(retired_.front().object);
    retired_.pop_front();
    if (auto* base = std::get_if<std::unique_ptr<const BaseTable>>(&done)) {
      std::shared_ptr<LoadedBase> loaded = (*base)->loaded();
      base->reset();
      discard(std::move(loaded));
    }
  }
  if (!leaving_.empty() && leaving_.front().release_some()) leaving_.pop_front();
  if (delta_) delta_->reclaim(max);
  groups.reclaim(max);
  adjacencies.reclaim(max);
}

std::size_t Tables::pending() const {
  return retired_.size() + leaving_.size() + (delta_ ? delta_->pending() : 0) + groups.pending() +
         adjacencies.pending();
}

}  // namespace sluice::dataplane
