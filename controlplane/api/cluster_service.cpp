#include "controlplane/api/cluster_service.hpp"

#include <fmt/format.h>

#include <chrono>

#include "config/join_token.hpp"
#include "controlplane/api/convert.hpp"
#include "controlplane/membership/key_file.hpp"
#include "controlplane/membership/membership.hpp"

namespace sluice::controlplane {
namespace {

using membership::Membership;

constexpr std::uint64_t kEventWaitNs = 200'000'000;
constexpr std::size_t kMaxTokenAddresses = 8;

grpc::Status no_cluster() {
  return {grpc::StatusCode::FAILED_PRECONDITION,
          "this router is in no cluster; see cluster.bind of its configuration"};
}

void fill_node(const membership::ClusterMember& member, api::Node& to) {
  to.set_name(member.name);
  to.set_address(to_string(member.address));
  to.set_state(static_cast<api::NodeState>(member.state));
  to.set_incarnation(member.incarnation);
  to.set_state_age_ns(member.state_age_ns);
  to.set_answered_age_ns(member.answered_age_ns == UINT64_MAX ? 0 : member.answered_age_ns);
  to.set_self(member.self);
  to.set_router(member.router);
  for (const auto& [key, value] : member.tags) {
    auto* tag = to.add_tags();
    tag->set_key(key);
    tag->set_value(value);
  }
  to.set_protocol_min(member.vsn.protocol_min);
  to.set_protocol_max(member.vsn.protocol_max);
  to.set_protocol_current(member.vsn.protocol_current);
}

void fill_summary(const membership::ClusterStatus& status, api::ClusterSummary& to) {
  const auto count = [&](membership::MemberState state) {
    return static_cast<std::uint32_t>(status.members[static_cast<std::size_t>(state)]);
  };
  to.set_name(status.name);
  to.set_bind(to_string(status.bind));
  to.set_advertise(to_string(status.advertise));
  to.set_label(status.label);
  to.set_encrypted(status.encrypted);
  to.set_health(static_cast<std::uint32_t>(status.health));
  to.set_alive(count(membership::MemberState::kAlive));
  to.set_suspect(count(membership::MemberState::kSuspect));
  to.set_dead(count(membership::MemberState::kDead));
  to.set_left(count(membership::MemberState::kLeft));
  to.set_lost_peers(static_cast<std::uint32_t>(status.lost_peers));
}

}  // namespace

grpc::Status ClusterService::ListNodes(grpc::ServerContext*, const api::ListNodesRequest* request,
                                       api::ListNodesReply* reply) {
  auto* cluster = subsystems_.membership;
  if (cluster == nullptr) return no_cluster();
  for (const auto& member : cluster->members()) {
    if (request->name().empty() || member.name == request->name()) {
      fill_node(member, *reply->add_nodes());
    }
  }
  if (!request->name().empty() && reply->nodes().empty()) {
    return {grpc::StatusCode::NOT_FOUND,
            fmt::format("there is no node '{}'; see `sluice node list`", request->name())};
  }
  fill_summary(cluster->status(), *reply->mutable_cluster());
  return grpc::Status::OK;
}

grpc::Status ClusterService::ForceLeave(grpc::ServerContext*, const api::ForceLeaveRequest* request,
                                        api::ForceLeaveReply*) {
  if (subsystems_.membership == nullptr) return no_cluster();
  const auto done = subsystems_.membership->force_leave(request->name());
  return done ? grpc::Status::OK : to_grpc(done.error());
}

grpc::Status ClusterService::Leave(grpc::ServerContext*, const api::LeaveRequest*,
                                   api::LeaveReply*) {
  if (subsystems_.membership == nullptr) return no_cluster();
  subsystems_.membership->leave();
  return grpc::Status::OK;
}

grpc::Status ClusterService::ListKeys(grpc::ServerContext*, const api::ListKeysRequest*,
                                      api::ListKeysReply* reply) {
  auto* cluster = subsystems_.membership;
  if (cluster == nullptr) return no_cluster();
  const auto all = cluster->keys();
  reply->set_routers(static_cast<std::uint32_t>(all.routers));
  reply->set_others(static_cast<std::uint32_t>(all.others));
  for (const auto& key : all.keys) {
    auto* to = reply->add_keys();
    to->set_fingerprint(key.fingerprint);
    to->set_here(key.here);
    to->set_primary_here(key.primary_here);
    to->set_routers(static_cast<std::uint32_t>(key.routers));
    to->set_primary(static_cast<std::uint32_t>(key.primary));
  }
  return grpc::Status::OK;
}

Result<membership::Key> ClusterService::key_of(const api::StepKeyRequest& request) {
  const auto step = static_cast<membership::KeyStep>(request.step());
  if (request.step() != api::KEY_ADD) return subsystems_.membership->find_key(request.key(), step);
  if (request.key().empty()) return membership::Key::random();
  // A key that is here already may be handed round again.
  if (auto key = subsystems_.membership->find_key(request.key(), step)) return key;
  return membership::Key::from_base64(request.key());
}

grpc::Status ClusterService::StepKey(grpc::ServerContext*, const api::StepKeyRequest* request,
                                     api::StepKeyReply* reply) {
  auto* cluster = subsystems_.membership;
  if (cluster == nullptr) return no_cluster();
  if (request->step() < api::KEY_ADD || request->step() > api::KEY_REMOVE) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "step must be add, use or remove"};
  }
  const auto key = key_of(*request);
  if (!key) return to_grpc(key.error());
  const auto step = static_cast<membership::KeyStep>(request->step());
  if (auto done = cluster->key_step(step, *key, request->others_done()); !done) {
    return to_grpc(done.error());
  }
  reply->set_fingerprint(key->fingerprint());
  reply->set_routers(static_cast<std::uint32_t>(cluster->keys().routers));
  return grpc::Status::OK;
}

grpc::Status ClusterService::JoinToken(grpc::ServerContext*, const api::JoinTokenRequest*,
                                       api::JoinTokenReply* reply) {
  auto* cluster = subsystems_.membership;
  if (cluster == nullptr) return no_cluster();
  const auto config = control_.run([&] { return subsystems_.runtime.config().cluster; });
  const auto status = cluster->status();
  config::JoinToken token{.join = {to_string(status.advertise)}, .label = status.label, .keys = {}};
  for (const auto& member : cluster->members()) {
    if (member.self || !member.router || member.state != membership::MemberState::kAlive) continue;
    if (token.join.size() == kMaxTokenAddresses) break;
    token.join.push_back(to_string(member.address));
  }
  if (status.encrypted) {
    const auto keys = membership::load_keys(config.keys_file);
    if (!keys) return to_grpc(keys.error());
    for (const auto& key : *keys)
      token.keys.push_back(key.to_base64());
  }
  reply->set_token(config::to_text(token));
  return grpc::Status::OK;
}

grpc::Status ClusterService::Events(grpc::ServerContext* context,
                                    const api::ClusterEventsRequest* request,
                                    grpc::ServerWriter<api::ClusterEvent>* writer) {
  auto* cluster = subsystems_.membership;
  if (cluster == nullptr) return no_cluster();
  using clock = std::chrono::steady_clock;
  const auto end = request->timeout_s() == 0
                       ? clock::time_point::max()
                       : clock::now() + std::chrono::seconds(request->timeout_s());
  std::uint64_t last = request->from_start() ? 0 : cluster->last_event();
  std::uint32_t sent = 0;
  while (!context->IsCancelled() && !stopping_.load() && clock::now() < end) {
    for (const auto& [sequence, time_ns, event] : cluster->events_after(last, kEventWaitNs)) {
      api::ClusterEvent to;
      to.set_sequence(sequence);
      to.set_time_ns(time_ns);
      to.set_kind(std::string(to_string(event.kind)));
      to.set_node(event.name);
      if (event.address.port != 0) to.set_address(to_string(event.address));
      to.set_incarnation(event.incarnation);
      to.set_from(event.from);
      to.set_reason(event.reason);
      if (!streams_.write(*context, *writer, to)) return grpc::Status::OK;
      last = sequence;
      if (++sent == request->count()) return grpc::Status::OK;
    }
  }
  return grpc::Status::OK;
}

}  // namespace sluice::controlplane
