// trace: the way of single messages through the pipeline
#include <fmt/format.h>

#include <algorithm>

#include "controlplane/cli/context.hpp"
#include "controlplane/cli/frame.hpp"
#include "controlplane/cli/handlers.hpp"

namespace sluice::cli {
namespace {

std::string verdict_text(std::string_view verdict, const Paint& paint) {
  if (verdict == "drop") return paint.bad(verdict);
  return verdict == "forward" || verdict == "deliver-several" ? paint.good(verdict)
                                                              : std::string(verdict);
}

std::string headline(const api::TraceMessage& m, std::uint64_t number, const Paint& paint) {
  std::string text =
      fmt::format("message {} at {}.{:06}: port {}", number, time_text(m.received_ns()),
                  m.received_ns() % 1'000'000'000 / 1000, printable(m.ingress_port()));
  if (!m.egress_port().empty()) text += " to port " + printable(m.egress_port());
  text += fmt::format(", {} bytes, worker {}: {}", m.frame_bytes(), m.worker(),
                      verdict_text(m.verdict(), paint));
  if (m.has_drop()) {
    text += fmt::format(", {} ({})", printable(m.drop().text()), printable(m.drop().reason()));
  }
  return text + "\n";
}

std::string step_table(const api::TraceMessage& m, const Paint& paint) {
  Table table({"STAGE", "VERDICT", "WHAT"});
  for (const auto& s : m.steps()) {
    const std::string what = s.text().empty() ? s.reason() : s.text();
    table.row({printable(s.stage()), verdict_text(s.verdict(), paint), printable(what)});
  }
  return table.text(paint);
}

std::string received_table(const std::vector<FrameField>& fields, const Paint& paint) {
  Table table({"HEADER", "RECEIVED"});
  for (const auto& field : fields)
    table.row({field.name, field.value});
  return table.text(paint);
}

// One row a field; the right column only where the router changed it.
std::string header_table(const api::TraceMessage& m, const Paint& paint) {
  const auto before = decode_frame(m.before());
  if (m.after().empty()) return received_table(before, paint);
  const auto after = decode_frame(m.after());
  Table table({"HEADER", "BEFORE", "AFTER"});
  const auto find = [](const std::vector<FrameField>& in, std::string_view name) {
    const auto found = std::ranges::find(in, name, &FrameField::name);
    return found == in.end() ? std::string("-") : found->value;
  };
  for (const auto& field : before) {
    const std::string now = find(after, field.name);
    table.row({field.name, field.value, now == field.value ? "" : paint.warn(now)});
  }
  for (const auto& field : after) {
    if (find(before, field.name) == "-") table.row({field.name, "-", paint.warn(field.value)});
  }
  return table.text(paint);
}

std::string render(const api::TraceMessage& m, std::uint64_t number, const Paint& paint) {
  std::string text = headline(m, number, paint) + step_table(m, paint) + header_table(m, paint);
  if (m.after().empty()) return text + "\n";
  text += paint.faint("changed bytes") + "\n";
  for (const auto& line : changed_bytes(m.before(), m.after())) {
    text += "  " + (line[5] == '-' ? paint.bad(line) : paint.good(line)) + "\n";
  }
  return text + "\n";
}

void write_headers(JsonWriter& json, std::string_view name, const std::string& frame) {
  json.key(name);
  if (frame.empty()) {
    json.null();
    return;
  }
  json.begin_object();
  for (const auto& field : decode_frame(frame))
    json.member(field.name, field.value);
  json.end_object();
}

std::string render_json(const api::TraceMessage& m) {
  JsonWriter json(false);
  json.begin_object().fields(m);
  write_headers(json, "headers_before", m.before());
  write_headers(json, "headers_after", m.after());
  return json.end_object().take();
}

}  // namespace

Outcome trace(Context& c) {
  constexpr auto kGrace = std::chrono::seconds(5);  // the control plane ends the stream first
  const auto timeout = c.args.duration("timeout");
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(timeout).count();
  if (seconds < 1 || seconds > 3600) return wrong_usage("--timeout: 1 s to 1 h");
  if (c.args.number("count") > 10'000) return wrong_usage("--count: 1 to 10000");
  api::TraceRequest request;
  request.set_source(c.args.text("source"));
  request.set_destination(c.args.text("destination"));
  request.set_count(static_cast<std::uint32_t>(c.args.number("count")));
  request.set_timeout_s(static_cast<std::uint32_t>(seconds));
  c.client.set_timeout(timeout + kGrace);
  std::uint64_t number = 0;
  const auto done = c.client.call(request, [&](const api::TraceReply& reply) {
    if (reply.has_started() && !c.json) {
      c.print(fmt::format("waiting for {} message{}\n", reply.started().count(),
                          reply.started().count() == 1 ? "" : "s"));
    }
    if (!reply.has_message()) return c.can_print();
    ++number;
    return c.print(c.json ? render_json(reply.message())
                          : render(reply.message(), number, c.paint));
  });
  if (!done) return std::unexpected(done.error());
  if (number != 0) return kDone;
  return fail(ErrorCode::kTimeout, fmt::format("no such message came within {} s", seconds),
              ErrorOrigin::kPeer);
}

}  // namespace sluice::cli
