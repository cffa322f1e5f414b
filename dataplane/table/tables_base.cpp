// The base tier of Tables: deletion marks, change of the base, pruning of the delta. Manager
// thread.
#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "dataplane/table/tables.hpp"

namespace sluice::dataplane {

namespace {

// Of an action, what it means: all but the epoch.
constexpr std::uint64_t kMeaning = (std::uint64_t{1} << 56) - 1;

}  // namespace

RouteOutcome Tables::erase_route(const Id& id, std::uint8_t epoch) {
  assert(delta_);
  const Hash128 hash = delta_->hasher()(id);
  // A worker in its burst may still look under the base before, whatever that says of the id.
  const bool settling = pruning_.active && !readers.passed(pruning_.token);
  const bool in_base =
      (base_ && base_->contains(hash)) || (expected_ && expected_->view.find(hash) != 0);
  if (in_base || settling) {
    const Action mark(ActionKind::kDeleted, 0, 0, 0, epoch);
    add_to_filters(&id, 1);
    const RouteChange change = delta_->set(id, mark);
    if (change.outcome != RouteOutcome::kFull) {
      reference(mark);
      unreference(change.previous);
      return change.outcome;
    }
    if (in_base) return change.outcome;
    readers.synchronize();  // no mark, no entry either: only the base before may know it
  }
  unreference(delta_->erase(id));
  return RouteOutcome::kReplaced;
}

Status Tables::commit_base(std::shared_ptr<LoadedBase> loaded, std::span<const std::uint32_t> slots,
                           std::uint32_t number, std::uint8_t epoch) {
  assert(delta_ && loaded->matches_key(delta_->hasher()));
  auto next = BaseTable::create(std::move(loaded), slots, number, epoch, limits_.numa_node);
  if (!next) return std::unexpected(std::move(next.error()));
  replace_base(std::move(*next));
  return {};
}

void Tables::drop_base() {
  if (base_) replace_base(nullptr);
}

// The new one is published before the old one's slots are released: a slot that both name keeps its
// content throughout.
void Tables::replace_base(std::unique_ptr<const BaseTable> next) {
  if (next) {
    for (const std::uint32_t slot : next->slots())
      if (slot != kNoIndex) adjacencies.reference(slot);
  }
  auto old = std::exchange(base_, std::move(next));
  auto old_filter = take_filter();
  publish_routes();
  // Retired when nobody finds it any more, as the base.
  if (old_filter) retire(std::unique_ptr<const DeltaFilter>(std::move(old_filter)));
  if (old) {
    for (const std::uint32_t slot : old->slots())
      if (slot != kNoIndex) adjacencies.unreference(slot);
    retire(std::move(old));
  }
  pruning_ = {.active = true, .token = readers.start(), .cursor = 0};
}

void Tables::discard(std::shared_ptr<LoadedBase> loaded) {
  if (loaded.use_count() == 1) leaving_.push_back(std::move(loaded->memory));
}

// Before the ids are put into the delta.
void Tables::add_to_filters(const Id* ids, unsigned n) {
  if (!filter_ && !making_.filter) return;
  std::array<Hash128, Routes::kMaxBurst> hashes;
  delta_->hasher().burst(ids, hashes.data(), n);
  for (DeltaFilter* filter : {filter_.get(), making_.filter.get()}) {
    for (unsigned i = 0; filter != nullptr && i < n; ++i)
      filter->add(hashes[i]);
  }
}

// The next publication is without it; after that, not before, it may be retired.
std::unique_ptr<DeltaFilter> Tables::take_filter() {
  making_ = {};
  filter_impossible_ = false;
  return std::exchange(filter_, nullptr);
}

void Tables::withhold_routes() {
  withheld_ = true;
  routes.store(nullptr, std::memory_order_release);
}

void Tables::release_routes() {
  if (!std::exchange(withheld_, false)) return;
  routes.store(published_.get(), std::memory_order_release);
}

// Nearly full: ids that neither tier has leave the reserve alone.
void Tables::set_routes_tight(const Id* ids, const Action* actions, unsigned n,
                              RouteChange* changes) {
  for (unsigned i = 0; i < n; ++i) {
    const bool known = delta_->find(ids[i]).kind() != ActionKind::kNone ||
                       base_->contains(delta_->hasher()(ids[i]));
    const bool room = delta_->size() < delta_->capacity() - reserve();
    changes[i] = known || room ? delta_->set(ids[i], actions[i]) : RouteChange{};
  }
}

bool Tables::begin_filter() {
  const auto moves = delta_->moves();
  auto made = DeltaFilter::create(delta_->size() * 2, limits_.numa_node);
  if (!moves || !made) {
    filter_impossible_ = true;  // the delta serves without, more slowly
    return false;
  }
  making_ = {.filter = std::move(*made), .cursor = 0, .moves = *moves, .walks = making_.walks + 1};
  return true;
}

void Tables::finish_filter() {
  auto old = std::exchange(filter_, std::move(making_.filter));
  making_ = {};
  publish_routes();
  if (old) retire(std::unique_ptr<const DeltaFilter>(std::move(old)));
}

// What was there when the walk began is met by it, unless it moved; what came since was added by
// add_to_filters().
bool Tables::tend_filter(unsigned max) {
  constexpr unsigned kMostWalks = 8;
  if (!base_ || pruning_.active || filter_impossible_) return true;
  if (!making_.filter) {
    if (filter_ && !filter_->worn()) return true;
    if (!begin_filter()) return true;
  }
  Id id;
  Action action;
  for (;;) {
    const auto walk = delta_->walk(making_.cursor, max, id, action);
    if (walk == RouteTable::Walk::kNothing) return false;
    if (walk == RouteTable::Walk::kRoute) {
      making_.filter->add(delta_->hasher()(id));
      continue;
    }
    if (delta_->moves() == making_.moves) {
      finish_filter();
      return true;
    }
    // So many moves mean a delta that is nearly full, where a filter is of little use.
    if (making_.walks >= kMostWalks) {
      auto old = take_filter();
      filter_impossible_ = true;
      publish_routes();
      if (old) retire(std::unique_ptr<const DeltaFilter>(std::move(old)));
      return true;
    }
    if (!begin_filter()) return true;
  }
}

bool Tables::says_the_same(Action recent, Action base) const {
  if (recent.kind() == ActionKind::kDeleted) return base.kind() == ActionKind::kNone;
  return ((recent.bits() ^ base.bits()) & kMeaning) == 0;
}

bool Tables::prune(unsigned max, std::size_t& erased) {
  if (!pruning_.active) return true;
  // A worker that still reads under the base before this one needs what the delta has.
  if (!readers.passed(pruning_.token)) return false;
  std::array<Id, Routes::kMaxBurst> ids;
  std::array<Action, Routes::kMaxBurst> recent;
  std::array<Hash128, Routes::kMaxBurst> hashes;
  std::array<std::uint32_t, Routes::kMaxBurst> at;
  auto walk = RouteTable::Walk::kRoute;
  while (walk == RouteTable::Walk::kRoute) {
    unsigned n = 0;
    while (n < Routes::kMaxBurst && (walk = delta_->walk(pruning_.cursor, max, ids[n],
                                                         recent[n])) == RouteTable::Walk::kRoute)
      ++n;
    delta_->hasher().burst(ids.data(), hashes.data(), n);
    if (base_) {
      base_->locate(hashes.data(), n, at.data());
      base_->fetch(hashes.data(), n, at.data());
    }
    for (unsigned i = 0; i < n; ++i) {
      const Action said = base_ ? base_->read(at[i], hashes[i]) : Action{};
      if (!says_the_same(recent[i], said)) continue;
      unreference(delta_->erase(ids[i]));
      ++erased;
    }
  }
  // A route that moved past the cursor meanwhile stays: it is no less true for being there twice.
  pruning_.active = walk != RouteTable::Walk::kEnd;
  return !pruning_.active;
}

}  // namespace sluice::dataplane
