// What the registry asks of whatever keeps its agents over a restart. The registry says which agent
// has changed; when it suits the journal it asks the registry what to write (Registry::stored).
// Control thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/registry/stored_agent.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane {

// How it is about what outlives the process. A plain value.
struct StoreInfo {
  std::string directory;
  std::string error;                  // why nothing can be written at present; empty: it can
  std::uint64_t failing_ns = 0;       // for how long
  std::uint64_t waiting = 0;          // agents and peers changed and not durable yet
  std::uint64_t written = 0;          // records, by this process
  std::uint64_t failures = 0;         // batches that could not be written
  std::uint64_t restored_agents = 0;  // at start
  std::uint64_t not_restored = 0;     // damaged, or more than store.agents
};

class RegistryJournal {
 public:
  virtual ~RegistryJournal() = default;

  // Why nothing new can be kept at present (disk full, read-only, ...): new agents are refused with
  // it, what is known already goes on in memory.
  virtual Status ready() const = 0;
  // The agent with this id is another one now, or gone. `tenant` is the one it has or had.
  virtual void changed(const Id& id, std::uint16_t tenant) = 0;
  // The agent is not here any more, but not gone either: it is kept as it is now, without asking
  // again, until changed() says something else of it.
  virtual void parked(const StoredAgent& agent) = 0;
  // The same of a peer that is not of the configuration.
  virtual void peer_changed(std::string_view name) = 0;
};

}  // namespace sluice::controlplane
