// One immutable segment file, mapped: what the index reads from below the overlays. open() looks at
// the header and the list of checksums only; each block of 64 KiB is checked when it is first
// touched, so that damage is never served; verify() checks all. Once the hot blocks are known to be
// good, look-ups do not ask any more.
//
// Any number of threads; nothing is ever written to the file. The mapping ends with the last owner.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "controlplane/store/entry_source.hpp"
#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/filter/segment_filter.hpp"
#include "controlplane/store/overlay/zeroed_memory.hpp"
#include "controlplane/store/segment/entry_codec.hpp"
#include "controlplane/store/segment/segment_blocks.hpp"
#include "controlplane/store/segment/segment_format.hpp"
#include "sluice/base/result.hpp"
#include "sluice/index/phf.hpp"

namespace sluice::controlplane::store {

class Segment : public std::enable_shared_from_this<Segment> {
 public:
  enum class Found : std::uint8_t { kNo, kYes, kDamaged };

  static Result<std::shared_ptr<const Segment>> open(Fs& fs, const std::string& path);

  const SegmentInfo& info() const noexcept { return info_; }
  const std::string& path() const noexcept { return path_; }

  // Compact form; n <= 64. Sets bit i of `found` and values[i] (kDeletedValue: deleted here) for
  // keys that are in the segment; leaves the others as they are. False: a block that was needed is
  // damaged, nothing of the result counts, damage() says which. `filtered`, when given, is counted
  // up by the keys that the filter kept from further work, `false_positives` by those that it let
  // through and that were not there.
  struct Counts {
    std::uint64_t filtered = 0;
    std::uint64_t false_positives = 0;
  };
  [[nodiscard]] bool lookup(const Hash128* hashes, unsigned n, std::uint64_t* values,
                            std::uint64_t& found, Counts* counts = nullptr) const noexcept;

  // What look-ups touch: in the file, or the copy of it. For look-ups in several segments at once.
  struct View {
    index::PhfView function;
    SegmentFilter filter;
    const std::uint8_t* records = nullptr;
  };
  // Null while blocks have to be checked when they are touched. Stays once it is there.
  const View* ready() const noexcept {
    const View* const loaded = loaded_.load(std::memory_order_acquire);
    return loaded != nullptr || !blocks_.hot_good() ? loaded : &mapped_;
  }

  // Exact form: the entries of one key, newest first; see KeyEntries.
  class KeyEntries;
  Found find(const Hash128& hash, KeyEntries& entries, Counts* counts = nullptr) const noexcept;

  // All entries in order, from the first whose hash.lo is at least this. Keeps the segment alive.
  std::unique_ptr<EntrySource> source(std::uint64_t from_lo = 0) const;

  // Reads every byte, also of blocks that were good before. The progress gets bytes and may return
  // false to stop (kUnavailable, "cancelled"). kCorrupt names file, section and offset.
  Status verify(const std::function<bool(std::uint64_t done, std::uint64_t total)>& progress) const;
  // What a look-up met; fine (no error) while it met nothing.
  Status damage() const;

  // Copies what look-ups touch out of the file's pages of 4 KiB into huge pages, checked once more:
  // look-ups in a large segment then cost a third. One thread; others may look up meanwhile.
  // Without the memory for it everything stays as it is.
  Status load_hot() const;

 private:
  friend class SegmentSource;
  struct HotCopy {
    explicit HotCopy(std::size_t bytes) : memory(bytes) {}
    ZeroedMemory memory;
    View view;
  };
  View view_at(const std::uint8_t* records) const noexcept;
  SegmentFilter filter_at(const std::uint8_t* filter, const std::uint8_t* seeds) const noexcept;
  template <bool kChecked>
  class Pass;

  Segment(std::string path, std::shared_ptr<const Mapping> mapping, const SegmentHeader& header);

  template <bool kChecked>
  bool lookup_burst(const View& view, const Hash128* hashes, unsigned n, std::uint64_t* values,
                    std::uint64_t& found, Counts* counts) const noexcept;
  template <bool kChecked>
  Found find_one(const View& view, const Hash128& hash, KeyEntries& entries,
                 Counts* counts) const noexcept;

  const std::string path_;
  const std::shared_ptr<const Mapping> mapping_;
  const SegmentHeader header_;
  const SegmentInfo info_;
  const std::uint8_t* const bytes_;  // of the file
  const View mapped_;
  mutable SegmentBlocks blocks_;
  mutable std::unique_ptr<const HotCopy> copy_;
  mutable std::atomic<const View*> loaded_{nullptr};  // copy_'s; released when complete
};

// One key in a segment of exact form: the newest kPut or kDelete, or operations on elements newest
// first and then, when the set was cleared, a kDelete. Spans point into the file and live as long
// as the segment.
class Segment::KeyEntries {
 public:
  // False at the end, and when the bytes are no entry (then damaged() is set).
  bool next(Entry& entry) noexcept;
  std::uint32_t left() const noexcept { return left_; }
  bool damaged() const noexcept { return damaged_; }

 private:
  friend class Segment;
  EntryReader reader_;
  Hash128 hash_;
  std::uint32_t left_ = 0;
  bool damaged_ = false;
};

}  // namespace sluice::controlplane::store
