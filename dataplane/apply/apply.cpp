#include "dataplane/apply/apply.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>

#include "dataplane/apply/event_sender.hpp"
#include "dataplane/apply/link_server.hpp"
#include "dataplane/apply/stall_watch.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::dataplane {

namespace {

// About a millisecond of work at most.
constexpr std::uint32_t kCommandsPerTurn = 4096;
// The heartbeat is written more often than the peer looks, but not every turn: its cache line
// travels.
constexpr std::uint64_t kBeatNs = link::kHeartbeatPeriodNs / 4;
constexpr std::uint64_t kStatusNs = 50 * kNsPerMs;

}  // namespace

struct Apply::Impl {
  std::unique_ptr<LinkServer> server;
  EventSender events;
  ControlBridge bridge;
  Applier applier;
  link::StatusSegment& status;
  StallWatch peer;
  std::uint64_t beat_ns = 0;
  std::uint64_t status_ns = 0;

  Impl(std::unique_ptr<LinkServer> s, const BridgeOptions& options, Tables& tables)
      : server(std::move(s)),
        bridge(options, events),
        applier(tables, *options.ports, *options.status, events, bridge),
        status(*options.status) {}

  void attach() {
    link::Region& region = *server->region();
    events.attach(region);
    applier.attach(region);
    bridge.attach(region);
    beat_ns = 0;
    peer.start(monotonic_ns(), peer_heartbeat());
  }

  void detach() {
    applier.detach();
    bridge.detach();
    events.detach();
  }

  void poll_server() {
    // Before the region of an ended connection is unmapped, nobody may hold on to it: poll() unmaps
    // it, and nothing of ours runs between that and detach().
    for (;;) {
      switch (server->poll(applier.epoch())) {
        case LinkServer::Change::kNone:
          return;
        case LinkServer::Change::kConnected:
          attach();
          break;
        case LinkServer::Change::kDisconnected:
          detach();
          break;
        case LinkServer::Change::kOffer:
          take_offer();
          return;  // one per turn: who goes on offering shall not keep us here
      }
    }
  }

  void take_offer() {
    LinkServer::Offer offer = server->take_offer();
    applier.offer_base(offer.segment, std::move(offer.file));
  }

  void disconnect(std::string_view why) {
    detach();
    server->disconnect(why);
  }

  // Partner: Session::beat of the control plane.
  std::uint64_t peer_heartbeat() {
    return std::atomic_ref(server->region()->controlplane_heartbeat_ns)
        .load(std::memory_order_acquire);
  }

  // A control plane that stands still stays connected; forwarding does not need it.
  void watch_peer(std::uint64_t now_ns) {
    switch (peer.look(now_ns, peer_heartbeat())) {
      case StallWatch::Change::kNone:
        break;
      case StallWatch::Change::kStalled:
        spdlog::warn("event=controlplane_stalled pid={} silent_ms={}", server->peer_pid(),
                     peer.silent_ns() / kNsPerMs);
        break;
      case StallWatch::Change::kResumed:
        spdlog::info("event=controlplane_resumed pid={} silent_ms={}", server->peer_pid(),
                     peer.silent_ns() / kNsPerMs);
        break;
    }
  }

  void beat(std::uint64_t now_ns) {
    if (server->region() != nullptr && now_ns - beat_ns >= kBeatNs) {
      beat_ns = now_ns;
      // Read by the control plane to tell a stalled dataplane from an idle one.
      std::atomic_ref(server->region()->dataplane_heartbeat_ns)
          .store(now_ns, std::memory_order_release);
      watch_peer(now_ns);
    }
    if (now_ns - status_ns < kStatusNs) return;
    status_ns = now_ns;
    applier.publish_status();
    bridge.publish_status();
  }
};

Apply::Apply(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Apply::~Apply() = default;

Result<std::unique_ptr<Apply>> Apply::create(ApplyOptions options, Tables& tables,
                                             StatusMemory& status) {
  auto server = LinkServer::create(options.run_dir, status);
  if (!server) return std::unexpected(std::move(server.error()));
  options.bridge.tables = &tables;
  options.bridge.status = &status.segment();
  auto impl = std::make_unique<Impl>(std::move(*server), options.bridge, tables);
  if (auto watched = impl->server->watch(impl->applier.base_fd()); !watched)
    return std::unexpected(std::move(watched.error()));
  impl->applier.assume(options.message_port, options.local);
  return std::unique_ptr<Apply>(new Apply(std::move(impl)));
}

int Apply::fd() const noexcept {
  return impl_->server->fd();
}

bool Apply::turn() {
  Impl& s = *impl_;
  s.poll_server();
  const std::uint64_t now_ns = monotonic_ns();
  const auto applied = s.applier.run(kCommandsPerTurn);
  const auto bridged = s.bridge.run(now_ns);
  s.beat(now_ns);
  if (applied == Applier::Progress::kCorrupt || bridged == ControlBridge::Progress::kCorrupt ||
      s.events.corrupt()) {
    s.disconnect("a ring's index is impossible");
    return true;
  }
  const bool events = s.events.take_wakeup();
  const bool slots = s.bridge.take_wakeup();
  if (events || slots) s.server->wake_peer();
  return applied == Applier::Progress::kMore || bridged == ControlBridge::Progress::kMore;
}

bool Apply::prepare_sleep() {
  return impl_->applier.prepare_wait() && impl_->bridge.prepare_wait();
}

void Apply::finish_sleep() {
  impl_->applier.cancel_wait();
  impl_->bridge.cancel_wait();
}

int Apply::timeout_ms() const {
  constexpr int kBeatMs = static_cast<int>(kBeatNs / kNsPerMs);
  const std::uint64_t deadline = impl_->bridge.next_deadline_ns();
  if (deadline == UINT64_MAX) return kBeatMs;
  const std::uint64_t now_ns = monotonic_ns();
  if (deadline <= now_ns) return 0;
  return std::min(kBeatMs, static_cast<int>(std::min<std::uint64_t>(
                               (deadline - now_ns + kNsPerMs - 1) / kNsPerMs, kBeatMs)));
}

bool Apply::connected() const noexcept {
  return impl_->server->region() != nullptr;
}

void Apply::port_link(std::uint16_t port, bool up, std::uint32_t speed_mbps) {
  link::Event event{};
  event.kind = link::EventKind::kPortLink;
  event.body.port_link = {.port = port,
                          .up = static_cast<std::uint8_t>(up ? 1 : 0),
                          .reserved = 0,
                          .speed_mbps = speed_mbps};
  impl_->events.send(event);
}

void Apply::stop() {
  impl_->bridge.stop();
  if (!connected()) return;
  impl_->disconnect("the dataplane stops");
}

}  // namespace sluice::dataplane
