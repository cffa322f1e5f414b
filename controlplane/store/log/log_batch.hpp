// What a record of the log says: the operations of one WriteBatch. Any thread; no state.
// Payload, little-endian, per operation: op u8 (with kNumberBit: the value is a number, 8 bytes) |
// table u8 | tenant u16 | key bytes u16 | value bytes u16 | key | value.
#pragma once

#include <cstdint>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/file/checksum.hpp"
#include "controlplane/store/write_batch.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

// The batch must have passed Index::write's checks (sizes fit their limits).
Buffer encode_batch(const WriteBatch& batch);

// Gives the operations of a payload one by one, as entries without hash (that is made of the
// present key); their spans point into the payload.
class BatchReader {
 public:
  BatchReader(ByteView payload, std::uint64_t first_sequence) noexcept
      : left_(payload), size_(payload.size()), sequence_(first_sequence) {}

  // False at the end. kCorrupt names the offset in the payload.
  Result<bool> next(Entry& entry);

 private:
  ByteView left_;
  std::size_t size_;
  std::uint64_t sequence_;
};

}  // namespace sluice::controlplane::store
