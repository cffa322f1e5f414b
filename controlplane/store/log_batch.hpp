// What a record of the log says: the operations of one WriteBatch. Any thread; no state.
// Payload, little-endian, per operation: op u8 | table u8 | tenant u16 | key bytes u16 |
// value bytes u16 (0xffff means: a number of 8 bytes follows as the value) | key | value.
#pragma once

#include <cstdint>
#include <functional>

#include "controlplane/store/checksum.hpp"
#include "controlplane/store/entry.hpp"
#include "controlplane/store/write_batch.hpp"

namespace sluice::controlplane::store {

// The batch must have passed Index::write's checks (sizes fit their limits).
Buffer encode_batch(const WriteBatch& batch);

// Entries without hash (it is made of the present key); the first has `first_sequence`, the others
// follow. kCorrupt when it is no batch of exactly `operations` operations; `visit` may have been
// called before that is known.
Status decode_batch(ByteView payload, std::uint64_t first_sequence, std::uint32_t operations,
                    const std::function<void(const Entry&)>& visit);

}  // namespace sluice::controlplane::store
