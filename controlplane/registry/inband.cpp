#include "controlplane/registry/inband.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent.pb.h"
#include "sluice/agent/auth.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::size_t kSenders = 4096;
constexpr std::uint8_t kHopLimit = 64;
// A reply must fit a datagram that no link on the way needs to fragment.
constexpr std::size_t kMaxReplyBytes = 1200;
// Members of a capability looked at for one request: others wait meanwhile.
constexpr std::size_t kMaxMembersSeen = 4096;

agent::ReplyStatus status_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kAlreadyExists:
      return agent::CONFLICT;
    case ErrorCode::kExhausted:
      return agent::LIMIT;
    case ErrorCode::kTimeout:
      return agent::BAD_TIME;
    case ErrorCode::kNotFound:
      return agent::NOT_FOUND;
    case ErrorCode::kPermissionDenied:
      return agent::BAD_TOKEN;
    case ErrorCode::kUnavailable:
      return agent::UNAVAILABLE;
    default:
      return agent::BAD_REQUEST;
  }
}

std::string_view as_text(const Id& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

}  // namespace

struct InBand::Request {
  Envelope envelope;
  Endpoint from;
  std::string body;
  std::string mac;
  Time now;

  MessageType type() const { return static_cast<MessageType>(envelope.type); }
  MessageType reply_type() const {
    return type() == MessageType::kResolve ? MessageType::kResolveReply
                                           : MessageType::kRegisterReply;
  }
  Requester who() const {
    return {.id = envelope.source,
            .tenant = envelope.tenant.get(),
            .endpoint = from,
            .timestamp_ns = envelope.timestamp_ns.get()};
  }
};

InBand::InBand(Registry& registry, const Tenants& tenants, const SipKey& key, InBandOptions options)
    : registry_(registry),
      tenants_(tenants),
      key_(key),
      options_(std::move(options)),
      limits_(kSenders, RateLimit(options_.requests_per_second,
                                  kNsPerSecond / std::max(options_.requests_per_second, 1u))) {}

bool InBand::allowed(const IpAddress& address, std::uint64_t now_ns) {
  return limits_[siphash24(key_, std::span(address.bytes)) % kSenders].allow(now_ns);
}

InBand::Outcome InBand::handle(const Endpoint& from, std::span<const std::uint8_t> message,
                               Time now) {
  ++counters_.requests;
  const auto malformed = [this] {
    ++counters_.malformed;
    return Outcome{};
  };
  if (message.size() < kEnvelopeBytes) return malformed();
  Request request{load<Envelope>(message.data()), from, {}, {}, now};
  const Envelope& envelope = request.envelope;
  const std::size_t header = envelope.header_bytes();
  const std::size_t payload = envelope.payload_length.get();
  if (envelope.version() != kEnvelopeVersion || header < kEnvelopeBytes ||
      header + payload > message.size() || from.port == 0) {
    return malformed();
  }
  if (!allowed(from.address, now.monotonic_ns)) {
    ++counters_.rate_limited;
    return {};
  }
  // Nobody can be answered there (RFC 1122, 3.2.1.3).
  if (const auto why = why_no_host(from.address); !why.empty()) {
    ++counters_.refused;
    return {
        {},
        fmt::format("event=request_refused type={} id={} from={} reason=\"{} cannot send\"",
                    to_string(request.type()), to_string(envelope.source), to_string(from), why),
        true};
  }
  agent::Signed proof;
  if (!proof.ParseFromArray(message.data() + header, static_cast<int>(payload))) {
    return refuse(request, agent::BAD_REQUEST, "the payload is no signed request");
  }
  request.body = std::move(*proof.mutable_body());
  request.mac = std::move(*proof.mutable_mac());

  std::string why;
  int status = agent::OK;
  if (!verify(request, why, status)) return refuse(request, status, why);
  switch (request.type()) {
    case MessageType::kRegister:
      return do_register(request);
    case MessageType::kUnregister:
      return do_unregister(request);
    case MessageType::kResolve:
      return do_resolve(request);
    default:
      return malformed();
  }
}

bool InBand::verify(const Request& request, std::string& why, int& status) const {
  const std::uint16_t tenant = request.envelope.tenant.get();
  const auto known = tenants_.find(tenant);
  if (known == tenants_.end()) {
    status = agent::UNKNOWN_TENANT;
    why = fmt::format("this router has no tenant {}", tenant);
    return false;
  }
  const std::string& key = known->second.token_key;
  if (options_.require_token || !request.mac.empty()) {
    if (key.empty()) {
      status = agent::BAD_TOKEN;
      why = fmt::format("tenant {} has no token-key, so nobody can register in it", tenant);
      return false;
    }
    const auto token =
        agent::make_token(std::span(reinterpret_cast<const std::uint8_t*>(key.data()), key.size()),
                          tenant, request.envelope.source);
    if (!agent::verify_mac(token, request.envelope, request.body, request.mac)) {
      status = agent::BAD_TOKEN;
      why = request.mac.empty() ? "a token is required" : "the token does not fit agent and tenant";
      return false;
    }
  }
  const std::uint64_t sent = request.envelope.timestamp_ns.get();
  const std::uint64_t here = request.now.realtime_ns;
  const std::uint64_t apart = sent > here ? sent - here : here - sent;
  if (apart > agent::kTimestampWindowNs) {
    status = agent::BAD_TIME;
    why = fmt::format("the clocks of agent and router are {} s apart, at most 30 are allowed",
                      apart / kNsPerSecond);
    return false;
  }
  return true;
}

InBand::Outcome InBand::refuse(const Request& request, int status, const std::string& why) {
  ++counters_.refused;
  Outcome outcome;
  if (request.reply_type() == MessageType::kResolveReply) {
    agent::ResolveReply reply;
    reply.set_status(static_cast<agent::ReplyStatus>(status));
    reply.set_message(why);
    outcome.reply = reply_to(request, MessageType::kResolveReply, reply.SerializeAsString());
  } else {
    agent::RegisterReply reply;
    reply.set_status(static_cast<agent::ReplyStatus>(status));
    reply.set_message(why);
    outcome.reply = reply_to(request, MessageType::kRegisterReply, reply.SerializeAsString());
  }
  outcome.warn = true;
  outcome.log =
      fmt::format("event=request_refused type={} id={} tenant={} from={} status={} reason=\"{}\"",
                  to_string(request.type()), to_string(request.envelope.source),
                  request.envelope.tenant.get(), to_string(request.from),
                  agent::ReplyStatus_Name(static_cast<agent::ReplyStatus>(status)), why);
  return outcome;
}

InBand::Outcome InBand::do_register(const Request& request) {
  agent::Register body;
  if (!body.ParseFromString(request.body)) {
    return refuse(request, agent::BAD_REQUEST, "the body is no registration");
  }
  const std::vector<std::string> capabilities(body.capabilities().begin(),
                                              body.capabilities().end());
  const auto granted =
      registry_.register_agent({.id = request.envelope.source,
                                .name = body.name(),
                                .tenant = request.envelope.tenant.get(),
                                .endpoint = request.from,
                                .capabilities = capabilities,
                                .lease_s = body.lease_s(),
                                .timestamp_ns = request.envelope.timestamp_ns.get()},
                               request.now);
  if (!granted) return refuse(request, status_of(granted.error()), granted.error().message());

  ++counters_.accepted;
  agent::RegisterReply reply;
  reply.set_status(agent::OK);
  reply.set_lease_s(granted->lease_s);
  reply.set_heartbeat_s(std::max(1u, granted->lease_s / 3));
  reply.set_router_id(std::string(as_text(options_.router_id)));
  reply.set_router_name(options_.router_name);
  Outcome outcome;
  outcome.reply = reply_to(request, MessageType::kRegisterReply, reply.SerializeAsString());
  if (granted->kept) outcome.pending = Pending{request.envelope, request.from, granted->fresh};
  if (granted->fresh) {
    outcome.log =
        fmt::format("event=agent_registered id={} name={} tenant={} endpoint={} lease_s={}",
                    to_string(request.envelope.source), body.name(), request.envelope.tenant.get(),
                    to_string(request.from), granted->lease_s);
  } else if (granted->moved) {
    outcome.log = fmt::format("event=agent_moved id={} name={} from={} to={}",
                              to_string(request.envelope.source), body.name(),
                              to_string(granted->before), to_string(request.from));
  }
  return outcome;
}

InBand::Outcome InBand::do_unregister(const Request& request) {
  agent::Unregister body;
  if (!body.ParseFromString(request.body)) {
    return refuse(request, agent::BAD_REQUEST, "the body is no unregistration");
  }
  const auto done = registry_.unregister(request.who(), request.now);
  if (!done) return refuse(request, status_of(done.error()), done.error().message());
  ++counters_.accepted;
  agent::RegisterReply reply;
  reply.set_status(agent::OK);
  reply.set_router_id(std::string(as_text(options_.router_id)));
  reply.set_router_name(options_.router_name);
  Outcome outcome{
      reply_to(request, MessageType::kRegisterReply, reply.SerializeAsString()),
      fmt::format("event=agent_unregistered id={}", to_string(request.envelope.source))};
  if (registry_.has_journal()) outcome.pending = Pending{request.envelope, request.from, false};
  return outcome;
}

InBand::Outcome InBand::withdraw(const Pending& pending, const Error& error, Time now) {
  --counters_.accepted;
  if (pending.fresh) {
    registry_.withdraw(pending.envelope.source, pending.envelope.timestamp_ns.get());
  }
  return refuse(Request{pending.envelope, pending.from, {}, {}, now}, agent::UNAVAILABLE,
                "this router cannot keep it over a restart at present: " + error.message());
}

InBand::Outcome InBand::do_resolve(const Request& request) {
  agent::Resolve body;
  if (!body.ParseFromString(request.body) || body.what_case() == agent::Resolve::WHAT_NOT_SET ||
      (body.has_id() && body.id().size() != 16)) {
    return refuse(request, agent::BAD_REQUEST, "the body does not say what to resolve");
  }
  if (auto ok = registry_.note_request(request.who()); !ok) {
    return refuse(request, status_of(ok.error()), ok.error().message());
  }
  Id id;
  if (body.has_id()) {
    std::copy_n(body.id().begin(), id.bytes.size(), reinterpret_cast<char*>(id.bytes.data()));
  } else {
    id = id_of_name(body.has_agent() ? body.agent() : body.capability());
  }

  agent::ResolveReply reply;
  std::vector<std::uint32_t> seen;
  // A tenant sees its own agents and those it may address.
  const auto& tenant = tenants_.at(request.envelope.tenant.get());
  std::size_t looked_at = 0;
  const auto add = [&](std::uint32_t slot) {
    if (++looked_at > kMaxMembersSeen) return false;
    const Agent& found = registry_.at(slot);
    if (std::ranges::find(seen, slot) != seen.end()) return true;
    if (found.tenant != request.envelope.tenant.get() &&
        std::ranges::find(tenant.allow, found.tenant) == tenant.allow.end()) {
      return true;
    }
    agent::Member member;
    member.set_id(std::string(as_text(found.id)));
    member.set_name(std::string(found.name_view()));
    member.set_tenant(found.tenant);
    member.set_available(is_available_ && is_available_(slot));
    for (auto& name : registry_.capability_names(found))
      member.add_capabilities(std::move(name));
    if (reply.ByteSizeLong() + member.ByteSizeLong() + 8 > kMaxReplyBytes) return false;
    seen.push_back(slot);
    *reply.add_members() = std::move(member);
    return true;
  };
  if (!body.has_capability()) {
    if (const auto slot = registry_.find(id); slot != kNoIndex) add(slot);
  }
  if (!body.has_agent()) {
    if (const auto at = registry_.capabilities().find(id); at != kNoIndex) {
      registry_.for_each_member(at, add);
    }
  }
  ++counters_.accepted;
  reply.set_status(seen.empty() ? agent::NOT_FOUND : agent::OK);
  if (seen.empty()) reply.set_message("nobody known by that name or id");
  return {reply_to(request, MessageType::kResolveReply, reply.SerializeAsString()), {}, false};
}

std::vector<std::uint8_t> InBand::reply_to(const Request& request, MessageType type,
                                           const std::string& payload) const {
  Envelope envelope{};
  envelope.version_and_length = kVersionAndLength;
  envelope.type = static_cast<std::uint8_t>(type);
  envelope.set_class_and_lifetime(request.envelope.traffic_class(), 0);
  envelope.hop_limit = kHopLimit;
  envelope.payload_length.set(static_cast<std::uint16_t>(payload.size()));
  envelope.tenant = request.envelope.tenant;
  envelope.sequence = request.envelope.sequence;
  envelope.destination = request.envelope.source;
  envelope.source = options_.router_id;
  envelope.routing_key = request.envelope.routing_key;
  envelope.timestamp_ns.set(request.now.realtime_ns);
  std::vector<std::uint8_t> bytes(kEnvelopeBytes + payload.size());
  store(bytes.data(), envelope);
  std::copy(payload.begin(), payload.end(), bytes.begin() + kEnvelopeBytes);
  return bytes;
}

}  // namespace sluice::controlplane
