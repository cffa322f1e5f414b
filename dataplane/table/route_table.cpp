#include "dataplane/table/route_table.hpp"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_ring.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace sluice::dataplane {

static_assert(RouteTable::kMaxBurst == RTE_HASH_LOOKUP_BULK_MAX);
static_assert(sizeof(void*) == sizeof(Action), "the action is the value itself");

namespace {

constexpr std::size_t kBucketEntries = 8;
constexpr std::size_t kBucketBytes = 64;
constexpr std::size_t kKeySlotBytes = 32;  // value, key, padding
constexpr std::size_t kFixedBytes = 2048;  // rte_hash itself, counters, heap headers

// Smallest number of places in buckets. A small cuckoo table can have more ids on two buckets than
// they hold; from here on that does not happen.
constexpr std::size_t kMinPlaces = 8192;

// Places in buckets: a power of two, at most 96 % in use when the table is full. With 8 entries per
// bucket and two buckets per id, cuckoo moves find a place up to more than 99 %.
std::size_t places(std::size_t capacity) noexcept {
  return std::max(kMinPlaces, std::bit_ceil(capacity + capacity / 24));
}

// What rte_hash is told: room for the ids and for some that were erased and wait for readers, so
// that a full table whose ids change does not wait at every insertion.
std::size_t entries(std::size_t capacity) noexcept {
  const std::size_t waiting = std::min<std::size_t>(65'536, capacity / 32 + 64);
  const std::size_t least = places(capacity) / 2 + 1;  // fewer would halve the buckets
  return std::clamp(capacity + waiting, least, places(capacity) - 1);
}

void* to_value(Action action) noexcept {
  return std::bit_cast<void*>(action.bits());
}
Action to_action(const void* value) noexcept {
  return Action::from_bits(std::bit_cast<std::uint64_t>(value));
}

bool is_route(Action action) noexcept {
  return action.kind() != ActionKind::kNone;
}

// Which signatures were seen in this burst, roughly: a false alarm costs one extra look-up.
class SeenBefore {
 public:
  bool operator()(std::uint32_t signature) noexcept {
    std::uint64_t& word = words_[signature >> 6 & 15];
    const std::uint64_t bit = std::uint64_t{1} << (signature & 63);
    const bool seen = (word & bit) != 0;
    word |= bit;
    return seen;
  }

 private:
  std::array<std::uint64_t, 16> words_{};
};

}  // namespace

std::size_t RouteTable::memory_needed(std::size_t capacity) noexcept {
  const std::size_t slots = entries(capacity) + 1;
  return kFixedBytes + places(capacity) / kBucketEntries * kBucketBytes + slots * kKeySlotBytes +
         sizeof(rte_ring) + std::bit_ceil(slots) * sizeof(std::uint32_t);
}

RouteTable::RouteTable(std::size_t capacity, const HashKey& key, Readers& readers, int numa_node)
    : hasher_(IdHasher::create(key)),
      capacity_(capacity),
      key_(key),
      readers_(readers),
      numa_node_(numa_node) {}

Result<std::unique_ptr<RouteTable>> RouteTable::create(std::size_t capacity, const HashKey& key,
                                                       Readers& readers, int numa_node,
                                                       HashAccess access) {
  if (capacity == 0 || capacity > kMaxCapacity) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("a route table of {} routes; 1 to {} are possible", capacity, kMaxCapacity));
  }
  std::unique_ptr<RouteTable> table(new RouteTable(capacity, key, readers, numa_node));
  // Names are unique in the process while the table lives, that is all rte_hash asks for.
  const std::string name = fmt::format("routes_{}", fmt::ptr(table.get()));
  rte_hash_parameters parameters{};
  parameters.name = name.c_str();
  parameters.entries = static_cast<std::uint32_t>(entries(capacity));
  parameters.key_len = sizeof(Id);
  parameters.socket_id = numa_node;
  // No extendable buckets: measured, they cost a second pass over the misses of a burst, and
  // places() leaves room enough.
  parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
  table->hash_ = rte_hash_create(&parameters);
  if (table->hash_ == nullptr) {
    return fail(ErrorCode::kExhausted,
                fmt::format("a route table of {} routes needs {} MiB of DPDK memory{}: {}",
                            capacity, memory_needed(capacity) / 1'048'576 + 1,
                            numa_node < 0 ? "" : fmt::format(" on NUMA node {}", numa_node),
                            rte_strerror(rte_errno == 0 ? ENOMEM : rte_errno)));
  }
  if (access == HashAccess::kDirect)
    table->reader_ = HashReader::attach(table->hash_, parameters.entries);
  return table;
}

RouteTable::~RouteTable() {
  rte_hash_free(hash_);
}

void RouteTable::lookup_burst(const Id* ids, unsigned n, Action* out) const noexcept {
  std::uint32_t signatures[kMaxBurst];
  hasher_.burst32(ids, signatures, n);
  lookup_hashed(ids, signatures, n, out);
}

void RouteTable::lookup_hashed(const Id* ids, const std::uint32_t* signatures, unsigned n,
                               Action* out) const noexcept {
  if (!reader_) [[unlikely]]
    return find_by_library(ids, signatures, n, out);
  reader_->find(ids, signatures, n, out);
}

void RouteTable::find_by_library(const Id* ids, const std::uint32_t* signatures, unsigned n,
                                 Action* out) const noexcept {
  const void* keys[kMaxBurst];
  void* values[kMaxBurst];
  for (unsigned i = 0; i < n; ++i) {
    keys[i] = &ids[i];
    values[i] = nullptr;  // stays so on a miss: kind kNone
  }
  std::uint64_t hits = 0;
  rte_hash_lookup_with_hash_bulk_data(hash_, keys, const_cast<std::uint32_t*>(signatures), n, &hits,
                                      values);
  for (unsigned i = 0; i < n; ++i)
    out[i] = to_action(values[i]);
}

Action RouteTable::find(const Id& id, std::uint32_t signature) const noexcept {
  void* value = nullptr;
  rte_hash_lookup_with_hash_data(hash_, &id, signature, &value);
  return to_action(value);
}

Action RouteTable::find(const Id& id) const noexcept {
  return find(id, hasher_(id).signature());
}

void RouteTable::set_burst(const Id* ids, const Action* actions, unsigned n, RouteChange* changes) {
  std::uint32_t signatures[kMaxBurst] = {};
  Action present[kMaxBurst];
  hasher_.burst32(ids, signatures, n);
  lookup_hashed(ids, signatures, n, present);
  SeenBefore seen_before;
  for (unsigned i = 0; i < n; ++i) {
    // The same id earlier in this burst: what was looked up above is out of date.
    const Action previous = seen_before(signatures[i]) ? find(ids[i], signatures[i]) : present[i];
    changes[i] = store(ids[i], signatures[i], actions[i], previous);
  }
}

RouteChange RouteTable::set(const Id& id, Action action) {
  const std::uint32_t signature = hasher_(id).signature();
  return store(id, signature, action, find(id, signature));
}

RouteChange RouteTable::store(const Id& id, std::uint32_t signature, Action action,
                              Action previous) {
  assert(is_route(action));
  const bool replaces = is_route(previous);
  if (!replaces && size_ >= capacity_) return {RouteOutcome::kFull, Action{}};
  // One release store of 8 bytes when the id is there already (search_and_update in rte_hash).
  int result = rte_hash_add_key_with_hash_data(hash_, &id, signature, to_value(action));
  if (result == -ENOSPC && !grace_.empty()) {
    readers_.synchronize();
    reclaim(static_cast<unsigned>(grace_.size()));
    result = rte_hash_add_key_with_hash_data(hash_, &id, signature, to_value(action));
  }
  if (result != 0) return {RouteOutcome::kFull, Action{}};
  ++of_epoch_[action.epoch()];
  if (replaces) {
    --of_epoch_[previous.epoch()];
    return {RouteOutcome::kReplaced, previous};
  }
  ++size_;
  return {RouteOutcome::kInserted, Action{}};
}

Action RouteTable::erase(const Id& id) {
  const std::uint32_t signature = hasher_(id).signature();
  const Action previous = find(id, signature);
  if (!is_route(previous)) return previous;
  const std::int32_t position = rte_hash_del_key_with_hash(hash_, &id, signature);
  assert(position >= 0);
  grace_.push_back({readers_.start(), position});
  --of_epoch_[previous.epoch()];
  --size_;
  return previous;
}

void RouteTable::reclaim(unsigned max) noexcept {
  for (; max > 0 && !grace_.empty() && readers_.passed(grace_.front().token); --max) {
    rte_hash_free_key_with_position(hash_, grace_.front().position);
    grace_.pop_front();
  }
}

bool RouteTable::next(std::uint32_t& cursor, Id& id, Action& action) const noexcept {
  const void* key = nullptr;
  void* value = nullptr;
  if (rte_hash_iterate(hash_, &key, &value, &cursor) < 0) return false;
  std::memcpy(&id, key, sizeof id);
  action = to_action(value);
  return true;
}

RouteTable::Walk RouteTable::walk(std::uint32_t& cursor, unsigned& places, Id& id,
                                  Action& action) const noexcept {
  if (!reader_) {
    const std::uint32_t before = cursor;
    if (!next(cursor, id, action)) return Walk::kEnd;
    places -= std::min(places, cursor - before);
    return Walk::kRoute;
  }
  for (; cursor < reader_->places(); ++cursor) {
    if (places == 0) return Walk::kNothing;
    --places;
    if (!reader_->at_place(cursor, id, action)) continue;
    ++cursor;
    return Walk::kRoute;
  }
  return Walk::kEnd;
}

Result<std::unique_ptr<RouteTable>> RouteTable::rehashed(const HashKey& key) const {
  auto table = create(capacity_, key, readers_, numa_node_, access());
  if (!table) return fail(std::move(table.error()), "rehashing");
  std::array<Id, kMaxBurst> ids;
  std::array<Action, kMaxBurst> actions;
  std::array<RouteChange, kMaxBurst> changes;
  unsigned n = 0;
  const auto flush = [&] {
    if (n != 0) (*table)->set_burst(ids.data(), actions.data(), n, changes.data());
    n = 0;
  };
  for_each([&](const Id& id, Action action) {
    ids[n] = id;
    actions[n] = action;
    if (++n == kMaxBurst) flush();
  });
  flush();
  if ((*table)->size() != size_)
    return fail(ErrorCode::kInternal, "rehashing: the new table refused routes");
  return table;
}

}  // namespace sluice::dataplane
