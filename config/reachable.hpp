// Whether messages can be sent to an address at all, as far as the configuration tells: what the
// kernel knows besides is the control plane's to ask. Any thread.
#pragma once

#include <string>

#include "config/config.hpp"

namespace sluice::config {

// What the address is when no other host can have it: a loopback or multicast address and the like,
// the router's own, a broadcast address of one of its networks. Empty: nothing speaks against it.
std::string why_unreachable(const Config& config, const IpAddress& address);

}  // namespace sluice::config
