#include "controlplane/store/number_search.hpp"

#include <array>
#include <bit>
#include <span>

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
  index::prefetch_record<Distance::kFar>(record);
  return record;
}

}  // namespace

// Counting sort, but for a key alone.
void NumberSearch::group(const Hash128* hashes, std::uint64_t wanted) noexcept {
  const LaneTable& lanes = set_.layout->lanes;
  if (std::has_single_bit(wanted)) {
    key_[0] = static_cast<std::uint8_t>(std::countr_zero(wanted));
    hash_[0] = hashes[key_[0]];
    return add_run(lanes.of(hash_[0]), 0, 1);
  }
  Scratch<std::uint8_t, kMax> lane_of;
  std::array<std::uint8_t, kMaxLanes> next{};
  for_each_bit(wanted, [&](unsigned key) {
    const unsigned lane = lanes.of(hashes[key]);
    lane_of[key] = static_cast<std::uint8_t>(lane);
    ++next[lane];
  });
  unsigned begin = 0;
  for (unsigned lane = 0; begin != static_cast<unsigned>(std::popcount(wanted)); ++lane) {
    const unsigned end = begin + next[lane];
    next[lane] = static_cast<std::uint8_t>(begin);
    if (end != begin) add_run(lane, begin, end);
    begin = end;
  }
  for_each_bit(wanted, [&](unsigned key) {
    const unsigned at = next[lane_of[key]]++;
    hash_[at] = hashes[key];
    key_[at] = static_cast<std::uint8_t>(key);
  });
}

void NumberSearch::add_run(unsigned lane, unsigned begin, unsigned end) noexcept {
  const Tree& tree = set_.trees[set_.layout->tree_of(Form::kCompact, lane)];
  Run& run = runs_[run_count_++];
  run.tree = &tree;
  run.active = tree.active != nullptr && !tree.active->empty() ? tree.active.get() : nullptr;
  run.last = nullptr;
  run.begin = static_cast<std::uint8_t>(begin);
  run.end = static_cast<std::uint8_t>(end);
  run.count = run.upper = 0;
  bool ready = tree.segments.size() <= kMaxSegments;
  if (ready) {
    for (const SegmentPtr& segment : tree.segments) {
      const Segment::View* const view = segment->damaged() ? nullptr : segment->segment().ready();
      ready = ready && view != nullptr;
      run.view[run.count++] = view;
    }
  }
  if (!ready) {
    left_ |= run.keys();
    run.count = 0;
  }
  if (run.count == 0) return;
  const Segment::View* const oldest = run.view[run.count - 1];
  if (!oldest->filter.there()) run.last = oldest;
  run.upper = run.last == nullptr ? run.count : run.count - 1;
}

// Newest first.
template <class Each>
inline void NumberSearch::for_each_overlay(const Run& run, const Each& each) {
  if (run.active != nullptr) each(*run.active);
  for (const auto& overlay : run.tree->sealed)
    each(*overlay);
}

void NumberSearch::prefetch_filters(const Run& run) noexcept {
  for_each_overlay(run, [&](const Overlay& overlay) {
    for (unsigned at = run.begin; at != run.end; ++at)
      overlay.filter().prefetch(hash_[at]);
  });
  for (unsigned level = 0; level < run.upper; ++level) {
    for (unsigned at = run.begin; at != run.end; ++at)
      run.view[level]->filter.prefetch(hash_[at]);
  }
  if (run.last != nullptr)
    run.last->function.locate<Distance::kFar>(&hash_[run.begin], run.end - run.begin,
                                              &pilots_[run.begin]);
}

// Keys of the run that pass.
template <class Filter>
inline std::uint64_t NumberSearch::passed(const Run& run, const Filter& filter) const noexcept {
  std::uint64_t bits = 0;
  for (unsigned at = run.begin; at != run.end; ++at)
    bits |= static_cast<std::uint64_t>(filter.passes(hash_[at])) << at;
  return bits;
}

void NumberSearch::filter_overlays(const Run& run) noexcept {
  for_each_overlay(run, [&](const Overlay& overlay) {
    const std::uint64_t may = passed(run, overlay.filter());
    for_each_bit(may, [&](unsigned at) { overlay.prefetch_slot(hash_[at]); });
    in_overlay_ |= may;
  });
}

void NumberSearch::filter_upper(const Run& run) noexcept {
  std::array<std::uint64_t, kMaxSegments> may;
  std::uint64_t any = 0;
  for (unsigned level = 0; level < run.upper; ++level)
    any |= may[level] = passed(run, run.view[level]->filter);
  for_each_bit(any, [&](unsigned at) {
    unsigned levels = 0;
    for (unsigned level = 0; level < run.upper; ++level)
      levels |= static_cast<unsigned>(may[level] >> at & 1) << level;
    add_candidate({.run = &run, .at = static_cast<std::uint8_t>(at)}, levels);
  });
  in_upper_ |= any;
}

void NumberSearch::prefetch_last(const Run& run, std::uint64_t keys) noexcept {
  if (run.last == nullptr) return;
  for_each_bit(keys & run.keys(), [&](unsigned at) {
    records_[at] = prefetch_record(*run.last, hash_[at], pilots_[at]);
  });
}

void NumberSearch::search_overlays(const Run& run) noexcept {
  for_each_bit(in_overlay_ & run.keys(), [&](unsigned at) {
    bool found = false;
    for_each_overlay(run, [&](const Overlay& overlay) {
      found = found || overlay.find(hash_[at], values_[key_[at]]);
    });
    found_ |= static_cast<std::uint64_t>(found) << at;
  });
}

// In the newest of `levels`.
void NumberSearch::add_candidate(Candidate candidate, unsigned levels) noexcept {
  candidate.level = static_cast<std::uint8_t>(std::countr_zero(levels));
  candidate.behind = static_cast<std::uint8_t>(levels & (levels - 1));
  const index::PhfView& function = candidate.run->view[candidate.level]->function;
  candidate.pilot = function.pilot_index(hash_[candidate.at]);
  function.prefetch_pilot<Distance::kFar>(candidate.pilot);
  candidate_[candidates_++] = candidate;
}

void NumberSearch::prefetch_candidates() noexcept {
  for (unsigned i = 0; i < candidates_; ++i) {
    Candidate& of = candidate_[i];
    of.record = prefetch_record(*of.run->view[of.level], hash_[of.at], of.pilot);
  }
}

// One segment for each candidate; those that are not there go on to their next one.
void NumberSearch::probe_candidates() noexcept {
  const unsigned count = candidates_;
  candidates_ = 0;
  for (unsigned i = 0; i < count; ++i) {
    const Candidate of = candidate_[i];
    if ((found_ & bit(of.at)) != 0) continue;  // in an overlay
    if (Record::matches(of.record, hash_[of.at])) {
      values_[key_[of.at]] = Record::value(of.record);
      found_ |= bit(of.at);
      counts_.probes += of.level + 1U;
      continue;
    }
    counts_.false_positives += of.run->view[of.level]->filter.there();
    if (of.behind != 0) add_candidate(of, of.behind);
  }
}

void NumberSearch::search_upper() noexcept {
  while (candidates_ != 0) {
    probe_candidates();
    prefetch_candidates();
  }
}

// Most keys of a large index are found here, or nowhere.
void NumberSearch::search_last(const Run& run) noexcept {
  const std::uint64_t keys = run.keys() & ~(found_ | left_);
  counts_.probes += std::uint64_t{run.count} * static_cast<unsigned>(std::popcount(keys));
  if (run.last == nullptr) return;
  for_each_bit(keys, [&](unsigned at) {
    if (!Record::matches(records_[at], hash_[at])) return;
    values_[key_[at]] = Record::value(records_[at]);
    found_ |= bit(at);
  });
}

// As the caller has the keys.
std::uint64_t NumberSearch::ungroup(std::uint64_t bits) const noexcept {
  std::uint64_t keys = 0;
  for_each_bit(bits, [&](unsigned at) { keys |= bit(key_[at]); });
  return keys;
}

std::uint64_t NumberSearch::run(const Hash128* hashes, std::uint64_t wanted) noexcept {
  group(hashes, wanted);
  const std::span runs(runs_.data(), run_count_);
  for (const Run& run : runs)
    prefetch_filters(run);
  for (const Run& run : runs) {
    filter_overlays(run);
    filter_upper(run);
    prefetch_last(run, ~(in_overlay_ | in_upper_));
  }
  prefetch_candidates();
  // Everything is on its way; the newest answer counts.
  for (const Run& run : runs)
    search_overlays(run);
  search_upper();
  // Filters are seldom wrong.
  if (const std::uint64_t wrong = (in_overlay_ | in_upper_) & ~found_; wrong != 0) {
    for (const Run& run : runs)
      prefetch_last(run, wrong);
  }
  for (const Run& run : runs)
    search_last(run);
  left_ = ungroup(left_ & ~found_);
  return ungroup(found_);
}

}  // namespace sluice::controlplane::store
