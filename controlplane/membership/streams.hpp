// The TCP side of the membership protocol: connections that peers open, and those the core asks
// for. Every connection has a deadline; their number and the memory they hold, of all and of each
// source address, and the rate at which new ones come are bounded, and what is over a bound is
// closed at once and counted. On the thread of the io_context.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "controlplane/membership/malformed.hpp"
#include "controlplane/membership/output.hpp"
#include "controlplane/membership/stream.hpp"
#include "controlplane/membership/stream_budget.hpp"
#include "sluice/base/rate_limit.hpp"
#include "sluice/base/result.hpp"

namespace sluice::membership {

// Why a connection was not taken, or was ended before its time.
enum class StreamRefusal : std::uint8_t {
  kConnections,  // too many at once
  kSource,       // ... from one address
  kRate,         // too many new ones
  kMemory,       // more held than is allowed, by all or by one address
  kOutbound,     // too many of our own
  kCount,
};

constexpr std::string_view to_string(StreamRefusal reason) noexcept {
  constexpr std::array<std::string_view, static_cast<std::size_t>(StreamRefusal::kCount)> kNames{
      "connections", "source", "rate", "memory", "outbound"};
  return kNames[static_cast<std::size_t>(reason)];
}

struct StreamStats {
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t accepted = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t failed = 0;  // could not connect, or the connection broke
  std::uint64_t skipped_members = 0;
  MalformedCounters malformed;
  std::array<std::uint64_t, static_cast<std::size_t>(StreamRefusal::kCount)> refusals{};

  std::uint64_t refused(StreamRefusal reason) const noexcept {
    return refusals[static_cast<std::size_t>(reason)];
  }
  std::uint64_t refused() const noexcept {
    return std::accumulate(refusals.begin(), refusals.end(), std::uint64_t{0});
  }
};

class Streams {
 public:
  struct Handlers {
    // What to answer to a peer's message, as encode_stream makes it; empty: nothing.
    std::function<Bytes(const Endpoint& from, const StreamMessage&)> on_message;
    std::function<void(std::uint32_t id, const StreamMessage&)> on_reply;
    std::function<void(std::uint32_t id, const std::string& why)> on_failed;
    // A peer's connection whose bytes are no message, or encrypted with no key of ours.
    std::function<void(const Endpoint& from, Malformed reason)> on_refused;
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
  // Bytes held for connections, those of peers and our own.
  std::size_t held_bytes() const noexcept { return budget_.held() + own_held_; }

 private:
  class Session;
  friend class Session;

  void accept();
  void accepted(asio::ip::tcp::socket socket);
  void ended(const Session& session);
  void refuse(StreamRefusal reason) noexcept {
    ++stats_.refusals[static_cast<std::size_t>(reason)];
  }

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
  StreamBudget budget_;  // of peers' connections
  std::size_t own_ = 0;  // connections that we opened
  std::size_t own_held_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace sluice::membership
