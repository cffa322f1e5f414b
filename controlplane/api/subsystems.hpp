// What the services work on: references to the subsystems, which belong to the control thread, and
// what they need of the process around them. Everything here is used on the control thread only,
// unless it says otherwise.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "controlplane/api/trace_hub.hpp"
#include "controlplane/base_tier/base_manager.hpp"
#include "controlplane/host/host.hpp"
#include "controlplane/link/link.hpp"
#include "controlplane/link/programmer.hpp"
#include "controlplane/membership/membership.hpp"
#include "controlplane/registry/forwarding.hpp"
#include "controlplane/registry/inband.hpp"
#include "controlplane/registry/registry.hpp"
#include "controlplane/registry/tenants.hpp"
#include "controlplane/store/index.hpp"

namespace sluice::controlplane {

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual const config::Config& config() const = 0;
  virtual const std::string& config_file() const = 0;  // any thread
  virtual std::uint64_t config_loaded_ns() const = 0;  // since the Unix epoch
  virtual std::uint64_t started_ns() const = 0;        // monotonic; any thread
  virtual std::uint64_t logs_lost() const = 0;         // any thread
  virtual std::string version() const = 0;             // any thread
  virtual StoreInfo store_info() const = 0;
  virtual BaseManagerInfo base_info() const = 0;
  virtual StoredTenants stored_tenants() const = 0;
  // Everything of it that the store had, for good: its routes leave the base segment soon, too.
  virtual void tenant_deleted(std::uint16_t tenant) = 0;
  // Calls back on the control thread when all changes of agents and peers before this call are
  // durable, or could not be made so.
  virtual void when_durable(std::function<void(Status)> callback) = 0;
  // Puts a checked configuration into effect: all of it, or nothing and the reason.
  virtual Result<std::vector<config::Difference>> apply(config::Config next) = 0;
};

struct Subsystems {
  Runtime& runtime;
  Registry& registry;
  Forwarding& forwarding;
  Programmer& programmer;
  Link& link;
  Host& host;
  const InBand& inband;
  const Tenants& tenants;
  TraceHub& traces;
  store::Index* index = nullptr;                 // any thread; null in tests of other things only
  membership::Membership* membership = nullptr;  // any thread; none: this router is in no cluster
};

}  // namespace sluice::controlplane
