#include <gtest/gtest.h>
#include <prometheus/metric_family.h>

#include <map>
#include <regex>
#include <set>

#include "controlplane/metrics/cluster.hpp"
#include "controlplane/metrics/table.hpp"

namespace sluice::controlplane {
namespace {

// Every name of the table, as the conventions want it.
class Names {
 public:
  void check(const std::string& name, const std::string& help, bool counter) {
    static const std::regex kForm("sluice_[a-z]+(_[a-z0-9]+)+");
    EXPECT_TRUE(std::regex_match(name, kForm)) << name;
    EXPECT_TRUE(seen_.insert(name).second) << name << " is there twice";
    EXPECT_FALSE(help.empty()) << name;
    EXPECT_EQ(name.ends_with("_total"), counter) << name;
  }

 private:
  std::set<std::string> seen_;
};

TEST(MetricsTable, NamesFollowTheConventions) {
  Names names;
  for (const auto& row : kPortRows)
    names.check(row.name, row.help, true);
  for (const auto& row : kWorkerRows)
    names.check(row.name, row.help, true);
  for (const auto& row : kTableRows)
    names.check(row.name, row.help, row.kind == Kind::kCounter);
  for (const auto& row : kOwnRows)
    names.check(row.name, row.help, row.kind == Kind::kCounter);
  names.check(kDroppedName, kDroppedHelp, true);
}

TEST(MetricsTable, NoCounterIsExportedTwice) {
  for (std::size_t i = 0; i < std::size(kPortRows); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_NE(kPortRows[i].counter, kPortRows[j].counter);
  }
  for (std::size_t i = 0; i < std::size(kTableRows); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_NE(kTableRows[i].value, kTableRows[j].value);
  }
}

TEST(MetricsTable, EveryPortCounterIsThere) {
  // frames .. egress_queued; the drops are one family of their own.
  constexpr std::size_t kCounters = offsetof(link::PortCounters, dropped) / sizeof(std::uint64_t);
  EXPECT_EQ(std::size(kPortRows), kCounters);
}

TEST(ClusterMetrics, NamesAndValues) {
  membership::ClusterStatus status;
  status.members = {3, 1, 2, 0};
  status.driver.malformed.add(membership::Malformed::kChecksum);
  status.driver.streams.bytes_out = 77;
  status.driver.streams.refusals[1] = 5;
  status.core.add_rtt(100'000);  // 100 us: the second bucket
  status.core.add_rtt(3'000'000'000);
  Names names;
  std::map<std::string, prometheus::MetricFamily> by_name;
  for (auto& family : collect_cluster(status)) {
    names.check(family.name, family.help, family.type == prometheus::MetricType::Counter);
    by_name[family.name] = family;
  }
  const auto& members = by_name.at("sluice_cluster_members").metric;
  ASSERT_EQ(members.size(), 4U);
  EXPECT_EQ(members[2].label[0].value, "dead");
  EXPECT_EQ(members[2].gauge.value, 2);
  double malformed = 0;
  for (const auto& metric : by_name.at("sluice_cluster_malformed_total").metric) {
    malformed += metric.counter.value;
    EXPECT_EQ(metric.counter.value, metric.label[0].value == "checksum" ? 1 : 0);
  }
  EXPECT_EQ(malformed, 1);
  EXPECT_EQ(by_name.at("sluice_cluster_bytes_total").metric[3].counter.value, 77);
  const auto& refused = by_name.at("sluice_cluster_refused_streams_total").metric;
  ASSERT_EQ(refused.size(), 5U);
  EXPECT_EQ(refused[1].label[0].value, "source");
  EXPECT_EQ(refused[1].counter.value, 5);
  const auto& rtt = by_name.at("sluice_cluster_probe_round_trip_seconds").metric[0].histogram;
  EXPECT_EQ(rtt.sample_count, 2U);
  EXPECT_EQ(rtt.bucket[0].cumulative_count, 0U);
  EXPECT_EQ(rtt.bucket[1].cumulative_count, 1U);
  EXPECT_DOUBLE_EQ(rtt.bucket[1].upper_bound, 128e-6);
  EXPECT_EQ(rtt.bucket.back().cumulative_count, 2U);
}

}  // namespace
}  // namespace sluice::controlplane
