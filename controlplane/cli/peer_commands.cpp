// peer add, delete, list; tenant list
#include <fmt/format.h>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"

namespace sluice::cli {
namespace {

std::string render_peers(const api::ListPeersReply& r, const Paint& paint) {
  Table table({"PEER", "ADDRESS", "STATE", "PORT", ">AGENTS"});
  for (const auto& p : r.peers()) {
    table.row({printable(p.name()), p.address(), reach_text(p.reachability(), paint),
               p.port().empty() ? "-" : printable(p.port()), with_commas(p.agents())});
  }
  return table.text(paint);
}

std::string render_added(const api::AddPeerReply& r, const Paint&) {
  return fmt::format("added {} at {}\n", printable(r.peer().name()), r.peer().address());
}

std::string render_deleted(const api::DeletePeerReply& r, const Paint&) {
  return fmt::format("deleted {}, which had {} agents\n", printable(r.peer().name()),
                     with_commas(r.peer().agents()));
}

std::string render_tenants(const api::ListTenantsReply& r, const Paint& paint) {
  Table table({">TENANT", "NAME", ">AGENTS", ">RATE", ">BURST", "KEY", "MAY ADDRESS"});
  for (const auto& t : r.tenants()) {
    table.row({std::to_string(t.id()), t.name().empty() ? "-" : printable(t.name()),
               with_commas(t.agents()), t.rate() == 0 ? "-" : with_commas(t.rate()) + "/s",
               t.burst() == 0 ? "-" : with_commas(t.burst()), yes_no(t.has_key()),
               t.allow().empty() ? "itself" : fmt::format("itself {}", fmt::join(t.allow(), " "))});
  }
  return table.text(paint);
}

}  // namespace

Outcome peer_add(Context& c) {
  api::AddPeerRequest request;
  request.set_name(c.args.text("PEER"));
  request.set_address(c.args.text("ADDRESS"));
  return show(c, c.client.call(request), render_added);
}

Outcome peer_delete(Context& c) {
  api::DeletePeerRequest request;
  request.set_name(c.args.text("PEER"));
  return show(c, c.client.call(request), render_deleted);
}

Outcome peer_list(Context& c) {
  return show(c, c.client.call(api::ListPeersRequest{}), render_peers);
}

Outcome tenant_list(Context& c) {
  return show(c, c.client.call(api::ListTenantsRequest{}), render_tenants);
}

}  // namespace sluice::cli
