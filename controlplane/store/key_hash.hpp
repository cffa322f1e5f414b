// The identity of a key in the index: 128 bits made of table, tenant and key under the secret key
// of the index. Ids (16-byte keys) go through AES, like in the dataplane; everything else through
// two SipHash-2-4. Two keys share a hash with probability 2^-128, so the hash stands for the key.
// Immutable after construction; any thread.
#pragma once

#include <cstdint>
#include <span>

#include "sluice/hash/id_hash.hpp"
#include "sluice/hash/siphash.hpp"

namespace sluice::controlplane::store {

class KeyHasher {
 public:
  explicit KeyHasher(const HashKey& key) noexcept;

  Hash128 operator()(std::uint8_t table, std::uint16_t tenant,
                     std::span<const std::uint8_t> key) const noexcept;

  // Of n <= 64 ids; `out` must not overlap `ids`.
  void burst(std::uint8_t table, std::uint16_t tenant, const Id* ids, Hash128* out,
             unsigned n) const noexcept;

  // The part that hashes ids: the same as the dataplane's.
  const IdHasher& ids() const noexcept { return ids_; }

  // Of one element in the set whose key has the hash `set`.
  Hash128 element(const Hash128& set, std::span<const std::uint8_t> element) const noexcept;

 private:
  IdHasher ids_;
  SipKey lo_;
  SipKey hi_;
};

}  // namespace sluice::controlplane::store
