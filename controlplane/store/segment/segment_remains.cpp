#include "controlplane/store/segment/segment_remains.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "controlplane/store/file/checksum.hpp"
#include "controlplane/store/file/flipped_bit.hpp"
#include "controlplane/store/segment/entry_codec.hpp"

namespace sluice::controlplane::store {
namespace {

using HeaderPage = std::array<std::uint8_t, kSegmentAlignment>;

std::unexpected<Error> hopeless(const std::string& path, std::string_view what) {
  return fail(ErrorCode::kCorrupt, fmt::format("{}: {}", path, what), ErrorOrigin::kStore);
}

bool right(const HeaderPage& page) noexcept {
  const auto header = load<SegmentHeader>(page.data());
  return header.magic == kSegmentMagic &&
         segment_header_check(std::span(page)) == header.header_check;
}

// The sections lie where they must. What is behind the end of the file counts as damaged.
bool plausible(const SegmentHeader& header) noexcept {
  if (header.form == 0 || header.form > kMaxForm || header.has_filter > 1) return false;
  if (!index::valid(header.function())) return false;
  if (!header.valid_filter()) return false;
  if (header.cold_bytes > header.total_bytes || header.fences > header.total_bytes) return false;
  SegmentHeader expected = header;
  set_segment_offsets(expected);
  return std::memcmp(&expected, &header, sizeof header) == 0;
}

}  // namespace

Result<SegmentRemains> SegmentRemains::open(Fs& fs, const std::string& path) {
  auto file = fs.open(path, OpenMode::kRead);
  if (!file) return std::unexpected(std::move(file).error());
  auto mapping = (*file)->map();
  if (!mapping) return std::unexpected(std::move(mapping).error());
  const auto bytes = (*mapping)->bytes();
  if (bytes.size() < kSegmentAlignment) return hopeless(path, "it ends before its header does");
  HeaderPage page;
  std::ranges::copy(bytes.first<kSegmentAlignment>(), page.begin());
  const bool damaged = !right(page);
  if (damaged && !mend_flipped_bit(page, [&] { return right(page); }))
    return hopeless(path, "header: offset 0: wrong checksum, so nothing in it can be found");
  const auto header = load<SegmentHeader>(page.data());
  if (!known_format(header.format)) return std::unexpected(unknown_format(path, header.format));
  if (!plausible(header)) return hopeless(path, "header: sizes that cannot be");
  if (bytes.size() < header.total_bytes)
    return hopeless(path, fmt::format("it ends at offset {}, before its checksums", bytes.size()));
  return SegmentRemains(path, *std::move(mapping), header, damaged);
}

SegmentRemains::SegmentRemains(std::string path, std::shared_ptr<const Mapping> mapping,
                               const SegmentHeader& header, bool mended)
    : path_(std::move(path)),
      mapping_(std::move(mapping)),
      header_(header),
      info_(info_of(header)),
      mended_(mended) {}

SegmentBlocks SegmentRemains::blocks() const {
  return {mapping_->bytes(), mapping_->bytes().data() + header_.checksums_offset,
          header_.checksum_count, header_.records_offset, header_.fences_offset};
}

std::optional<std::uint64_t> SegmentRemains::next_start(std::uint64_t offset,
                                                        SegmentBlocks& blocks) const {
  for (std::uint64_t i = 0; i < header_.fences; ++i) {
    const std::uint64_t at = header_.fences_offset + i * sizeof(Fence);
    if (!blocks.check(at, sizeof(Fence))) return std::nullopt;
    const auto fence = load<Fence>(mapping_->bytes().data() + at);
    if (fence.offset > offset) return fence.offset;
  }
  return std::nullopt;
}

namespace {

// A segment has the entries of a key newest first.
class Reverser {
 public:
  explicit Reverser(const std::function<Status(const Entry&)>& each) : each_(each) {}

  Status add(const Entry& entry) {
    if (!entries_.empty() && entries_.back().hash != entry.hash) {
      if (auto done = flush(); !done) return done;
    }
    entries_.push_back(entry);
    return {};
  }
  Status flush() {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
      if (auto done = each_(*entry); !done) return done;
    entries_.clear();
    return {};
  }

 private:
  const std::function<Status(const Entry&)>& each_;
  std::vector<Entry> entries_;  // of one key; spans point into the file
};

}  // namespace

Result<std::uint64_t> SegmentRemains::read(const std::function<Status(const Entry&)>& each) const {
  SegmentBlocks blocks = this->blocks();
  const std::uint64_t end = kSegmentAlignment + header_.cold_bytes;
  Reverser reverser(each);
  std::uint64_t entries = 0;
  std::optional<std::uint64_t> start = kSegmentAlignment;
  while (start && *start < end) {
    EntryReader reader(mapping_->bytes().data(), *start, end, info_.form, info_.format, blocks);
    Entry entry;
    while (reader.next(entry)) {
      ++entries;
      if (auto done = reverser.add(entry); !done) return std::unexpected(done.error());
    }
    if (!reader.damaged()) break;
    start = next_start(reader.offset(), blocks);
  }
  if (auto done = reverser.flush(); !done) return std::unexpected(done.error());
  return entries;
}

std::vector<Damage> SegmentRemains::damage() const {
  std::vector<Damage> found;
  if (mended_) found.push_back({path_, "header: one bit was flipped"});
  const auto bytes = mapping_->bytes();
  if (crc32c(bytes.subspan(header_.checksums_offset, std::uint64_t{header_.checksum_count} * 4)) !=
      header_.checksums_check) {
    found.push_back(
        {path_, fmt::format("checksums: offset {}: wrong checksum", header_.checksums_offset)});
  }
  if (bytes.size() > header_.total_bytes)
    found.push_back(
        {path_, fmt::format("offset {}: the file goes on after its content", header_.total_bytes)});
  SegmentBlocks blocks = this->blocks();
  for (std::uint32_t block = 0; block < header_.checksum_count; ++block) {
    if (blocks.check_again(block)) continue;
    const std::uint64_t offset = SegmentBlocks::offset_of(block);
    found.push_back(
        {path_, fmt::format("{}: offset {}: {} bytes with a wrong checksum",
                            segment_section(header_, offset), offset, blocks.size_of(block))});
  }
  return found;
}

}  // namespace sluice::controlplane::store
