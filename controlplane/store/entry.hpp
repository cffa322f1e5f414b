// One change of one key, as it travels through the store: from a write to the log, the overlay, the
// segments and back out of a cursor. A plain value; the spans point into memory of whoever made it
// (a write batch, a mapped file) and live as long as that says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sluice/base/ids.hpp"
#include "sluice/hash/id_hash.hpp"

namespace sluice::controlplane::store {

enum class Op : std::uint8_t {
  kPut = 1,
  kDelete = 2,
  kSetAdd = 3,     // value: the element
  kSetRemove = 4,  // value: the element
};
inline constexpr std::uint8_t kMaxOp = 4;

// How a table keeps its values (see index.hpp).
enum class Form : std::uint8_t {
  kCompact = 1,  // a 56-bit integer per key, found by 40 bits of its hash
  kExact = 2,    // a record or a set per key, found by the whole hash
};
inline constexpr std::uint8_t kMaxForm = 2;

inline constexpr std::size_t kMaxKeyBytes = 1024;
inline constexpr std::size_t kMaxRecordBytes = 65'535;
inline constexpr std::size_t kMaxElementBytes = 64;
// Compact values are below this; the pattern itself marks a deletion in segments.
inline constexpr std::uint64_t kDeletedValue = (std::uint64_t{1} << 56) - 1;

struct Entry {
  Hash128 hash;                // identity: of table, tenant and key, under the index's key
  std::uint64_t sequence = 0;  // of the write, unique in the index, growing
  std::uint8_t table = 0;
  std::uint16_t tenant = 0;
  Op op = Op::kPut;
  std::span<const std::uint8_t> key;
  std::uint64_t inline_value = 0;       // compact: the value
  std::span<const std::uint8_t> value;  // exact: the record, or the element of a set operation
};

}  // namespace sluice::controlplane::store
