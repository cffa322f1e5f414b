// Writes one segment file (layout: segment_format.hpp). Entries come in hash order and go to the
// file at once; of each key some 24 bytes (compact) or 32 (exact) are kept until finish() builds
// the perfect hash function and the filter from them. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "controlplane/store/compaction/pace.hpp"
#include "controlplane/store/entry.hpp"
#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/segment/segment_format.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

struct SegmentOptions {
  Form form = Form::kCompact;
  std::uint32_t format = kNewestSegmentFormat;
  bool filter = true;           // false: nothing is below, so a miss ends here anyway
  bool quick = false;           // it will soon be merged away: larger by a sixth, built faster
  std::uint64_t expected = 0;   // entries at most; a hint
  std::uint64_t key_check = 0;  // of the hash key; see base_key_check()
};

class SegmentWriter {
 public:
  // `path` must not exist. `pace` is charged with every byte written and outlives the writer.
  static Result<std::unique_ptr<SegmentWriter>> create(Fs& fs, const std::string& path,
                                                       const SegmentOptions& options, Pace& pace);
  // Without finish() the file is removed.
  ~SegmentWriter();
  SegmentWriter(const SegmentWriter&) = delete;
  SegmentWriter& operator=(const SegmentWriter&) = delete;

  // In the order of hash_order.hpp. Compact: one entry per key, kPut or kDelete. Exact: of a key
  // one kPut, or one kDelete and any number of kSetAdd and kSetRemove, newest first, all of the
  // deletion after it. kInvalidArgument for what is out of order or no such entry; kUnavailable
  // ("cancelled") when the pace says stop.
  Status add(const Entry& entry);
  std::uint64_t entries() const noexcept;

  // Builds the rest, writes and syncs the file (not its directory). An empty segment is good.
  Result<SegmentInfo> finish();

 private:
  class State;
  explicit SegmentWriter(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::controlplane::store
