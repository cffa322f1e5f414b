// Writes all that the old layout of a version holds anew, for the present one: the work of a
// migration. The calling thread does it; what it makes is in no manifest yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "controlplane/store/compaction/pace.hpp"
#include "controlplane/store/core.hpp"

namespace sluice::controlplane::store {

// In entries read; for another thread that waits.
struct RewriteProgress {
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> total{0};
};

// One segment for each tree of the present layout (null: nothing for it), without deletions.
Result<std::vector<SegmentPtr>> rewrite_layout(Core& core, const Version& version, Pace pace,
                                               RewriteProgress& progress);

}  // namespace sluice::controlplane::store
