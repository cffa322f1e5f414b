#include "controlplane/store/number_search.hpp"

#include <bit>

namespace sluice::controlplane::store {

using index::Record;

namespace {

constexpr std::uint64_t bit(unsigned i) noexcept {
  return std::uint64_t{1} << i;
}

template <class Each>
inline void for_each_bit(std::uint64_t bits, const Each& each) {
  for (; bits != 0; bits &= bits - 1)
    each(static_cast<unsigned>(std::countr_zero(bits)));
}

const std::uint8_t* prefetch_record(const Segment::View& view, const Hash128& hash,
                                    std::uint32_t pilot) noexcept {
  const std::uint64_t slot = view.function.slot(hash, pilot);
  const std::uint8_t* const record = view.records + slot * Record::kBytes;
  index::prefetch_record(record);
  return record;
}

}  // namespace

void NumberSearch::find_levels(std::uint64_t wanted) noexcept {
  std::uint64_t lanes = 0;
  for_each_bit(wanted, [&](unsigned key) {
    const unsigned lane = set_.layout->lanes.of(hashes_[key]);
    lane_[key] = static_cast<std::uint8_t>(lane);
    lanes |= bit(lane);
  });
  for_each_bit(lanes, [&](unsigned lane) { find_levels_of(lane); });
}

void NumberSearch::find_levels_of(unsigned lane) noexcept {
  const Tree& tree = set_.trees[set_.layout->tree_of(Form::kCompact, lane)];
  Levels& levels = levels_[lane];
  levels.tree = &tree;
  levels.active = tree.active != nullptr && !tree.active->empty() ? tree.active.get() : nullptr;
  levels.last = nullptr;
  levels.ready = tree.segments.size() <= kMaxSegments;
  levels.count = levels.upper = 0;
  any_overlay_ = any_overlay_ || levels.active != nullptr || !tree.sealed.empty();
  if (levels.ready) {
    for (const SegmentPtr& segment : tree.segments) {
      const Segment::View* const view = segment->damaged() ? nullptr : segment->segment().ready();
      levels.ready = levels.ready && view != nullptr;
      levels.view[levels.count++] = view;
    }
  }
  all_ready_ = all_ready_ && levels.ready;
  if (!levels.ready || levels.count == 0) return;
  const Segment::View* const oldest = levels.view[levels.count - 1];
  if (!oldest->has_filter) levels.last = oldest;
  levels.upper = levels.last == nullptr ? levels.count : levels.count - 1;
  any_upper_ = any_upper_ || levels.upper != 0;
}

void NumberSearch::prefetch_overlays(unsigned key) const noexcept {
  const Levels& levels = levels_of(key);
  if (levels.active != nullptr) levels.active->prefetch(hashes_[key]);
  for (const auto& overlay : levels.tree->sealed)
    overlay->prefetch(hashes_[key]);
}

bool NumberSearch::prefetch_slots(unsigned key) const noexcept {
  const Levels& levels = levels_of(key);
  bool maybe = levels.active != nullptr && levels.active->prefetch_slot(hashes_[key]);
  for (const auto& overlay : levels.tree->sealed)
    maybe |= overlay->prefetch_slot(hashes_[key]);
  return maybe;
}

bool NumberSearch::in_overlays(unsigned key) noexcept {
  const Levels& levels = levels_of(key);
  if (levels.active != nullptr && levels.active->find(hashes_[key], values_[key])) return true;
  for (const auto& overlay : levels.tree->sealed)
    if (overlay->find(hashes_[key], values_[key])) return true;
  return false;
}

void NumberSearch::search_overlays(std::uint64_t wanted) noexcept {
  std::uint64_t maybe = 0;
  for_each_bit(wanted, [&](unsigned key) {
    maybe |= static_cast<std::uint64_t>(prefetch_slots(key)) << key;
  });
  for_each_bit(maybe, [&](unsigned key) {
    if (in_overlays(key)) found_ |= bit(key);
  });
}

void NumberSearch::leave(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    if (!levels_of(key).ready) left_ |= bit(key);
  });
}

void NumberSearch::prefetch_filters(unsigned key) noexcept {
  const Levels& levels = levels_of(key);
  for (unsigned level = 0; level < levels.upper; ++level) {
    const Segment::View& view = *levels.view[level];
    if (!view.has_filter) continue;
    Filtered& filtered = filters_[key * kMaxSegments + level];
    filtered = {view.filter.places(hashes_[key]), view.filter.part(hashes_[key])};
    FuseFilterView::prefetch(filtered.part, filtered.places);
  }
}

// Upper levels that may have the key.
unsigned NumberSearch::passed(unsigned key) const noexcept {
  const Levels& levels = levels_of(key);
  unsigned mask = 0;
  for (unsigned level = 0; level < levels.upper; ++level) {
    const Filtered& filtered = filters_[key * kMaxSegments + level];
    const bool may =
        !levels.view[level]->has_filter || FuseFilterView::passes(filtered.part, filtered.places);
    mask |= static_cast<unsigned>(may) << level;
  }
  return mask;
}

void NumberSearch::add(unsigned key, unsigned mask) noexcept {
  const auto level = static_cast<unsigned>(std::countr_zero(mask));
  const Segment::View* const view = levels_of(key).view[level];
  const std::uint32_t pilot = view->function.pilot_index(hashes_[key]);
  view->function.prefetch_pilot(pilot);
  candidate_[candidates_++] = {.view = view,
                               .record = nullptr,
                               .pilot = pilot,
                               .key = static_cast<std::uint8_t>(key),
                               .level = static_cast<std::uint8_t>(level),
                               .mask = static_cast<std::uint8_t>(mask & (mask - 1))};
}

// One segment for each candidate; those that are not there go on to their next one.
void NumberSearch::probe_candidates() noexcept {
  const unsigned count = candidates_;
  for (unsigned i = 0; i < count; ++i) {
    Candidate& candidate = candidate_[i];
    candidate.record = prefetch_record(*candidate.view, hashes_[candidate.key], candidate.pilot);
  }
  candidates_ = 0;
  for (unsigned i = 0; i < count; ++i) {
    const Candidate candidate = candidate_[i];
    if (Record::matches(candidate.record, hashes_[candidate.key])) {
      values_[candidate.key] = Record::value(candidate.record);
      found_ |= bit(candidate.key);
      counts_.probes += candidate.level + 1U;
      continue;
    }
    counts_.false_positives += candidate.view->has_filter;
    if (candidate.mask != 0) add(candidate.key, candidate.mask);
  }
}

void NumberSearch::search_upper(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    if (const unsigned mask = passed(key); mask != 0) add(key, mask);
  });
  while (candidates_ != 0)
    probe_candidates();
}

void NumberSearch::prefetch_pilot(unsigned key) noexcept {
  const Segment::View* const view = levels_of(key).last;
  if (view == nullptr) return;
  pilots_[key] = view->function.pilot_index(hashes_[key]);
  view->function.prefetch_pilot(pilots_[key]);
}

// Most keys of a large index are found here, or nowhere.
void NumberSearch::search_last(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    const Levels& levels = levels_of(key);
    counts_.probes += levels.count;
    if (levels.last == nullptr) return;
    records_[key] = prefetch_record(*levels.last, hashes_[key], pilots_[key]);
  });
  for_each_bit(wanted, [&](unsigned key) {
    if (levels_of(key).last == nullptr || !Record::matches(records_[key], hashes_[key])) return;
    values_[key] = Record::value(records_[key]);
    found_ |= bit(key);
  });
}

std::uint64_t NumberSearch::run(std::uint64_t wanted) noexcept {
  find_levels(wanted);
  if (any_overlay_) for_each_bit(wanted, [&](unsigned key) { prefetch_overlays(key); });
  if (any_upper_) for_each_bit(wanted, [&](unsigned key) { prefetch_filters(key); });
  for_each_bit(wanted, [&](unsigned key) { prefetch_pilot(key); });
  if (any_overlay_) search_overlays(wanted);
  if (!all_ready_) leave(wanted & ~found_);
  if (any_upper_) search_upper(wanted & ~found_ & ~left_);
  search_last(wanted & ~found_ & ~left_);
  return found_;
}

}  // namespace sluice::controlplane::store
