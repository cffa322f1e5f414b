#include "controlplane/metrics/metrics.hpp"

#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <algorithm>
#include <exception>
#include <iterator>

#include "controlplane/metrics/cluster.hpp"
#include "controlplane/metrics/family.hpp"
#include "controlplane/metrics/table.hpp"

namespace sluice::controlplane {

namespace {

void collect_ports(const MetricSources& sources, const link::StatusSegment& status,
                   Families& families) {
  const auto ports = std::min<std::size_t>(sources.ports.size(), kMaxPorts);
  const auto sum = [&](std::size_t port, const auto& counter) {
    std::uint64_t total = 0;
    for (const auto& block : status.counters)
      total += link::read(counter(block.port[port]));
    return static_cast<double>(total);
  };
  for (const auto& row : kPortRows) {
    Family family(row.name, row.help, Kind::kCounter);
    for (std::size_t port = 0; port < ports; ++port) {
      const auto member = [&](const link::PortCounters& c) -> const std::uint64_t& {
        return c.*row.counter;
      };
      family.add(sum(port, member), {{"port", sources.ports[port]}});
    }
    family.into(families);
  }
  Family dropped(kDroppedName, kDroppedHelp, Kind::kCounter);
  for (std::size_t port = 0; port < ports; ++port) {
    for (std::size_t reason = 0; reason < kDropReasons; ++reason) {
      const auto member = [&](const link::PortCounters& c) -> const std::uint64_t& {
        return c.dropped[reason];
      };
      dropped.add(sum(port, member), {{"port", sources.ports[port]},
                                      {"reason", std::string(kDropReasonInfo[reason].label)}});
    }
  }
  dropped.into(families);
  Family up("sluice_port_link_up", "1 while the port has a link", Kind::kGauge);
  Family missed("sluice_port_missed_frames_total", "Frames lost by the driver", Kind::kCounter);
  for (std::size_t port = 0; port < ports; ++port) {
    up.add(status.port[port].link_up, {{"port", sources.ports[port]}});
    missed.add(static_cast<double>(link::read(status.port[port].missed)),
               {{"port", sources.ports[port]}});
  }
  up.into(families);
  missed.into(families);
}

void collect_workers(const link::StatusSegment& status, Families& families) {
  for (const auto& row : kWorkerRows) {
    Family family(row.name, row.help, Kind::kCounter);
    for (std::size_t worker = 0; worker < kMaxWorkers; ++worker) {
      if (status.worker[worker].used == 0) continue;
      family.add(static_cast<double>(link::read(status.counters[worker].*row.counter)) * row.unit,
                 {{"worker", std::to_string(worker)},
                  {"core", std::to_string(status.worker[worker].core)}});
    }
    family.into(families);
  }
}

}  // namespace

std::vector<prometheus::MetricFamily> collect_metrics(const MetricSources& sources) {
  Families families;
  for (const auto& row : kOwnRows) {
    Family family(row.name, row.help, row.kind);
    family.add(row.value(sources));
    family.into(families);
  }
  Family agents("sluice_registry_agents", "Agents known, by origin", Kind::kGauge);
  for (const auto origin : {Origin::kStatic, Origin::kRegistered, Origin::kPeer}) {
    const auto count = sources.registry.counters().by_origin[static_cast<std::size_t>(origin)];
    agents.add(static_cast<double>(count), {{"origin", std::string(to_string(origin))}});
  }
  agents.into(families);
  if (const auto* status = sources.link.status()) {
    for (const auto& row : kTableRows) {
      Family family(row.name, row.help, row.kind);
      family.add(static_cast<double>(link::read(status->tables.*row.value)));
      family.into(families);
    }
    collect_ports(sources, *status, families);
    collect_workers(*status, families);
  }
  return families;
}

namespace {

class Collector final : public prometheus::Collectable {
 public:
  Collector(MetricSources sources, MetricsServer::RunOnControl run)
      : sources_(std::move(sources)), run_(std::move(run)) {}

  Families Collect() const override {
    Families families;
    run_([&] { families = collect_metrics(sources_); });
    // Not on the control thread: the member has one of its own.
    if (sources_.cluster) {
      auto more = collect_cluster(sources_.cluster());
      std::move(more.begin(), more.end(), std::back_inserter(families));
    }
    return families;
  }

 private:
  MetricSources sources_;
  MetricsServer::RunOnControl run_;
};

}  // namespace

struct MetricsServer::Impl {
  std::shared_ptr<Collector> collector;
  std::unique_ptr<prometheus::Exposer> exposer;  // first to go: its threads use the collector
};

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MetricsServer::~MetricsServer() = default;

Result<std::unique_ptr<MetricsServer>> MetricsServer::create(const Endpoint& listen,
                                                             MetricSources sources,
                                                             RunOnControl run) {
  auto impl = std::make_unique<Impl>();
  impl->collector = std::make_shared<Collector>(std::move(sources), std::move(run));
  try {
    impl->exposer = std::make_unique<prometheus::Exposer>(to_string(listen), 1);
    impl->exposer->RegisterCollectable(impl->collector);
  } catch (const std::exception& error) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("listening on {} (metrics.listen): {}; is the port in use?",
                            to_string(listen), error.what()));
  }
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(impl)));
}

}  // namespace sluice::controlplane
