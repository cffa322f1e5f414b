// store usage, export, delete: what belongs to one tenant.
#include <fmt/format.h>

#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/store_stream.hpp"
#include "controlplane/cli/whole_file.hpp"

namespace sluice::cli {
namespace {

constexpr std::uint32_t kExportVersion = 1;

std::uint32_t tenant_of(const Context& c) {
  return static_cast<std::uint32_t>(c.args.number("tenant"));
}

constexpr std::uint32_t kRouter = 0;  // what the store has for the router itself

std::string tenant_name(const api::TenantUsage& tenant) {
  if (tenant.tenant() == kRouter) return "(router)";
  const std::string name = tenant.name().empty() ? "-" : printable(tenant.name());
  return tenant.configured() ? name : name + " (not configured)";
}

std::string render_usage(const api::StoreUsage& r, const Paint& paint) {
  Table table({">TENANT", "NAME", ">AGENTS", "TABLE", ">KEYS", ">KEY BYTES", ">VALUE BYTES"});
  for (const auto& tenant : r.tenants()) {
    const std::vector<std::string> who = {std::to_string(tenant.tenant()), tenant_name(tenant),
                                          with_commas(tenant.agents())};
    for (const auto& of : tenant.tables()) {
      table.row({who[0], who[1], who[2], printable(of.table()), with_commas(of.keys()),
                 bytes_text(of.key_bytes()), bytes_text(of.value_bytes())});
    }
    if (tenant.tables().empty()) table.row({who[0], who[1], who[2], "-", "0", "-", "-"});
  }
  return table.empty() ? "the store has nothing of any tenant\n" : table.text(paint);
}

std::string render_deleted(const api::TenantDeleted& r, const Paint& paint) {
  std::string text = fmt::format("tenant {}: {} agents ended, {} other records deleted\n",
                                 r.tenant(), with_commas(r.agents()), with_commas(r.records()));
  if (r.configured()) {
    text += paint.warn("the tenant is still configured") +
            ": agents that run register again; take it out of the configuration first\n";
  }
  return text + "'sluice store compact' takes it out of the store's files; backups keep it\n";
}

// --- the format of exports, as sluice(1) describes it: one JSON object a line -------------------

std::string first_line(std::uint32_t tenant) {
  return JsonWriter(false)
      .begin_object()
      .member("format", "sluice-tenant-export")
      .member("version", kExportVersion)
      .member("tenant", tenant)
      .end_object()
      .take();
}

std::string item_line(const api::ExportedItem& item) {
  JsonWriter json(false);
  json.begin_object().member("table", item.table());
  switch (item.what_case()) {
    case api::ExportedItem::kAgent:
      json.member("kind", "agent").fields(item.agent());
      break;
    case api::ExportedItem::kDeparted:
      json.member("kind", "departed").fields(item.departed());
      break;
    default:
      json.member("kind", "bytes").fields(item.other());
  }
  return json.end_object().take();
}

std::string last_line(const api::TenantExported& report) {
  return JsonWriter(false)
      .begin_object()
      .member("end", true)
      .member("items", report.items())
      .member("sequence", report.sequence())
      .end_object()
      .take();
}

}  // namespace

Outcome store_usage(Context& c) {
  api::StoreUsageRequest request;
  if (c.args.has("tenant")) {
    request.set_filter_tenant(true);
    request.set_tenant(tenant_of(c));
  }
  return outcome_of(
      follow<api::StoreUsageReply>(c, request, {"counting", "entries"}, render_usage));
}

Outcome store_export(Context& c) {
  api::ExportTenantRequest request;
  request.set_tenant(tenant_of(c));
  const std::string path = c.args.has("output") ? c.args.text("output") : "";
  auto file = WholeFile::create(path);
  if (!file) return std::unexpected(file.error());
  if (auto done = file->write(first_line(request.tenant())); !done)
    return std::unexpected(done.error());
  const auto report = report_of<api::TenantExported, api::ExportTenantReply>(
      c, request, {"exporting", "entries"}, [&](const api::ExportTenantReply& reply) -> Status {
        for (const auto& item : reply.items().items())
          if (auto done = file->write(item_line(item)); !done) return done;
        return {};
      });
  if (!report) return std::unexpected(report.error());
  if (auto done = file->write(last_line(*report)); !done) return std::unexpected(done.error());
  if (path.empty()) {
    const auto done = file->commit_to([&](std::string_view text) { return c.print(text); });
    if (!done) return std::unexpected(done.error());
    return kDone;
  }
  if (auto done = file->commit(); !done) return std::unexpected(done.error());
  c.print(c.json
              ? JsonWriter().begin_object().member("file", path).fields(*report).end_object().take()
              : fmt::format("{}: {} items of tenant {}, everything up to write {}\n",
                            printable(path), with_commas(report->items()), report->tenant(),
                            with_commas(report->sequence())));
  return kDone;
}

Outcome store_delete(Context& c) {
  api::DeleteTenantRequest request;
  request.set_tenant(tenant_of(c));
  request.set_confirmed(c.args.has("yes"));
  return outcome_of(
      follow<api::DeleteTenantReply>(c, request, {"deleting", "entries"}, render_deleted));
}

}  // namespace sluice::cli
