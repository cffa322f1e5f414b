// What the index consists of at one moment: layouts (how keys are hashed and spread over lanes),
// and for each lane and form a tree: the overlay that takes writes, sealed overlays that wait to be
// written out, and segments. A Version never changes; the engine replaces it as a whole. Readers
// see it under an epoch guard, everything longer (snapshots, compaction, backups) shares ownership.
// During a migration there are two sets of trees: what the current one does not say, the old does.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/key_hash.hpp"
#include "controlplane/store/lane.hpp"
#include "controlplane/store/manifest.hpp"
#include "controlplane/store/overlay/overlay.hpp"
#include "controlplane/store/segment/segment.hpp"

namespace sluice::controlplane::store {

constexpr IdPasses id_passes(std::uint32_t segment_format) noexcept {
  return segment_format >= kFirstOnePassFormat ? IdPasses::kOne : IdPasses::kTwo;
}

struct Layout {
  Layout(std::uint32_t number, const HashKey& hash_key, unsigned lane_count,
         std::uint32_t segment_format) noexcept
      : id(number),
        key(hash_key),
        hasher(hash_key, id_passes(segment_format)),
        lanes(lane_count),
        format(segment_format) {}

  // Every key has the same hash in both.
  bool same_hashes(const Layout& other) const noexcept {
    return key == other.key && id_passes(format) == id_passes(other.format);
  }
  std::size_t trees() const noexcept { return 2 * std::size_t{lanes.lanes()}; }
  std::size_t tree_of(Form form, unsigned lane) const noexcept {
    return (form == Form::kExact ? lanes.lanes() : 0) + lane;
  }
  std::size_t tree_of(Form form, const Hash128& hash) const noexcept {
    return tree_of(form, lanes.of(hash));
  }

  const std::uint32_t id;
  const HashKey key;
  const KeyHasher hasher;
  const LaneTable lanes;
  const std::uint32_t format;
};

// An open segment and its place in the manifest. The file is removed by the last owner once no
// manifest names it any more, while the store is locked: later it is not ours any more, and the
// next open removes it as a stray file.
class SegmentHandle {
 public:
  // `lock`: of its store; without one the file is never removed.
  SegmentHandle(Fs& fs, std::string path, SegmentRef ref, std::shared_ptr<const Segment> segment,
                std::weak_ptr<const FileLock> lock = {}) noexcept
      : fs_(fs),
        path_(std::move(path)),
        ref_(ref),
        segment_(std::move(segment)),
        lock_(std::move(lock)) {}
  ~SegmentHandle();
  SegmentHandle(const SegmentHandle&) = delete;
  SegmentHandle& operator=(const SegmentHandle&) = delete;

  // False: it could not be opened, and is damaged.
  bool opened() const noexcept { return segment_ != nullptr; }
  const Segment& segment() const noexcept { return *segment_; }
  const SegmentRef& ref() const noexcept { return ref_; }
  const std::string& path() const noexcept { return path_; }

  // Nothing is read from a damaged segment any more.
  bool damaged() const noexcept { return damaged_.load(std::memory_order_relaxed); }
  void set_damaged() const noexcept { damaged_.store(true, std::memory_order_relaxed); }
  // No manifest names the file any more.
  void set_obsolete() const noexcept { obsolete_.store(true, std::memory_order_relaxed); }

 private:
  Fs& fs_;
  const std::string path_;
  const SegmentRef ref_;
  const std::shared_ptr<const Segment> segment_;
  const std::weak_ptr<const FileLock> lock_;
  mutable std::atomic<bool> damaged_{false};
  mutable std::atomic<bool> obsolete_{false};
};
using SegmentPtr = std::shared_ptr<const SegmentHandle>;

struct Tree {
  Form form = Form::kCompact;
  unsigned lane = 0;
  std::uint64_t flushed_sequence = 0;  // every entry of the tree up to it is in segments
  std::shared_ptr<Overlay> active;     // null in an old layout, which takes no writes
  std::vector<std::shared_ptr<const Overlay>> sealed;  // newest first
  std::vector<SegmentPtr> segments;                    // newest first

  // Sums; a key that is in several counts several times.
  std::uint64_t sealed_entries() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& overlay : sealed)
      sum += overlay->entries();
    return sum;
  }
  std::uint64_t overlay_entries() const noexcept {
    return sealed_entries() + (active != nullptr ? active->entries() : 0);
  }
  std::uint64_t segment_entries() const noexcept {
    std::uint64_t sum = 0;
    for (const SegmentPtr& segment : segments)
      sum += segment->ref().entries;
    return sum;
  }
  std::uint64_t segment_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const SegmentPtr& segment : segments)
      sum += segment->ref().bytes;
    return sum;
  }
};

struct TreeSet {
  std::shared_ptr<const Layout> layout;
  std::vector<Tree> trees;  // by Layout::tree_of
};

struct Version {
  TreeSet current;
  std::optional<TreeSet> old;  // being migrated from: segments only
};

// The error of whoever needs a damaged file.
Error damaged_error(const SegmentHandle& segment);

}  // namespace sluice::controlplane::store
