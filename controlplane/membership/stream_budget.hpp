// What the connections that peers opened may take together and each source address of its own:
// their number and the memory they hold, which counts what was read, decrypted, decompressed and is
// to be sent. One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>

#include "sluice/wire/inet.hpp"

namespace sluice::membership {

struct StreamLimits {
  std::size_t inbound = 128;  // at once, as the reference
  std::size_t inbound_per_source = 16;
  std::size_t outbound = 64;
  // Of peers' connections, and as much again for our own: nobody can starve those.
  std::size_t held_bytes = std::size_t{64} << 20;
  // A list of all members there can be, with the answer.
  std::size_t held_bytes_per_source = std::size_t{32} << 20;
  std::uint32_t accepts_at_once = 256;
  std::uint64_t accept_period_ns = 5'000'000;  // then 200 a second
  std::uint64_t inbound_timeout_ns = 10'000'000'000;
};

class StreamBudget {
 public:
  explicit StreamBudget(const StreamLimits& limits) noexcept : limits_(limits) {}

  bool full() const noexcept { return connections_ >= limits_.inbound; }
  bool full(const IpAddress& source) const noexcept {
    const auto at = sources_.find(source);
    return at != sources_.end() && at->second.connections >= limits_.inbound_per_source;
  }
  void opened(const IpAddress& source) {
    ++connections_;
    ++sources_[source].connections;
  }
  void closed(const IpAddress& source) noexcept {
    --connections_;
    const auto at = sources_.find(source);
    if (--at->second.connections == 0) sources_.erase(at);
  }

  // What a connection of the source may hold that holds so much now.
  std::size_t allowance(const IpAddress& source, std::size_t holds) const noexcept {
    const auto at = sources_.find(source);
    const std::size_t its = at == sources_.end() ? 0 : at->second.held;
    return holds +
           std::min(left(held_, limits_.held_bytes), left(its, limits_.held_bytes_per_source));
  }
  // It holds something else now. False: more than is allowed; it is to end.
  bool hold(const IpAddress& source, std::size_t before, std::size_t after) noexcept {
    std::size_t& its = sources_.find(source)->second.held;
    held_ = held_ - before + after;
    its = its - before + after;
    return held_ <= limits_.held_bytes && its <= limits_.held_bytes_per_source;
  }
  std::size_t held() const noexcept { return held_; }
  std::size_t sources() const noexcept { return sources_.size(); }

 private:
  struct Source {
    std::size_t connections = 0;
    std::size_t held = 0;
  };

  static std::size_t left(std::size_t used, std::size_t most) noexcept {
    return used < most ? most - used : 0;
  }

  const StreamLimits& limits_;
  std::size_t connections_ = 0;
  std::size_t held_ = 0;
  std::map<IpAddress, Source> sources_;
};

}  // namespace sluice::membership
