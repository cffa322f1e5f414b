#include "dataplane/table/forwarding_state.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sluice::dataplane {

AddressSet::AddressSet(std::span<const IpAddress> addresses) {
  if (addresses.empty()) return;
  cells_.resize(std::bit_ceil(addresses.size() * 2));
  mask_ = cells_.size() - 1;
  for (const IpAddress& address : addresses) {
    if (contains(address)) continue;
    std::size_t i = hash(address) & mask_;
    while (cells_[i].used)
      i = (i + 1) & mask_;
    cells_[i] = {address, true};
    ++size_;
  }
}

// The addresses are the operator's, so no key is needed; what is asked for may be anyone's, but an
// unknown address costs no more than the longest run of known ones.
std::size_t AddressSet::hash(const IpAddress& address) noexcept {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, address.bytes.data(), 8);
  std::memcpy(&low, address.bytes.data() + 8, 8);
  std::uint64_t sum = (high ^ 0x2545f4914f6cdd1dULL) * 0x9e3779b97f4a7c15ULL;
  sum = (sum ^ sum >> 32 ^ low) * 0x9e3779b97f4a7c15ULL;
  return sum >> 32;
}

Tenants::Tenants() : index_(65'536, kNoTenant) {}

Tenants Tenants::with(std::uint16_t tenant, TenantLimit limit) const {
  Tenants next = *this;
  std::uint16_t& index = next.index_[tenant];
  if (index == kNoTenant) {
    if (!next.free_.empty()) {
      index = next.free_.back();
      next.free_.pop_back();
    } else if (next.limits_.size() < kNoTenant) {
      index = static_cast<std::uint16_t>(next.limits_.size());
      next.limits_.emplace_back();
    } else {
      return next;  // the 65 536th tenant has no limit of its own
    }
  }
  next.limits_[index] = limit;
  return next;
}

Tenants Tenants::with_allowed(std::uint16_t tenant, std::uint16_t destination, bool allowed) const {
  Tenants next = *this;
  if (tenant == destination || allowed == this->allowed(tenant, destination)) return next;
  std::vector<std::uint32_t> pairs = stored_pairs();
  const std::uint32_t pair = pack(tenant, destination);
  if (allowed) {
    pairs.push_back(pair);
  } else {
    std::erase(pairs, pair);
  }
  next.store_pairs(pairs);
  return next;
}

Tenants Tenants::without(std::uint16_t tenant) const {
  Tenants next = *this;
  std::uint16_t& index = next.index_[tenant];
  if (index != kNoTenant) {
    next.limits_[index] = TenantLimit{};
    next.free_.push_back(index);
    index = kNoTenant;
  }
  std::vector<std::uint32_t> pairs = stored_pairs();
  std::erase_if(pairs, [&](std::uint32_t pair) { return pair >> 16 == tenant; });
  next.store_pairs(pairs);
  return next;
}

std::size_t Tenants::allowed_by(std::uint16_t tenant) const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      pairs_, [&](std::uint32_t pair) { return pair != kNoPair && pair >> 16 == tenant; }));
}

std::vector<std::uint32_t> Tenants::stored_pairs() const {
  std::vector<std::uint32_t> pairs;
  std::ranges::copy_if(pairs_, std::back_inserter(pairs),
                       [](std::uint32_t pair) { return pair != kNoPair; });
  return pairs;
}

void Tenants::store_pairs(const std::vector<std::uint32_t>& pairs) {
  pairs_.assign(pairs.empty() ? 0 : std::bit_ceil(pairs.size() * 2), kNoPair);
  pair_mask_ = pairs_.empty() ? 0 : pairs_.size() - 1;
  for (const std::uint32_t pair : pairs) {
    std::size_t i = pair_hash(pair) & pair_mask_;
    while (pairs_[i] != kNoPair)
      i = (i + 1) & pair_mask_;
    pairs_[i] = pair;
  }
}

bool PortForwarding::add_local(const IpAddress& address) noexcept {
  if (local_count == local.size() || is_local(address)) return false;
  local[local_count++] = address;
  return true;
}

bool PortForwarding::remove_local(const IpAddress& address) noexcept {
  for (std::size_t i = 0; i < local_count; ++i) {
    if (local[i] != address) continue;
    local[i] = local[--local_count];
    local[local_count] = IpAddress{};
    return true;
  }
  return false;
}

}  // namespace sluice::dataplane
