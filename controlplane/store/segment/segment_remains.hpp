// What can still be read of a segment file that is damaged: every entry in good blocks. For
// salvage; the index itself serves nothing of such a file. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/maintenance.hpp"
#include "controlplane/store/segment/segment_blocks.hpp"
#include "controlplane/store/segment/segment_format.hpp"

namespace sluice::controlplane::store {

class SegmentRemains {
 public:
  // One flipped bit in the header is mended (in memory) and told by damage(). kCorrupt: nothing of
  // it can be read.
  static Result<SegmentRemains> open(Fs& fs, const std::string& path);

  const SegmentInfo& info() const noexcept { return info_; }
  const std::string& path() const noexcept { return path_; }

  // All entries that are left, in order, but each key's oldest first: as they were written. The
  // spans are valid during the call. An error of `each` ends it. Returns how many there were.
  Result<std::uint64_t> read(const std::function<Status(const Entry&)>& each) const;

  // Every place that does not check, whatever it is for.
  std::vector<Damage> damage() const;

 private:
  SegmentRemains(std::string path, std::shared_ptr<const Mapping> mapping,
                 const SegmentHeader& header, bool mended);
  // Of the first entry behind this offset that reading can begin at; nothing: there is none.
  std::optional<std::uint64_t> next_start(std::uint64_t offset, SegmentBlocks& blocks) const;
  SegmentBlocks blocks() const;

  std::string path_;
  std::shared_ptr<const Mapping> mapping_;
  SegmentHeader header_;
  SegmentInfo info_;
  bool mended_;
};

}  // namespace sluice::controlplane::store
