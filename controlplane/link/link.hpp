// The connection to the dataplane: connects and reconnects by itself, shakes hands, maps the shared
// region, moves commands, events, punted messages and traces, watches heartbeats. The only code of
// the control plane that touches the region; everything read from it is validated here. All calls
// and callbacks on the thread of the io_context.
#pragma once

#include <asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "controlplane/link/programmer.hpp"
#include "sluice/base/result.hpp"
#include "sluice/link/messages.hpp"
#include "sluice/link/status.hpp"

namespace sluice::controlplane {

enum class LinkState : std::uint8_t {
  kDisconnected = 0,  // nobody answers (last_error says why); trying again
  kConnecting = 1,    // connected, waiting for the answer to Hello
  kSyncing = 2,       // replaying the state
  kReady = 3,         // the dataplane has applied all of it
};

constexpr std::string_view to_string(LinkState state) noexcept {
  constexpr std::string_view kNames[] = {"disconnected", "connecting", "syncing", "ready"};
  return kNames[static_cast<std::size_t>(state)];
}

struct LinkInfo {
  LinkState state = LinkState::kDisconnected;
  bool stalled = false;        // connected, but its heartbeat stands still
  std::uint64_t since_ns = 0;  // monotonic: when it got into this state
  std::uint32_t dataplane_pid = 0;
  std::uint64_t dataplane_instance = 0;
  std::uint64_t connections = 0;  // that were accepted, ever
  std::uint8_t epoch = 0;
  std::uint64_t commands_sent = 0;  // on this connection
  std::uint64_t commands_applied = 0;
  std::uint64_t commands_waiting = 0;  // not yet in the ring
  std::uint64_t commands_refused = 0;  // over all connections, as told by events
  std::uint64_t events = 0;
  std::uint64_t events_lost = 0;
  std::uint64_t punts = 0;
  std::uint64_t punts_lost = 0;
  std::uint64_t injects = 0;
  std::uint64_t injects_lost = 0;
  std::uint64_t dataplane_heartbeat_age_ns = 0;
  std::uint64_t controlplane_heartbeat_age_ns = 0;
  std::uint64_t last_sync_ns = 0;  // how long the last sync took, begin to applied
  std::string last_error;
};

struct LinkCallbacks {
  std::function<void(LinkState)> on_state;
  // The header is validated; the bytes (from the envelope on) are as they came from the wire and
  // valid during the call only.
  std::function<void(const link::SlotHeader&, std::span<const std::uint8_t>)> on_punt;
  std::function<void(const link::TraceRecord&)> on_trace;
  std::function<void(const link::Event&)> on_event;
};

class Link {
 public:
  Link(asio::io_context& io, std::string socket_path, Programmer& programmer);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void set_callbacks(LinkCallbacks callbacks);  // before start()
  void start();
  void stop();

  const LinkInfo& info() const;  // commands_applied and losses are read afresh

  // A message for the dataplane to send: header fields port, vlan, family, mac, addresses and UDP
  // ports; `bytes` from the envelope on. kUnavailable when not connected, kExhausted when the ring
  // is full.
  Status inject(const link::SlotHeader& header, std::span<const std::uint8_t> bytes);

  // Offers a base segment (sluice/link/base_messages.hpp); the answer is event kBaseLoaded or
  // kBaseRefused. The descriptor stays the caller's and may be closed at once. kUnavailable when
  // not connected, kExhausted (retryable) when too many offers are on their way.
  Status offer_base(const link::SegmentId& segment, int file);

  // Asks for the next `count` messages; records come to on_trace, the end as event kTraceDone with
  // the token that this returns.
  Result<std::uint32_t> start_trace(const Id& source, const Id& destination, std::uint32_t count);
  void stop_trace();
  Status clear_counters();

  // Calls back when all that was asked of the programmer before this call took effect in the
  // dataplane (or was refused there), or with kUnavailable when the connection is lost before.
  void when_applied(std::function<void(Status)> callback);

  // Counters and facts of the dataplane; null while there never was a connection. Stays readable,
  // with its last values, after the dataplane is gone, until the next connection.
  const link::StatusSegment* status() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::controlplane
