// The tenants of this router, from its configuration: their keys for tokens, whom they may address,
// their rates. And what the store remembers of tenants. One thread; plain containers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sluice::controlplane {

struct TenantInfo {
  std::string name;
  std::string token_key;  // raw bytes; empty: no tokens can be made or checked
  std::vector<std::uint16_t> allow;
  std::uint32_t rate_per_second = 0;
  std::uint32_t burst = 0;

  friend bool operator==(const TenantInfo&, const TenantInfo&) = default;
};

using Tenants = std::map<std::uint16_t, TenantInfo>;

struct StoredTenant {
  std::string name;   // the latest in the configuration; empty: not known
  bool away = false;  // out of the configuration, while the store has agents of it

  friend bool operator==(const StoredTenant&, const StoredTenant&) = default;
};

using StoredTenants = std::map<std::uint16_t, StoredTenant>;

inline bool is_away(const StoredTenants& tenants, std::uint16_t tenant) {
  const auto known = tenants.find(tenant);
  return known != tenants.end() && known->second.away;
}

}  // namespace sluice::controlplane
