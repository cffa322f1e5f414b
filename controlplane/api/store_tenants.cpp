// What belongs to one tenant: usage, export, deletion.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/api/convert.hpp"
#include "controlplane/api/services.hpp"
#include "controlplane/api/store_progress.hpp"
#include "controlplane/api/store_service.hpp"
#include "controlplane/registry/agent_record.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint32_t kSlotsAtOnce = 65536;
constexpr std::size_t kIdsAtOnce = 1024;
constexpr std::size_t kItemsAtOnce = 512;
constexpr std::string_view kAgents = "agents";
// Under tenant 0, but the router's.
constexpr std::string_view kRouters[] = {"peers", "tenants"};

std::string hex_of(store::Bytes bytes) {
  std::string text;
  for (const auto byte : bytes)
    text += fmt::format("{:02x}", byte);
  return text;
}

bool is_routers(const std::string& table) {
  return std::ranges::find(kRouters, table) != std::end(kRouters);
}

std::optional<Id> id_of(store::Bytes key) {
  Id id;
  if (key.size() != id.bytes.size()) return std::nullopt;
  std::ranges::copy(key, id.bytes.begin());
  return id;
}

Result<std::uint16_t> tenant_of(std::uint32_t tenant) {
  if (tenant <= UINT16_MAX) return static_cast<std::uint16_t>(tenant);
  return fail(ErrorCode::kInvalidArgument, fmt::format("tenants are 0 to 65535, not {}", tenant),
              ErrorOrigin::kPeer);
}

// --- export -------------------------------------------------------------------------------------

void fill_agent(const StoredAgent& from, api::ExportedAgent& to) {
  to.set_id(bytes_of(from.id));
  to.set_name(std::string(from.name));
  to.set_origin(std::string(to_string(from.origin)));
  if (!from.endpoint.address.is_unspecified()) to.set_endpoint(to_string(from.endpoint));
  to.set_peer(std::string(from.peer));
  for (const auto capability : from.capabilities)
    to.add_capabilities(std::string(capability));
  to.set_added_ns(from.added_s * kNsPerSecond);
  to.set_lease_s(from.granted_s);
  to.set_renewed_ns(from.renewed_realtime_ns);
  to.set_last_request_ns(from.request_timestamp_ns);
  to.set_moves(from.moves);
}

void fill_bytes(const store::Item& item, std::string error, api::ExportedItem& to) {
  to.mutable_other()->set_key_hex(hex_of(item.key));
  to.mutable_other()->set_value_hex(hex_of(item.value));
  to.mutable_other()->set_error(std::move(error));
}

void fill_agent_item(const store::Item& item, api::ExportedItem& to) {
  const auto id = id_of(item.key);
  if (!id) return fill_bytes(item, "the key is no id", to);
  const auto stored = decode_agent(*id, item.tenant, item.value);
  if (!stored) return fill_bytes(item, stored.error().message(), to);
  if (const auto* agent = std::get_if<StoredAgent>(&*stored)) {
    return fill_agent(*agent, *to.mutable_agent());
  }
  const auto& gone = std::get<StoredDeparted>(*stored);
  to.mutable_departed()->set_id(bytes_of(gone.id));
  to.mutable_departed()->set_last_request_ns(gone.request_timestamp_ns);
  to.mutable_departed()->set_until_ns(gone.until_realtime_ns);
}

std::map<std::uint8_t, std::string> table_names(const store::Index& index) {
  std::map<std::uint8_t, std::string> names;
  for (const auto& table : index.tables())
    names[table.id] = table.name;
  return names;
}

}  // namespace

bool StoreService::is_configured(std::uint16_t tenant) {
  return control_.run([&] { return subsystems_.tenants.contains(tenant); });
}

// Nothing is known of it but what may be stored.
bool StoreService::is_unknown(std::uint16_t tenant) {
  return control_.run([&] {
    return !subsystems_.tenants.contains(tenant) && subsystems_.registry.agents_of(tenant) == 0 &&
           !is_away(subsystems_.runtime.stored_tenants(), tenant);
  });
}

grpc::Status StoreService::unknown(std::uint16_t tenant) {
  return {grpc::StatusCode::NOT_FOUND, control_.run([&] {
            Tenants known = subsystems_.tenants;
            for (const auto& [away, stored] : subsystems_.runtime.stored_tenants())
              if (stored.away) known[away].name = stored.name + ", not configured";
            return no_tenant(known, tenant);
          })};
}

// --- usage --------------------------------------------------------------------------------------

grpc::Status StoreService::Usage(grpc::ServerContext* context,
                                 const api::StoreUsageRequest* request,
                                 grpc::ServerWriter<api::StoreUsageReply>* writer) {
  if (subsystems_.index == nullptr) return no_store();
  std::optional<std::uint16_t> only;
  if (request->filter_tenant()) {
    const auto tenant = tenant_of(request->tenant());
    if (!tenant) return to_grpc(tenant.error());
    only = *tenant;
  }
  const auto usage = subsystems_.index->maintenance().usage(
      only, progress_to(*context, *writer, streams_, stopping_));
  if (!usage) return to_grpc(usage.error());
  Tenants configured;
  StoredTenants stored;
  control_.run([&] {
    configured = subsystems_.tenants;
    stored = subsystems_.runtime.stored_tenants();
  });
  std::set<std::uint16_t> tenants;
  for (const auto& [tenant, tables] : *usage)
    tenants.insert(tenant);
  for (const auto& [tenant, about] : configured)
    if (!only || *only == tenant) tenants.insert(tenant);
  if (only && tenants.empty()) {
    if (is_unknown(*only)) return unknown(*only);
    tenants.insert(*only);
  }

  const auto names = table_names(*subsystems_.index);
  api::StoreUsageReply reply;
  for (const auto tenant : tenants) {
    auto& to = *reply.mutable_report()->add_tenants();
    to.set_tenant(tenant);
    if (const auto at = configured.find(tenant); at != configured.end()) {
      to.set_name(at->second.name);
      to.set_configured(true);
    } else if (const auto was = stored.find(tenant); was != stored.end()) {
      to.set_name(was->second.name);
    }
    to.set_agents(control_.run([&] { return subsystems_.registry.agents_of(tenant); }));
    const auto tables = usage->find(tenant);
    if (tables == usage->end()) continue;
    for (const auto& [table, of] : tables->second) {
      auto& out = *to.add_tables();
      out.set_table(names.at(table));
      out.set_keys(of.keys);
      out.set_key_bytes(of.key_bytes);
      out.set_value_bytes(of.value_bytes);
    }
  }
  streams_.write(*context, *writer, reply);
  return grpc::Status::OK;
}

// --- export -------------------------------------------------------------------------------------

grpc::Status StoreService::Export(grpc::ServerContext* context,
                                  const api::ExportTenantRequest* request,
                                  grpc::ServerWriter<api::ExportTenantReply>* writer) {
  if (subsystems_.index == nullptr) return no_store();
  const auto tenant = tenant_of(request->tenant());
  if (!tenant) return to_grpc(tenant.error());
  const auto names = table_names(*subsystems_.index);
  api::ExportTenantReply piece;
  std::uint64_t items = 0;
  const auto give = [&]() -> sluice::Status {
    const bool taken = piece.items().items().empty() || streams_.write(*context, *writer, piece);
    piece.Clear();
    return taken ? sluice::Status{} : fail(ErrorCode::kUnavailable, "cancelled");
  };
  const auto exported = subsystems_.index->maintenance().export_tenant(
      *tenant,
      [&](const store::Item& item) -> sluice::Status {
        const std::string& table = names.at(item.table);
        if (is_routers(table)) return {};
        auto& to = *piece.mutable_items()->add_items();
        to.set_table(table);
        if (table == kAgents) {
          fill_agent_item(item, to);
        } else {
          fill_bytes(item, "", to);
        }
        ++items;
        return piece.items().items_size() < static_cast<int>(kItemsAtOnce) ? sluice::Status{}
                                                                           : give();
      },
      progress_to(*context, *writer, streams_, stopping_));
  if (!exported) return to_grpc(exported.error());
  // Not an empty export, which would replace an earlier one.
  if (items == 0 && is_unknown(*tenant)) return unknown(*tenant);
  if (const auto given = give(); !given) return to_grpc(given.error());
  piece.mutable_report()->set_tenant(*tenant);
  piece.mutable_report()->set_items(items);
  piece.mutable_report()->set_sequence(exported->sequence);
  streams_.write(*context, *writer, piece);
  return grpc::Status::OK;
}

// --- deletion -----------------------------------------------------------------------------------

StoreService::AgentCount StoreService::count_agents(std::uint16_t tenant) {
  AgentCount count;
  bool more = true;
  for (std::uint32_t first = 0; more; first += kSlotsAtOnce) {
    more = control_.run([&] {
      const Registry& registry = subsystems_.registry;
      const std::uint32_t last = std::min(registry.slots_end(), first + kSlotsAtOnce);
      for (std::uint32_t slot = first; slot < last; ++slot) {
        if (!registry.is_used(slot) || registry.at(slot).tenant != tenant) continue;
        ++count.all;
        count.configured += registry.at(slot).generation != 0 ? 1 : 0;
      }
      return last < registry.slots_end();
    });
  }
  return count;
}

// A piece at a time, each durable before the next: neither the control thread nor the disk is kept
// from others for long. The report has only what is durable.
Status StoreService::forget(std::span<const Id> ids, std::uint16_t tenant,
                            api::TenantDeleted& report) {
  while (!ids.empty()) {
    const auto piece = ids.first(std::min(ids.size(), kIdsAtOnce));
    const Time now{monotonic_ns(), realtime_ns()};
    std::uint64_t agents = 0;
    control_.run([&] {
      for (const Id& id : piece)
        agents += subsystems_.registry.forget(id, tenant, now) ? 1 : 0;
    });
    if (auto durable = wait_durable(control_, subsystems_); !durable) return durable;
    report.set_agents(report.agents() + agents);
    report.set_records(report.records() + piece.size() - agents);
    ids = ids.subspan(piece.size());
  }
  return {};
}

Status StoreService::delete_all(std::uint16_t tenant, const store::Progress& progress,
                                api::TenantDeleted& report) {
  // What was parked a moment ago is in no other place.
  if (auto durable = wait_durable(control_, subsystems_); !durable) return durable;
  const auto names = table_names(*subsystems_.index);
  std::vector<Id> ids;
  store::WriteBatch foreign;  // what the registry cannot know: nobody else writes it
  const auto stored = subsystems_.index->maintenance().export_tenant(
      tenant,
      [&](const store::Item& item) -> Status {
        const std::string& table = names.at(item.table);
        if (is_routers(table)) return {};
        const auto id = table == kAgents ? id_of(item.key) : std::nullopt;
        if (!id) {
          foreign.erase(item.table, tenant, item.key);
          return {};
        }
        ids.push_back(*id);
        if (ids.size() < kIdsAtOnce) return {};
        const auto done = forget(ids, tenant, report);
        ids.clear();
        return done;
      },
      progress);
  if (!stored) return std::unexpected(stored.error());
  if (auto done = forget(ids, tenant, report); !done) return done;
  if (auto done = subsystems_.index->write(foreign); !done) return done;
  report.set_records(report.records() + foreign.size());

  // Those that came meanwhile.
  ids.clear();
  control_.run([&] {
    const Registry& registry = subsystems_.registry;
    for (std::uint32_t slot = 0; slot < registry.slots_end(); ++slot) {
      if (registry.is_used(slot) && registry.at(slot).tenant == tenant)
        ids.push_back(registry.at(slot).id);
    }
  });
  return forget(ids, tenant, report);
}

std::string StoreService::deleted_in_part(const api::TenantDeleted& report, std::uint64_t before) {
  constexpr std::string_view kAgain =
      "do it again when `sluice store status` says that the store is good";
  if (before == 0) {  // such as of a tenant that is not configured: the store alone has its agents
    return fmt::format(
        "deleted in part: {} records of tenant {}; others are left, or back after a restart; {}",
        report.agents() + report.records(), report.tenant(), kAgain);
  }
  const std::uint64_t left = count_agents(static_cast<std::uint16_t>(report.tenant())).all;
  const std::uint64_t known = std::min(before, left + report.agents());
  const std::uint64_t not_durable = before - known;
  if (report.agents() + report.records() + not_durable == 0) {
    return fmt::format("nothing was deleted, all {} agents of tenant {} are left; {}", left,
                       report.tenant(), kAgain);
  }
  std::string text = fmt::format("deleted in part: {} agents and {} other records of tenant {}",
                                 report.agents(), report.records(), report.tenant());
  if (not_durable != 0) {
    text += fmt::format(
        "; {} more agents are deleted, but back after a restart unless the store works again "
        "before",
        not_durable);
  }
  return text + fmt::format("; {} agents are left; {}", left, kAgain);
}

// What would go.
grpc::Status StoreService::confirm(std::uint16_t tenant, std::uint64_t agents,
                                   const store::Progress& progress) {
  std::string what = fmt::format("ends {} agents of tenant {} and forgets what the store has of it",
                                 agents, tenant);
  if (agents == 0) {
    const auto usage = subsystems_.index->maintenance().usage(tenant, progress);
    if (!usage) return to_grpc(usage.error());
    if (usage->empty() && is_unknown(tenant)) return unknown(tenant);
    std::uint64_t keys = 0;
    for (const auto& [table, of] : usage->empty() ? store::TableUsage{} : usage->at(tenant))
      keys += of.keys;
    what = fmt::format("forgets {} records that the store has of tenant {}", keys, tenant);
  }
  return {grpc::StatusCode::FAILED_PRECONDITION,
          fmt::format("this {}, for good; --yes confirms it", what)};
}

grpc::Status StoreService::DeleteTenant(grpc::ServerContext* context,
                                        const api::DeleteTenantRequest* request,
                                        grpc::ServerWriter<api::DeleteTenantReply>* writer) {
  if (subsystems_.index == nullptr) return no_store();
  const auto tenant = tenant_of(request->tenant());
  if (!tenant) return to_grpc(tenant.error());
  const AgentCount count = count_agents(*tenant);
  if (count.configured != 0) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            fmt::format("{} of the agents of tenant {} are in the configuration and would come "
                        "back; remove them from {} and run `sluice config reload`",
                        count.configured, *tenant, subsystems_.runtime.config_file())};
  }
  const auto progress = progress_to(*context, *writer, streams_, stopping_);
  if (!request->confirmed()) return confirm(*tenant, count.all, progress);
  api::DeleteTenantReply reply;
  auto& report = *reply.mutable_report();
  report.set_tenant(*tenant);
  const bool no_agents = is_unknown(*tenant);
  const bool was_configured = is_configured(*tenant);
  auto done = delete_all(*tenant, progress, report);
  // Who registered after the index was read, and left with its tenant right away, is there only.
  if (done && was_configured && !is_configured(*tenant))
    done = delete_all(*tenant, progress, report);
  if (!done) {
    return to_grpc(fail(done.error(), deleted_in_part(report, count.all)).error());
  }
  if (no_agents && report.agents() == 0 && report.records() == 0) return unknown(*tenant);
  report.set_configured(control_.run([&] {
    subsystems_.runtime.tenant_deleted(*tenant);
    return subsystems_.tenants.contains(*tenant);
  }));
  wait_applied(control_, subsystems_);
  streams_.write(*context, *writer, reply);
  return grpc::Status::OK;
}

}  // namespace sluice::controlplane
