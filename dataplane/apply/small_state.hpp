// What the control plane said of everything small (addresses, peers, tenants, settings), as the
// applier collects it, and the snapshot for workers made of it. A new epoch collects from scratch
// and is published as a whole at its end, so that what it does not mention goes away and what it
// repeats never vanishes in between. Manager thread only.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "dataplane/table/forwarding_state.hpp"

namespace sluice::dataplane {

struct TenantModel {
  TenantLimit limit;
  std::set<std::uint16_t> allowed;

  friend bool operator==(const TenantModel&, const TenantModel&) = default;
};

struct SmallState {
  Id router_id;
  link::Settings settings{};
  std::array<bool, kMaxPorts> source_guard{};
  std::array<std::set<IpAddress>, kMaxPorts> local;
  std::set<IpAddress> peers;
  std::map<std::uint16_t, TenantModel> tenants;

  // Guard on everywhere and the defaults of the configuration, until told otherwise.
  static SmallState initial();
};

// The next snapshot: `last` with `now` in it. Peers and tenants are shared with `last` when they
// are as in `before`, which `last` was made of; tenants keep their dense indexes.
std::unique_ptr<ForwardingState> make_snapshot(const ForwardingState& last,
                                               const SmallState& before, const SmallState& now);

}  // namespace sluice::dataplane
