// What the registry asks of whatever keeps its agents over a restart. The registry says which agent
// has changed; when it suits the journal it asks the registry what to write (Registry::stored).
// Control thread only.
#pragma once

#include <cstdint>
#include <string_view>

#include "sluice/base/ids.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane {

class RegistryJournal {
 public:
  virtual ~RegistryJournal() = default;

  // Why nothing new can be kept at present (disk full, read-only, ...): new agents are refused with
  // it, what is known already goes on in memory.
  virtual Status ready() const = 0;
  // The agent with this id is another one now, or gone. `tenant` is the one it has or had.
  virtual void changed(const Id& id, std::uint16_t tenant) = 0;
  // The same of a peer that is not of the configuration.
  virtual void peer_changed(std::string_view name) = 0;
};

}  // namespace sluice::controlplane
