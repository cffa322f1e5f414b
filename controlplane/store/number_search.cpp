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
  // Lanes are as good as random, so a branch on what a key's lane has is a mispredicted one.
  if (!any_upper_) return;
  for_each_bit(wanted, [&](unsigned key) {
    with_upper_ |= static_cast<std::uint64_t>(levels_of(key).upper != 0) << key;
  });
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
  if (!oldest->filter.there()) levels.last = oldest;
  levels.upper = levels.last == nullptr ? levels.count : levels.count - 1;
  any_upper_ = any_upper_ || levels.upper != 0;
}

// Newest first.
template <class Each>
inline void NumberSearch::for_each_overlay(unsigned key, const Each& each) const noexcept {
  const Levels& levels = levels_of(key);
  if (levels.active != nullptr) each(*levels.active);
  for (const auto& overlay : levels.tree->sealed)
    each(*overlay);
}

void NumberSearch::prefetch_overlays(std::uint64_t wanted) const noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    for_each_overlay(key, [&](const Overlay& overlay) { overlay.prefetch_filter(hashes_[key]); });
  });
}

void NumberSearch::filter_overlays(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    bool may = false;
    for_each_overlay(key, [&](const Overlay& overlay) { may |= overlay.may_have(hashes_[key]); });
    in_overlay_ |= static_cast<std::uint64_t>(may) << key;
  });
  for_each_bit(in_overlay_, [&](unsigned key) {
    for_each_overlay(key, [&](const Overlay& overlay) { overlay.prefetch_place(hashes_[key]); });
  });
}

void NumberSearch::prefetch_slots() const noexcept {
  for_each_bit(in_overlay_, [&](unsigned key) {
    for_each_overlay(key, [&](const Overlay& overlay) { overlay.prefetch_slot(hashes_[key]); });
  });
}

void NumberSearch::search_overlays() noexcept {
  for_each_bit(in_overlay_, [&](unsigned key) {
    bool found = false;
    for_each_overlay(key, [&](const Overlay& overlay) {
      found = found || overlay.find(hashes_[key], values_[key]);
    });
    found_ |= static_cast<std::uint64_t>(found) << key;
  });
}

void NumberSearch::leave(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    if (!levels_of(key).ready) left_ |= bit(key);
  });
}

void NumberSearch::prefetch_filters() const noexcept {
  for_each_bit(with_upper_, [&](unsigned key) {
    const Levels& levels = levels_of(key);
    for (unsigned level = 0; level < levels.upper; ++level)
      levels.view[level]->filter.prefetch(hashes_[key]);
  });
}

// Upper levels that may have the key.
inline unsigned NumberSearch::passed(unsigned key) const noexcept {
  const Levels& levels = levels_of(key);
  unsigned mask = 0;
  for (unsigned level = 0; level < levels.upper; ++level)
    mask |= static_cast<unsigned>(levels.view[level]->filter.passes(hashes_[key])) << level;
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

void NumberSearch::prefetch_candidates() noexcept {
  for (unsigned i = 0; i < candidates_; ++i) {
    Candidate& candidate = candidate_[i];
    candidate.record = prefetch_record(*candidate.view, hashes_[candidate.key], candidate.pilot);
  }
}

// One segment for each candidate; those that are not there go on to their next one.
void NumberSearch::probe_candidates() noexcept {
  const unsigned count = candidates_;
  candidates_ = 0;
  for (unsigned i = 0; i < count; ++i) {
    const Candidate candidate = candidate_[i];
    if ((found_ & bit(candidate.key)) != 0) continue;  // in an overlay
    if (Record::matches(candidate.record, hashes_[candidate.key])) {
      values_[candidate.key] = Record::value(candidate.record);
      found_ |= bit(candidate.key);
      counts_.probes += candidate.level + 1U;
      continue;
    }
    counts_.false_positives += candidate.view->filter.there();
    if (candidate.mask != 0) add(candidate.key, candidate.mask);
  }
}

void NumberSearch::find_candidates(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    if (const unsigned mask = passed(key); mask != 0) {
      in_upper_ |= bit(key);
      add(key, mask);
    }
  });
}

void NumberSearch::search_upper() noexcept {
  while (candidates_ != 0) {
    probe_candidates();
    prefetch_candidates();
  }
}

void NumberSearch::prefetch_pilots(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    const Segment::View* const view = levels_of(key).last;
    if (view == nullptr) return;
    pilots_[key] = view->function.pilot_index(hashes_[key]);
    view->function.prefetch_pilot(pilots_[key]);
  });
}

void NumberSearch::prefetch_last(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    const Levels& levels = levels_of(key);
    if (levels.last == nullptr) return;
    records_[key] = prefetch_record(*levels.last, hashes_[key], pilots_[key]);
  });
}

// Most keys of a large index are found here, or nowhere.
void NumberSearch::search_last(std::uint64_t wanted) noexcept {
  for_each_bit(wanted, [&](unsigned key) {
    const Levels& levels = levels_of(key);
    counts_.probes += levels.count;
    if (levels.last == nullptr || !Record::matches(records_[key], hashes_[key])) return;
    values_[key] = Record::value(records_[key]);
    found_ |= bit(key);
  });
}

std::uint64_t NumberSearch::run(std::uint64_t wanted) noexcept {
  find_levels(wanted);
  if (any_overlay_) prefetch_overlays(wanted);
  prefetch_filters();
  prefetch_pilots(wanted);
  if (!all_ready_) leave(wanted);
  const std::uint64_t ready = wanted & ~left_;
  if (any_overlay_) filter_overlays(wanted);
  find_candidates(with_upper_ & ~left_);
  const std::uint64_t above = in_overlay_ | in_upper_;
  prefetch_last(ready & ~above);
  prefetch_candidates();
  prefetch_slots();
  // Everything is on its way; the newest answer counts.
  search_overlays();
  search_upper();
  prefetch_last(ready & above & ~found_);  // few: filters are seldom wrong
  search_last(ready & ~found_);
  left_ &= ~found_;
  return found_;
}

}  // namespace sluice::controlplane::store
