// status, version
#include <fmt/format.h>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/progress.hpp"
#include "sluice/base/clock.hpp"

#ifndef SLUICE_VERSION
#error "the build defines SLUICE_VERSION"
#endif

namespace sluice::cli {
namespace {

std::string link_state(const api::LinkStatus& link, const Paint& paint) {
  std::string state = enum_word(api::LinkState_Name(link.state()));
  if (link.stalled()) return paint.bad(state + ", stalled");
  return link.state() == api::LINK_READY ? paint.good(state) : paint.warn(state);
}

void add_link(Fields& fields, const api::LinkStatus& link, const Paint& paint) {
  fields.add("link", fmt::format("{} for {}{}{}", link_state(link, paint),
                                 duration_text(link.state_since_ns()),
                                 link.detail().empty() ? "" : ": ", printable(link.detail())));
  if (link.state() == api::LINK_DISCONNECTED) return;
  fields.add(
      "", fmt::format("epoch {}, {} of {} commands applied, {} waiting, {} refused", link.epoch(),
                      with_commas(link.applied_sequence()), with_commas(link.sequence()),
                      with_commas(link.commands_waiting()), with_commas(link.commands_refused())));
  fields.add("", fmt::format("heartbeats {} and {} old, last synchronisation took {}",
                             duration_text(link.dataplane_heartbeat_age_ns()),
                             duration_text(link.controlplane_heartbeat_age_ns()),
                             duration_text(link.last_sync_ns())));
  const auto lost = link.events_lost() + link.punts_lost() + link.injects_lost();
  const auto text =
      fmt::format("{} events, {} punts, {} injects, {} lost", with_commas(link.events()),
                  with_commas(link.punts()), with_commas(link.injects()), with_commas(lost));
  fields.add("", lost == 0 ? text : paint.bad(text));
}

std::string used(std::uint64_t part, std::uint64_t whole) {
  return fmt::format("{} of {}", with_commas(part), with_commas(whole));
}

void add_dataplane(Fields& fields, const api::DataplaneStatus& d) {
  const auto& t = d.tables();
  fields.add(
      "dataplane",
      fmt::format("pid {}, up {}, {} pages, {}, hash {}", d.pid(), duration_text(d.uptime_ns()),
                  d.huge_pages() ? "huge" : "small", d.adaptive() ? "adaptive" : "polling",
                  printable(d.hash_implementation())));
  fields.add("routes", fmt::format("{}, {}", used(t.routes(), t.routes_capacity()),
                                   bytes_text(t.route_table_bytes())));
  fields.add("adjacencies", used(t.adjacencies(), t.adjacencies_capacity()));
  fields.add("groups", used(t.groups(), t.groups_capacity()));
  fields.add("held", used(t.held(), t.hold_capacity()));
  fields.add("buffers",
             fmt::format("{} free of {}", with_commas(t.mbufs_free()), with_commas(t.mbufs())));
}

void add_registry(Fields& fields, const api::RegistryStatus& r) {
  fields.add("agents",
             fmt::format("{} ({} static, {} registered, {} of peers), {} available, at "
                         "most {}",
                         with_commas(r.agents()), with_commas(r.agents_static()),
                         with_commas(r.agents_registered()), with_commas(r.agents_peer()),
                         with_commas(r.agents_available()), with_commas(r.agents_limit())));
  fields.add("capabilities", with_commas(r.capabilities()));
  if (r.hosts_resolving() != 0) {
    fields.add("hosts", fmt::format("{} of {} are still being resolved",
                                    with_commas(r.hosts_resolving()), with_commas(r.hosts())));
  }
}

// Empty: for nothing, it is ready.
std::string waits_for(const api::StatusReply& s) {
  const auto& r = s.registry();
  if (s.link().state() == api::LINK_DISCONNECTED) return "the dataplane to connect";
  if (s.link().stalled()) return "the dataplane, which is stalled";
  if (s.link().state() != api::LINK_READY) return "the dataplane to be programmed";
  if (r.hosts_resolving() == 0) return {};
  return fmt::format("the kernel to resolve {} of {} hosts", with_commas(r.hosts_resolving()),
                     with_commas(r.hosts()));
}

void add_store(Fields& fields, const api::StoreStatus& s, const Paint& paint) {
  if (!s.error().empty()) {
    fields.add("store", fmt::format("{} for {}: {}", paint.bad("failing"),
                                    duration_text(s.failing_ns()), printable(s.error())));
    fields.add("",
               fmt::format("{} changes wait; new agents are refused", with_commas(s.waiting())));
    return;
  }
  fields.add("store",
             fmt::format("{}, {} agents restored, {} records written", printable(s.directory()),
                         with_commas(s.restored_agents()), with_commas(s.written())));
  if (s.not_restored() != 0) {
    fields.add("", paint.bad(with_commas(s.not_restored()) + " agents could not be restored"));
  }
}

void add_base(Fields& fields, const api::BaseStatus& b, const Paint& paint) {
  if (b.entries() == 0 && b.error().empty() && b.state() == "idle") return;
  fields.add("base segment", fmt::format("{} routes, {}, {} differ, {}", with_commas(b.entries()),
                                         bytes_text(b.bytes()),
                                         with_commas(b.uncovered() + b.deleted()), b.state()));
  if (!b.error().empty()) fields.add("", paint.warn("last failure: " + printable(b.error())));
}

std::string port_table(const api::DataplaneStatus& d, const Paint& paint) {
  Table table({"PORT", "ROLE", "LINK", "DEVICE", "HOST INTERFACE", "ADDRESSES"});
  for (const auto& p : d.ports()) {
    table.row({printable(p.name()), p.role(), p.link_up() ? paint.good("up") : paint.bad("down"),
               printable(p.device()), printable(p.host_interface()),
               fmt::format("{}", fmt::join(p.addresses(), " "))});
  }
  if (table.empty()) return {};
  return '\n' + table.text(paint);
}

std::string worker_table(const api::DataplaneStatus& d, const Paint& paint) {
  Table table({">WORKER", ">CORE", ">NUMA", "STATE", "PORTS"});
  for (const auto& w : d.workers()) {
    table.row({std::to_string(w.index()), std::to_string(w.core()),
               w.socket() < 0 ? "-" : std::to_string(w.socket()),
               w.sleeping() ? "asleep" : "polling",
               printable(fmt::format("{}", fmt::join(w.ports(), " ")))});
  }
  if (table.empty()) return {};
  return '\n' + table.text(paint);
}

std::string render(const api::StatusReply& s, const Paint& paint) {
  Fields fields;
  const auto& cp = s.control_plane();
  fields.add("router", fmt::format("{}, id {}, messages on UDP port {}", printable(s.router_name()),
                                   bytes_as_text(s.router_id()), s.message_port()));
  fields.add("control plane",
             fmt::format("{}, pid {}, up {}, {} of memory", printable(cp.version()), cp.pid(),
                         duration_text(cp.uptime_ns()), bytes_text(cp.memory_bytes())));
  fields.add("configuration",
             fmt::format("{}, loaded {} ago", printable(cp.config_file()),
                         duration_text(s.now_ns() - std::min(s.now_ns(), cp.config_loaded_ns()))));
  if (cp.logs_lost() != 0) {
    fields.add("log lines lost", paint.bad(with_commas(cp.logs_lost()) + "; is the disk full?"));
  }
  add_link(fields, s.link(), paint);
  if (s.has_dataplane()) {
    add_dataplane(fields, s.dataplane());
  } else {
    fields.add("dataplane",
               paint.bad("not connected") + "; start it with 'systemctl start sluice-dataplane'");
  }
  add_registry(fields, s.registry());
  if (s.has_store()) add_store(fields, s.store(), paint);
  if (s.has_base()) add_base(fields, s.base(), paint);
  return fields.text(paint) + port_table(s.dataplane(), paint) + worker_table(s.dataplane(), paint);
}

}  // namespace

// With --wait it asks again until the link is ready and the kernel has looked for every host, so
// that scripts wait on a fact.
Outcome status(Context& c) {
  constexpr auto kPause = std::chrono::milliseconds(100);
  const auto deadline =
      monotonic_ns() + static_cast<std::uint64_t>(c.args.duration("wait").count());
  ProgressLine progress(c, "waiting for");
  while (true) {
    const auto reply = c.client.call(api::StatusRequest{});
    const std::string missing = reply ? waits_for(*reply) : "the control plane";
    const bool again =
        c.args.has("wait") && !missing.empty() && (reply || reply.error().retryable());
    if (again && monotonic_ns() < deadline) {
      progress.say(missing);
      c.environment.sleep(kPause);
      continue;
    }
    progress.end();
    auto shown = show(c, reply, render);
    if (!shown || !again) return shown;
    return fail(ErrorCode::kTimeout, fmt::format("waited in vain for {}", missing));
  }
}

Outcome version(Context& c) {
  if (c.json) {
    c.print(JsonWriter().begin_object().member("version", SLUICE_VERSION).end_object().take());
  } else {
    c.print("sluice " SLUICE_VERSION "\n");
  }
  return kDone;
}

}  // namespace sluice::cli
