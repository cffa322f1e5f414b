// The Prometheus endpoint: what the dataplane counts in its status segment, and what the control
// plane knows. The names are in one table, metrics/table.hpp. create() and the destructor on any
// thread but the control thread, which must run meanwhile; collect() on the control thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/base_tier/base_manager.hpp"
#include "controlplane/host/host.hpp"
#include "controlplane/link/link.hpp"
#include "controlplane/link/programmer.hpp"
#include "controlplane/membership/membership.hpp"
#include "controlplane/registry/forwarding.hpp"
#include "controlplane/registry/inband.hpp"
#include "controlplane/registry/registry.hpp"
#include "sluice/base/result.hpp"

namespace prometheus {
struct MetricFamily;
}

namespace sluice::controlplane {

struct MetricSources {
  const Registry& registry;
  const Forwarding& forwarding;
  const InBand& inband;
  const Link& link;
  const Programmer& programmer;
  std::vector<std::string> ports;  // names, by number
  std::function<std::uint64_t()> logs_lost;
  std::function<StoreInfo()> store;
  std::function<BaseManagerInfo()> base;
  std::function<membership::ClusterStatus()> cluster;  // any thread; none: in no cluster
};

std::vector<prometheus::MetricFamily> collect_metrics(const MetricSources& sources);

class MetricsServer {
 public:
  // `run` calls its argument on the control thread and returns after that.
  using RunOnControl = std::function<void(const std::function<void()>&)>;

  static Result<std::unique_ptr<MetricsServer>> create(const Endpoint& listen,
                                                       MetricSources sources, RunOnControl run);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

 private:
  struct Impl;
  explicit MetricsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::controlplane
