// Takes a base segment out of a file into memory of our own, checking everything. Takes up to a
// second for hundreds of megabytes: for a thread of its own (apply/base_loader.hpp). Needs no EAL.
//
// Why copied and not mapped: the file is another process's. A mapping of it could be cut short
// under the workers (SIGBUS) or written to after it was checked, unless it were a sealed memfd, and
// then its pages would be small or out of a pool that the control plane would have to manage, on
// whichever NUMA node that process ran, and would stay the control plane's memory for as long as we
// use them. The copy is checked itself, lies in huge pages on the ports' node, and lets the control
// plane keep an ordinary file. It costs one pass over the bytes, which checking costs anyway.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <string>

#include "dataplane/table/base_memory.hpp"
#include "sluice/index/base_segment.hpp"
#include "sluice/link/base_messages.hpp"

namespace sluice::dataplane {

// A segment that passed all checks but the one of the hash key (see matches_key). Never written to.
struct LoadedBase {
  BaseMemory memory;
  index::BaseSegmentView view;  // of memory

  const link::SegmentId& id() const noexcept { return view.header().id; }
  bool matches_key(const IdHasher& hasher) const noexcept {
    return view.header().key_check == index::base_key_check(hasher);
  }
};

struct BaseLoadFailure {
  link::BaseRefusal reason = link::BaseRefusal::kNone;
  std::uint64_t offset = 0;  // in the file
  std::string what;
};

// Reads the file from its beginning whatever its descriptor's position is. Gives up with
// kSuperseded soon after `cancel` became true.
std::expected<LoadedBase, BaseLoadFailure> load_base(int file, const link::SegmentId& expected,
                                                     int numa_node,
                                                     const std::atomic<bool>& cancel);

}  // namespace sluice::dataplane
