// port list, port show, neighbor list
#include <fmt/format.h>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"

namespace sluice::cli {
namespace {

std::string link_text(const api::Port& p, const Paint& paint) {
  return p.link_up() ? paint.good("up") : paint.bad("down");
}

std::string speed_text(std::uint32_t mbps) {
  if (mbps == 0 || mbps == UINT32_MAX) return "-";
  return mbps >= 1000 ? fmt::format("{:g} Gbit/s", mbps / 1000.0) : fmt::format("{} Mbit/s", mbps);
}

std::string joined(const auto& list) {
  return list.empty() ? "-" : printable(fmt::format("{}", fmt::join(list, " ")));
}

std::string render_list(const api::ListPortsReply& r, const Paint& paint) {
  Table table({"PORT", "ROLE", "LINK", ">SPEED", "DEVICE", "HOST INTERFACE", "ADDRESSES", ">QUEUES",
               "WORKERS"});
  for (const auto& p : r.ports()) {
    table.row({printable(p.name()), p.role(), link_text(p, paint), speed_text(p.speed_mbps()),
               printable(p.device()), printable(p.host_interface()), joined(p.addresses()),
               fmt::format("{}/{}", p.rx_queues(), p.tx_queues()), joined(p.workers())});
  }
  return table.text(paint);
}

std::string render_port(const api::ListPortsReply& r, const Paint& paint) {
  std::string text;
  for (const auto& p : r.ports()) {
    Fields fields;
    fields.add("port", fmt::format("{} ({}), index {}", printable(p.name()), p.role(), p.index()));
    fields.add("link", fmt::format("{}, {}", link_text(p, paint), speed_text(p.speed_mbps())));
    fields.add("device",
               fmt::format("{}, driver {}", printable(p.device()), printable(p.driver())));
    fields.add("mac", p.mac());
    fields.add("host interface",
               fmt::format("{}, index {}", printable(p.host_interface()), p.host_ifindex()));
    fields.add("addresses", joined(p.addresses()));
    fields.add("mtu", fmt::format("{} bytes", p.mtu()));
    fields.add("vlan", p.vlan() == 0 ? "untagged" : std::to_string(p.vlan()));
    fields.add("source guard", yes_no(p.source_guard()));
    fields.add("queues", fmt::format("{} receive, {} transmit{}", p.rx_queues(), p.tx_queues(),
                                     p.dispatch() ? ", software dispatch" : ""));
    fields.add("workers", joined(p.workers()));
    fields.add("NUMA node", p.socket() < 0 ? "unknown" : std::to_string(p.socket()));
    fields.add("missed", with_commas(p.missed()));
    text += fields.text(paint);
  }
  return text;
}

std::string render_neighbors(const api::ListNeighborsReply& r, const Paint& paint) {
  Table table({"ADDRESS", "PORT", "MAC", "STATE", ">ADJACENCIES"});
  for (const auto& n : r.neighbors()) {
    table.row({printable(n.address()), printable(n.port()), n.mac().empty() ? "-" : n.mac(),
               printable(n.state()), std::to_string(n.adjacencies())});
  }
  return table.text(paint);
}

}  // namespace

Outcome port_list(Context& c) {
  return show(c, c.client.call(api::ListPortsRequest{}), render_list);
}

Outcome port_show(Context& c) {
  api::ListPortsRequest request;
  request.set_port(c.args.text("PORT"));
  return show(c, c.client.call(request), render_port);
}

Outcome neighbor_list(Context& c) {
  api::ListNeighborsRequest request;
  request.set_port(c.args.text("port"));
  return show(c, c.client.call(request), render_neighbors);
}

}  // namespace sluice::cli
