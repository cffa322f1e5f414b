// Lookups in one Version: overlay, sealed overlays, segments, each of them newest first, and during
// a migration the old layout behind them. No locks; no allocation for numbers. Any thread; the
// caller holds an epoch guard or owns the version.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "controlplane/store/core.hpp"
#include "controlplane/store/version.hpp"

namespace sluice::controlplane::store {

// What lookups met, for the metrics.
struct LookupCounts {
  std::uint64_t lookups = 0;
  std::uint64_t hits = 0;
  std::uint64_t probes = 0;           // of segments
  std::uint64_t false_positives = 0;  // of filters
};

using ByteVector = std::vector<std::uint8_t>;

// Answers for one Version; what is found damaged on the way is taken out of service. `core`: to
// whom damage is told; null for a snapshot, which may live longer.
class Reader {
 public:
  Reader(Core* core, const Version& version, LookupCounts& counts) noexcept
      : core_(core), version_(version), counts_(counts) {}

  // See Index::lookup, number, record, members.
  Result<std::uint64_t> lookup(std::uint8_t table, std::uint16_t tenant, const Id* ids, unsigned n,
                               std::uint64_t* values);
  Result<std::optional<std::uint64_t>> number(std::uint8_t table, std::uint16_t tenant, Bytes key);
  Result<std::optional<ByteVector>> record(std::uint8_t table, std::uint16_t tenant, Bytes key);
  Result<std::vector<ByteVector>> members(std::uint8_t table, std::uint16_t tenant, Bytes key);

  // Whether the present layout decides about the entry of the old one: has the key, or has deleted
  // it; of a set: has an operation on the element, or has cleared it.
  Result<bool> supersedes(Form form, const Entry& entry);

 private:
  struct SetState {
    std::set<ByteVector> added;
    std::set<ByteVector> removed;
    bool cleared = false;  // what is older does not count

    bool take(Op op, Bytes element);
  };

  Error damaged(const SegmentHandle& segment);
  // `wanted`: bits of the keys to look for. Returns those that were found, kDeletedValue included.
  Result<std::uint64_t> find_numbers(const TreeSet& set, const Hash128* hashes,
                                     std::uint64_t wanted, std::uint64_t* values);
  // One key after the other, checking what is not known to be good.
  Result<std::uint64_t> find_checked(const TreeSet& set, const Hash128* hashes,
                                     std::uint64_t wanted, std::uint64_t* values);
  // Nothing: the trees do not know the key; else the record, or that it was deleted.
  struct RecordState {
    bool deleted = false;
    Bytes bytes;
  };
  Result<std::optional<RecordState>> find_record(const TreeSet& set, const Hash128& hash);
  Status find_set(const TreeSet& set, const Hash128& hash, SetState& state);

  Core* core_;
  const Version& version_;
  LookupCounts& counts_;
};

}  // namespace sluice::controlplane::store
