// The identity of a key in the index: 128 bits made of table, tenant and key under the secret key
// of the index. Ids (16-byte keys) go through AES, like in the dataplane; everything else through
// two SipHash-2-4. Two keys share a hash with probability 2^-128, so the hash stands for the key.
// Ids of another table or tenant than 0: in two passes of AES, table and tenant between them
// (segment formats 1 and 2), or in one, of the id xor a secret of 128 bits of table and tenant.
// Immutable after construction; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "sluice/hash/id_hash.hpp"
#include "sluice/hash/siphash.hpp"

namespace sluice::controlplane::store {

enum class IdPasses : std::uint8_t { kTwo, kOne };

class KeyHasher {
 public:
  KeyHasher(const HashKey& key, IdPasses passes) noexcept;

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
  // The secrets of the three bytes of table and tenant, xored: so any two differ by 128 bits that
  // nobody can foresee (tabulation; Carter, Wegman 1979), at three loads.
  Hash128 secret_of(std::uint64_t space) const noexcept {
    Hash128 secret = secrets_[0][space & 0xff];
    for (unsigned i = 1; i < kSpaceBytes; ++i) {
      const Hash128& more = secrets_[i][space >> (8 * i) & 0xff];
      secret = {secret.lo ^ more.lo, secret.hi ^ more.hi};
    }
    return secret;
  }

  static constexpr unsigned kSpaceBytes = 3;

  IdHasher ids_;
  IdPasses passes_;
  SipKey lo_;
  SipKey hi_;
  std::array<std::array<Hash128, 256>, kSpaceBytes> secrets_{};  // of one pass
};

}  // namespace sluice::controlplane::store
