// The file by which the control plane hands millions of routes to the dataplane at once: id -> the
// action's bits 0 to 55, found by the keyed hash of the id. Immutable; written by
// controlplane/store/segment/base_builder.hpp, mapped or copied by the dataplane. A view is a plain
// value over bytes that somebody else keeps and that nobody may change meanwhile; any thread.
//
//   header | seeds | pilots | records | dictionary | checksums        each at a multiple of 4096
//
// The action's index of a kAdjacency is a position in the dictionary, not in the adjacency table.
// Checksums: CRC-32C of each block of 1 MiB of the bytes from 4096 to the checksums' offset, of the
// checksums, and of the first 4096 bytes; so every bit of the file is under one. All numbers are
// little-endian.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>
#include <string_view>
#include <type_traits>

#include "sluice/base/bytes.hpp"
#include "sluice/hash/crc32c.hpp"
#include "sluice/hash/id_hash.hpp"
#include "sluice/index/phf.hpp"
#include "sluice/index/record.hpp"
#include "sluice/route/action.hpp"
#include "sluice/route/limits.hpp"

namespace sluice::index {

inline constexpr std::array<char, 8> kBaseMagic = {'S', 'L', 'U', 'B', 'A', 'S', 'E', '\n'};
inline constexpr std::uint32_t kBaseVersion = 1;
inline constexpr std::uint64_t kBaseAlignment = 4096;
inline constexpr std::uint64_t kBaseBlockBytes = 1U << 20;

// One place that routes of this segment lead to: what AdjacencySet names a host by.
struct BaseDestination {
  std::uint16_t port;
  std::uint16_t vlan;   // 0: untagged
  std::uint8_t family;  // wire/inet.hpp: Family
  std::array<std::uint8_t, 3> zero;
  std::array<std::uint8_t, 16> address;

  friend bool operator==(const BaseDestination&, const BaseDestination&) = default;
};
static_assert(sizeof(BaseDestination) == 24 && alignof(BaseDestination) == 2);

struct BaseHeader {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t header_bytes;
  std::uint64_t total_bytes;
  std::uint64_t entries;
  std::array<std::uint8_t, 16> id;  // random, of this file
  std::uint64_t key_check;          // base_key_check() of the hash key
  std::uint64_t created_unix_s;
  std::uint32_t parts;
  std::uint32_t buckets;  // per part
  std::uint32_t slots;    // per part
  std::uint32_t dictionary_entries;
  std::uint64_t seeds_offset;
  std::uint64_t pilots_offset;
  std::uint64_t records_offset;
  std::uint64_t dictionary_offset;
  std::uint64_t checksums_offset;
  std::uint32_t checksum_count;   // blocks
  std::uint32_t checksums_check;  // of the checksums
  std::array<std::uint8_t, 124> zero;
  std::uint32_t header_check;  // base_header_check()
};
static_assert(sizeof(BaseHeader) == 256 && offsetof(BaseHeader, header_check) == 252);
static_assert(offsetof(BaseHeader, total_bytes) == 16 && offsetof(BaseHeader, id) == 32 &&
              offsetof(BaseHeader, parts) == 64 && offsetof(BaseHeader, seeds_offset) == 80 &&
              offsetof(BaseHeader, checksum_count) == 120);
static_assert(std::is_trivially_copyable_v<BaseHeader>);

// Tells whether a file was built under this key, without telling the key: the hash of a fixed id.
inline std::uint64_t base_key_check(const IdHasher& hasher) noexcept {
  constexpr Id kProbe{
      {'s', 'l', 'u', 'i', 'c', 'e', ' ', 'k', 'e', 'y', ' ', 'c', 'h', 'e', 'c', 'k'}};
  return hasher(kProbe).hi;
}

// Where and why a file is not taken; `what` is static text.
struct BaseFault {
  enum class Kind : std::uint8_t {
    kTruncated,  // ends before its content does
    kForeign,    // no base segment, or of another version
    kDamaged,    // a field or a checksum is wrong
  };
  Kind kind;
  std::uint64_t offset;  // in the file
  std::string_view what;
};

constexpr std::uint64_t base_aligned(std::uint64_t offset) noexcept {
  return (offset + kBaseAlignment - 1) / kBaseAlignment * kBaseAlignment;
}

// Where the sections of a file lie follows from its counts; writer and reader compute it here.
constexpr void set_base_offsets(BaseHeader& header) noexcept {
  const PhfGeometry g{header.parts, header.buckets, header.slots};
  header.seeds_offset = kBaseAlignment;
  header.pilots_offset = base_aligned(header.seeds_offset + g.parts);
  header.records_offset = base_aligned(header.pilots_offset + g.pilot_count());
  header.dictionary_offset = base_aligned(header.records_offset + g.slot_count() * Record::kBytes);
  header.checksums_offset =
      base_aligned(header.dictionary_offset +
                   std::uint64_t{header.dictionary_entries} * sizeof(BaseDestination));
  header.checksum_count = static_cast<std::uint32_t>(
      (header.checksums_offset - kBaseAlignment + kBaseBlockBytes - 1) / kBaseBlockBytes);
  header.total_bytes = header.checksums_offset + std::uint64_t{header.checksum_count} * 4;
}

// Of the file's first 4096 bytes without the field itself.
inline std::uint32_t base_header_check(
    std::span<const std::uint8_t, kBaseAlignment> bytes) noexcept {
  return crc32c(bytes.subspan<sizeof(BaseHeader)>(),
                crc32c(bytes.first<offsetof(BaseHeader, header_check)>()));
}

class BaseSegmentView {
 public:
  BaseSegmentView() = default;

  // Checks all of the header and the sizes and places of the sections; touches nothing else. A view
  // of a file that passes never reads outside `bytes`, whatever the sections contain.
  static std::expected<BaseSegmentView, BaseFault> validate(
      std::span<const std::uint8_t> bytes) noexcept;

  // The parts of a full check, each of bounded time, in any order.
  std::expected<void, BaseFault> check_checksums() const noexcept;  // that of the checksums
  std::expected<void, BaseFault> check_block(std::uint32_t block) const noexcept;  // of block_count
  // Every record of slots [first, first + count): empty, or an action that a base may have.
  std::expected<void, BaseFault> check_records(std::uint64_t first,
                                               std::uint64_t count) const noexcept;
  // All records, and that exactly `entries` of them are not empty.
  std::expected<void, BaseFault> check_content() const noexcept;
  // Everything.
  std::expected<void, BaseFault> check_all() const noexcept;

  const BaseHeader& header() const noexcept { return header_; }
  std::uint32_t block_count() const noexcept { return header_.checksum_count; }
  std::uint64_t entries() const noexcept { return header_.entries; }
  const PhfView& function() const noexcept { return function_; }
  std::uint64_t slot_count() const noexcept { return function_.geometry().slot_count(); }
  std::uint32_t dictionary_size() const noexcept { return header_.dictionary_entries; }
  // `position` below dictionary_size().
  BaseDestination destination(std::uint32_t position) const noexcept {
    return load<BaseDestination>(bytes_ + header_.dictionary_offset +
                                 std::uint64_t{position} * sizeof(BaseDestination));
  }

  const std::uint8_t* record(std::uint64_t slot) const noexcept {
    return records_ + slot * Record::kBytes;
  }
  template <Distance kDistance>
  void prefetch(std::uint32_t slot) const noexcept {
    prefetch_record<kDistance>(record(slot));
  }
  // Bits 0 to 55 of the action, 0 (kNone) when the record is of another key.
  std::uint64_t read(std::uint32_t slot, const Hash128& hash) const noexcept {
    const std::uint8_t* at = record(slot);
    return Record::matches(at, hash) ? Record::value(at) : 0;
  }
  std::uint64_t find(const Hash128& hash) const noexcept {
    return read(function_.slot(hash), hash);
  }
  // At most kMaxPhfBurst; the loads of all overlap.
  void find_burst(const Hash128* hashes, unsigned n, std::uint64_t* actions) const noexcept {
    std::uint32_t at[kMaxPhfBurst];
    function_.locate<Distance::kFar>(hashes, n, at);
    function_.slots(hashes, at, n, [&](unsigned i, std::uint32_t slot) {
      at[i] = slot;
      prefetch<Distance::kFar>(slot);
    });
    for (unsigned i = 0; i < n; ++i)
      actions[i] = read(at[i], hashes[i]);
  }

  // What a record may say: nothing, unreachable, this router, or an adjacency of the dictionary.
  static constexpr bool allowed(std::uint64_t action56, std::uint32_t dictionary_size) noexcept {
    const Action action = Action::from_bits(action56);
    switch (action.kind()) {
      case ActionKind::kAdjacency:
        return action.index() < dictionary_size;
      case ActionKind::kUnreachable:
      case ActionKind::kLocal:
        return action.index() == 0;
      case ActionKind::kNone:
        return action56 == 0;
      default:
        return false;
    }
  }

 private:
  const std::uint8_t* bytes_ = nullptr;
  const std::uint8_t* records_ = nullptr;
  PhfView function_;
  BaseHeader header_{};
};

inline std::expected<BaseSegmentView, BaseFault> BaseSegmentView::validate(
    std::span<const std::uint8_t> bytes) noexcept {
  using enum BaseFault::Kind;
  const auto fault = [](BaseFault::Kind kind, std::uint64_t offset, std::string_view what) {
    return std::unexpected(BaseFault{kind, offset, what});
  };
  if (bytes.size() < kBaseMagic.size() ||
      std::memcmp(bytes.data(), kBaseMagic.data(), kBaseMagic.size()) != 0) {
    return fault(kForeign, 0, "this is no base segment");
  }
  if (bytes.size() < kBaseAlignment)
    return fault(kTruncated, bytes.size(), "the header is cut off");
  const auto header = load<BaseHeader>(bytes.data());
  if (header.version != kBaseVersion || header.header_bytes != sizeof(BaseHeader)) {
    return fault(kForeign, offsetof(BaseHeader, version), "another version of the format");
  }
  if (base_header_check(bytes.first<kBaseAlignment>()) != header.header_check) {
    return fault(kDamaged, offsetof(BaseHeader, header_check), "the header's checksum is wrong");
  }
  const PhfGeometry geometry{header.parts, header.buckets, header.slots};
  if (!valid(geometry) || header.entries > geometry.slot_count()) {
    return fault(kDamaged, offsetof(BaseHeader, parts), "an impossible number of slots");
  }
  if (header.dictionary_entries > kMaxAdjacencies) {
    return fault(kDamaged, offsetof(BaseHeader, dictionary_entries), "the dictionary is too large");
  }
  BaseHeader expected = header;
  set_base_offsets(expected);
  if (std::memcmp(&expected, &header, sizeof header) != 0) {
    return fault(kDamaged, offsetof(BaseHeader, total_bytes), "sections are in a wrong place");
  }
  if (bytes.size() < header.total_bytes) {
    return fault(kTruncated, bytes.size(), "the file ends before its content does");
  }
  if (bytes.size() > header.total_bytes) {
    return fault(kDamaged, header.total_bytes, "the file goes on after its content");
  }
  BaseSegmentView view;
  view.bytes_ = bytes.data();
  view.records_ = bytes.data() + header.records_offset;
  view.function_ =
      PhfView(geometry, bytes.data() + header.seeds_offset, bytes.data() + header.pilots_offset);
  view.header_ = header;
  return view;
}

inline std::expected<void, BaseFault> BaseSegmentView::check_checksums() const noexcept {
  const std::span<const std::uint8_t> sums(bytes_ + header_.checksums_offset,
                                           std::size_t{header_.checksum_count} * 4);
  if (crc32c(sums) == header_.checksums_check) return {};
  return std::unexpected(BaseFault{BaseFault::Kind::kDamaged, header_.checksums_offset,
                                   "the checksum of the checksums is wrong"});
}

inline std::expected<void, BaseFault> BaseSegmentView::check_block(
    std::uint32_t block) const noexcept {
  const std::uint64_t begin = kBaseAlignment + block * kBaseBlockBytes;
  const std::uint64_t left = header_.checksums_offset - begin;
  const std::span<const std::uint8_t> content(bytes_ + begin,
                                              left < kBaseBlockBytes ? left : kBaseBlockBytes);
  if (crc32c(content) ==
      load<std::uint32_t>(bytes_ + header_.checksums_offset + std::uint64_t{block} * 4)) {
    return {};
  }
  return std::unexpected(
      BaseFault{BaseFault::Kind::kDamaged, begin, "the checksum of a block is wrong"});
}

inline std::expected<void, BaseFault> BaseSegmentView::check_records(
    std::uint64_t first, std::uint64_t count) const noexcept {
  for (std::uint64_t slot = first; slot < first + count; ++slot) {
    if (allowed(Record::value(record(slot)), header_.dictionary_entries)) continue;
    return std::unexpected(BaseFault{BaseFault::Kind::kDamaged,
                                     header_.records_offset + slot * Record::kBytes,
                                     "a record has an action that no base may have"});
  }
  return {};
}

inline std::expected<void, BaseFault> BaseSegmentView::check_all() const noexcept {
  if (auto checked = check_checksums(); !checked) return checked;
  for (std::uint32_t block = 0; block < block_count(); ++block)
    if (auto checked = check_block(block); !checked) return checked;
  return check_content();
}

inline std::expected<void, BaseFault> BaseSegmentView::check_content() const noexcept {
  if (auto checked = check_records(0, slot_count()); !checked) return checked;
  std::uint64_t used = 0;
  for (std::uint64_t slot = 0; slot < slot_count(); ++slot)
    used += Record::value(record(slot)) != 0;
  if (used == header_.entries) return {};
  return std::unexpected(BaseFault{BaseFault::Kind::kDamaged, offsetof(BaseHeader, entries),
                                   "the number of entries is wrong"});
}

}  // namespace sluice::index
