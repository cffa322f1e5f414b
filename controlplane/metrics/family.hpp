// A metric family being filled: name, help, kind, then values with their labels. One thread; moved
// into the list of all families at the end.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace sluice::controlplane {

enum class Kind : std::uint8_t { kCounter, kGauge };

using Families = std::vector<prometheus::MetricFamily>;
using Labels = std::vector<prometheus::ClientMetric::Label>;

class Family {
 public:
  Family(const char* name, const char* help, Kind kind) : kind_(kind) {
    family_.name = name;
    family_.help = help;
    family_.type =
        kind == Kind::kCounter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
  }
  void add(double value, Labels labels = {}) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    if (kind_ == Kind::kCounter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family_.metric.push_back(std::move(metric));
  }
  void into(Families& families) { families.push_back(std::move(family_)); }

 private:
  Kind kind_;
  prometheus::MetricFamily family_;
};

}  // namespace sluice::controlplane
