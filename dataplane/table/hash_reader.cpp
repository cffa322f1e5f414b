#include "dataplane/table/hash_reader.hpp"

#include <rte_hash.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <string>

namespace sluice::dataplane {

// What is read of rte_hash, at its place in the structure.
struct HashReader::Head {
  char name[32];
  std::uint32_t entries;
  std::uint32_t buckets;
  std::uint8_t not_read[88];
  std::uint32_t key_bytes;
  std::uint8_t transactional;
  std::uint8_t local_cache;
  std::uint8_t concurrent;
  std::uint8_t extendable;
  std::uint8_t no_free_on_delete;
  std::uint8_t lock_free;
  std::uint8_t writer_locks;
  std::uint8_t not_read_either[37];
  std::uint32_t bucket_mask;
  std::uint32_t entry_bytes;
  const void* entry_store;
  const void* bucket_store;
  const void* lock;
  const void* more_buckets;
  const void* free_buckets;
  const void* buckets_to_free;
  const void* change_counter;
};

namespace {

// A block of the DPDK heap of at least so many bytes. Nothing is read through an address that is
// not in that heap.
bool is_heap_block(const void* address, std::size_t bytes) {
  if (address == nullptr || rte_mem_virt2memseg(address, nullptr) == nullptr) return false;
  std::size_t has = 0;
  return rte_malloc_validate(address, &has) == 0 && has >= bytes;
}

struct FreeHash {
  void operator()(rte_hash* table) const noexcept { rte_hash_free(table); }
};

std::uint64_t scramble(std::uint64_t x) noexcept {  // splitmix64
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

// The ids of the trial, and what they hash to. Some hashes are equal, so that ids differ only in
// their key.
struct TrialId {
  explicit TrialId(std::uint64_t number) : hash(static_cast<std::uint32_t>(scramble(number / 2))) {
    const std::uint64_t half = scramble(number);
    std::memcpy(id.bytes.data(), &half, sizeof half);
  }
  Id id{};
  std::uint32_t hash;
};

}  // namespace

std::optional<HashReader> HashReader::attach(const rte_hash* table, std::uint32_t entries) {
  static_assert(offsetof(Head, key_bytes) == 128 && offsetof(Head, bucket_mask) == 176 &&
                offsetof(Head, change_counter) == 232);
  if (!works_on_trial_table()) return std::nullopt;
  return attach_unproven(table, entries);
}

std::optional<HashReader> HashReader::attach_unproven(const rte_hash* table,
                                                      std::uint32_t entries) {
  if (!is_heap_block(table, sizeof(Head))) return std::nullopt;
  const Head& head = *reinterpret_cast<const Head*>(table);
  const bool as_asked = head.entries == entries && head.key_bytes == sizeof(Id) &&
                        head.extendable == 0 && head.no_free_on_delete == 1 && head.lock_free == 1;
  const bool consistent =
      std::has_single_bit(head.buckets) && head.bucket_mask == head.buckets - 1 &&
      std::size_t{head.buckets} * kEntriesPerBucket >= entries && head.entry_bytes == sizeof(Entry);
  if (!as_asked || !consistent) return std::nullopt;
  if (!is_heap_block(head.bucket_store, std::size_t{head.buckets} * sizeof(Bucket)) ||
      !is_heap_block(head.entry_store, (std::size_t{entries} + 1) * sizeof(Entry)) ||
      !is_heap_block(head.change_counter, sizeof(std::uint32_t))) {
    return std::nullopt;
  }
  HashReader reader;
  reader.buckets_ = static_cast<const Bucket*>(head.bucket_store);
  reader.entries_ = static_cast<const Entry*>(head.entry_store);
  reader.moves_ = static_cast<const std::uint32_t*>(head.change_counter);
  reader.mask_ = head.bucket_mask;
  reader.distance_ = distance_of(std::size_t{head.buckets} * sizeof(Bucket) +
                                 (std::size_t{entries} + 1) * sizeof(Entry));
  return reader;
}

// A table so full that entries lie in second buckets and were moved there, with values replaced and
// entries deleted: every id must be found as the library finds it, and the counter must have
// counted the moves.
bool HashReader::works_on_trial_table() {
  constexpr std::uint32_t kEntries = 255;
  constexpr std::uint64_t kIds = 320;  // as many as fit, and some that do not
  rte_hash_parameters parameters{};
  const std::string name = "trial_" + std::to_string(reinterpret_cast<std::uintptr_t>(&parameters));
  parameters.name = name.c_str();
  parameters.entries = kEntries;
  parameters.key_len = sizeof(Id);
  parameters.socket_id = SOCKET_ID_ANY;
  parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
  const std::unique_ptr<rte_hash, FreeHash> table(rte_hash_create(&parameters));
  if (!table) return false;
  const auto reader = attach_unproven(table.get(), kEntries);
  if (!reader) return false;

  const auto agree = [&] {
    for (std::uint64_t number = 0; number < kIds; ++number) {
      const TrialId at(number);
      void* expected = nullptr;
      rte_hash_lookup_with_hash_data(table.get(), &at.id, at.hash, &expected);
      Action found;
      reader->find(&at.id, &at.hash, 1, &found);
      const auto wanted = Action::from_bits(reinterpret_cast<std::uintptr_t>(expected));
      if (found != wanted || reader->find(at.id, at.hash) != wanted) return false;
    }
    return true;
  };
  const auto set = [&](std::uint64_t number, std::uint64_t value) {
    const TrialId at(number);
    rte_hash_add_key_with_hash_data(table.get(), &at.id, at.hash,
                                    reinterpret_cast<void*>(std::uintptr_t{value}));
  };
  const std::uint32_t moves_before = reader->moves();
  for (std::uint64_t number = 0; number < kIds; ++number)
    set(number, number + 1);
  if (!agree() || reader->moves() == moves_before) return false;
  for (std::uint64_t number = 0; number < kIds; number += 3) {
    const TrialId at(number);
    rte_hash_del_key_with_hash(table.get(), &at.id, at.hash);
  }
  for (std::uint64_t number = 1; number < kIds / 2; number += 3)
    set(number, number << 40);
  return agree();
}

std::uint64_t HashReader::find_in(const Bucket& bucket, const Id& id,
                                  std::uint32_t hash) const noexcept {
  constexpr unsigned kOnePerPlace = 0x5555;
  for (unsigned left = matches(bucket, hash) & kOnePerPlace; left != 0; left &= left - 1) {
    const unsigned place = static_cast<unsigned>(std::countr_zero(left)) / 2;
    const std::uint32_t index = __atomic_load_n(&bucket.index[place], __ATOMIC_ACQUIRE);
    if (index == 0) continue;
    if (const std::uint64_t value = value_if_same(entries_[index], id); value != 0) return value;
  }
  return 0;
}

Action HashReader::find(const Id& id, std::uint32_t hash) const noexcept {
  for (std::uint32_t before = moves();;) {
    std::uint64_t value = find_in(first_bucket(hash), id, hash);
    if (value == 0) value = find_in(second_bucket(hash), id, hash);
    if (value != 0) return Action::from_bits(value);
    // Not there, unless the writer carried it from the second bucket to the first meanwhile. The
    // fence keeps the loads of signatures before the load of the counter.
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint32_t after = moves();
    if (after == before) return {};
    before = after;
  }
}

// Where neither bucket has the signature, and nothing was moved since before they were looked at
// the first time, the id is not there. The others (the signature of another id, or of one that was
// deleted) are looked for in full.
void HashReader::settle(const Id* ids, const std::uint32_t* hashes, std::uint64_t missed,
                        std::uint32_t moves_before, Action* out) const noexcept {
  std::uint64_t doubtful = 0;
  for (std::uint64_t left = missed; left != 0; left &= left - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(left));
    const unsigned found =
        matches(first_bucket(hashes[i]), hashes[i]) | matches(second_bucket(hashes[i]), hashes[i]);
    doubtful |= static_cast<std::uint64_t>(found != 0) << i;
  }
  std::atomic_thread_fence(std::memory_order_acquire);  // as in find()
  if (moves() != moves_before) doubtful = missed;
  for (; doubtful != 0; doubtful &= doubtful - 1) {
    const auto i = static_cast<unsigned>(std::countr_zero(doubtful));
    out[i] = find(ids[i], hashes[i]);
  }
}

}  // namespace sluice::dataplane
