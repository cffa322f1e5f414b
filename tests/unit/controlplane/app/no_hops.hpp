// Next hops that nobody asks the kernel for: for tests in which it does not matter how a host is
// reached.
#pragma once

#include "controlplane/host/next_hop.hpp"

namespace sluice::controlplane {

class NoHops final : public NextHops {
 public:
  void watch(const IpAddress&) override {}
  void unwatch(const IpAddress&) override {}
};

}  // namespace sluice::controlplane
