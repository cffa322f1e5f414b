// id -> Action for up to `capacity` ids: rte_hash with lock-free readers, indexed by the router's
// keyed hash, the action itself as the value. Any number of workers look up while one writer (the
// applier, in the manager thread) changes it; a reader sees each route as it was or as it is, never
// a mixture. Between two of its quiescent reports (readers.hpp) a worker may go on using an action
// that it read. Needs an initialised EAL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "dataplane/table/hash_reader.hpp"
#include "dataplane/table/readers.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/base/result.hpp"
#include "sluice/hash/id_hash.hpp"
#include "sluice/route/action.hpp"

struct rte_hash;

namespace sluice::dataplane {

enum class RouteOutcome : std::uint8_t { kInserted, kReplaced, kFull };

// What set() did. `previous` is the action that was replaced, kind kNone when there was none.
struct RouteChange {
  RouteOutcome outcome = RouteOutcome::kFull;
  Action previous;
};

// How look-ups read the rte_hash.
enum class HashAccess : std::uint8_t {
  kDirect,   // its buckets (hash_reader.hpp), where they are laid out as known; else the library
  kLibrary,  // the library's bulk look-up
};

class RouteTable {
 public:
  static constexpr unsigned kMaxBurst = 64;
  static constexpr std::size_t kMaxCapacity = 64'000'000;  // 22.11 has 32-bit offsets inside

  // numa_node as rte_malloc takes it (-1: any). Fails with kExhausted when the EAL heap is short of
  // memory_needed(capacity), with kInvalidArgument for a capacity of 0 or above kMaxCapacity.
  static Result<std::unique_ptr<RouteTable>> create(std::size_t capacity, const HashKey& key,
                                                    Readers& readers, int numa_node,
                                                    HashAccess access = HashAccess::kDirect);
  // EAL heap that a table takes, all of it at creation.
  static std::size_t memory_needed(std::size_t capacity) noexcept;
  ~RouteTable();
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // Readers. out[i] has kind kNone where ids[i] is not in the table. n is 1 to kMaxBurst.
  void lookup_burst(const Id* ids, unsigned n, Action* out) const noexcept;
  // The same when the ids' signatures (Hash128::signature() under key()) are known.
  void lookup_hashed(const Id* ids, const std::uint32_t* signatures, unsigned n,
                     Action* out) const noexcept;

  // The writer. Sets routes in order; n is 1 to kMaxBurst. A burst costs much less per route than
  // single calls, because the table's cache lines are fetched for all of them at once. kFull only
  // when size() == capacity(); may wait for readers (microseconds) when freed places are few.
  void set_burst(const Id* ids, const Action* actions, unsigned n, RouteChange* changes);
  RouteChange set(const Id& id, Action action);
  // The action that was removed, kind kNone when there was none.
  Action erase(const Id& id);
  Action find(const Id& id) const noexcept;
  // Frees up to `max` places of erased routes that no reader can see any more.
  void reclaim(unsigned max) noexcept;

  // Walks over at most `max` routes from where the last call stopped and erases those of another
  // epoch; on_erase(id, action) is told of each. True when no such route is left.
  template <class OnErase>
  bool sweep(std::uint8_t epoch, unsigned max, OnErase&& on_erase) {
    if (size_ == of_epoch_[epoch]) return true;
    Id id;
    Action action;
    for (unsigned i = 0; i < max && size_ != of_epoch_[epoch]; ++i) {
      if (!next(sweep_cursor_, id, action)) {
        sweep_cursor_ = 0;  // cuckoo moves may have carried a route past the cursor: once more
        continue;
      }
      if (action.epoch() == epoch) continue;
      erase(id);
      on_erase(id, action);
    }
    return size_ == of_epoch_[epoch];
  }

  // visit(id, action) for every route. Not to be mixed with changes.
  template <class Visit>
  void for_each(Visit&& visit) const {
    Id id;
    Action action;
    for (std::uint32_t cursor = 0; next(cursor, id, action);)
      visit(id, action);
  }

  // The route at the cursor, which starts at 0 and moves on; false at the end. May be mixed with
  // changes: then a route that is there all the time may be left out or come twice.
  bool next(std::uint32_t& cursor, Id& id, Action& action) const noexcept;

  // The same in bounded time: goes over at most `places` places, of which there are more than
  // routes, and takes those it went over off them.
  enum class Walk : std::uint8_t { kRoute, kNothing, kEnd };
  Walk walk(std::uint32_t& cursor, unsigned& places, Id& id, Action& action) const noexcept;

  // The same routes and capacity under another key, while readers go on with this one. Takes a
  // fraction of a microsecond per route and, until this one is freed, the memory of two tables.
  Result<std::unique_ptr<RouteTable>> rehashed(const HashKey& key) const;

  const HashKey& key() const noexcept { return key_; }
  // Counts up when a route moves inside the table, so that next() may have left it out; nullopt
  // when the table cannot tell.
  std::optional<std::uint32_t> moves() const noexcept {
    if (!reader_) return std::nullopt;
    return reader_->moves();
  }

  const IdHasher& hasher() const noexcept { return hasher_; }
  Isa isa() const noexcept { return hasher_.isa(); }
  HashAccess access() const noexcept {
    return reader_ ? HashAccess::kDirect : HashAccess::kLibrary;
  }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t pending() const noexcept { return grace_.size(); }
  std::size_t memory_bytes() const noexcept { return memory_needed(capacity_); }

 private:
  struct Unlinked {
    Readers::Token token;
    std::int32_t position;
  };

  RouteTable(std::size_t capacity, const HashKey& key, Readers& readers, int numa_node);
  RouteChange store(const Id& id, std::uint32_t signature, Action action, Action previous);
  Action find(const Id& id, std::uint32_t signature) const noexcept;
  void find_by_library(const Id* ids, const std::uint32_t* signatures, unsigned n,
                       Action* out) const noexcept;

  IdHasher hasher_;
  rte_hash* hash_ = nullptr;
  std::optional<HashReader> reader_;
  // The writer's from here on.
  alignas(64) std::size_t capacity_;
  std::size_t size_ = 0;
  std::size_t of_epoch_[256] = {};  // routes by the epoch in their action
  std::uint32_t sweep_cursor_ = 0;
  std::deque<Unlinked> grace_;
  HashKey key_;
  Readers& readers_;
  int numa_node_;
};

}  // namespace sluice::dataplane
