#include "controlplane/store/segment/segment_output.hpp"

#include <algorithm>

#include "controlplane/store/segment/segment_format.hpp"

namespace sluice::controlplane::store {

namespace {

constexpr std::size_t kWriteBytes = 1U << 20;
static_assert(kWriteBytes % kSegmentBlockBytes == 0);

}  // namespace

SegmentOutput::SegmentOutput(File& file, Pace& pace)
    : file_(file), pace_(pace), written_(kSegmentAlignment) {
  buffer_.reserve(2 * kWriteBytes);
}

// Writes the first `bytes` of the buffer: whole blocks, or at the end what there is.
Status SegmentOutput::write_blocks(std::size_t bytes) {
  const std::span<const std::uint8_t> all(buffer_.data(), bytes);
  for (std::size_t at = 0; at < bytes; at += kSegmentBlockBytes)
    sums_.push_back(crc32c(all.subspan(at, std::min(kSegmentBlockBytes, bytes - at))));
  if (Status written = append_unchecked(all); !written) return written;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(bytes));
  return {};
}

Status SegmentOutput::flush_if_large() {
  if (buffer_.size() < kWriteBytes) return {};
  return write_blocks(buffer_.size() / kSegmentBlockBytes * kSegmentBlockBytes);
}

Status SegmentOutput::append(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kWriteBytes));
    buffer_.insert(buffer_.end(), part.begin(), part.end());
    if (Status flushed = flush_if_large(); !flushed) return flushed;
    bytes = bytes.subspan(part.size());
  }
  return {};
}

Status SegmentOutput::align() {
  buffer_.resize(buffer_.size() + (segment_aligned(offset()) - offset()));
  return flush_if_large();
}

Status SegmentOutput::finish() {
  return buffer_.empty() ? Status{} : write_blocks(buffer_.size());
}

Status SegmentOutput::append_unchecked(std::span<const std::uint8_t> bytes) {
  if (Status written = file_.write_at(written_, bytes); !written) return written;
  // While the next bytes are made; else whoever waits for the segment waits for all of the disk.
  file_.start_sync(written_, bytes.size());
  written_ += bytes.size();
  if (!pace_.spend(bytes.size())) {
    return fail(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
  }
  return {};
}

}  // namespace sluice::controlplane::store
