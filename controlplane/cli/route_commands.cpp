// route lookup, route count, adjacency list
#include <fmt/format.h>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"

namespace sluice::cli {
namespace {

std::string state_text(api::AdjacencyState state, const Paint& paint) {
  const std::string word = enum_word(api::AdjacencyState_Name(state));
  if (state == api::ADJACENCY_UP) return paint.good(word);
  return state == api::ADJACENCY_DOWN ? paint.bad(word) : paint.warn(word);
}

std::string or_dash(std::string_view text) {
  return text.empty() ? "-" : printable(text);
}

Table adjacency_table() {
  return Table({">HANDLE", "PORT", "NEXT HOP", "MAC", "DESTINATION", "SOURCE", ">VLAN", "STATE",
                ">MTU", ">AGENTS", "PEER"});
}

void add_row(Table& table, const api::Adjacency& a, const Paint& paint) {
  table.row({std::to_string(a.handle()), printable(a.port()), or_dash(a.next_hop()),
             or_dash(a.mac()), or_dash(a.destination()), or_dash(a.source()),
             a.vlan() == 0 ? "-" : std::to_string(a.vlan()), state_text(a.state(), paint),
             std::to_string(a.mtu()), with_commas(a.agents()), or_dash(a.peer())});
}

std::string adjacency_text(const api::Adjacency& a, std::uint32_t udp_port, const Paint& paint) {
  return fmt::format("{} UDP port {} by {} ({}) on port {}, {}", or_dash(a.destination()), udp_port,
                     or_dash(a.next_hop()), or_dash(a.mac()), or_dash(a.port()),
                     state_text(a.state(), paint));
}

std::string render_route(const api::LookupRouteReply& r, const Paint& paint) {
  Fields fields;
  if (!r.name().empty()) fields.add("name", printable(r.name()));
  fields.add("id", bytes_as_text(r.id()));
  const std::string kind = enum_word(api::RouteKind_Name(r.kind()));
  fields.add("route",
             r.reason().empty() ? kind : fmt::format("{}: {}", kind, printable(r.reason())));
  if (r.kind() != api::ROUTE_NONE) fields.add("tenant", std::to_string(r.tenant()));
  if (r.has_adjacency()) fields.add("to", adjacency_text(r.adjacency(), r.udp_port(), paint));
  std::string text = fields.text(paint);
  if (r.members().empty()) return text;
  Table table({"MEMBER", ">TENANT", ">WEIGHT", "TO"});
  for (const auto& m : r.members()) {
    table.row({name_or_id(m.name(), m.id()), std::to_string(m.tenant()), std::to_string(m.weight()),
               adjacency_text(m.adjacency(), m.udp_port(), paint)});
  }
  return text + table.text(paint);
}

std::string render_count(const api::CountRoutesReply& r, const Paint& paint) {
  Fields fields;
  fields.add("programmed", with_commas(r.programmed()));
  fields.add("of agents", with_commas(r.agents()));
  fields.add("of capabilities", with_commas(r.capabilities()));
  fields.add("unreachable", with_commas(r.unreachable()));
  fields.add("local", with_commas(r.local()));
  fields.add("in the dataplane",
             fmt::format("{} of {}", with_commas(r.dataplane()), with_commas(r.capacity())));
  return fields.text(paint);
}

}  // namespace

Outcome route_lookup(Context& c) {
  api::LookupRouteRequest request;
  request.set_what(c.args.text("NAME"));
  const auto reply = c.client.call(request);
  const bool found = reply && reply->kind() != api::ROUTE_NONE;
  auto shown = show(c, reply, render_route);
  return shown && !found ? Outcome(kFailed) : shown;
}

Outcome route_count(Context& c) {
  return show(c, c.client.call(api::CountRoutesRequest{}), render_count);
}

Outcome adjacency_list(Context& c) {
  api::ListAdjacenciesRequest request;
  request.set_port(c.args.text("port"));
  JsonWriter json;
  json.begin_object().key("adjacencies").begin_array();
  Table table = adjacency_table();
  const auto done = c.client.call(request, [&](const api::AdjacencyPage& page) {
    for (const auto& a : page.adjacencies()) {
      if (c.json) {
        json.value(a);
      } else {
        add_row(table, a, c.paint);
      }
    }
    return true;
  });
  if (!done) return std::unexpected(done.error());
  c.print(c.json ? json.end_array().end_object().take() : table.text(c.paint));
  return kDone;
}

}  // namespace sluice::cli
