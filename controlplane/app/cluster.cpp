#include "controlplane/app/cluster.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "config/process/log.hpp"
#include "controlplane/membership/key_file.hpp"
#include "sluice/base/bytes.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"

namespace sluice::controlplane {
namespace {

constexpr std::string_view kProtocolVersion = "1";

membership::Tags tags_of(const config::Config& config) {
  membership::Tags tags{{std::string(membership::kSluiceTag), std::string(kProtocolVersion)},
                        {"id", to_string(config::router_id(config))},
                        {"port", std::to_string(config.router.message_port)}};
  if (!config.cluster.zone.empty()) tags.emplace_back("zone", config.cluster.zone);
  return tags;
}

Result<membership::WireSettings> wire_of(const config::Cluster& cluster) {
  membership::WireSettings wire;
  wire.label = cluster.label;
  wire.compress = cluster.compression;
  wire.verify_incoming = cluster.verify_incoming;
  wire.verify_outgoing = cluster.verify_outgoing;
  if (!cluster.encryption) return wire;
  const auto keys = membership::load_keys(cluster.keys_file);
  if (!keys) return std::unexpected(keys.error());  // one that is missing: config/check_machine.cpp
  auto ring = membership::keyring_of(*keys);
  if (!ring) return std::unexpected(ring.error());
  wire.keyring = std::move(*ring);
  return wire;
}

void set_ms(const std::optional<std::uint32_t>& from, std::uint64_t& to_ns) {
  if (from) to_ns = *from * kNsPerMs;
}
void set_s(const std::optional<std::uint32_t>& from, std::uint64_t& to_ns) {
  if (from) to_ns = *from * kNsPerSecond;
}
void set(const std::optional<std::uint32_t>& from, std::uint32_t& to) {
  if (from) to = *from;
}

}  // namespace

membership::Profile profile_of(const config::Cluster& cluster) {
  auto profile = membership::lan_profile();
  if (cluster.profile == config::ClusterProfile::kWan) profile = membership::wan_profile();
  if (cluster.profile == config::ClusterProfile::kLocal) profile = membership::local_profile();
  set_ms(cluster.probe_interval_ms, profile.probe_interval_ns);
  set_ms(cluster.probe_timeout_ms, profile.probe_timeout_ns);
  set(cluster.indirect_checks, profile.indirect_checks);
  set(cluster.suspicion_mult, profile.suspicion_mult);
  set(cluster.retransmit_mult, profile.retransmit_mult);
  set_ms(cluster.gossip_interval_ms, profile.gossip_interval_ns);
  set(cluster.gossip_nodes, profile.gossip_nodes);
  set_s(cluster.gossip_to_dead_s, profile.gossip_to_the_dead_ns);
  set_s(cluster.push_pull_interval_s, profile.push_pull_interval_ns);
  set_ms(cluster.tcp_timeout_ms, profile.tcp_timeout_ns);
  return profile;
}

Result<std::unique_ptr<membership::Membership>> make_membership(const config::Config& config) {
  const auto& cluster = config.cluster;
  if (!cluster.bind) return nullptr;
  auto wire = wire_of(cluster);
  if (!wire) return std::unexpected(wire.error());
  if (!wire->keyring) {
    spdlog::warn(
        "event=cluster_not_encrypted effect=\"whoever reaches {} can join and say what it likes\"",
        to_string(*cluster.bind));
  }
  membership::MembershipOptions options;
  auto& driver = options.driver;
  driver.name = config.router.name;
  driver.bind = *cluster.bind;
  if (cluster.advertise) driver.advertise = *cluster.advertise;
  for (const auto& text : cluster.join) {
    auto target = membership::parse_join_target(text, membership::kDefaultPort);
    if (!target) return fail(std::move(target.error()), "cluster.join: " + text);
    driver.join.push_back(std::move(*target));
  }
  if (wire->keyring) options.keys_file = cluster.keys_file;
  driver.wire = std::move(*wire);
  driver.profile = profile_of(cluster);
  driver.tags = tags_of(config);
  driver.seed = load<std::uint64_t>(random_bytes<8>().data());
  options.state_file = config.router.state_dir + "/cluster.state";
  driver.saved = membership::load_state_or_set_aside(
      options.state_file, [](const std::string& line) { spdlog::warn("{}", harmless(line)); });
  options.on_log = [](const std::string& line, bool warn) {
    spdlog::log(warn ? spdlog::level::warn : spdlog::level::info, "{}", harmless(line));
  };
  return membership::Membership::create(std::move(options));
}

}  // namespace sluice::controlplane
