#include "controlplane/link/validate.hpp"

#include <algorithm>

#include "sluice/link/drop_reason.hpp"
#include "sluice/route/limits.hpp"
#include "sluice/wire/envelope.hpp"

namespace sluice::controlplane {

namespace {

template <class E>
bool within(E value, std::uint8_t first, std::uint8_t last) noexcept {
  const auto number = static_cast<std::uint8_t>(value);
  return number >= first && number <= last;
}

bool port_or_none(std::uint16_t port) noexcept {
  return port < kMaxPorts || port == 0xffff;
}

bool valid_step(const link::TraceStep& step) noexcept {
  return within(step.stage, 1, link::kMaxTraceStage) &&
         within(step.verdict, 0, link::kMaxVerdict) && step.drop_reason < kDropReasons;
}

}  // namespace

bool valid_event(const link::Event& event) noexcept {
  const auto& body = event.body;
  switch (event.kind) {
    case link::EventKind::kSyncDone:
    case link::EventKind::kSweepDone:
    case link::EventKind::kTraceDone:
    case link::EventKind::kTableFull:
      return true;
    case link::EventKind::kCommandRefused:
      return within(body.refused.reason, 1,
                    static_cast<std::uint8_t>(link::RefusedReason::kNotLoaded));
    case link::EventKind::kUnknownDestination:
      return body.unknown_destination.port < kMaxPorts && body.unknown_destination.capability <= 1;
    case link::EventKind::kPortLink:
      return body.port_link.port < kMaxPorts && body.port_link.up <= 1;
    case link::EventKind::kSourceDenied:
      return body.source_denied.port < kMaxPorts;
    case link::EventKind::kBaseLoaded:
      return body.base_loaded.huge <= 1;
    case link::EventKind::kBaseRefused:
      return within(body.base_refused.reason, 1,
                    static_cast<std::uint8_t>(link::BaseRefusal::kCount) - 1);
    case link::EventKind::kBaseDone:
      return true;
  }
  return false;
}

bool valid_punt(const link::SlotHeader& header) noexcept {
  constexpr auto kMaxBytes = sizeof(link::Slot::data);
  return header.kind == link::SlotKind::kMessage && header.bytes >= kEnvelopeBytes &&
         header.bytes <= kMaxBytes && header.port < kMaxPorts && header.vlan <= 4094 &&
         (header.family == Family::kIpv4 || header.family == Family::kIpv6) &&
         header.local.family() == header.family && header.remote.family() == header.family &&
         header.reserved == 0;
}

bool valid_trace(const link::TraceRecord& record) noexcept {
  if (record.ingress_port >= kMaxPorts || !port_or_none(record.egress_port)) return false;
  if (record.worker >= kMaxWorkers || record.steps > link::kMaxTraceSteps) return false;
  if (record.before_bytes > link::kTraceBytes || record.after_bytes > link::kTraceBytes)
    return false;
  if (record.final_verdict > link::kMaxVerdict || record.final_reason >= kDropReasons) return false;
  return std::all_of(record.step.begin(), record.step.begin() + record.steps, valid_step);
}

}  // namespace sluice::controlplane
