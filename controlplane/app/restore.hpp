// Brings back what the durable index has of agents and peers, after the configuration was applied,
// which rules its own entries. Control thread, at start.
#pragma once

#include <cstdint>

#include "controlplane/app/journal.hpp"
#include "controlplane/registry/tenants.hpp"
#include "controlplane/store/snapshot.hpp"

namespace sluice::controlplane {

struct Restored {
  std::uint64_t agents = 0;
  std::uint64_t leases = 0;    // of them, registered ones
  std::uint64_t departed = 0;  // whose recorded requests stay refused
  std::uint64_t peers = 0;
  std::uint64_t outdated = 0;  // now configured, or of a tenant that is gone: forgotten
  std::uint64_t no_room = 0;   // more than store.agents: stay in the store only
  std::uint64_t damaged = 0;   // records that cannot be: stay in the store only
};

// `journal` is told what is outdated. An error is one of the disk: it names file and remedy.
Result<Restored> restore_all(const store::Snapshot& from, Registry& registry,
                             Forwarding& forwarding, const Tenants& tenants, Journal& journal,
                             Time now);

}  // namespace sluice::controlplane
