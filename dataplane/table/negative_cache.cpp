#include "dataplane/table/negative_cache.hpp"

#include <algorithm>
#include <bit>

namespace sluice::dataplane {

NegativeCache::NegativeCache(std::size_t entries, const HashKey& key)
    : hasher_(IdHasher::create(key)),
      sets_(std::bit_ceil(std::max(entries, kWays) / kWays)),
      mask_(sets_.size() - 1) {}

NegativeCache::Set& NegativeCache::set_of(const Id& id) noexcept {
  return sets_[hasher_(id).lo & mask_];
}

MissVerdict NegativeCache::on_miss(const Id& id, std::uint64_t now_tsc,
                                   const NegativeCacheTimes& times) noexcept {
  if (times.hold_per_id == 0 || times.hold_tsc == 0) return MissVerdict::kUnknown;
  Set& set = set_of(id);
  Entry* victim = &set.ways[0];
  for (Entry& entry : set.ways) {
    if (entry.until_tsc != 0 && entry.id == id) return on_known(entry, now_tsc, times);
    if (entry.until_tsc < victim->until_tsc) victim = &entry;
  }
  *victim = {.id = id, .until_tsc = now_tsc + times.hold_tsc, .held = 1, .negative = false};
  return MissVerdict::kHoldAndAsk;
}

MissVerdict NegativeCache::on_known(Entry& entry, std::uint64_t now_tsc,
                                    const NegativeCacheTimes& times) noexcept {
  if (now_tsc < entry.until_tsc) {
    if (entry.negative) return MissVerdict::kUnknown;
    if (entry.held >= times.hold_per_id) return MissVerdict::kHoldFull;
    ++entry.held;
    return MissVerdict::kHold;
  }
  // The negative time begins when the hold window ended, not when the next message happens to come.
  const std::uint64_t negative_until = entry.until_tsc + times.negative_tsc;
  if (!entry.negative && now_tsc < negative_until) {
    entry.negative = true;
    entry.until_tsc = negative_until;
    return MissVerdict::kUnknown;
  }
  entry.until_tsc = now_tsc + times.hold_tsc;
  entry.held = 1;
  entry.negative = false;
  return MissVerdict::kHoldAndAsk;
}

void NegativeCache::forget(const Id& id) noexcept {
  for (Entry& entry : set_of(id).ways) {
    if (entry.until_tsc != 0 && entry.id == id) entry = Entry{};
  }
}

}  // namespace sluice::dataplane
