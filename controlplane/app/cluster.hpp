// From the configuration's section cluster to a running member: its options, its keys, its log
// lines. Main thread, at start.
#pragma once

#include <memory>

#include "config/config.hpp"
#include "controlplane/membership/membership.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane {

// nullptr when the configuration has no cluster. Binds its sockets; nothing runs yet.
Result<std::unique_ptr<membership::Membership>> make_membership(const config::Config& config);

membership::Profile profile_of(const config::Cluster& cluster);

}  // namespace sluice::controlplane
