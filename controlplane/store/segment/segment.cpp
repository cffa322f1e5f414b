#include "controlplane/store/segment/segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>

#include "controlplane/store/segment/segment_source.hpp"
#include "sluice/base/prefetch.hpp"

namespace sluice::controlplane::store {

using index::Record;

namespace {

std::unexpected<Error> damaged(const std::string& path, std::string_view section,
                               std::uint64_t offset, std::string_view what) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("{}: {}: offset {}: {}", path, section, offset, what),
              ErrorOrigin::kStore);
}

// Everything that the rest relies on. What it reads is already under a good checksum, but a file
// may have been made by somebody else.
bool plausible(const SegmentHeader& header, std::uint64_t file_bytes) noexcept {
  if (header.header_bytes != sizeof header) return false;
  if (header.form == 0 || header.form > kMaxForm || header.has_filter > 1) return false;
  if (!index::valid(header.function())) return false;
  if (!header.valid_filter()) return false;
  if (header.cold_bytes > file_bytes || header.fences > file_bytes) return false;
  if (header.keys > header.entries || header.keys > header.function().slot_count()) return false;
  SegmentHeader expected = header;
  set_segment_offsets(expected);
  return std::memcmp(&expected, &header, sizeof header) == 0;
}

}  // namespace

Result<std::shared_ptr<const Segment>> Segment::open(Fs& fs, const std::string& path) {
  Result<std::unique_ptr<File>> file = fs.open(path, OpenMode::kRead);
  if (!file) return std::unexpected(std::move(file).error());
  Result<std::shared_ptr<const Mapping>> mapping = (*file)->map();
  if (!mapping) return std::unexpected(std::move(mapping).error());
  const std::span<const std::uint8_t> bytes = (*mapping)->bytes();
  if (bytes.size() < kSegmentAlignment) {
    return damaged(path, "header", bytes.size(), "the file ends before its header does");
  }
  const auto header = load<SegmentHeader>(bytes.data());
  if (header.magic != kSegmentMagic) return damaged(path, "header", 0, "this is no segment");
  // First: what names another format must not be a flipped bit.
  if (segment_header_check(bytes.first<kSegmentAlignment>()) != header.header_check) {
    return damaged(path, "header", offsetof(SegmentHeader, header_check), "wrong checksum");
  }
  if (!known_format(header.format)) return std::unexpected(unknown_format(path, header.format));
  if (!plausible(header, bytes.size())) {
    if (header.total_bytes > bytes.size()) {
      return damaged(path, "header", bytes.size(), "the file ends before its content does");
    }
    return damaged(path, "header", 0, "sizes that cannot be");
  }
  if (header.total_bytes != bytes.size()) {
    return damaged(path, "header", std::min<std::uint64_t>(header.total_bytes, bytes.size()),
                   header.total_bytes > bytes.size() ? "the file ends before its content does"
                                                     : "the file goes on after its content");
  }
  if (crc32c(bytes.subspan(header.checksums_offset)) != header.checksums_check) {
    return damaged(path, "checksums", header.checksums_offset, "wrong checksum");
  }
  return std::shared_ptr<const Segment>(new Segment(path, *std::move(mapping), header));
}

Segment::Segment(std::string path, std::shared_ptr<const Mapping> mapping,
                 const SegmentHeader& header)
    : path_(std::move(path)),
      mapping_(std::move(mapping)),
      header_(header),
      info_(info_of(header)),
      bytes_(mapping_->bytes().data()),
      mapped_(view_at(bytes_ + header.records_offset)),
      blocks_(mapping_->bytes(), bytes_ + header.checksums_offset, header.checksum_count,
              header.records_offset, header.fences_offset) {
  mapping_->advise(Advice::kRandom, header.records_offset,
                   header.fences_offset - header.records_offset);
}

Segment::View Segment::view_at(const std::uint8_t* records) const noexcept {
  const auto at = [&](std::uint64_t offset) { return records + (offset - header_.records_offset); };
  return {.function = {header_.function(), at(header_.seeds_offset), at(header_.pilots_offset)},
          .filter = filter_at(at(header_.filter_offset), at(header_.seeds_offset) + header_.parts),
          .records = records};
}

SegmentFilter Segment::filter_at(const std::uint8_t* filter,
                                 const std::uint8_t* seeds) const noexcept {
  if (header_.has_filter == 0) return {};
  if (!header_.has_block_filter())
    return SegmentFilter(FuseFilterView(header_.fuse_filter(), seeds, filter));
  return SegmentFilter(
      BlockFilter(reinterpret_cast<const BlockFilter::Word*>(filter), header_.filter_segments));
}

Status Segment::load_hot() const {
  if (copy_ != nullptr) return {};
  const std::uint64_t size = header_.fences_offset - header_.records_offset;
  if (!blocks_.check(header_.records_offset, size)) return damage();
  try {
    auto copy = std::make_unique<HotCopy>(size);
    auto* const to = static_cast<std::uint8_t*>(copy->memory.data());
    std::memcpy(to, bytes_ + header_.records_offset, size);
    copy->view = view_at(to);
    copy_ = std::move(copy);
  } catch (const std::bad_alloc&) {
    return {};
  }
  loaded_.store(&copy_->view, std::memory_order_release);  // pairs with lookup and find
  mapping_->advise(Advice::kDontNeed, header_.records_offset, size);
  return {};
}

// The steps of a look-up; kChecked: every block is checked before anything in it is used.
template <bool kChecked>
class Segment::Pass {
 public:
  Pass(const Segment& segment, const View& view) noexcept : s_(segment), view_(view) {}

  // Keys that may be here, by position; the others are counted.
  bool filter(const Hash128* hashes, unsigned n, std::uint8_t* live, unsigned& count,
              Counts* counts) noexcept {
    count = 0;
    if (!s_.info_.filter) {
      for (unsigned i = 0; i < n; ++i)
        live[count++] = static_cast<std::uint8_t>(i);
      return true;
    }
    if (!good(s_.bytes_ + s_.header_.seeds_offset, 2 * std::uint64_t{s_.header_.parts})) {
      return false;
    }
    for (unsigned i = 0; i < n; ++i)
      view_.filter.prefetch(hashes[i]);
    for (unsigned i = 0; i < n; ++i) {
      const bool readable = view_.filter.readable(
          hashes[i], [&](const std::uint8_t* at, std::uint64_t size) { return good(at, size); });
      if (!readable) return false;
      live[count] = static_cast<std::uint8_t>(i);
      count += view_.filter.passes(hashes[i]);
    }
    if (counts != nullptr) counts->filtered += n - count;
    return true;
  }

  // The records of the live keys, near.
  bool locate(const Hash128* hashes, const std::uint8_t* live, unsigned count,
              const std::uint8_t** records) noexcept {
    std::uint32_t at[index::kMaxPhfBurst];
    for (unsigned i = 0; i < count; ++i) {
      at[i] = view_.function.pilot_index(hashes[live[i]]);
      view_.function.prefetch_pilot<Distance::kFar>(at[i]);
    }
    if (!good(s_.bytes_ + s_.header_.seeds_offset, s_.header_.parts)) return false;
    const std::uint64_t size = record_bytes(s_.info_.form);
    for (unsigned i = 0; i < count; ++i) {
      if (!good(s_.bytes_ + s_.header_.pilots_offset + at[i], 1)) return false;
      const std::uint32_t slot = view_.function.slot(hashes[live[i]], at[i]);
      records[i] = view_.records + slot * size;
      prefetch_far(records[i]);
      prefetch_far(records[i] + size - 1);
    }
    for (unsigned i = 0; i < count; ++i)
      if (!good(records[i], size)) return false;
    return true;
  }

 private:
  bool good(const std::uint8_t* at, std::uint64_t size) noexcept {
    if constexpr (!kChecked) return true;
    return s_.blocks_.check(static_cast<std::uint64_t>(at - s_.bytes_), size);
  }

  const Segment& s_;
  const View& view_;  // with kChecked: of the file
};

template <bool kChecked>
bool Segment::lookup_burst(const View& view, const Hash128* hashes, unsigned n,
                           std::uint64_t* values, std::uint64_t& found,
                           Counts* counts) const noexcept {
  Pass<kChecked> pass(*this, view);
  std::uint8_t live[index::kMaxPhfBurst];
  const std::uint8_t* records[index::kMaxPhfBurst];
  unsigned count = 0;
  if (!pass.filter(hashes, n, live, count, counts)) return false;
  if (!pass.locate(hashes, live, count, records)) return false;
  unsigned hits = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (!Record::matches(records[i], hashes[live[i]])) continue;
    values[live[i]] = Record::value(records[i]);
    found |= std::uint64_t{1} << live[i];
    ++hits;
  }
  if (counts != nullptr && info_.filter) counts->false_positives += count - hits;
  return true;
}

bool Segment::lookup(const Hash128* hashes, unsigned n, std::uint64_t* values, std::uint64_t& found,
                     Counts* counts) const noexcept {
  const View* const view = ready();
  return view != nullptr ? lookup_burst<false>(*view, hashes, n, values, found, counts)
                         : lookup_burst<true>(mapped_, hashes, n, values, found, counts);
}

template <bool kChecked>
Segment::Found Segment::find_one(const View& view, const Hash128& hash, KeyEntries& entries,
                                 Counts* counts) const noexcept {
  Pass<kChecked> pass(*this, view);
  std::uint8_t live[index::kMaxPhfBurst];
  const std::uint8_t* record = nullptr;
  unsigned count = 0;
  if (!pass.filter(&hash, 1, live, count, counts)) return Found::kDamaged;
  if (count == 0) return Found::kNo;
  if (!pass.locate(&hash, live, 1, &record)) return Found::kDamaged;
  const auto entry_count = load<std::uint32_t>(record + 24);
  if (load<Hash128>(record) != hash || entry_count == 0) {
    if (counts != nullptr && info_.filter) ++counts->false_positives;
    return Found::kNo;
  }
  const auto offset = load<std::uint64_t>(record + 16);
  const std::uint64_t end = kSegmentAlignment + header_.cold_bytes;
  if (offset < kSegmentAlignment || offset >= end) {
    blocks_.set_damaged(header_.records_offset + static_cast<std::uint64_t>(record - view.records));
    return Found::kDamaged;
  }
  entries.reader_ = EntryReader(bytes_, offset, end, info_.form, info_.format, blocks_);
  entries.hash_ = hash;
  entries.left_ = entry_count;
  entries.damaged_ = false;
  return Found::kYes;
}

Segment::Found Segment::find(const Hash128& hash, KeyEntries& entries,
                             Counts* counts) const noexcept {
  const View* const view = ready();
  return view != nullptr ? find_one<false>(*view, hash, entries, counts)
                         : find_one<true>(mapped_, hash, entries, counts);
}

bool Segment::KeyEntries::next(Entry& entry) noexcept {
  if (left_ == 0 || damaged_) return false;
  damaged_ = (!reader_.next(entry) || entry.hash != hash_) && !reader_.set_damaged();
  --left_;
  return !damaged_;
}

std::unique_ptr<EntrySource> Segment::source(std::uint64_t from_lo) const {
  return std::make_unique<SegmentSource>(shared_from_this(), from_lo);
}

Status Segment::verify(
    const std::function<bool(std::uint64_t done, std::uint64_t total)>& progress) const {
  std::uint64_t done = kSegmentAlignment;
  for (std::uint32_t block = 0; block < blocks_.count(); ++block) {
    if (!blocks_.check_again(block)) {
      const std::uint64_t offset = SegmentBlocks::offset_of(block);
      return damaged(path_, segment_section(header_, offset), offset, "wrong checksum of a block");
    }
    done += blocks_.size_of(block);
    if (!progress(done, header_.total_bytes)) {
      return fail(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
    }
  }
  return damage();
}

Status Segment::damage() const {
  const std::uint64_t offset = blocks_.damaged_at();
  if (offset == 0) return {};
  return damaged(path_, segment_section(header_, offset), offset, "damaged");
}

}  // namespace sluice::controlplane::store
