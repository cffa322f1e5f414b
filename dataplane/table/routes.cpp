#include "dataplane/table/routes.hpp"

namespace sluice::dataplane {

// One hash serves both tiers. The base's pilots are on their way while the delta is searched, its
// records for all ids are, before the first is read. An id that the delta has costs a look-up in
// the base all the same: the delta is small, and which ids it has cannot be foretold.
void Routes::lookup_both(const Id* ids, unsigned n, Action* out) const noexcept {
  Hash128 hashes[kMaxBurst];
  std::uint32_t at[kMaxBurst];
  delta_->hasher().burst(ids, hashes, n);
  base_->locate(hashes, n, at);
  if (filter_ != nullptr) {
    lookup_filtered(ids, hashes, n, out);
  } else {
    std::uint32_t signatures[kMaxBurst]{};
    for (unsigned i = 0; i < n; ++i)
      signatures[i] = hashes[i].signature();
    delta_->lookup_hashed(ids, signatures, n, out);
  }
  base_->fetch(hashes, n, at);
  for (unsigned i = 0; i < n; ++i) {
    const std::uint64_t recent = out[i].bits();
    const std::uint64_t said = base_->read(at[i], hashes[i]).bits();
    out[i] = Action::from_bits(recent | (recent != 0 ? 0 : said));
  }
}

// The delta is asked only for those that it may have, in one burst.
void Routes::lookup_filtered(const Id* ids, const Hash128* hashes, unsigned n,
                             Action* out) const noexcept {
  std::uint8_t asked[kMaxBurst];
  unsigned count = 0;
  for (unsigned i = 0; i < n; ++i) {
    out[i] = Action{};
    asked[count] = static_cast<std::uint8_t>(i);
    count += filter_->may_have(hashes[i]) ? 1 : 0;
  }
  if (count == 0) return;
  Id some[kMaxBurst];
  std::uint32_t signatures[kMaxBurst];
  Action found[kMaxBurst];
  for (unsigned k = 0; k < count; ++k) {
    some[k] = ids[asked[k]];
    signatures[k] = hashes[asked[k]].signature();
  }
  delta_->lookup_hashed(some, signatures, count, found);
  for (unsigned k = 0; k < count; ++k)
    out[asked[k]] = found[k];
}

}  // namespace sluice::dataplane
