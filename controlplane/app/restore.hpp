// Brings back what the durable index has of agents and peers: all at start, after the configuration
// was applied, which rules its own entries, and one by one the agents of tenants that are back in
// the configuration. Control thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <variant>

#include "controlplane/app/journal.hpp"
#include "controlplane/registry/tenants.hpp"
#include "controlplane/store/snapshot.hpp"

namespace sluice::controlplane {

struct Restored {
  std::uint64_t agents = 0;
  std::uint64_t leases = 0;    // of them, registered ones
  std::uint64_t departed = 0;  // whose recorded requests stay refused
  std::uint64_t peers = 0;
  std::uint64_t outdated = 0;  // now configured, or of a peer that is gone: forgotten
  std::uint64_t expired = 0;   // leases that ended while the tenant was away: forgotten
  std::uint64_t no_room = 0;   // more than store.agents: stay in the store only
  std::uint64_t damaged = 0;   // records that cannot be: stay in the store only
  // Agents by tenant that the configuration has not: stay in the store only.
  std::map<std::uint16_t, std::uint64_t> away;
  std::set<std::uint16_t> behind;  // tenants of which something stays because of no_room or damaged
};

Result<std::variant<StoredAgent, StoredDeparted>> decode_agent(const store::Item& item);

class Restorer {
 public:
  // `journal` is told what is forgotten. `before`: how the store remembers tenants from the time
  // before.
  Restorer(Registry& registry, Forwarding& forwarding, const Tenants& tenants,
           const StoredTenants& before, Journal& journal, Time now)
      : registry_(registry),
        forwarding_(forwarding),
        tenants_(tenants),
        before_(before),
        journal_(journal),
        now_(now) {}

  void take_peer(const store::Item& item);
  void take_agent(const store::Item& item);  // or one that has left
  void take(const StoredAgent& agent);
  const Restored& result() const { return result_; }

 private:
  void damaged(const Error& error);
  Status restore(const StoredAgent& agent, std::uint32_t peer);
  void forget(const StoredAgent& agent, std::uint64_t& count);
  void outdated_peer(std::string_view name, const Error& error);

  Registry& registry_;
  Forwarding& forwarding_;
  const Tenants& tenants_;
  const StoredTenants& before_;
  Journal& journal_;
  Time now_;
  Restored result_;
};

// Everything. An error is one of the disk: it names file and remedy.
Status restore_all(const store::Snapshot& from, Restorer& restorer);
// Calls for each item of a table.
Status for_each_item(const store::Snapshot& from, std::uint8_t table,
                     const std::function<void(const store::Item&)>& take);

}  // namespace sluice::controlplane
