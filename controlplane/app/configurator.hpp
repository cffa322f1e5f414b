// Puts a configuration into effect in the subsystems, the first one and every later one in the same
// way: each subsystem is told what shall be, and changes only what is different. What cannot work
// is found before anything is changed. Control thread only.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "controlplane/app/tenant_keeper.hpp"
#include "controlplane/host/host.hpp"
#include "controlplane/link/programmer.hpp"
#include "controlplane/registry/forwarding.hpp"
#include "controlplane/registry/inband.hpp"
#include "controlplane/registry/registry.hpp"
#include "controlplane/registry/tenants.hpp"

namespace sluice::controlplane {

std::vector<HostPort> host_ports(const config::Config& config);
std::vector<std::uint16_t> port_vlans(const config::Config& config);
Tenants tenants_of(const config::Config& config);
link::Settings settings_of(const config::Config& config);

class Configurator {
 public:
  Configurator(Registry& registry, Forwarding& forwarding, Programmer& programmer, Host& host,
               InBand& inband, Tenants& tenants, TenantKeeper& tenant_keeper)
      : registry_(registry),
        forwarding_(forwarding),
        programmer_(programmer),
        host_(host),
        inband_(inband),
        tenants_(tenants),
        tenant_keeper_(tenant_keeper) {}

  // Why `next` cannot take the place of what is in effect, beside what config::check_reload says.
  Status check(const config::Config& next) const;
  // After check(). An error here is one of memory or tables; what could be done is done. The texts
  // of its files are consumed.
  Status apply(config::Config& next, Time now);

 private:
  Status check_peers(const config::Config& next) const;
  Status check_room(const config::Config& next) const;
  void apply_tenants(const config::Config& next, Time now);
  void apply_ports(const config::Config& next);
  Status apply_peers(const config::Config& next);
  Status apply_agents(config::Config& next, Time now);
  Status put(const config::StaticAgent& agent, std::uint32_t peer, Time now);
  void drop_outdated_peers(const config::Config& next);
  void drop_outdated_agents(const config::Config& next);

  Registry& registry_;
  Forwarding& forwarding_;
  Programmer& programmer_;
  Host& host_;
  InBand& inband_;
  Tenants& tenants_;
  TenantKeeper& tenant_keeper_;
  std::uint8_t generation_ = 0;
};

}  // namespace sluice::controlplane
