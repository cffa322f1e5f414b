#include <fmt/format.h>

#include <algorithm>

#include "controlplane/api/convert.hpp"
#include "controlplane/api/services.hpp"
#include "sluice/agent/auth.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint32_t kSlotsAtOnce = 65536;
constexpr std::size_t kAgentsPerPage = 512;

Time now() {
  return {monotonic_ns(), realtime_ns()};
}

std::string no_agent(const std::string& who) {
  return fmt::format("no agent '{}' here", who);
}

bool matches(const Registry& registry, const Forwarding& forwarding, std::uint32_t slot,
             const api::ListAgentsRequest& request, std::uint32_t capability) {
  const Agent& agent = registry.at(slot);
  if (request.origin() != api::ORIGIN_ANY && static_cast<int>(agent.origin) != request.origin())
    return false;
  if (request.filter_tenant() && agent.tenant != request.tenant()) return false;
  if (!request.name_prefix().empty() && !agent.name_view().starts_with(request.name_prefix()))
    return false;
  if (!request.peer().empty() &&
      (agent.peer == kNoIndex || forwarding.peer(agent.peer).name != request.peer()))
    return false;
  return request.capability().empty() ||
         registry.capabilities().contains(agent.capabilities, capability);
}

Status check_tenant(const Tenants& tenants, std::uint32_t tenant) {
  if (tenant <= UINT16_MAX && tenants.contains(static_cast<std::uint16_t>(tenant))) return {};
  return fail(ErrorCode::kInvalidArgument, no_tenant(tenants, tenant));
}

// Configured, or gone from there while agents of it are still here.
Status check_known(const Subsystems& subsystems, std::uint32_t tenant) {
  const bool agents = tenant <= UINT16_MAX &&
                      subsystems.registry.agents_of(static_cast<std::uint16_t>(tenant)) != 0;
  return agents ? Status{} : check_tenant(subsystems.tenants, tenant);
}

// A name that nothing has is a mistake, not an empty list. Not so capabilities: they come and go
// with those who offer them.
Status check_filters(const Subsystems& subsystems, const api::ListAgentsRequest& request) {
  if (request.filter_tenant()) {
    if (auto ok = check_known(subsystems, request.tenant()); !ok) return ok;
  }
  const std::string& peer = request.peer();
  if (peer.empty() || subsystems.forwarding.find_peer(peer) != kNoIndex) return {};
  return fail(ErrorCode::kNotFound, no_peer(subsystems.forwarding, peer));
}

}  // namespace

grpc::Status AgentsService::Add(grpc::ServerContext*, const api::AddAgentRequest* request,
                                api::AddAgentReply* reply) {
  const auto id = parse_agent(request->agent());
  if (!id) return to_grpc(id.error());
  const std::vector<std::string> capabilities(request->capabilities().begin(),
                                              request->capabilities().end());
  const auto done = control_.run([&]() -> sluice::Status {
    if (auto ok = check_tenant(subsystems_.tenants, request->tenant()); !ok) return ok;
    const auto endpoint =
        parse_endpoint(request->endpoint(), subsystems_.runtime.config().router.message_port);
    if (!endpoint) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("'{}' is no endpoint; expected an address such as 10.0.0.1:7600 or "
                              "[fd00::1]:7600",
                              request->endpoint()));
    }
    const bool named = !parse_id(request->agent());
    const auto slot = subsystems_.registry.add(
        {.id = *id,
         .name = named ? std::string_view(request->agent()) : std::string_view(),
         .tenant = static_cast<std::uint16_t>(request->tenant()),
         .origin = Origin::kStatic,
         .endpoint = *endpoint,
         .capabilities = capabilities},
        now());
    if (!slot) return std::unexpected(slot.error());
    fill_agent(subsystems_, *slot, *reply->mutable_agent());
    return {};
  });
  if (!done) return to_grpc(done.error());
  if (auto durable = wait_durable(control_, subsystems_); !durable) {
    control_.run([&] { return subsystems_.registry.remove(*id); });
    return to_grpc(fail(std::move(durable.error()), "not added").error());
  }
  wait_applied(control_, subsystems_);
  return grpc::Status::OK;
}

grpc::Status AgentsService::Delete(grpc::ServerContext*, const api::DeleteAgentRequest* request,
                                   api::DeleteAgentReply* reply) {
  const auto id = parse_agent(request->agent());
  if (!id) return to_grpc(id.error());
  const auto done = control_.run([&]() -> sluice::Status {
    const auto slot = subsystems_.registry.find(*id);
    if (slot == kNoIndex) return fail(ErrorCode::kNotFound, no_agent(request->agent()));
    if (subsystems_.registry.at(slot).generation != 0) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("agent '{}' is in the configuration; remove it from {} and run "
                              "`sluice config reload`",
                              request->agent(), subsystems_.runtime.config_file()));
    }
    fill_agent(subsystems_, slot, *reply->mutable_agent());
    return subsystems_.registry.remove(*id);
  });
  if (done) {
    wait_applied(control_, subsystems_);
    const auto durable = wait_durable(control_, subsystems_);
    if (durable) return grpc::Status::OK;
    return to_grpc(fail(durable.error(),
                        "deleted, but it is back after a restart unless the store "
                        "works again before")
                       .error());
  }
  if (done.error().code() != ErrorCode::kNotFound) return to_grpc(done.error());
  return {grpc::StatusCode::NOT_FOUND,
          done.error().message() + suggest_agents(control_, subsystems_, request->agent())};
}

grpc::Status AgentsService::Show(grpc::ServerContext*, const api::ShowAgentRequest* request,
                                 api::Agent* reply) {
  const auto id = parse_agent(request->agent());
  if (!id) return to_grpc(id.error());
  const bool found = control_.run([&] {
    const auto slot = subsystems_.registry.find(*id);
    if (slot == kNoIndex) return false;
    fill_agent(subsystems_, slot, *reply);
    return true;
  });
  if (found) return grpc::Status::OK;
  return {grpc::StatusCode::NOT_FOUND,
          no_agent(request->agent()) + suggest_agents(control_, subsystems_, request->agent())};
}

grpc::Status AgentsService::Resolve(grpc::ServerContext*, const api::ResolveRequest* request,
                                    api::ResolveReply* reply) {
  const std::string& what = request->what();
  const auto given = parse_id(what);
  if (!given) {
    if (auto ok = check_capability_name(what); !ok) return to_grpc(ok.error());
  }
  const Id id = given ? *given : id_of_name(what);
  const bool found = control_.run([&] {
    reply->set_id(bytes_of(id));
    if (const auto slot = subsystems_.registry.find(id); slot != kNoIndex) {
      fill_agent(subsystems_, slot, *reply->add_members());
      return true;
    }
    const auto capability = subsystems_.registry.capabilities().find(id);
    if (capability == kNoIndex) return false;
    reply->set_capability(true);
    std::vector<std::uint32_t> slots;
    subsystems_.registry.for_each_member(capability, [&](std::uint32_t slot) {
      slots.push_back(slot);
      return slots.size() < 10'000;
    });
    std::ranges::sort(slots);
    const auto twice = std::ranges::unique(slots);
    slots.erase(twice.begin(), twice.end());
    for (const auto slot : slots)
      fill_agent(subsystems_, slot, *reply->add_members());
    return true;
  });
  if (found) return grpc::Status::OK;
  auto near = suggest_capabilities(control_, subsystems_, what);
  if (near.empty()) near = suggest_agents(control_, subsystems_, what);
  return {grpc::StatusCode::NOT_FOUND,
          fmt::format("no agent and no capability '{}' here{}", what, near)};
}

grpc::Status AgentsService::Token(grpc::ServerContext*, const api::TokenRequest* request,
                                  api::TokenReply* reply) {
  const auto id = parse_agent(request->agent());
  if (!id) return to_grpc(id.error());
  const auto done = control_.run([&]() -> sluice::Status {
    if (auto ok = check_tenant(subsystems_.tenants, request->tenant()); !ok) return ok;
    const auto tenant = static_cast<std::uint16_t>(request->tenant());
    const std::string& key = subsystems_.tenants.at(tenant).token_key;
    if (key.empty()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("tenant {} has no token-key in the configuration", tenant));
    }
    const auto token = agent::make_token(
        std::span(reinterpret_cast<const std::uint8_t*>(key.data()), key.size()), tenant, *id);
    reply->set_agent_id(bytes_of(*id));
    reply->set_token(std::string(token.begin(), token.end()));
    reply->set_required(subsystems_.runtime.config().registration.require_token);
    return {};
  });
  return done ? grpc::Status::OK : to_grpc(done.error());
}

// The ids of what was asked for, in order. A million agents are looked at in pieces, and the
// sorting is not the control thread's.
Result<std::vector<Id>> AgentsService::collect(const api::ListAgentsRequest& request) {
  Id after;
  if (!request.after().empty()) {
    if (request.after().size() != after.bytes.size()) {
      return fail(ErrorCode::kInvalidArgument, "`after` is no id");
    }
    std::copy_n(request.after().begin(), after.bytes.size(),
                reinterpret_cast<char*>(after.bytes.data()));
  }
  const Id capability_id = id_of_name(request.capability());
  std::vector<Id> ids;
  bool more = true;
  for (std::uint32_t first = 0; more; first += kSlotsAtOnce) {
    more = control_.run([&] {
      const Registry& registry = subsystems_.registry;
      const std::uint32_t last = std::min(registry.slots_end(), first + kSlotsAtOnce);
      const auto capability = registry.capabilities().find(capability_id);
      for (std::uint32_t slot = first; slot < last; ++slot) {
        if (registry.is_used(slot) && registry.at(slot).id > after &&
            matches(registry, subsystems_.forwarding, slot, request, capability)) {
          ids.push_back(registry.at(slot).id);
        }
      }
      return last < registry.slots_end();
    });
  }
  std::ranges::sort(ids);
  return ids;
}

grpc::Status AgentsService::List(grpc::ServerContext* context,
                                 const api::ListAgentsRequest* request,
                                 grpc::ServerWriter<api::AgentPage>* writer) {
  if (auto ok = control_.run([&] { return check_filters(subsystems_, *request); }); !ok) {
    return to_grpc(ok.error());
  }
  auto ids = collect(*request);
  if (!ids) return to_grpc(ids.error());
  const bool limited = request->limit() != 0 && request->limit() < ids->size();
  if (limited) ids->resize(request->limit());
  for (std::size_t first = 0; first < ids->size(); first += kAgentsPerPage) {
    const std::size_t last = std::min(first + kAgentsPerPage, ids->size());
    api::AgentPage page;
    control_.run([&] {
      for (std::size_t i = first; i < last; ++i) {
        const auto slot = subsystems_.registry.find((*ids)[i]);
        if (slot != kNoIndex) fill_agent(subsystems_, slot, *page.add_agents());
      }
    });
    if (limited && last == ids->size()) page.set_next(bytes_of(ids->back()));
    if (context->IsCancelled() || !streams_.write(*context, *writer, page))
      return grpc::Status::CANCELLED;
  }
  return grpc::Status::OK;
}

}  // namespace sluice::controlplane
