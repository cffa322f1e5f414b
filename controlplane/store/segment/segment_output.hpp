// The bytes of a segment file from its first block on, written once from front to back: collects
// them, takes the checksum of each block, writes a megabyte at a time and charges the pace. Owned
// by one SegmentWriter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "controlplane/store/compaction/pace.hpp"
#include "controlplane/store/file/fs.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

class SegmentOutput {
 public:
  // Both outlive this. Begins at the file's offset 4096.
  SegmentOutput(File& file, Pace& pace);

  std::uint64_t offset() const noexcept { return written_ + buffer_.size(); }
  // What is appended to it must be followed by flush_if_large().
  std::vector<std::uint8_t>& buffer() noexcept { return buffer_; }
  Status flush_if_large();
  Status append(std::span<const std::uint8_t> bytes);
  // Zeros up to the next multiple of 4096.
  Status align();
  // Everything, the last and shorter block too; then append_unchecked() only.
  Status finish();
  Status append_unchecked(std::span<const std::uint8_t> bytes);

  const std::vector<std::uint32_t>& checksums() const noexcept { return sums_; }

 private:
  Status write_blocks(std::size_t bytes);

  File& file_;
  Pace& pace_;
  std::uint64_t written_;
  std::vector<std::uint8_t> buffer_;
  std::vector<std::uint32_t> sums_;
};

}  // namespace sluice::controlplane::store
