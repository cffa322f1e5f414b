// A control plane in this very thread, for benchmarks that must know at each moment what is in
// force: it says one thing and turns the dataplane's manager until that took effect.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/link/handshake.hpp"
#include "controlplane/link/session.hpp"
#include "sluice/link/messages.hpp"

namespace sluice::perf {

class SwapControl {
 public:
  // `turn` gives the dataplane's manager one turn.
  SwapControl(const std::string& socket_path, std::function<void()> turn);

  // Epoch and kinds are right already; returns when all have taken effect. Ends the program when
  // one is refused.
  void say(const std::vector<link::Command>& commands);
  void offer(const link::SegmentId& segment, int file);
  // Turns until the event comes; ends the program when a base is refused or nothing comes for long.
  link::Event await(link::EventKind kind);
  // Whether it has come already.
  bool heard(link::EventKind kind);

  link::Command command(link::CommandKind kind) const;
  link::Command adjacency(std::uint32_t handle, const IpAddress& host) const;
  link::Command route(const Id& id, std::uint32_t handle, std::uint16_t udp_port) const;
  link::Command deletion(const Id& id) const;
  // Handles 0 .. dictionary-1 are the positions.
  std::vector<link::Command> commit(const link::SegmentId& segment, std::uint64_t entries,
                                    std::uint32_t dictionary, std::uint32_t number) const;

 private:
  void listen();

  std::function<void()> turn_;
  UniqueFd socket_;
  std::optional<controlplane::Session> session_;
  std::uint8_t epoch_ = 1;
  std::vector<link::Event> heard_;
};

}  // namespace sluice::perf
