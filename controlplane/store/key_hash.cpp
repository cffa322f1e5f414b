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

Id as_id(const Hash128& hash) noexcept {
  return std::bit_cast<Id>(hash);
}

}  // namespace

KeyHasher::KeyHasher(const HashKey& key) noexcept
    : ids_(IdHasher::create(key)), lo_(derive(ids_, 1)), hi_(derive(ids_, 2)) {}

void KeyHasher::burst(std::uint8_t table, std::uint16_t tenant, const Id* ids, Hash128* out,
                      unsigned n) const noexcept {
  ids_.burst(ids, out, n);
  const std::uint64_t space = space_of(table, tenant);
  if (space == 0) return;
  Scratch<Id, kMaxBurst> again;
  for (unsigned i = 0; i < n; ++i)
    again[i] = as_id({out[i].lo ^ space, out[i].hi});
  ids_.burst(again.data(), out, n);
}

Hash128 KeyHasher::operator()(std::uint8_t table, std::uint16_t tenant,
                              std::span<const std::uint8_t> key) const noexcept {
  const std::uint64_t space = space_of(table, tenant);
  if (key.size() == sizeof(Id)) {
    Id id;
    std::memcpy(id.bytes.data(), key.data(), sizeof id);
    const Hash128 hash = ids_(id);
    return space == 0 ? hash : ids_(as_id({hash.lo ^ space, hash.hi}));
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
