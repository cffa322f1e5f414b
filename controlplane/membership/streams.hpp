// The TCP side of the membership protocol: connections that peers open, and those the core asks
// for. Every connection has a deadline; their number, the rate at which new ones come and the
// memory all of them hold are bounded, and what is over a bound is closed at once and counted. On
// the thread of the io_context.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "controlplane/membership/malformed.hpp"
#include "controlplane/membership/output.hpp"
#include "controlplane/membership/stream.hpp"
#include "sluice/base/rate_limit.hpp"
#include "sluice/base/result.hpp"

namespace sluice::membership {

struct StreamLimits {
  std::size_t inbound = 128;  // at once, as the reference
  std::size_t outbound = 64;
  std::size_t held_bytes = std::size_t{64} << 20;  // of messages that have not come wholly
  std::uint32_t accepts_at_once = 256;
  std::uint64_t accept_period_ns = 5'000'000;  // then 200 a second
  std::uint64_t inbound_timeout_ns = 10'000'000'000;
};

struct StreamStats {
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;  // over a limit
  std::uint64_t timed_out = 0;
  std::uint64_t failed = 0;  // could not connect, or the connection broke
  std::uint64_t skipped_members = 0;
  MalformedCounters malformed;
};

class Streams {
 public:
  struct Handlers {
    // What to answer to a peer's message, as encode_stream makes it; empty: nothing.
    std::function<Bytes(const Endpoint& from, const StreamMessage&)> on_message;
    std::function<void(std::uint32_t id, const StreamMessage&)> on_reply;
    std::function<void(std::uint32_t id, const std::string& why)> on_failed;
  };

  Streams(asio::io_context& io, WireSettings& wire, StreamLimits limits, Handlers handlers);
  ~Streams();
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  Status listen(const Endpoint& bind);  // port 0: any
  Endpoint local() const;
  void start();
  // Ends with on_reply or on_failed, never before this returns.
  void open(StreamRequest request);
  void stop();

  const StreamStats& stats() const noexcept { return stats_; }
  std::size_t active() const noexcept { return sessions_.size(); }

 private:
  class Session;
  friend class Session;

  void accept();
  void accepted(asio::ip::tcp::socket socket);
  void forget(std::uint64_t id);
  bool hold(std::size_t before, std::size_t after) noexcept;

  asio::io_context& io_;
  WireSettings& wire_;
  StreamLimits limits_;
  Handlers handlers_;
  Family family_ = Family::kIpv4;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  RateLimit accept_rate_;
  StreamStats stats_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Session>> sessions_;
  std::uint64_t next_id_ = 1;
  std::size_t inbound_ = 0;
  std::size_t held_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::membership
