#include "controlplane/store/key_hash.hpp"

#include <bit>
#include <cstring>

#include "controlplane/store/scratch.hpp"
#include "sluice/base/bytes.hpp"
#include "sluice/hash/aes_key.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr unsigned kMaxBurst = 64;

// Table and tenant as one number; 0 only for table 0 of tenant 0, whose ids are hashed exactly as
// in the dataplane.
constexpr std::uint64_t space_of(std::uint8_t table, std::uint16_t tenant) noexcept {
  return static_cast<std::uint64_t>(table) << 16 | tenant;
}

// The SipHash keys are AES of two constants: independent of each other and of what ids hash to
// (an id that is one of the constants meets a key that nobody can see).
SipKey derive(const IdHasher& ids, std::uint8_t which) noexcept {
  Id constant{{'s', 'l', 'u', 'i', 'c', 'e', ' ', 's', 't', 'o', 'r', 'e', ' ', 's', 'i', which}};
  const Hash128 hash = ids(constant);
  return {hash.lo, hash.hi};
}

// Under SipHash, so that no id is hashed to one of them.
Hash128 space_secret(const SipKey& key, unsigned byte, unsigned value) noexcept {
  const auto word = [&](std::uint8_t which) {
    const std::array<std::uint8_t, 3> what = {which, static_cast<std::uint8_t>(byte),
                                              static_cast<std::uint8_t>(value)};
    return siphash24(key, what);
  };
  return {word(0), word(1)};
}

Id with_mask(const Hash128& word, const Hash128& mask) noexcept {
  return std::bit_cast<Id>(Hash128{word.lo ^ mask.lo, word.hi ^ mask.hi});
}

}  // namespace

KeyHasher::KeyHasher(const HashKey& key, IdPasses passes) noexcept
    : ids_(IdHasher::create(key)), passes_(passes), lo_(derive(ids_, 1)), hi_(derive(ids_, 2)) {
  if (passes == IdPasses::kTwo) return;
  const SipKey whole = {load<std::uint64_t>(key.bytes.data()),
                        load<std::uint64_t>(key.bytes.data() + 8)};
  for (unsigned byte = 0; byte < kSpaceBytes; ++byte) {
    for (unsigned value = 0; value < 256; ++value)
      secrets_[byte][value] = space_secret(whole, byte, value);
  }
}

void KeyHasher::burst(std::uint8_t table, std::uint16_t tenant, const Id* ids, Hash128* out,
                      unsigned n) const noexcept {
  if (n == 1) {  // alone, without the detour over vectors
    *out = (*this)(table, tenant, ids->bytes);
    return;
  }
  const std::uint64_t space = space_of(table, tenant);
  if (space == 0) return ids_.burst(ids, out, n);
  Scratch<Id, kMaxBurst> masked;
  const auto pass = [&](const auto* from, const Hash128& mask) {
    for (unsigned i = 0; i < n; ++i)
      masked[i] = with_mask(std::bit_cast<Hash128>(from[i]), mask);
    ids_.burst(masked.data(), out, n);
  };
  if (passes_ == IdPasses::kOne) return pass(ids, secret_of(space));
  ids_.burst(ids, out, n);
  pass(out, {space, 0});
}

Hash128 KeyHasher::operator()(std::uint8_t table, std::uint16_t tenant,
                              std::span<const std::uint8_t> key) const noexcept {
  const std::uint64_t space = space_of(table, tenant);
  if (key.size() == sizeof(Id)) {
    Id id;
    std::memcpy(id.bytes.data(), key.data(), sizeof id);
    if (space == 0) return ids_(id);
    return passes_ == IdPasses::kOne ? ids_(with_mask(std::bit_cast<Hash128>(id), secret_of(space)))
                                     : ids_(with_mask(ids_(id), {space, 0}));
  }
  // The keys of table and tenant are the index's with the space mixed in, so that nothing has to be
  // put in front of the bytes.
  return {siphash24({lo_.k0 ^ space, lo_.k1}, key), siphash24({hi_.k0 ^ space, hi_.k1}, key)};
}

Hash128 KeyHasher::element(const Hash128& set,
                           std::span<const std::uint8_t> element) const noexcept {
  return {siphash24({lo_.k0 ^ set.lo, lo_.k1 ^ set.hi}, element),
          siphash24({hi_.k0 ^ set.lo, hi_.k1 ^ set.hi}, element)};
}

}  // namespace sluice::controlplane::store
