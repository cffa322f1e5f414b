// Files with very many agents, one a line, for fleets too large for YAML:
//
//   <name or uuid> <tenant> <endpoint> [capability,capability...]     # of agents-file
//   <name or uuid> <tenant> [capability,capability...]                # of a peer's agents-file
//
// Blanks or tabs between the columns; '#' begins a comment. A million lines take a fraction of a
// second. Any thread; nothing throws; every mistake has line and column.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/report.hpp"

namespace sluice::config {

using TenantSet = std::bitset<65536>;

struct AgentsFile {
  std::vector<StaticAgent> agents;
  std::vector<std::uint32_t> lines;  // of each agent
};

enum class Endpoints : std::uint8_t { kNone, kColumn };

// Agents one after the other, each only during the call, with its line. Lines with a mistake are
// reported and left out.
void visit_agents(std::string_view text, const std::string& filename, Endpoints endpoints,
                  const TenantSet& tenants, Report& report,
                  const std::function<bool(const StaticAgent&, std::uint32_t line)>& take);
// All of them at once.
AgentsFile parse_agents(std::string_view text, const std::string& filename, Endpoints endpoints,
                        const TenantSet& tenants, Report& report);

inline constexpr std::size_t kMaxAgentsFileBytes = std::size_t{4} << 30;

// The bytes of a regular file; an error that says what to do for anything else.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes);

}  // namespace sluice::config
