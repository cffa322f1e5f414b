// Metrics of the cluster, out of one look at the member: names, help and values in one table. Any
// thread; no state.
#pragma once

#include <vector>

#include "controlplane/membership/membership.hpp"

namespace prometheus {
struct MetricFamily;
}

namespace sluice::controlplane {

std::vector<prometheus::MetricFamily> collect_cluster(const membership::ClusterStatus& status);

}  // namespace sluice::controlplane
