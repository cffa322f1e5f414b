// The SDK: what a program needs to be an agent of a Sluice router. Register under a lease, send and
// receive messages in batches, resolve others, ping. One thread per Agent at a time; no thread,
// timer or signal of its own: receive() renews the lease when it is due, so call it at least every
// heartbeat_period().
//
//   auto agent = sluice::agent::Agent::create({.name = "acme/prod/translate/7", .tenant = 1,
//                                              .token = token, .router =
//                                              *parse_endpoint("10.77.1.1:7600")});
//   if (auto granted = agent->register_with_router(2s); !granted) die(granted.error().message());
//   agent->send(agent->message_to(other_id), payload);
//   for (const auto& message : *agent->receive(100ms)) handle(message);
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent.pb.h"
#include "sluice/agent/auth.hpp"
#include "sluice/agent/udp_socket.hpp"
#include "sluice/base/names.hpp"

namespace sluice::agent {

struct Options {
  std::string name;            // organisation/namespace/service/instance; the id is made from it
  std::optional<Id> id;        // instead of a name
  std::uint16_t tenant = 0;    // from 1 on
  std::optional<Token> token;  // from the operator: `sluice agent token`
  Endpoint router;
  std::optional<Endpoint> local;  // bind here; otherwise the kernel chooses
  std::vector<std::string> capabilities;
  std::chrono::seconds lease{0};         // wanted; 0: the router's default
  std::size_t max_message_bytes = 2048;  // header and payload, of what is received
};

struct Granted {
  std::chrono::seconds lease;
  std::chrono::seconds heartbeat;
  Id router_id;
  std::string router_name;
};

// A received message; the payload lies in the agent's buffers until the next receive().
struct Message {
  Envelope envelope;
  std::span<const std::byte> payload;

  MessageType type() const noexcept { return static_cast<MessageType>(envelope.type); }
  // In a notice: the envelope of the message that could not be delivered.
  std::optional<Envelope> undelivered() const noexcept {
    if (type() != MessageType::kNotice || payload.size() < kNoticePayloadBytes) return std::nullopt;
    return load<Envelope>(payload.data());
  }
};

class Agent {
 public:
  // Opens the socket; sends nothing yet.
  static Result<Agent> create(Options options) {
    if (options.name.empty() && !options.id) {
      return fail(ErrorCode::kInvalidArgument, "an agent needs a name or an id");
    }
    if (!options.name.empty()) {
      if (auto ok = check_agent_name(options.name); !ok) return std::unexpected(ok.error());
    }
    if (options.tenant == 0) {
      return fail(ErrorCode::kInvalidArgument, "an agent needs a tenant, a number from 1 on");
    }
    for (const auto& capability : options.capabilities) {
      if (auto ok = check_capability_name(capability); !ok) return std::unexpected(ok.error());
    }
    const Id id = options.id ? *options.id : id_of_name(options.name);
    if (!options.name.empty() && id != id_of_name(options.name)) {
      return fail(ErrorCode::kInvalidArgument,
                  "id " + to_string(id) + " does not belong to name '" + options.name + "'");
    }
    auto socket = UdpSocket::open(options.router, options.local, options.max_message_bytes);
    if (!socket) return std::unexpected(socket.error());
    return Agent(std::move(options), id, std::move(*socket));
  }

  const Id& id() const noexcept { return id_; }
  const Options& options() const noexcept { return options_; }
  int fd() const noexcept { return socket_.fd(); }  // readable when receive() has something
  Result<Endpoint> local_endpoint() const { return socket_.local_endpoint(); }
  std::chrono::seconds heartbeat_period() const noexcept {
    return granted_ ? granted_->heartbeat : std::chrono::seconds(0);
  }
  // The router's last answer to a heartbeat when it was a refusal; nullopt while all is well.
  const std::optional<Error>& lease_error() const noexcept { return lease_error_; }

  // Registers and waits for the answer, asking again every 200 ms. Messages that arrive before the
  // answer are lost to the caller.
  Result<Granted> register_with_router(std::chrono::nanoseconds timeout) {
    auto reply =
        request(MessageType::kRegister, registration(), MessageType::kRegisterReply, timeout);
    if (!reply) return fail(std::move(reply.error()), "registering");
    if (auto ok = accept_lease(*reply); !ok) return std::unexpected(ok.error());
    return *granted_;
  }

  // Gives the lease back. The router forgets the agent at once.
  Status unregister(std::chrono::nanoseconds timeout) {
    granted_.reset();
    auto reply = request(MessageType::kUnregister, sluice::agent::Unregister{}.SerializeAsString(),
                         MessageType::kRegisterReply, timeout);
    if (!reply) return fail(std::move(reply.error()), "unregistering");
    RegisterReply parsed;
    if (!parsed.ParseFromString(*reply)) return fail(ErrorCode::kCorrupt, "unreadable reply");
    return check(parsed.status(), parsed.message());
  }

  Result<std::vector<Member>> resolve(const Resolve& what, std::chrono::nanoseconds timeout) {
    auto reply = request(MessageType::kResolve, what.SerializeAsString(),
                         MessageType::kResolveReply, timeout);
    if (!reply) return fail(std::move(reply.error()), "resolving");
    ResolveReply parsed;
    if (!parsed.ParseFromString(*reply)) return fail(ErrorCode::kCorrupt, "unreadable reply");
    if (auto ok = check(parsed.status(), parsed.message()); !ok) return std::unexpected(ok.error());
    return std::vector<Member>(parsed.members().begin(), parsed.members().end());
  }

  // Round-trip time to another agent, to a router, or to a member of a capability; error on timeout
  // or when a notice says that it cannot be reached. Other messages that arrive meanwhile are lost
  // to the caller.
  Result<std::chrono::nanoseconds> ping(const Id& destination, std::chrono::nanoseconds timeout,
                                        std::uint8_t flags = message_flag::kNotify) {
    Envelope echo = message_to(destination);
    echo.type = static_cast<std::uint8_t>(MessageType::kEcho);
    echo.flags = flags;
    const std::uint64_t start = monotonic_ns();
    if (auto ok = send_one(echo, {}); !ok) return std::unexpected(ok.error());
    std::optional<Error> undelivered;
    const bool answered = wait_for(timeout, [&](const Message& message) {
      if (message.envelope.sequence != echo.sequence) return false;
      if (message.type() == MessageType::kNotice) {
        undelivered =
            Error(ErrorCode::kUnavailable,
                  "not delivered: " +
                      std::string(to_string(static_cast<NoticeReason>(message.envelope.reason))),
                  ErrorOrigin::kPeer, true);
        return true;
      }
      return message.type() == MessageType::kEchoReply;
    });
    if (undelivered) return std::unexpected(*undelivered);
    if (!answered) return fail(ErrorCode::kTimeout, "no answer", ErrorOrigin::kPeer, true);
    return std::chrono::nanoseconds(monotonic_ns() - start);
  }

  // An envelope to fill in further: data, class 3, no lifetime, hop limit 16, next sequence number,
  // now. The routing key is the destination's unless set: whatever must stay in order shares a key.
  Envelope message_to(const Id& destination) noexcept {
    Envelope e{};
    e.version_and_length = kVersionAndLength;
    e.type = static_cast<std::uint8_t>(MessageType::kData);
    e.set_class_and_lifetime(3, 0);
    e.hop_limit = 16;
    e.tenant.set(options_.tenant);
    e.sequence.set(next_sequence_++);
    e.destination = destination;
    e.source = id_;
    e.routing_key = load<Big64>(destination.bytes.data());
    e.timestamp_ns.set(realtime_ns());
    return e;
  }

  // Sends in order; returns how many the kernel took. Sets the payload lengths.
  Result<std::size_t> send(std::span<Outgoing> messages) {
    for (auto& message : messages) {
      if (message.payload.size() > kMaxPayloadBytes) {
        return fail(ErrorCode::kInvalidArgument,
                    "payload of " + std::to_string(message.payload.size()) + " bytes, at most " +
                        std::to_string(kMaxPayloadBytes) + " fit");
      }
      message.envelope.payload_length.set(static_cast<std::uint16_t>(message.payload.size()));
    }
    return socket_.send(messages);
  }
  // One message; an error when the kernel did not take it.
  Status send(const Envelope& envelope, std::span<const std::byte> payload) {
    return send_one(envelope, payload);
  }

  // Waits up to `timeout` for messages and returns those at hand, at most kMaxBatch: data, notices
  // and echo replies. Echo requests are answered and lease replies handled on the way. Renews the
  // lease.
  Result<std::span<const Message>> receive(std::chrono::nanoseconds timeout) {
    if (auto ok = renew_lease(); !ok) return std::unexpected(ok.error());
    auto datagrams = behind_answer_.empty() ? socket_.receive(timeout) : Datagrams(behind_answer_);
    messages_.clear();
    if (!datagrams) {
      if (!datagrams.error().retryable()) return std::unexpected(datagrams.error());
      lease_error_ = datagrams.error();  // the router is away: it may come back
      return std::span<const Message>(messages_);
    }
    for (const auto& datagram : *datagrams) {
      const auto message = parse(datagram);
      if (message && !handle_internally(*message)) messages_.push_back(*message);
    }
    behind_answer_.clear();
    return std::span<const Message>(messages_);
  }

  // What was received and not delivered because it was no valid message for this agent.
  std::uint64_t malformed() const noexcept { return malformed_ + socket_.truncated(); }

 private:
  using Datagrams = Result<std::span<const std::span<const std::byte>>>;
  static constexpr std::size_t kMaxPayloadBytes = 65535 - 40 - 8 - kEnvelopeBytes;
  static constexpr std::uint64_t kRetryNs = 200 * kNsPerMs;

  Agent(Options options, const Id& id, UdpSocket socket)
      : options_(std::move(options)), id_(id), socket_(std::move(socket)) {
    next_sequence_ = std::random_device{}();
  }

  Status send_one(const Envelope& envelope, std::span<const std::byte> payload) {
    Outgoing out{envelope, payload};
    auto sent = send(std::span(&out, 1));
    if (!sent) return std::unexpected(sent.error());
    if (*sent == 0) {
      return fail(ErrorCode::kExhausted, "the socket's send queue is full", ErrorOrigin::kLocal,
                  true);
    }
    return {};
  }

  std::string registration() const {
    Register body;
    body.set_name(options_.name);
    for (const auto& capability : options_.capabilities)
      body.add_capabilities(capability);
    body.set_lease_s(static_cast<std::uint32_t>(options_.lease.count()));
    return body.SerializeAsString();
  }

  // A signed request; timestamps of one agent always grow, as the router demands.
  Status send_request(MessageType type, std::string_view body, std::uint32_t& sequence) {
    Envelope e = message_to(id_);
    e.type = static_cast<std::uint8_t>(type);
    last_request_ns_ = std::max(last_request_ns_ + 1, realtime_ns());
    e.timestamp_ns.set(last_request_ns_);
    sequence = e.sequence.get();
    Signed payload;
    payload.set_body(std::string(body));
    if (options_.token) {
      const Mac mac = make_mac(*options_.token, e, body);
      payload.set_mac(mac.data(), mac.size());
    }
    const std::string bytes = payload.SerializeAsString();
    return send_one(e, std::as_bytes(std::span(bytes)));
  }

  // Sends until a reply to one of the tries is there; returns its payload.
  Result<std::string> request(MessageType type, const std::string& body, MessageType reply_type,
                              std::chrono::nanoseconds timeout) {
    const std::uint64_t deadline = monotonic_ns() + static_cast<std::uint64_t>(timeout.count());
    wait_error_.reset();
    const std::uint32_t first = next_sequence_;
    while (true) {
      std::uint32_t sequence = 0;
      auto sent = send_request(type, body, sequence);
      if (!sent && !sent.error().retryable()) return std::unexpected(sent.error());
      if (!sent) wait_error_ = sent.error();
      const std::uint64_t now = monotonic_ns();
      if (now >= deadline) break;
      std::optional<std::string> payload;
      const auto wait_ns = std::min(kRetryNs, deadline - now);
      wait_for(std::chrono::nanoseconds(wait_ns), [&](const Message& message) {
        const std::uint32_t age = message.envelope.sequence.get() - first;
        if (message.type() != reply_type || age > sequence - first) return false;
        payload.emplace(reinterpret_cast<const char*>(message.payload.data()),
                        message.payload.size());
        return true;
      });
      if (payload) return std::move(*payload);
    }
    if (wait_error_) return std::unexpected(*wait_error_);
    return fail(ErrorCode::kTimeout,
                "no answer from router " + to_string(options_.router) +
                    "; is that its address, and is its control plane running and connected "
                    "('sluice status')?",
                ErrorOrigin::kPeer, true);
  }

  // Receives until `done` says so or the time is over. True: done.
  template <class Done>
  bool wait_for(std::chrono::nanoseconds timeout, const Done& done) {
    const std::uint64_t deadline = monotonic_ns() + static_cast<std::uint64_t>(timeout.count());
    for (std::uint64_t now = monotonic_ns(); now < deadline; now = monotonic_ns()) {
      behind_answer_.clear();  // its bytes are in the buffers that are filled now
      auto datagrams = socket_.receive(std::chrono::nanoseconds(deadline - now));
      if (!datagrams) {  // the router is away; give it time instead of spinning on the error
        wait_error_ = datagrams.error();
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        continue;
      }
      for (std::size_t i = 0; i < datagrams->size(); ++i) {
        const auto message = parse((*datagrams)[i]);
        if (message && done(*message)) {
          const auto rest = datagrams->subspan(i + 1);
          behind_answer_.assign(rest.begin(), rest.end());
          return true;
        }
        if (message) handle_internally(*message);
      }
    }
    return false;
  }

  Status renew_lease() {
    const std::uint64_t now = monotonic_ns();
    if (!granted_ || now < next_heartbeat_ns_) return {};
    next_heartbeat_ns_ = now + (lease_error_ ? kNsPerSecond : heartbeat_ns());
    std::uint32_t sequence = 0;
    auto sent = send_request(MessageType::kRegister, registration(), sequence);
    if (!sent && !sent.error().retryable()) return sent;
    if (!sent) lease_error_ = sent.error();
    return {};
  }

  std::uint64_t heartbeat_ns() const noexcept {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(granted_->heartbeat).count());
  }

  static Status check(ReplyStatus status, const std::string& text) {
    if (status == OK) return {};
    const bool later = status == NOT_READY || status == UNAVAILABLE;
    const ErrorCode code = status == NOT_FOUND  ? ErrorCode::kNotFound
                           : status == LIMIT    ? ErrorCode::kExhausted
                           : status == CONFLICT ? ErrorCode::kAlreadyExists
                           : later              ? ErrorCode::kUnavailable
                           : status == BAD_TOKEN || status == UNKNOWN_TENANT
                               ? ErrorCode::kPermissionDenied
                               : ErrorCode::kInvalidArgument;
    return fail(code, "the router refused: " + (text.empty() ? ReplyStatus_Name(status) : text),
                ErrorOrigin::kPeer, later);
  }

  Status accept_lease(const std::string& payload) {
    RegisterReply reply;
    if (!reply.ParseFromString(payload) ||
        (reply.status() == OK && reply.router_id().size() != 16)) {
      return fail(ErrorCode::kCorrupt, "unreadable reply from the router", ErrorOrigin::kPeer);
    }
    if (auto ok = check(reply.status(), reply.message()); !ok) {
      lease_error_ = ok.error();
      return ok;
    }
    Granted granted{std::chrono::seconds(reply.lease_s()),
                    std::chrono::seconds(std::max(1u, reply.heartbeat_s())),
                    {},
                    reply.router_name()};
    std::copy_n(reply.router_id().begin(), 16, granted.router_id.bytes.begin());
    granted_ = granted;
    lease_error_.reset();
    next_heartbeat_ns_ = monotonic_ns() + heartbeat_ns();
    return {};
  }

  std::optional<Message> parse(std::span<const std::byte> datagram) {
    if (datagram.size() >= kEnvelopeBytes) {
      const auto e = load<Envelope>(datagram.data());
      const std::size_t header = e.header_bytes();
      if (e.version() == kEnvelopeVersion && header >= kEnvelopeBytes &&
          header + e.payload_length.get() <= datagram.size()) {
        return Message{e, datagram.subspan(header, e.payload_length.get())};
      }
    }
    ++malformed_;
    return std::nullopt;
  }

  // True: nothing for the caller to see.
  bool handle_internally(const Message& message) {
    switch (message.type()) {
      case MessageType::kEcho: {
        Envelope reply = message.envelope;
        reply.version_and_length = kVersionAndLength;  // options are not echoed
        reply.type = static_cast<std::uint8_t>(MessageType::kEchoReply);
        reply.flags = 0;
        reply.hop_limit = 16;
        reply.destination = message.envelope.source;
        reply.source = id_;
        (void)send_one(reply, message.payload);  // like any echo: lost when the queue is full
        return true;
      }
      case MessageType::kRegisterReply:
        if (granted_)
          (void)accept_lease(std::string(reinterpret_cast<const char*>(message.payload.data()),
                                         message.payload.size()));
        return true;
      case MessageType::kResolveReply:
        return true;  // of a request that nobody waits for any more
      default:
        return false;
    }
  }

  Options options_;
  Id id_;
  UdpSocket socket_;
  std::vector<Message> messages_;
  // Came in one batch with an answer that was waited for, after it: the next receive() has them.
  std::vector<std::span<const std::byte>> behind_answer_;
  std::optional<Granted> granted_;
  std::optional<Error> lease_error_;
  std::optional<Error> wait_error_;  // of the last wait_for
  std::uint64_t next_heartbeat_ns_ = 0;
  std::uint64_t last_request_ns_ = 0;
  std::uint32_t next_sequence_ = 0;
  std::uint64_t malformed_ = 0;
};

}  // namespace sluice::agent
