#include "dataplane/table/routes.hpp"

namespace sluice::dataplane {

// One hash serves both tiers. The base's pilots are on their way while the delta is searched, its
// records for all ids are, before the first is read. An id that the delta has costs a look-up in
// the base all the same: the delta is small, and which ids it has cannot be foretold.
void Routes::lookup_both(const Id* ids, unsigned n, Action* out) const noexcept {
  Hash128 hashes[kMaxBurst];
  std::uint32_t signatures[kMaxBurst];
  std::uint32_t at[kMaxBurst];
  delta_->hasher().burst(ids, hashes, n);
  base_->locate(hashes, n, at);
  for (unsigned i = 0; i < n; ++i)
    signatures[i] = hashes[i].signature();
  delta_->lookup_hashed(ids, signatures, n, out);
  base_->fetch(hashes, n, at);
  for (unsigned i = 0; i < n; ++i) {
    const Action said = base_->read(at[i], hashes[i]);
    out[i] = out[i].bits() != 0 ? out[i] : said;
  }
}

}  // namespace sluice::dataplane
