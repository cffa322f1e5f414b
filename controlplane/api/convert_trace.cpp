// Trace records, made readable.

#include <fmt/format.h>

#include <algorithm>

#include "controlplane/api/convert.hpp"
#include "sluice/route/action.hpp"

namespace sluice::controlplane {

namespace {

std::string_view name_of(link::TraceStage stage) {
  constexpr std::string_view kNames[] = {"?", "classify", "resolve", "police", "rewrite", "egress"};
  const auto at = static_cast<std::size_t>(stage);
  return at <= link::kMaxTraceStage ? kNames[at] : kNames[0];
}

std::string_view name_of(link::Verdict verdict) {
  constexpr std::string_view kNames[] = {
      "forward", "deliver-several", "hold", "punt", "answer", "host", "drop"};
  const auto at = static_cast<std::size_t>(verdict);
  return at <= link::kMaxVerdict ? kNames[at] : std::string_view("?");
}

std::string_view label_of(std::uint8_t reason) {
  return reason < kDropReasons ? kDropReasonInfo[reason].label : std::string_view("?");
}
std::string_view text_of_reason(std::uint8_t reason) {
  return reason < kDropReasons ? kDropReasonInfo[reason].text : std::string_view("unknown reason");
}

std::string route_text(std::uint64_t bits) {
  const Action action = Action::from_bits(bits);
  switch (action.kind()) {
    case ActionKind::kNone:
    case ActionKind::kDeleted:
      return "no route";
    case ActionKind::kUnreachable:
      return fmt::format("route says unreachable, tenant {}", action.tenant());
    case ActionKind::kAdjacency:
      return fmt::format("route to adjacency {}, UDP port {}, tenant {}", action.index(),
                         action.udp_port(), action.tenant());
    case ActionKind::kGroup:
      return fmt::format("route to group {}", action.index());
    case ActionKind::kLocal:
      return "route to this router";
  }
  return "unreadable route";
}

std::string step_text(const link::TraceStep& step, const link::TraceRecord& record,
                      const std::vector<std::string>& ports) {
  if (step.verdict == link::Verdict::kDrop) {
    return fmt::format("dropped: {}", text_of_reason(step.drop_reason));
  }
  switch (step.stage) {
    case link::TraceStage::kClassify:
      return fmt::format("message of {} bytes, envelope at byte {}", record.frame_bytes,
                         step.detail);
    case link::TraceStage::kResolve:
      return route_text(step.action);
    case link::TraceStage::kPolice:
      return "allowed";
    case link::TraceStage::kRewrite:
      return "headers rewritten in place";
    case link::TraceStage::kEgress:
      return step.detail < ports.size() ? fmt::format("to port {}", ports[step.detail])
                                        : std::string("to no port");
  }
  return {};
}

}  // namespace

void fill_trace(const link::TraceRecord& record, const std::vector<std::string>& ports,
                proto::TraceMessage& to) {
  const auto name = [&](std::uint16_t port) {
    return port < ports.size() ? ports[port] : std::string();
  };
  to.set_received_ns(record.received_ns);
  to.set_ingress_port(name(record.ingress_port));
  to.set_egress_port(name(record.egress_port));
  to.set_worker(record.worker);
  to.set_frame_bytes(record.frame_bytes);
  const auto put = [](const auto& bytes, std::size_t length) {
    return std::string(reinterpret_cast<const char*>(bytes.data()), std::min(length, bytes.size()));
  };
  to.set_before(put(record.before, record.before_bytes));
  to.set_after(put(record.after, record.after_bytes));
  const auto verdict = static_cast<link::Verdict>(record.final_verdict);
  to.set_verdict(std::string(name_of(verdict)));
  if (verdict == link::Verdict::kDrop) {
    to.mutable_drop()->set_reason(std::string(label_of(record.final_reason)));
    to.mutable_drop()->set_text(std::string(text_of_reason(record.final_reason)));
  }
  for (std::size_t i = 0; i < std::min<std::size_t>(record.steps, link::kMaxTraceSteps); ++i) {
    const link::TraceStep& step = record.step[i];
    auto* out = to.add_steps();
    out->set_stage(std::string(name_of(step.stage)));
    out->set_verdict(std::string(name_of(step.verdict)));
    if (step.verdict == link::Verdict::kDrop)
      out->set_reason(std::string(label_of(step.drop_reason)));
    out->set_detail(step.detail);
    out->set_text(step_text(step, record, ports));
  }
}

}  // namespace sluice::controlplane
