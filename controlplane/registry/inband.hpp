// Requests of agents that came in as messages (types register, unregister, resolve): checks them as
// agent.proto says, acts on the registry, and makes the reply, which goes back to where the request
// came from. Everything in a request is untrusted. Control thread only; time is injected.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controlplane/registry/registry.hpp"
#include "controlplane/registry/tenants.hpp"
#include "sluice/base/rate_limit.hpp"
#include "sluice/link/messages.hpp"
#include "sluice/wire/envelope.hpp"

namespace sluice::controlplane {

struct InBandOptions {
  Id router_id;
  std::string router_name;
  bool require_token = true;
  std::uint32_t requests_per_second = 5000;  // of one address
};

struct InBandCounters {
  std::uint64_t requests = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;       // told so
  std::uint64_t malformed = 0;     // no reply is possible
  std::uint64_t rate_limited = 0;  // no reply is given
};

class InBand {
 public:
  InBand(Registry& registry, const Tenants& tenants, const SipKey& key, InBandOptions options);

  void set_require_token(bool required) { options_.require_token = required; }
  // Whether an agent can be reached now; for resolve replies.
  void set_availability(std::function<bool(std::uint32_t slot)> is_available) {
    is_available_ = std::move(is_available);
  }

  // A request that was granted, but whose reply must wait until the journal has kept it.
  struct Pending {
    Envelope envelope;
    Endpoint from;
    bool fresh;  // an agent that was not there before
  };
  struct Outcome {
    std::vector<std::uint8_t> reply;  // envelope and payload; empty: none
    std::string log;                  // key=value, when something is worth a line; else empty
    bool warn = false;
    std::optional<Pending> pending = std::nullopt;
  };
  // `message` from the envelope on; `from` is where it came from.
  Outcome handle(const Endpoint& from, std::span<const std::uint8_t> message, Time now);
  // The journal could not keep it: takes a new agent back, and makes the reply that says so.
  Outcome withdraw(const Pending& pending, const Error& error, Time now);

  const InBandCounters& counters() const { return counters_; }

 private:
  struct Request;

  bool allowed(const IpAddress& address, std::uint64_t now_ns);
  Outcome refuse(const Request& request, int status, const std::string& why);
  bool verify(const Request& request, std::string& why, int& status) const;
  Outcome do_register(const Request& request);
  Outcome do_unregister(const Request& request);
  Outcome do_resolve(const Request& request);
  std::vector<std::uint8_t> reply_to(const Request& request, MessageType type,
                                     const std::string& payload) const;

  Registry& registry_;
  const Tenants& tenants_;
  SipKey key_;
  InBandOptions options_;
  std::function<bool(std::uint32_t)> is_available_;
  InBandCounters counters_;
  // By hash of the sender's address: two senders that meet share a limit, memory stays bounded.
  std::vector<RateLimit> limits_;
};

}  // namespace sluice::controlplane
