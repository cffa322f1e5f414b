#include "controlplane/store/compaction/merge_for_reads.hpp"

#include <algorithm>

namespace sluice::controlplane::store {
namespace {

// Measured at 10 M keys: an overlay and a second segment add 15 to 30 cycles to a lookup in a batch
// of 64; to merge an entry costs about a thousand, of which a quarter counts, because the thread
// that merges has nothing else to do, and nobody waits for it.
constexpr std::uint64_t kLookupsPerMerged = 10;
// So few stay in the cache, where they cost little.
constexpr std::uint64_t kFewAbove = 1U << 16;
constexpr std::uint64_t kSmallShare = 64;

}  // namespace

bool MergeForReads::worth(const Census& census) noexcept {
  const bool few = census.above < std::max(kFewAbove, census.entries / kSmallShare);
  if (few || running_ != 0 || !waiting_.empty()) {
    paid_from_ = census.lookups;
    return false;
  }
  if ((census.lookups - paid_from_) / kLookupsPerMerged < census.entries) return false;
  paid_from_ = census.lookups;
  return true;
}

void MergeForReads::start(std::size_t trees) {
  for (std::size_t tree = 0; tree < trees; ++tree)
    waiting_.insert(tree);
}

}  // namespace sluice::controlplane::store
