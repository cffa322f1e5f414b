// The tenants of this router, from its configuration: their keys for tokens, whom they may address,
// their rates. One thread; a plain container.
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

}  // namespace sluice::controlplane
