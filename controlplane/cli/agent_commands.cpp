// agent add, delete, list, show, resolve, token
#include <fmt/format.h>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"

namespace sluice::cli {
namespace {

std::string lease_text(const api::Agent& a) {
  if (a.origin() != api::ORIGIN_REGISTERED) return "-";
  return a.lease_left_ns() == 0 ? "grace " + duration_text(a.grace_left_ns())
                                : duration_text(a.lease_left_ns());
}

std::string origin_text(const api::Agent& a) {
  const std::string word = enum_word(api::AgentOrigin_Name(a.origin()));
  return a.peer().empty() ? word : word + " " + printable(a.peer());
}

std::string capabilities_text(const api::Agent& a) {
  return printable(fmt::format("{}", fmt::join(a.capabilities(), " ")));
}

Table agent_table() {
  return Table(
      {"AGENT", ">TENANT", "ORIGIN", "ENDPOINT", "STATE", "PORT", ">LEASE LEFT", "CAPABILITIES"});
}

void add_row(Table& table, const api::Agent& a, const Paint& paint) {
  table.row({name_or_id(a.name(), a.id()), std::to_string(a.tenant()), origin_text(a), a.endpoint(),
             reach_text(a.reachability(), paint), printable(a.port()), lease_text(a),
             capabilities_text(a)});
}

std::string render_agent(const api::Agent& a, const Paint& paint) {
  Fields fields;
  if (!a.name().empty()) fields.add("agent", printable(a.name()));
  fields.add("id", bytes_as_text(a.id()));
  fields.add("tenant", std::to_string(a.tenant()));
  fields.add("origin", origin_text(a));
  if (!a.endpoint().empty()) fields.add("endpoint", a.endpoint());
  fields.add("state", reach_text(a.reachability(), paint));
  if (!a.port().empty()) fields.add("port", printable(a.port()));
  if (a.capabilities_size() != 0) fields.add("capabilities", capabilities_text(a));
  fields.add("since", time_text(a.registered_ns()));
  if (a.origin() == api::ORIGIN_REGISTERED) {
    fields.add("lease", fmt::format("{} s, {} left, renewed {}", a.lease_s(), lease_text(a),
                                    time_text(a.renewed_ns())));
    fields.add("moves", with_commas(a.moves()));
  }
  return fields.text(paint);
}

std::string render_added(const api::AddAgentReply& r, const Paint& paint) {
  return "added\n" + render_agent(r.agent(), paint);
}

std::string render_deleted(const api::DeleteAgentReply& r, const Paint&) {
  std::string text = fmt::format("deleted {}\n", name_or_id(r.agent().name(), r.agent().id()));
  if (r.agent().origin() == api::ORIGIN_REGISTERED)
    text += "if its process still runs it registers again with its next heartbeat\n";
  return text;
}

std::string render_resolved(const api::ResolveReply& r, const Paint& paint) {
  std::string text =
      fmt::format("{} {}\n", r.capability() ? "capability" : "agent", bytes_as_text(r.id()));
  if (r.members().empty()) return text + "nobody offers it now\n";
  Table table = agent_table();
  for (const auto& member : r.members())
    add_row(table, member, paint);
  return text + table.text(paint);
}

std::string render_token(const api::TokenReply& r, const Paint&) {
  return bytes_as_text(r.token()) + "\n";
}

api::AgentOrigin origin_of(std::string_view word) {
  if (word == "static") return api::ORIGIN_STATIC;
  if (word == "registered") return api::ORIGIN_REGISTERED;
  return word == "peer" ? api::ORIGIN_PEER : api::ORIGIN_ANY;
}

}  // namespace

std::string reach_text(api::Reachability reachability, const Paint& paint) {
  const std::string text = words(enum_word(api::Reachability_Name(reachability)));
  if (reachability == api::REACH_UP) return paint.good(text);
  return reachability == api::REACH_RESOLVING ? paint.warn(text) : paint.bad(text);
}

Outcome agent_add(Context& c) {
  api::AddAgentRequest request;
  request.set_agent(c.args.text("AGENT"));
  request.set_endpoint(c.args.text("ENDPOINT"));
  request.set_tenant(static_cast<std::uint32_t>(c.args.number("tenant")));
  for (const auto& capability : c.args.all("capability"))
    request.add_capabilities(capability);
  return show(c, c.client.call(request), render_added);
}

Outcome agent_delete(Context& c) {
  api::DeleteAgentRequest request;
  request.set_agent(c.args.text("AGENT"));
  return show(c, c.client.call(request), render_deleted);
}

Outcome agent_list(Context& c) {
  api::ListAgentsRequest request;
  request.set_limit(static_cast<std::uint32_t>(c.args.number("limit")));
  request.set_origin(origin_of(c.args.text("origin")));
  request.set_filter_tenant(c.args.has("tenant"));
  request.set_tenant(static_cast<std::uint32_t>(c.args.number("tenant")));
  request.set_capability(c.args.text("capability"));
  request.set_name_prefix(c.args.text("prefix"));
  request.set_peer(c.args.text("peer"));
  JsonWriter json;
  json.begin_object().key("agents").begin_array();
  Table table = agent_table();
  bool more = false;
  const auto done = c.client.call(request, [&](const api::AgentPage& page) {
    for (const auto& a : page.agents()) {
      if (c.json) {
        json.value(a);
      } else {
        add_row(table, a, c.paint);
      }
    }
    more = !page.next().empty();
    return true;
  });
  if (!done) return std::unexpected(done.error());
  if (c.json) {
    c.print(json.end_array().member("more", more).end_object().take());
  } else {
    c.print(table.text(c.paint));
    if (more) c.print("there are more; raise --limit to see them\n");
  }
  return kDone;
}

Outcome agent_show(Context& c) {
  api::ShowAgentRequest request;
  request.set_agent(c.args.text("AGENT"));
  return show(c, c.client.call(request), render_agent);
}

Outcome agent_resolve(Context& c) {
  api::ResolveRequest request;
  request.set_what(c.args.text("NAME"));
  return show(c, c.client.call(request), render_resolved);
}

Outcome agent_token(Context& c) {
  api::TokenRequest request;
  request.set_agent(c.args.text("AGENT"));
  request.set_tenant(static_cast<std::uint32_t>(c.args.number("tenant")));
  return show(c, c.client.call(request), render_token);
}

}  // namespace sluice::cli
