// Merges sorted sources into one: of each key the newest state. Used for flushing overlays, for
// compaction, and for reading through a snapshot. One thread.
//
// Compact, and records: the newest entry of a key wins. Sets: of each element the newest operation;
// a deletion of the key hides everything older. `bottom`: nothing older exists anywhere, so what
// only says that something is gone (deletions, removals) is left out.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/store/entry_source.hpp"
#include "controlplane/store/segment/segment_writer.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

// The sources in any order; sequences decide. An error of one source is the error of the merge.
std::unique_ptr<EntrySource> merge(std::vector<std::unique_ptr<EntrySource>> sources, bool bottom);

// All of a source into a writer; the caller calls finish().
Status copy(EntrySource& from, SegmentWriter& to);

}  // namespace sluice::controlplane::store
