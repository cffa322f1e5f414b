#include "controlplane/metrics/cluster.hpp"

#include <prometheus/metric_family.h>

#include <limits>
#include <string>

#include "controlplane/metrics/family.hpp"

namespace sluice::controlplane {
namespace {

using membership::ClusterStatus;

struct Row {
  const char* name;
  const char* help;
  Kind kind;
  std::uint64_t (*value)(const ClusterStatus&);
};
constexpr Row kRows[] = {
    {"sluice_cluster_lost_peers", "Members that are gone and are tried again", Kind::kGauge,
     [](const ClusterStatus& s) { return std::uint64_t{s.lost_peers}; }},
    {"sluice_cluster_health_score", "0 while this member itself is quick; more the slower it is",
     Kind::kGauge, [](const ClusterStatus& s) { return static_cast<std::uint64_t>(s.health); }},
    {"sluice_cluster_streams", "Connections open now", Kind::kGauge,
     [](const ClusterStatus& s) { return std::uint64_t{s.streams}; }},
    {"sluice_cluster_stream_held_bytes", "Memory held for what connections carry", Kind::kGauge,
     [](const ClusterStatus& s) { return std::uint64_t{s.stream_bytes}; }},
    {"sluice_cluster_probes_total", "Members probed", Kind::kCounter,
     [](const ClusterStatus& s) { return s.core.probes; }},
    {"sluice_cluster_failed_probes_total", "Probes that nobody answered", Kind::kCounter,
     [](const ClusterStatus& s) { return s.core.probes_failed; }},
    {"sluice_cluster_tcp_probes_total", "Probes answered over TCP only", Kind::kCounter,
     [](const ClusterStatus& s) { return s.core.probes_by_tcp; }},
    {"sluice_cluster_suspicions_total", "Members that became suspected here", Kind::kCounter,
     [](const ClusterStatus& s) { return s.core.suspicions; }},
    {"sluice_cluster_declared_dead_total", "Suspicions that ran out here", Kind::kCounter,
     [](const ClusterStatus& s) { return s.core.declared_dead; }},
    {"sluice_cluster_refutations_total", "Times this member was accused and answered",
     Kind::kCounter, [](const ClusterStatus& s) { return s.core.refutations; }},
    {"sluice_cluster_stalls_total", "Times this member was not run for a probe interval",
     Kind::kCounter, [](const ClusterStatus& s) { return s.core.stalls; }},
    {"sluice_cluster_push_pulls_total", "Lists of members exchanged", Kind::kCounter,
     [](const ClusterStatus& s) { return s.core.push_pulls; }},
    {"sluice_cluster_failed_push_pulls_total", "Exchanges of lists that failed", Kind::kCounter,
     [](const ClusterStatus& s) { return s.core.push_pulls_failed; }},
    {"sluice_cluster_digests_total", "Lists compared with another router's", Kind::kCounter,
     [](const ClusterStatus& s) { return s.core.digests_sent; }},
    {"sluice_cluster_differing_digests_total", "Digests received that were not ours",
     Kind::kCounter, [](const ClusterStatus& s) { return s.core.digests_differed; }},
    {"sluice_cluster_members_asked_total",
     "Members asked for their incarnation, because others claimed one that none has by itself",
     Kind::kCounter, [](const ClusterStatus& s) { return s.core.own_words_asked; }},
    {"sluice_cluster_unsent_packets_total", "Packets the kernel did not take", Kind::kCounter,
     [](const ClusterStatus& s) { return s.driver.send_dropped + s.driver.send_failed; }},
    {"sluice_cluster_timed_out_streams_total", "Connections that took too long", Kind::kCounter,
     [](const ClusterStatus& s) { return s.driver.streams.timed_out; }},
};

void collect_members(const ClusterStatus& status, Families& families) {
  Family members("sluice_cluster_members", "Members by state, this one included", Kind::kGauge);
  for (std::size_t i = 0; i < status.members.size(); ++i) {
    members.add(static_cast<double>(status.members[i]),
                {{"state", std::string(to_string(static_cast<membership::MemberState>(i)))}});
  }
  members.into(families);
  Family queued("sluice_cluster_queued_messages", "News still to be told", Kind::kGauge);
  queued.add(static_cast<double>(status.queued), {{"kind", "membership"}});
  queued.add(static_cast<double>(status.queued_user), {{"kind", "user"}});
  queued.into(families);
}

void collect_traffic(const ClusterStatus& status, Families& families) {
  const auto& driver = status.driver;
  Family bytes("sluice_cluster_bytes_total", "Bytes of payload", Kind::kCounter);
  const auto add = [&](std::uint64_t value, const char* transport, const char* direction) {
    bytes.add(static_cast<double>(value), {{"transport", transport}, {"direction", direction}});
  };
  add(driver.bytes_in, "udp", "in");
  add(driver.bytes_out, "udp", "out");
  add(driver.streams.bytes_in, "tcp", "in");
  add(driver.streams.bytes_out, "tcp", "out");
  bytes.into(families);
  Family packets("sluice_cluster_packets_total", "Datagrams", Kind::kCounter);
  packets.add(static_cast<double>(driver.packets_in), {{"direction", "in"}});
  packets.add(static_cast<double>(driver.packets_out), {{"direction", "out"}});
  packets.into(families);
  Family malformed("sluice_cluster_malformed_total", "Input that was refused, by reason",
                   Kind::kCounter);
  for (std::size_t i = 0; i < static_cast<std::size_t>(membership::Malformed::kCount); ++i) {
    const auto reason = static_cast<membership::Malformed>(i);
    malformed.add(static_cast<double>(driver.malformed[reason]),
                  {{"reason", std::string(to_string(reason))}});
  }
  malformed.into(families);
}

void collect_refused_streams(const ClusterStatus& status, Families& families) {
  Family refused("sluice_cluster_refused_streams_total", "Connections beyond a limit, by limit",
                 Kind::kCounter);
  for (std::size_t i = 0; i < static_cast<std::size_t>(membership::StreamRefusal::kCount); ++i) {
    const auto reason = static_cast<membership::StreamRefusal>(i);
    refused.add(static_cast<double>(status.driver.streams.refused(reason)),
                {{"reason", std::string(to_string(reason))}});
  }
  refused.into(families);
}

void collect_round_trips(const membership::CoreStats& core, Families& families) {
  prometheus::MetricFamily family;
  family.name = "sluice_cluster_probe_round_trip_seconds";
  family.help = "Time until a probed member answered";
  family.type = prometheus::MetricType::Histogram;
  prometheus::ClientMetric metric;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < core.rtt.size(); ++i) {
    count += core.rtt[i];
    const bool last = i + 1 == core.rtt.size();
    const double bound = last ? std::numeric_limits<double>::infinity()
                              : 64e-6 * static_cast<double>(std::uint64_t{1} << i);
    metric.histogram.bucket.push_back({count, bound});
  }
  metric.histogram.sample_count = core.rtt_count;
  metric.histogram.sample_sum = static_cast<double>(core.rtt_sum_ns) * 1e-9;
  family.metric.push_back(std::move(metric));
  families.push_back(std::move(family));
}

}  // namespace

std::vector<prometheus::MetricFamily> collect_cluster(const ClusterStatus& status) {
  Families families;
  collect_members(status, families);
  for (const auto& row : kRows) {
    Family family(row.name, row.help, row.kind);
    family.add(static_cast<double>(row.value(status)));
    family.into(families);
  }
  collect_traffic(status, families);
  collect_refused_streams(status, families);
  collect_round_trips(status.core, families);
  return families;
}

}  // namespace sluice::controlplane
