// The two tiers of routes as one published object, so that a worker that loads one pointer per
// burst sees delta and base that belong together: entries leave the delta because the base says the
// same only after every worker sees that base. What the delta has, wins. Immutable; made by
// Tables, read by workers (the delta it names changes under them as route_table.hpp says).
#pragma once

#include "dataplane/table/base_table.hpp"
#include "dataplane/table/delta_filter.hpp"
#include "dataplane/table/route_table.hpp"

namespace sluice::dataplane {

class Routes {
 public:
  static constexpr unsigned kMaxBurst = RouteTable::kMaxBurst;
  static_assert(kMaxBurst <= index::kMaxPhfBurst);

  // `base`: null when there is none. `filter`: has all ids of the delta; null: not made (yet).
  Routes(const RouteTable& delta, const BaseTable* base, const DeltaFilter* filter) noexcept
      : delta_(&delta), base_(base), filter_(filter) {}

  // Readers. out[i] has kind kNone or kDeleted where there is no route for ids[i]; n is 1 to
  // kMaxBurst.
  void lookup_burst(const Id* ids, unsigned n, Action* out) const noexcept {
    if (base_ == nullptr) return delta_->lookup_burst(ids, n, out);
    lookup_both(ids, n, out);
  }
  Action find(const Id& id) const noexcept {
    const Action recent = delta_->find(id);
    if (recent.kind() != ActionKind::kNone || base_ == nullptr) return recent;
    return base_->find(delta_->hasher()(id));
  }

  const RouteTable& delta() const noexcept { return *delta_; }
  const BaseTable* base() const noexcept { return base_; }
  const DeltaFilter* filter() const noexcept { return filter_; }

 private:
  void lookup_both(const Id* ids, unsigned n, Action* out) const noexcept;
  void lookup_filtered(const Id* ids, const Hash128* hashes, unsigned n,
                       Action* out) const noexcept;

  const RouteTable* delta_;
  const BaseTable* base_;
  const DeltaFilter* filter_;
};

}  // namespace sluice::dataplane
