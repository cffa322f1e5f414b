// What the dataplane tells: events and punted messages, handled on the control thread. What could
// come often is logged a few times a second at most, with the number of lines left out.
#pragma once

#include <functional>
#include <span>

#include "config/config.hpp"
#include "controlplane/api/trace_hub.hpp"
#include "controlplane/link/link.hpp"
#include "controlplane/registry/forwarding.hpp"
#include "controlplane/registry/inband.hpp"
#include "sluice/base/rate_limit.hpp"

namespace sluice::controlplane {

class Events {
 public:
  using WhenDurable = std::function<void(std::function<void(Status)>)>;

  Events(Link& link, Forwarding& forwarding, InBand& inband, TraceHub& traces,
         std::vector<std::string> ports, WhenDurable when_durable)
      : link_(link),
        forwarding_(forwarding),
        inband_(inband),
        traces_(traces),
        ports_(std::move(ports)),
        when_durable_(std::move(when_durable)) {}

  void on_state(LinkState state);
  void on_event(const link::Event& event);
  void on_punt(const link::SlotHeader& header, std::span<const std::uint8_t> message);

 private:
  // True when a line of this kind may be written; `suppressed` is for its end.
  static bool may_log(RateLimit& limit, std::string& suppressed);
  void on_port_link(const link::PortLink& event);
  void on_source_denied(const link::SourceDenied& event);
  void on_unknown(const link::UnknownDestination& event);
  void tell(const InBand::Outcome& outcome);
  void answer_when_durable(const link::SlotHeader& to, InBand::Outcome outcome);
  void answer_when_applied(const link::SlotHeader& to, std::vector<std::uint8_t> reply,
                           std::uint64_t deadline_ns);
  void answer(const link::SlotHeader& to, const std::vector<std::uint8_t>& reply);
  std::string port_name(std::uint16_t port) const;

  Link& link_;
  Forwarding& forwarding_;
  InBand& inband_;
  TraceHub& traces_;
  std::vector<std::string> ports_;
  WhenDurable when_durable_;
  RateLimit denied_{10, 1'000'000'000};
  RateLimit unknown_{10, 1'000'000'000};
  RateLimit requests_{200, 20'000'000};
  RateLimit refusals_{20, 500'000'000};
  RateLimit injects_{5, 1'000'000'000};
};

}  // namespace sluice::controlplane
