// The way of a write into the index: checks, back-pressure, log, overlays. Any thread, many at
// once.
//
// Back-pressure is per tree and grows gradually: from some sealed overlays on, writes to that tree
// are slowed by up to some microseconds per operation; they stop only when memory would run out of
// bounds. A lane that takes all writes slows nobody who writes to the others.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "controlplane/store/compaction/compactor.hpp"
#include "controlplane/store/core.hpp"
#include "controlplane/store/write_batch.hpp"

namespace sluice::controlplane::store {

class Writer {
 public:
  Writer(Core& core, Compactor& compactor) noexcept : core_(core), compactor_(compactor) {}

  Status write(const WriteBatch& batch);
  void write_async(WriteBatch batch, std::function<void(Status)> done);

 private:
  // The batch as it goes through the log; hashes are of the layout that was present at the start.
  struct Prepared {
    std::vector<Hash128> hashes;
    std::uint32_t layout = 0;
    std::uint64_t delay_ns = 0;
    bool stopped = false;  // some tree takes nothing more
  };

  Status check(const WriteBatch& batch) const;
  Prepared prepare(const WriteBatch& batch) const;
  Status hold_back(const WriteBatch& batch, Prepared& prepared);
  void sleep_off(std::uint64_t delay_ns);
  void count(const WriteBatch& batch, const Status& status) noexcept;

  Core& core_;
  Compactor& compactor_;
  std::atomic<std::uint64_t> owed_ns_{0};
};

}  // namespace sluice::controlplane::store
