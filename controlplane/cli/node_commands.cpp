// node list, show, leave, force-leave
#include <fmt/format.h>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"

namespace sluice::cli {
namespace {

std::string state_text(api::NodeState state, const Paint& paint) {
  switch (state) {
    case api::NODE_ALIVE:
      return paint.good("alive");
    case api::NODE_SUSPECT:
      return paint.warn("suspect");
    case api::NODE_DEAD:
      return paint.bad("dead");
    default:
      return paint.faint("left");
  }
}

std::string kind_text(const api::Node& n) {
  if (n.self()) return "this router";
  return n.router() ? "router" : "other";
}

std::string tag_of(const api::Node& n, std::string_view key) {
  for (const auto& tag : n.tags())
    if (tag.key() == key) return printable(tag.value());
  return "-";
}

std::string render_nodes(const api::ListNodesReply& r, const Paint& paint) {
  Table table({"NODE", "ADDRESS", "STATE", "SINCE", "KIND", "ZONE", ">INCARNATION"});
  for (const auto& n : r.nodes()) {
    table.row({printable(n.name()), n.address(), state_text(n.state(), paint),
               duration_text(n.state_age_ns()), kind_text(n), tag_of(n, "zone"),
               with_commas(n.incarnation())});
  }
  const auto& c = r.cluster();
  std::string text = table.text(paint);
  text += fmt::format("{} alive, {} suspect, {} dead, {} left; {} lost peers are tried again\n",
                      c.alive(), c.suspect(), c.dead(), c.left(), c.lost_peers());
  if (!c.encrypted()) text += paint.warn("not encrypted") + "\n";
  if (c.health() > 0) {
    text += paint.warn(fmt::format("few answers to this router's own probes lately (health {}): "
                                   "others have failed, or it or its network is slow",
                                   c.health())) +
            "\n";
  }
  return text;
}

std::string render_node(const api::ListNodesReply& r, const Paint& paint) {
  const auto& n = r.nodes(0);
  Fields fields;
  fields.add("node", printable(n.name()));
  fields.add("address", n.address());
  fields.add("state", state_text(n.state(), paint) + " for " + duration_text(n.state_age_ns()));
  fields.add("kind", kind_text(n));
  fields.add("answered",
             n.answered_age_ns() == 0 ? "never" : duration_text(n.answered_age_ns()) + " ago");
  fields.add("incarnation", with_commas(n.incarnation()));
  fields.add("protocol", fmt::format("{} of {} to {}", n.protocol_current(), n.protocol_min(),
                                     n.protocol_max()));
  for (const auto& tag : n.tags())
    fields.add("tag " + printable(tag.key()), printable(tag.value()));
  return fields.text(paint);
}

}  // namespace

Outcome node_list(Context& c) {
  return show(c, c.client.call(api::ListNodesRequest{}), render_nodes);
}

Outcome node_show(Context& c) {
  api::ListNodesRequest request;
  request.set_name(c.args.text("NODE"));
  return show(c, c.client.call(request), render_node);
}

Outcome node_leave(Context& c) {
  // The others are given time to hear it.
  c.client.set_timeout(
      std::max<std::chrono::nanoseconds>(c.args.duration("timeout"), std::chrono::seconds(30)));
  const auto reply = c.client.call(api::LeaveRequest{});
  if (!reply) return std::unexpected(reply.error());
  c.print(c.json ? "{}\n" : "left the cluster; a restart of the control plane joins it again\n");
  return kDone;
}

Outcome node_force_leave(Context& c) {
  api::ForceLeaveRequest request;
  request.set_name(c.args.text("NODE"));
  const auto reply = c.client.call(request);
  if (!reply) return std::unexpected(reply.error());
  c.print(c.json ? "{}\n" : fmt::format("{} counts as having left\n", printable(request.name())));
  return kDone;
}

}  // namespace sluice::cli
