// The segment file: formats 1 to 3. Written once by SegmentWriter, read by Segment. All numbers
// are little-endian.
//
//   header page | cold | records | pilots | filter | seeds | fences | checksums
//
// cold: the entries in hash order, one after another; the rest is for finding them. Sections from
//   records on are at multiples of 4096.
//   format 1: hash 16, sequence 8, table 1, op 1, tenant 2, key size 2, value size 2, key, value
//     (compact: the value is 8 bytes, the number)
//   format 2: first 1: op in bits 0-2; bit 3: the key has 16 bytes; bit 4: same key as the entry
//     before, so hash, table, tenant and key are left out (never at the first entry of a key). Then
//     hash 16, table 1, tenant, sequence, key size (when bit 3 is not set), value size (exact, when
//     the op has a value), key, value (compact: 7 bytes). Sizes, tenant and sequence are varints
//     (LEB128). 10 to 40 bytes of each entry less to read and write in compaction.
//   format 3: as 2, with another filter; and in an index of this format, ids are hashed in one pass
//   (key_hash.hpp).
// records: by slot of the function. compact: 12 bytes (sluice/index/record.hpp), kDeletedValue for
//   a deletion and in empty slots. exact: 32 bytes: hash 16, offset of the first entry of the key
//   8, number of its entries 4, zero 4; in empty slots the number is 0.
// filter: formats 1 and 2: binary fuse (fuse_filter.hpp), one for each part of the function; format
//   3: blocks (block_filter.hpp). Absent in the bottom segment of a tree.
// fences: hash.lo and offset of an entry after each 64 KiB of cold, for reading from a place.
// checksums: CRC-32C of each block of 64 KiB of the bytes from 4096 to the checksums; they and the
//   header page have one in the header. So every bit of the file is under one.
#pragma once

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/filter/block_filter.hpp"
#include "controlplane/store/filter/fuse_filter.hpp"
#include "sluice/base/error.hpp"
#include "sluice/hash/crc32c.hpp"
#include "sluice/index/phf.hpp"
#include "sluice/index/record.hpp"

namespace sluice::controlplane::store {

static_assert(std::endian::native == std::endian::little);

inline constexpr std::uint32_t kOldestSegmentFormat = 1;
inline constexpr std::uint32_t kNewestSegmentFormat = 3;
inline constexpr std::uint32_t kFirstBlockFilterFormat = 3;
inline constexpr std::uint32_t kFirstOnePassFormat = 3;
inline constexpr std::array<char, 8> kSegmentMagic = {'S', 'L', 'U', 'S', 'E', 'G', 'M', '\n'};
inline constexpr std::uint64_t kSegmentAlignment = 4096;
inline constexpr std::uint64_t kSegmentBlockBytes = 64U << 10;
inline constexpr std::uint64_t kFenceDistance = 64U << 10;
inline constexpr std::size_t kExactRecordBytes = 32;

constexpr bool known_format(std::uint32_t format) noexcept {
  return format >= kOldestSegmentFormat && format <= kNewestSegmentFormat;
}
// kUnsupported, of a file that says it is, or holds segments, of such a format.
inline Error unknown_format(std::string_view path, std::uint32_t format) {
  return Error(ErrorCode::kUnsupported,
               fmt::format("{}: segment format {}; this version reads {} to {}", path, format,
                           kOldestSegmentFormat, kNewestSegmentFormat),
               ErrorOrigin::kStore);
}

constexpr std::size_t record_bytes(Form form) noexcept {
  return form == Form::kCompact ? index::Record::kBytes : kExactRecordBytes;
}

struct SegmentHeader {
  std::array<char, 8> magic;
  std::uint32_t format;
  std::uint32_t header_bytes;
  std::uint64_t total_bytes;
  std::uint64_t entries;
  std::uint64_t keys;
  std::uint64_t deletions;  // entries that only say that something is gone
  std::uint64_t min_sequence;
  std::uint64_t max_sequence;
  std::uint64_t key_check;
  std::uint64_t cold_bytes;
  std::uint8_t form;
  std::uint8_t has_filter;  // 0 or 1
  std::uint16_t zero1;
  std::uint32_t parts;  // of function and fuse filter
  std::uint32_t buckets;
  std::uint32_t slots;
  std::uint32_t filter_segment_bytes;  // of blocks: of a block
  std::uint32_t filter_segments;       // of blocks: their number
  std::uint64_t fences;
  std::uint64_t records_offset;
  std::uint64_t pilots_offset;
  std::uint64_t filter_offset;
  std::uint64_t seeds_offset;  // a byte for each part: the function's; then again: a fuse filter's
  std::uint64_t fences_offset;
  std::uint64_t checksums_offset;
  std::uint32_t checksum_count;
  std::uint32_t checksums_check;  // of the checksums
  std::array<std::uint8_t, 84> zero2;
  std::uint32_t header_check;  // segment_header_check()

  index::PhfGeometry function() const noexcept { return {parts, buckets, slots}; }
  FuseGeometry fuse_filter() const noexcept {
    return {parts, filter_segment_bytes, filter_segments};
  }
  bool has_block_filter() const noexcept {
    return has_filter != 0 && format >= kFirstBlockFilterFormat;
  }
  bool valid_filter() const noexcept {
    if (has_filter == 0) return true;
    if (!has_block_filter()) return valid(fuse_filter());
    return filter_segment_bytes == BlockFilter::kBlockBytes && filter_segments != 0;
  }
  std::uint64_t filter_bytes() const noexcept {
    if (has_filter == 0) return 0;
    return has_block_filter() ? std::uint64_t{filter_segments} * filter_segment_bytes
                              : fuse_filter().byte_count();
  }
};
static_assert(sizeof(SegmentHeader) == 256 && offsetof(SegmentHeader, header_check) == 252);
static_assert(offsetof(SegmentHeader, form) == 80 && offsetof(SegmentHeader, fences) == 104);
static_assert(std::is_trivially_copyable_v<SegmentHeader>);

struct Fence {
  std::uint64_t lo;
  std::uint64_t offset;
};
static_assert(sizeof(Fence) == 16);

// Of the file's first 4096 bytes without the field itself.
inline std::uint32_t segment_header_check(
    std::span<const std::uint8_t, kSegmentAlignment> bytes) noexcept {
  return crc32c(bytes.subspan<sizeof(SegmentHeader)>(),
                crc32c(bytes.first<offsetof(SegmentHeader, header_check)>()));
}

constexpr std::uint64_t segment_aligned(std::uint64_t offset) noexcept {
  return (offset + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment;
}

// Where the sections lie follows from the counts; writer and reader compute it here.
inline void set_segment_offsets(SegmentHeader& header) noexcept {
  const index::PhfGeometry function = header.function();
  const std::size_t record = record_bytes(static_cast<Form>(header.form));
  header.records_offset = segment_aligned(kSegmentAlignment + header.cold_bytes);
  header.pilots_offset = segment_aligned(header.records_offset + function.slot_count() * record);
  header.filter_offset = segment_aligned(header.pilots_offset + function.pilot_count());
  header.seeds_offset = segment_aligned(header.filter_offset + header.filter_bytes());
  header.fences_offset = segment_aligned(header.seeds_offset + 2 * std::uint64_t{header.parts});
  header.checksums_offset = segment_aligned(header.fences_offset + header.fences * sizeof(Fence));
  header.checksum_count = static_cast<std::uint32_t>(
      (header.checksums_offset - kSegmentAlignment + kSegmentBlockBytes - 1) / kSegmentBlockBytes);
  header.total_bytes = header.checksums_offset + std::uint64_t{header.checksum_count} * 4;
}

// What a place in the file is for, in words.
inline std::string_view segment_section(const SegmentHeader& header,
                                        std::uint64_t offset) noexcept {
  if (offset >= header.checksums_offset) return "checksums";
  if (offset >= header.fences_offset) return "fences";
  if (offset >= header.seeds_offset) return "seeds";
  if (offset >= header.filter_offset) return "filter";
  if (offset >= header.pilots_offset) return "pilots";
  if (offset >= header.records_offset) return "records";
  return "entries";
}

// What the manifest and others want to know of a segment.
struct SegmentInfo {
  Form form = Form::kCompact;
  std::uint32_t format = 0;
  bool filter = false;
  std::uint64_t bytes = 0;      // of the file
  std::uint64_t hot_bytes = 0;  // of function, records and filter
  std::uint64_t entries = 0;
  std::uint64_t keys = 0;
  std::uint64_t deletions = 0;
  std::uint64_t min_sequence = 0;  // 0 when it is empty
  std::uint64_t max_sequence = 0;
  std::uint64_t key_check = 0;
  std::uint32_t checksum = 0;  // of the header, and through it of the whole file
};

inline SegmentInfo info_of(const SegmentHeader& header) noexcept {
  return {.form = static_cast<Form>(header.form),
          .format = header.format,
          .filter = header.has_filter != 0,
          .bytes = header.total_bytes,
          .hot_bytes = header.fences_offset - header.records_offset,
          .entries = header.entries,
          .keys = header.keys,
          .deletions = header.deletions,
          .min_sequence = header.min_sequence,
          .max_sequence = header.max_sequence,
          .key_check = header.key_check,
          .checksum = header.header_check};
}

}  // namespace sluice::controlplane::store
