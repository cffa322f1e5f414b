// What one worker remembers of ids that no table knows, so that an unknown id costs the control
// plane one question and not one per message. Consulted only after a miss in the route table. One
// worker's own: no atomics, no allocation after creation, bounded; when a set is full the entry
// that runs out first makes way. Indexed by a keyed hash of its own. Needs no EAL.
//
// Life of an id: first miss -> hold (ask who has it); further misses within the hold window ->
// hold, up to hold_per_id messages, then refused; after the window -> unknown at once for the
// negative time; then from the start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sluice/base/cacheline.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/hash/id_hash.hpp"

namespace sluice::dataplane {

enum class MissVerdict : std::uint8_t {
  kHoldAndAsk,  // the first message of the window: hold it; the control plane is to be asked
  kHold,        // hold it; already asked
  kHoldFull,    // DropReason::kHoldFull: enough messages of this id wait
  kUnknown,     // DropReason::kUnknownDestination: asked not long ago, nobody has it
};

struct NegativeCacheTimes {
  std::uint64_t hold_tsc = 0;      // how long messages wait for an answer
  std::uint64_t negative_tsc = 0;  // how long "nobody has it" is believed; 0: not at all
  std::uint32_t hold_per_id = 0;   // messages; 0: nothing is held, unknown ids are refused at once
};

class NegativeCache {
 public:
  static constexpr std::size_t kDefaultEntries = 16384;  // 512 KiB

  // entries is rounded up to a power of two, at least one set. The key: any random one.
  NegativeCache(std::size_t entries, const HashKey& key);

  MissVerdict on_miss(const Id& id, std::uint64_t now_tsc,
                      const NegativeCacheTimes& times) noexcept;

  // The question could not be put (rate limit, ring full): the id is as if never seen.
  void forget(const Id& id) noexcept;
  std::size_t entries() const noexcept { return sets_.size() * kWays; }

 private:
  static constexpr std::size_t kWays = 4;
  struct Entry {
    Id id{};
    std::uint64_t until_tsc = 0;  // of the present phase; 0: free
    std::uint32_t held = 0;
    bool negative = false;
  };
  struct alignas(kCacheLineBytes) Set {
    Entry ways[kWays];
  };
  static_assert(sizeof(Set) == 2 * kCacheLineBytes);

  Set& set_of(const Id& id) noexcept;
  static MissVerdict on_known(Entry& entry, std::uint64_t now_tsc,
                              const NegativeCacheTimes& times) noexcept;

  IdHasher hasher_;
  std::vector<Set> sets_;
  std::size_t mask_;
};

}  // namespace sluice::dataplane
