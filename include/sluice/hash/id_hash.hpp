// The keyed hash of ids: AES-128, all 10 rounds, of the 16-byte id under the router's secret key.
// Used by everything that puts ids into the dataplane's tables, so that nobody outside can choose
// ids that collide. Make one hasher per key at start; after that it is immutable, trivially
// copyable and safe in any thread. Which instruction set runs is decided in create(), which also
// tries it: an emulator whose instructions compute something else must not become a router that
// finds no routes (QEMU 7.2 does for VAES on 256 bits). A burst pays one predictable branch.
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include "sluice/base/ids.hpp"
#include "sluice/hash/aes_key.hpp"
#include "sluice/hash/id_hash_aesni.hpp"
#include "sluice/hash/id_hash_scalar.hpp"
#include "sluice/hash/id_hash_vaes256.hpp"
#include "sluice/hash/id_hash_vaes512.hpp"
#include "sluice/hash/isa.hpp"

namespace sluice {

class IdHasher {
 public:
  // The all-zero key on the scalar kernel; for storage that create() fills later.
  IdHasher() noexcept : IdHasher(HashKey{}, Isa::kScalar) {}

  // An instruction set that this machine lacks, or that gives other results than the reference, is
  // replaced by the best one that does not; isa() tells which.
  static IdHasher create(const HashKey& key, Isa isa = best_isa()) noexcept {
    if (!has_isa(isa)) isa = best_isa();
    while (isa != Isa::kScalar && !IdHasher(key, isa).is_right())
      isa = static_cast<Isa>(std::to_underlying(isa) - 1);
    return IdHasher(key, isa);
  }

  Isa isa() const noexcept { return isa_; }

  Hash128 operator()(const Id& id) const noexcept {
    if (isa_ == Isa::kScalar) [[unlikely]]
      return aes::scalar::one(keys_, id);
    return aes::aesni::one(keys_, id);
  }

  // Hashes ids[0..n) to out[0..n). Neither pointer needs alignment beyond its type's; the two must
  // not overlap. Any n is correct; the pipeline uses 1 to 64.
  void burst(const Id* ids, Hash128* out, unsigned n) const noexcept { run(ids, out, n); }

  // Only the signatures, Hash128::signature(), for rte_hash's bulk lookup.
  void burst32(const Id* ids, std::uint32_t* out, unsigned n) const noexcept { run(ids, out, n); }

 private:
  IdHasher(const HashKey& key, Isa isa) noexcept : keys_(aes::expand_key(key)), isa_(isa) {}

  // 21 ids: whole vectors of every width, and a rest.
  bool is_right() const noexcept {
    constexpr unsigned kIds = 21;
    std::array<Id, kIds> ids;
    std::array<Hash128, kIds> hashes;
    std::array<std::uint32_t, kIds> signatures;
    for (unsigned i = 0; i < kIds; ++i) {
      for (unsigned byte = 0; byte < sizeof(Id); ++byte)
        ids[i].bytes[byte] = static_cast<std::uint8_t>(37 * i + 11 * byte + 1);
    }
    burst(ids.data(), hashes.data(), kIds);
    burst32(ids.data(), signatures.data(), kIds);
    for (unsigned i = 0; i < kIds; ++i) {
      const Hash128 wanted = aes::scalar::one(keys_, ids[i]);
      if (hashes[i] != wanted || signatures[i] != wanted.signature() || (*this)(ids[i]) != wanted)
        return false;
    }
    return true;
  }

  void run(const Id* ids, Hash128* out, unsigned n) const noexcept {
    switch (isa_) {
      case Isa::kVaes512:
        return aes::vaes512::burst(keys_, ids, out, n);
      case Isa::kVaes256:
        return aes::vaes256::burst(keys_, ids, out, n);
      case Isa::kAesNi:
        return aes::aesni::burst(keys_, ids, out, n);
      case Isa::kScalar:
        return aes::scalar::burst(keys_, ids, out, n);
    }
  }

  void run(const Id* ids, std::uint32_t* out, unsigned n) const noexcept {
    switch (isa_) {
      case Isa::kVaes512:
        return aes::vaes512::burst32(keys_, ids, out, n);
      case Isa::kVaes256:
        return aes::vaes256::burst32(keys_, ids, out, n);
      case Isa::kAesNi:
        return aes::aesni::burst32(keys_, ids, out, n);
      case Isa::kScalar:
        return aes::scalar::burst32(keys_, ids, out, n);
    }
  }

  alignas(64) aes::RoundKeys keys_;
  Isa isa_;
};
static_assert(std::is_trivially_copyable_v<IdHasher>);
static_assert(sizeof(IdHasher) == 192 && alignof(IdHasher) == 64);

}  // namespace sluice
