// Writing sorted sources into one new segment of a tree: the common end of flushes, merges and
// migrations. The calling thread does the work.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/store/compaction/pace.hpp"
#include "controlplane/store/core.hpp"
#include "controlplane/store/entry_source.hpp"

namespace sluice::controlplane::store {

// Sources newest first. `bottom`: nothing older than them exists, so deletions are dropped. Null
// when nothing is left. The file is durable and open, but in no manifest yet; on an error it is
// gone.
Result<SegmentPtr> merge_to_segment(Core& core, const Layout& layout, Form form,
                                    std::vector<std::unique_ptr<EntrySource>> sources,
                                    std::uint64_t expected, bool bottom, Pace pace);

// A segment as a source; what turns out to be damaged is taken out of service.
std::unique_ptr<EntrySource> watched_source(Core& core, const SegmentPtr& segment);

}  // namespace sluice::controlplane::store
