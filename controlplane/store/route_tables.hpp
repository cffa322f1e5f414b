// The tables that the control plane keeps in its store; their numbers and names are in the files,
// so they stay. Plain constants; any thread.
#pragma once

#include <vector>

#include "controlplane/store/table_spec.hpp"

namespace sluice::controlplane {

inline constexpr std::uint8_t kAgentsTable = 1;   // by id
inline constexpr std::uint8_t kPeersTable = 2;    // by name, under tenant 0
inline constexpr std::uint8_t kTenantsTable = 3;  // by number, under tenant 0

inline std::vector<store::TableSpec> route_tables() {
  return {{kAgentsTable, store::Kind::kRecord, "agents"},
          {kPeersTable, store::Kind::kRecord, "peers"},
          {kTenantsTable, store::Kind::kRecord, "tenants"}};
}

}  // namespace sluice::controlplane
