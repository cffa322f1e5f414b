#include "controlplane/app/events.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "config/process/log.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

// For the kernel's answer about the way back to an agent; agents ask again after 200 ms.
constexpr std::uint64_t kLongestWaitNs = 150 * kNsPerMs;

}  // namespace

bool Events::may_log(RateLimit& limit, std::string& suppressed) {
  if (!limit.allow(monotonic_ns())) return false;
  const auto refused = limit.take_refused();
  suppressed = refused > 0 ? fmt::format(" suppressed={}", refused) : std::string();
  return true;
}

std::string Events::port_name(std::uint16_t port) const {
  return port < ports_.size() ? ports_[port] : fmt::format("#{}", port);
}

void Events::on_state(LinkState state) {
  if (state == LinkState::kDisconnected) traces_.on_link_lost();
  const auto* status = link_.status();
  if (status == nullptr || state < LinkState::kSyncing) return;
  // Of changes while nobody was connected there is no event.
  const auto ports = std::min<std::size_t>(ports_.size(), kMaxPorts);
  for (std::uint16_t port = 0; port < ports; ++port)
    forwarding_.set_port_link(port, status->port[port].link_up != 0);
}

void Events::on_event(const link::Event& event) {
  switch (event.kind) {
    case link::EventKind::kPortLink:
      return on_port_link(event.body.port_link);
    case link::EventKind::kUnknownDestination:
      return on_unknown(event.body.unknown_destination);
    case link::EventKind::kSourceDenied:
      return on_source_denied(event.body.source_denied);
    case link::EventKind::kTableFull:
      spdlog::error("event=table_full routes={} remedy=\"raise dataplane.routes\"",
                    event.body.counted.count);
      return;
    case link::EventKind::kSweepDone:
      spdlog::info("event=sweep_done removed={}", event.body.counted.count);
      return;
    case link::EventKind::kTraceDone:
      return traces_.on_done(event.body.counted.epoch_or_token, event.body.counted.count);
    case link::EventKind::kBaseLoaded:
    case link::EventKind::kBaseRefused:
    case link::EventKind::kBaseDone:
    case link::EventKind::kSyncDone:
    case link::EventKind::kCommandRefused:
      return;  // the link has written the line
  }
}

void Events::on_port_link(const link::PortLink& event) {
  if (event.port >= ports_.size()) return;
  if (event.up != 0) {
    spdlog::info("event=port_link_up port={} speed_mbps={}", port_name(event.port),
                 event.speed_mbps);
  } else {
    spdlog::warn("event=port_link_down port={}", port_name(event.port));
  }
  forwarding_.set_port_link(event.port, event.up != 0);
}

void Events::on_source_denied(const link::SourceDenied& event) {
  std::string suppressed;
  if (!may_log(denied_, suppressed)) return;
  spdlog::warn("event=source_denied id={} tenant={} from={} port={}{}", to_string(event.source),
               event.tenant, to_string(Endpoint{event.address, event.udp_port}),
               port_name(event.port), suppressed);
}

void Events::on_unknown(const link::UnknownDestination& event) {
  std::string suppressed;
  if (!may_log(unknown_, suppressed)) return;
  spdlog::info("event=unknown_destination id={} capability={} source={} tenant={} port={}{}",
               to_string(event.destination), event.capability, to_string(event.source),
               event.tenant, port_name(event.port), suppressed);
}

void Events::on_punt(const link::SlotHeader& header, std::span<const std::uint8_t> message) {
  const Time now{monotonic_ns(), realtime_ns()};
  auto outcome = inband_.handle({header.remote, header.remote_udp_port}, message, now);
  tell(outcome);
  if (outcome.reply.empty()) return;
  link::SlotHeader back = header;
  back.kind = link::SlotKind::kMessage;
  back.received_ns = 0;
  if (outcome.pending) return answer_when_durable(back, std::move(outcome));
  answer_when_applied(back, std::move(outcome.reply), now.monotonic_ns + kLongestWaitNs);
}

void Events::tell(const InBand::Outcome& outcome) {
  std::string suppressed;
  if (outcome.log.empty() || !may_log(outcome.warn ? refusals_ : requests_, suppressed)) return;
  const auto level = outcome.warn ? spdlog::level::warn : spdlog::level::info;
  spdlog::log(level, "{}{}", harmless(outcome.log), suppressed);
}

// What an agent was told must survive. An agent that was known already is told that all is well
// even when the disk fails: it is served from memory, and the journal still owes the write.
void Events::answer_when_durable(const link::SlotHeader& to, InBand::Outcome outcome) {
  when_durable_([this, to, outcome = std::move(outcome)](const Status& durable) mutable {
    const Time now{monotonic_ns(), realtime_ns()};
    if (!durable && outcome.pending->fresh) {
      outcome = inband_.withdraw(*outcome.pending, durable.error(), now);
      tell(outcome);
    }
    answer_when_applied(to, std::move(outcome.reply), now.monotonic_ns + kLongestWaitNs);
  });
}

// An agent sends as soon as it knows that it is registered: its route must be there before, which
// takes the kernel's answer about the way back when it is the first at its address. When the
// connection is lost meanwhile the agent asks again.
void Events::answer_when_applied(const link::SlotHeader& to, std::vector<std::uint8_t> reply,
                                 std::uint64_t deadline_ns) {
  const bool decided = forwarding_.is_decided(to.remote) || monotonic_ns() >= deadline_ns;
  link_.when_applied(
      [this, to, decided, deadline_ns, reply = std::move(reply)](const Status& applied) mutable {
        if (!applied) return;
        if (decided) return answer(to, reply);
        answer_when_applied(to, std::move(reply), deadline_ns);
      });
}

void Events::answer(const link::SlotHeader& to, const std::vector<std::uint8_t>& reply) {
  std::string suppressed;
  link::SlotHeader header = to;
  header.bytes = static_cast<std::uint32_t>(reply.size());
  const auto sent = link_.inject(header, reply);
  if (!sent && may_log(injects_, suppressed)) {
    spdlog::warn("event=reply_lost to={} error={}{}", to_string(to.remote),
                 quoted_value(sent.error().message()), suppressed);
  }
}

}  // namespace sluice::controlplane
