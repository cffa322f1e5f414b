#include "controlplane/store/care/rewrite.hpp"

#include <memory>
#include <utility>

#include "controlplane/store/compaction/merge.hpp"
#include "controlplane/store/compaction/segment_job.hpp"
#include "controlplane/store/overlay/overlay_source.hpp"

namespace sluice::controlplane::store {
namespace {

// Collects entries in random order as sorted runs on the disk, and merges these at the end. (Sorted
// input would make runs of neighbours, which the perfect hash function cannot spread.)
class TreeRewriter {
 public:
  TreeRewriter(Core& core, const Layout& layout, Form form, Pace pace)
      : core_(core), layout_(layout), form_(form), pace_(pace) {}

  Status add(const Entry& entry) {
    if (overlay_ != nullptr && !overlay_->fits(1, entry.key.size() + entry.value.size())) {
      if (const Status spilled = spill(); !spilled) return spilled;
    }
    if (overlay_ == nullptr) overlay_ = core_.new_overlay(layout_, form_);
    overlay_->apply(entry, layout_.hasher);
    return {};
  }

  Result<SegmentPtr> finish() {
    std::vector<std::unique_ptr<EntrySource>> sources;
    std::uint64_t expected = 0;
    if (overlay_ != nullptr) {
      expected += overlay_->entries();
      sources.push_back(std::make_unique<OverlaySource>(std::move(overlay_)));
    }
    for (const SegmentPtr& run : runs_) {
      expected += run->ref().entries;
      sources.push_back(watched_source(core_, run));
    }
    if (sources.empty()) return SegmentPtr();
    return merge_to_segment(core_, layout_, form_, std::move(sources), expected, true, pace_);
  }

 private:
  Status spill() {
    const std::uint64_t expected = overlay_->entries();
    std::vector<std::unique_ptr<EntrySource>> source;
    source.push_back(std::make_unique<OverlaySource>(std::move(overlay_)));
    overlay_ = nullptr;
    auto run = merge_to_segment(core_, layout_, form_, std::move(source), expected, true, pace_);
    if (!run) return std::unexpected(std::move(run).error());
    if (*run == nullptr) return {};
    (*run)->set_obsolete();  // never in a manifest: goes when it has been merged
    runs_.push_back(*std::move(run));
    return {};
  }

  Core& core_;
  const Layout& layout_;
  const Form form_;
  const Pace pace_;
  std::shared_ptr<Overlay> overlay_;
  std::vector<SegmentPtr> runs_;
};

// What was written so far: gone again unless all of it could be, because it is tried again, and
// again, and the disk may be full.
class MadeSegments {
 public:
  MadeSegments() = default;
  MadeSegments(const MadeSegments&) = delete;
  MadeSegments& operator=(const MadeSegments&) = delete;
  ~MadeSegments() {
    for (const SegmentPtr& segment : segments_)
      if (segment != nullptr) segment->set_obsolete();
  }

  void add(SegmentPtr segment) { segments_.push_back(std::move(segment)); }
  std::vector<SegmentPtr> take() { return std::exchange(segments_, {}); }

 private:
  std::vector<SegmentPtr> segments_;
};

// What a tree of the old layout holds, merged; counts on the way.
class OldTreeSource final : public EntrySource {
 public:
  OldTreeSource(std::unique_ptr<EntrySource> merged, RewriteProgress& progress)
      : merged_(std::move(merged)), progress_(progress) {}

  Result<bool> next(Entry& entry) override {
    progress_.done.fetch_add(1, std::memory_order_relaxed);
    return merged_->next(entry);
  }

  static Result<std::unique_ptr<EntrySource>> open(Core& core, const Tree& tree,
                                                   RewriteProgress& progress) {
    std::vector<std::unique_ptr<EntrySource>> sources;
    for (const SegmentPtr& segment : tree.segments) {
      if (segment->damaged()) return std::unexpected(damaged_error(*segment));
      sources.push_back(watched_source(core, segment));
    }
    return std::make_unique<OldTreeSource>(merge(std::move(sources), true), progress);
  }

 private:
  std::unique_ptr<EntrySource> merged_;
  RewriteProgress& progress_;
};

// Those entries that belong to one lane, in the order they come.
class LaneSource final : public EntrySource {
 public:
  LaneSource(std::unique_ptr<EntrySource> source, const LaneTable& lanes, unsigned lane)
      : source_(std::move(source)), lanes_(lanes), lane_(lane) {}

  Result<bool> next(Entry& entry) override {
    for (;;) {
      auto more = source_->next(entry);
      if (!more || !*more || lanes_.of(entry.hash) == lane_) return more;
    }
  }

 private:
  std::unique_ptr<EntrySource> source_;
  const LaneTable& lanes_;
  const unsigned lane_;
};

std::uint64_t entries_of(const Tree& tree) noexcept {
  std::uint64_t entries = 0;
  for (const SegmentPtr& segment : tree.segments)
    entries += segment->ref().entries;
  return entries;
}

bool share_keys(const LaneTable& a, unsigned lane_a, const LaneTable& b, unsigned lane_b) noexcept {
  for (std::uint64_t slot = 0; slot < LaneTable::kSlots; ++slot) {
    const Hash128 hash{0, slot << (64 - LaneTable::kSlotBits)};
    if (a.of(hash) == lane_a && b.of(hash) == lane_b) return true;
  }
  return false;
}

// The hashes stay, and with them the order: each new tree is a merge of the old ones that its keys
// come from. An old tree is read once for each new lane that takes from it.
Result<std::vector<SegmentPtr>> rewrite_in_order(Core& core, const Version& version, Pace pace,
                                                 RewriteProgress& progress) {
  const Layout& from = *version.old->layout;
  const Layout& to = *version.current.layout;
  const auto takes = [&](const Tree& target, const Tree& tree) {
    return tree.form == target.form && share_keys(from.lanes, tree.lane, to.lanes, target.lane);
  };
  std::uint64_t total = 0;
  for (const Tree& target : version.current.trees) {
    for (const Tree& tree : version.old->trees)
      total += takes(target, tree) ? entries_of(tree) : 0;
  }
  progress.total.store(total);
  MadeSegments made;
  for (const Tree& target : version.current.trees) {
    std::vector<std::unique_ptr<EntrySource>> sources;
    std::uint64_t expected = 0;
    for (const Tree& tree : version.old->trees) {
      if (!takes(target, tree) || tree.segments.empty()) continue;
      auto source = OldTreeSource::open(core, tree, progress);
      if (!source) return std::unexpected(std::move(source).error());
      sources.push_back(std::make_unique<LaneSource>(*std::move(source), to.lanes, target.lane));
      expected += entries_of(tree);
    }
    if (sources.empty()) {
      made.add(nullptr);
      continue;
    }
    auto segment =
        merge_to_segment(core, to, target.form, std::move(sources), expected, true, pace);
    if (!segment) return std::unexpected(std::move(segment).error());
    made.add(*std::move(segment));
  }
  return made.take();
}

// Another hash key: everything comes in an order that has nothing to do with the new one.
Result<std::vector<SegmentPtr>> rewrite_by_sorting(Core& core, const Version& version, Pace pace,
                                                   RewriteProgress& progress) {
  const Layout& layout = *version.current.layout;
  std::vector<TreeRewriter> trees;
  for (const Tree& tree : version.current.trees)
    trees.emplace_back(core, layout, tree.form, pace);
  std::uint64_t total = 0;
  for (const Tree& tree : version.old->trees)
    total += entries_of(tree);
  progress.total.store(total);
  for (const Tree& tree : version.old->trees) {
    const auto source = OldTreeSource::open(core, tree, progress);
    if (!source) return std::unexpected(source.error());
    Entry entry;
    for (;;) {
      const auto more = (*source)->next(entry);
      if (!more) return std::unexpected(more.error());
      if (!*more) break;
      entry.hash = layout.hasher(entry.table, entry.tenant, entry.key);
      const std::size_t to = layout.tree_of(tree.form, entry.hash);
      if (const Status added = trees[to].add(entry); !added) return std::unexpected(added.error());
    }
  }
  MadeSegments made;
  for (TreeRewriter& tree : trees) {
    auto segment = tree.finish();
    if (!segment) return std::unexpected(std::move(segment).error());
    made.add(*std::move(segment));
  }
  return made.take();
}

}  // namespace

Result<std::vector<SegmentPtr>> rewrite_layout(Core& core, const Version& version, Pace pace,
                                               RewriteProgress& progress) {
  progress.done.store(0);
  return version.old->layout->same_hashes(*version.current.layout)
             ? rewrite_in_order(core, version, pace, progress)
             : rewrite_by_sorting(core, version, pace, progress);
}

}  // namespace sluice::controlplane::store
