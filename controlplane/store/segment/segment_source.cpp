#include "controlplane/store/segment/segment_source.hpp"

#include <algorithm>

#include "controlplane/store/segment/hash_order.hpp"

namespace sluice::controlplane::store {

namespace {

// Where to begin for this hash: the last fence before it. 0: the fences are damaged.
std::uint64_t start_of(const SegmentHeader& header, const std::uint8_t* file, SegmentBlocks& blocks,
                       std::uint64_t from_lo) noexcept {
  const std::uint64_t end = kSegmentAlignment + header.cold_bytes;
  if (from_lo == 0 || header.fences == 0) return kSegmentAlignment;
  if (!blocks.check(header.fences_offset, header.fences * sizeof(Fence))) return 0;
  const auto fence = [&](std::uint64_t i) {
    return load<Fence>(file + header.fences_offset + i * sizeof(Fence));
  };
  std::uint64_t first = 0;  // fences before it have a smaller lo
  std::uint64_t last = header.fences;
  while (first < last) {
    const std::uint64_t middle = (first + last) / 2;
    if (fence(middle).lo < from_lo) {
      first = middle + 1;
    } else {
      last = middle;
    }
  }
  if (first == 0) return kSegmentAlignment;
  const std::uint64_t offset = fence(first - 1).offset;
  if (offset >= kSegmentAlignment && offset < end) return offset;
  blocks.set_damaged(header.fences_offset + (first - 1) * sizeof(Fence));
  return 0;
}

}  // namespace

SegmentSource::SegmentSource(std::shared_ptr<const Segment> segment, std::uint64_t from_lo)
    : segment_(std::move(segment)),
      from_lo_(from_lo),
      left_(segment_->header_.entries),
      from_start_(from_lo == 0) {
  const SegmentHeader& header = segment_->header_;
  const std::uint64_t begin = start_of(header, segment_->bytes_, segment_->blocks_, from_lo);
  const std::uint64_t end = kSegmentAlignment + header.cold_bytes;
  ended_ = begin == 0;
  if (ended_) return;
  segment_->mapping_->advise(Advice::kSequential, begin, end - begin);
  reader_ = EntryReader(segment_->bytes_, begin, end, segment_->info_.form, segment_->info_.format,
                        segment_->blocks_);
}

bool SegmentSource::in_order(const Entry& entry) const noexcept {
  if (!any_) return true;
  const auto by_hash = order(last_hash_, entry.hash);
  return by_hash < 0 || (by_hash == 0 && entry.sequence < last_sequence_);
}

Result<bool> SegmentSource::stop() {
  ended_ = true;
  const Status damage = segment_->damage();
  if (!damage) return std::unexpected(damage.error());
  return false;
}

Result<bool> SegmentSource::next(Entry& entry) {
  if (ended_) return stop();
  do {
    const std::uint64_t at = reader_.offset();
    if (!reader_.next(entry)) {
      if (from_start_ && left_ != 0 && !reader_.damaged()) segment_->blocks_.set_damaged(at);
      return stop();
    }
    if ((from_start_ && left_-- == 0) || !in_order(entry)) {
      segment_->blocks_.set_damaged(at);
      return stop();
    }
    any_ = true;
    last_hash_ = entry.hash;
    last_sequence_ = entry.sequence;
  } while (entry.hash.lo < from_lo_);
  return true;
}

}  // namespace sluice::controlplane::store
