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
  if (base_ && base_->contains(delta_->hasher()(id))) {
    const Action mark(ActionKind::kDeleted, 0, 0, 0, epoch);
    const RouteChange change = delta_->set(id, mark);
    if (change.outcome == RouteOutcome::kFull) return change.outcome;
    reference(mark);
    unreference(change.previous);
    return change.outcome;
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
  publish_routes();
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
  for (unsigned looked = 0; looked < max && pruning_.active; looked += Routes::kMaxBurst) {
    unsigned n = 0;
    while (n < Routes::kMaxBurst && delta_->next(pruning_.cursor, ids[n], recent[n]))
      ++n;
    // A route that moves past the cursor meanwhile stays: it is no less true for being there twice.
    if (n < Routes::kMaxBurst) pruning_.active = false;
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
  return !pruning_.active;
}

}  // namespace sluice::dataplane
