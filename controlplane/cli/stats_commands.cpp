// stats, drops: totals, or rates between samples with --watch
#include <fmt/format.h>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/handlers.hpp"
#include "controlplane/cli/rates.hpp"

namespace sluice::cli {
namespace {

struct Column {
  const char* heading;
  std::uint64_t (api::PortCounters::*get)() const;
};

constexpr Column kColumns[] = {
    {">FRAMES", &api::PortCounters::frames},       {">MESSAGES", &api::PortCounters::messages},
    {">FORWARDED", &api::PortCounters::forwarded}, {">COPIES", &api::PortCounters::copies},
    {">HELD", &api::PortCounters::held},           {">PUNTED", &api::PortCounters::punted},
    {">ANSWERED", &api::PortCounters::answered},   {">NOTICES", &api::PortCounters::notices},
    {">DROPPED", &api::PortCounters::dropped},     {">HOST", &api::PortCounters::to_host},
    {">SENT", &api::PortCounters::egress_frames},  {">QUEUED", &api::PortCounters::egress_queued},
};

// `rates` null: totals. Of a port without a known rate: dashes.
std::string port_table(const api::StatsReply& s, const Rates* rates, const Paint& paint) {
  std::vector<std::string> headings = {"PORT", "LINK"};
  for (const auto& column : kColumns)
    headings.emplace_back(column.heading);
  headings.emplace_back(">MISSED");
  Table table(std::move(headings));
  for (const auto& p : s.ports()) {
    std::vector<std::string> cells = {printable(p.port()),
                                      p.link_up() ? paint.good("up") : paint.bad("down")};
    const auto* from = rates == nullptr ? &p.counters() : rates->growth(p.port());
    for (const auto& column : kColumns) {
      if (from == nullptr) {
        cells.emplace_back("-");
      } else if (rates == nullptr) {
        cells.push_back(with_commas((from->*column.get)()));
      } else {
        cells.push_back(scaled_text(rates->per_second((from->*column.get)())));
      }
    }
    cells.push_back(with_commas(p.missed()));
    table.row(std::move(cells));
  }
  return table.text(paint);
}

std::string worker_table(const api::StatsReply& s, const Rates* rates, const Paint& paint) {
  Table table({"WORKER", ">CORE", ">BUSY", ">LOOPS", ">SLEEPS", ">ASLEEP", ">LONGEST LOOP",
               ">NEGATIVE HITS", ">TRACED"});
  for (const auto& w : s.workers()) {
    const auto busy = rates == nullptr ? std::nullopt : rates->busy(w.index());
    const double hz = s.tsc_hz() == 0 ? 1e9 : static_cast<double>(s.tsc_hz());
    const double longest_ns = static_cast<double>(w.longest_loop_tsc()) * 1e9 / hz;
    table.row(
        {w.manager() ? "manager" : std::to_string(w.index()), std::to_string(w.core()),
         busy ? fmt::format("{:.1f} %", *busy * 100) : percent_text(w.busy_loops(), w.loops()),
         with_commas(w.loops()), with_commas(w.sleeps()), duration_text(w.slept_ns()),
         duration_text(static_cast<std::uint64_t>(longest_ns)), with_commas(w.negative_hits()),
         with_commas(w.traced())});
  }
  if (table.empty()) return {};
  return '\n' + table.text(paint);
}

void write_rates(JsonWriter& json, const api::StatsReply& s, const Rates& rates) {
  json.member("interval_s", rates.seconds()).key("rates_per_second").begin_array();
  for (const auto& p : s.ports()) {
    const auto* growth = rates.growth(p.port());
    if (growth == nullptr) continue;
    json.begin_object().member("port", p.port());
    json.member("bytes", rates.per_second(growth->bytes()));
    json.member("egress_bytes", rates.per_second(growth->egress_bytes()));
    for (const auto& column : kColumns) {
      std::string name(column.heading + 1);
      for (char& c : name)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      json.member(name, rates.per_second((growth->*column.get)()));
    }
    json.end_object();
  }
  json.end_array().key("busy").begin_array();
  for (const auto& w : s.workers()) {
    const auto busy = rates.busy(w.index());
    if (busy) json.begin_object().member("worker", w.index()).member("share", *busy).end_object();
  }
  json.end_array();
}

void print_sample(Context& c, const api::StatsReply& s, const Rates* rates, bool restarted) {
  if (c.json) {
    JsonWriter json(rates == nullptr && !c.args.has("watch"));
    json.begin_object().fields(s);
    if (c.args.has("watch")) json.member("restarted", restarted);
    if (rates != nullptr) write_rates(json, s, *rates);
    c.print(json.end_object().take());
    return;
  }
  // On a terminal a sample takes the place of the one before.
  if (c.args.has("watch")) c.print(c.environment.terminal ? "\x1b[H\x1b[2J" : "\n");
  if (restarted) c.print(c.paint.warn("the dataplane restarted: counters begin again\n"));
  if (rates != nullptr) c.print(fmt::format("per second, over {:.1f} s\n", rates->seconds()));
  c.print(port_table(s, rates, c.paint) + worker_table(s, rates, c.paint));
}

// Asks again and again; `show_sample` returns what to print.
template <class Request, class Print>
Outcome watch(Context& c, const Request& request, Print print) {
  const std::uint64_t samples = c.args.has("samples") ? c.args.number("samples") : UINT64_MAX;
  auto period = c.args.has("watch") ? c.args.duration("watch") : std::chrono::nanoseconds(0);
  if (c.args.has("watch") && period < std::chrono::milliseconds(100)) {
    return wrong_usage("--watch: at least 100 ms lie between samples");
  }
  for (std::uint64_t n = 0; n < samples; ++n) {
    if (n > 0) c.environment.sleep(period);
    const auto reply = c.client.call(request);
    if (!reply) return std::unexpected(reply.error());
    print(*reply);
    if (!c.args.has("watch") || !c.can_print()) break;
  }
  return kDone;
}

std::string drop_table(const api::DropsReply& now, const api::DropsReply* before,
                       const Paint& paint) {
  Table table({"PORT", ">MESSAGES", ">DROPPED", "REASON", "MEANING", ">PER SECOND"});
  const double seconds =
      before == nullptr ? 0 : static_cast<double>(now.taken_ns() - before->taken_ns()) / 1e9;
  const auto old_count = [&](const std::string& port, const std::string& reason) {
    std::uint64_t count = 0;
    for (const auto& p : before->ports()) {
      if (p.port() != port) continue;
      for (const auto& d : p.drops())
        if (d.reason() == reason) count = d.count();
    }
    return count;
  };
  for (const auto& p : now.ports()) {
    for (const auto& d : p.drops()) {
      std::string rate = "-";
      if (before != nullptr) {
        const auto old = std::min(d.count(), old_count(p.port(), d.reason()));
        rate = scaled_text(static_cast<double>(d.count() - old) / seconds);
      }
      table.row({printable(p.port()), with_commas(p.messages()), with_commas(d.count()),
                 printable(d.reason()), printable(d.text()), rate});
    }
  }
  return table.empty() ? "nothing was dropped\n" : table.text(paint);
}

}  // namespace

Outcome stats(Context& c) {
  if (c.args.has("clear")) {
    const auto done = c.client.call(api::ClearCountersRequest{});
    if (!done) return std::unexpected(done.error());
    c.print(c.json ? JsonWriter().begin_object().end_object().take() : "counters cleared\n");
    return kDone;
  }
  api::StatsRequest request;
  for (const auto& port : c.args.all("port"))
    request.add_ports(port);
  Rates rates;
  return watch(c, request, [&](const api::StatsReply& s) {
    const bool known = rates.next(s);
    print_sample(c, s, known ? &rates : nullptr, rates.restarted());
  });
}

Outcome drops(Context& c) {
  api::DropsRequest request;
  request.set_port(c.args.text("port"));
  std::optional<api::DropsReply> before;
  return watch(c, request, [&](const api::DropsReply& now) {
    if (c.json) {
      c.print(JsonWriter(!c.args.has("watch")).value(now).take());
      return;
    }
    if (c.args.has("watch")) c.print(c.environment.terminal ? "\x1b[H\x1b[2J" : "\n");
    const bool comparable = before && before->dataplane_instance() == now.dataplane_instance() &&
                            now.taken_ns() > before->taken_ns();
    c.print(drop_table(now, comparable ? &*before : nullptr, c.paint));
    before = now;
  });
}

}  // namespace sluice::cli
