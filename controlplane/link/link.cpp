#include "controlplane/link/link.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <optional>
#include <vector>

#include "controlplane/link/session.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstRetry{50};
constexpr milliseconds kLastRetry{400};
constexpr milliseconds kWelcomeTimeout{2000};
constexpr milliseconds kBeat{static_cast<int>(link::kHeartbeatPeriodNs / kNsPerMs)};
// While the ring is full (65 536 commands are 20 ms of the applier's work) or somebody waits for
// the applied sequence, which nobody signals.
constexpr milliseconds kPoll{1};
// After a table was full: how long until what it refused is tried again, once there is room.
constexpr std::uint64_t kResendNs = 5 * kNsPerSecond;
// Commands written before other handlers of the io_context get their turn.
constexpr std::uint32_t kPumpBudget = 8192;

// How much of the dataplane's tables is taken, the most since one of them was full.
struct Places {
  std::uint64_t routes = 0;
  std::uint64_t adjacencies = 0;
  std::uint64_t groups = 0;

  // Whether something has left one of them, or there is room enough in each.
  bool free_now(const link::StatusSegment& status) {
    const auto& tables = status.tables;
    const auto left = [](std::uint64_t& most, const std::uint64_t& taken) {
      const std::uint64_t now = link::read(taken);
      most = std::max(most, now);
      return now < most;
    };
    const auto roomy = [](const std::uint64_t& taken, const std::uint64_t& capacity) {
      return link::read(taken) < link::read(capacity) / 16 * 15;
    };
    const bool any = left(routes, tables.routes) | left(adjacencies, tables.adjacencies) |
                     left(groups, tables.groups);
    return any || (roomy(tables.routes, tables.routes_capacity) &&
                   roomy(tables.adjacencies, tables.adjacencies_capacity) &&
                   roomy(tables.groups, tables.groups_capacity));
  }
};

}  // namespace

struct Link::Impl {
  asio::io_context& io;
  std::string path;
  Programmer& programmer;
  Feed& feed;
  LinkCallbacks callbacks;
  mutable LinkInfo info;
  bool running = false;
  // Handlers of an earlier connection find that the count has moved on and do nothing.
  std::uint64_t generation = 0;
  milliseconds retry{kFirstRetry};
  std::string logged_error;

  UniqueFd pending_socket;
  std::optional<asio::posix::stream_descriptor> socket;
  std::optional<asio::posix::stream_descriptor> doorbell;
  std::unique_ptr<Session> session;
  Session::Handlers handlers;
  Mapping<const link::StatusSegment> status;
  asio::steady_timer retry_timer;
  asio::steady_timer beat_timer;
  asio::steady_timer poll_timer;
  bool poll_armed = false;
  bool pump_posted = false;
  std::uint64_t sync_started_ns = 0;
  std::uint64_t sync_sequence = 0;  // kEndSync's; 0: not written yet
  std::uint32_t next_token = 1;
  std::optional<Places> places;  // a table was full, and nothing was sent again since
  std::uint64_t resent_ns = 0;

  struct Waiter {
    std::uint64_t mark;
    std::uint64_t sequence;  // 0: the mark is not written yet
    std::function<void(Status)> callback;
  };
  std::vector<Waiter> waiters;

  Impl(asio::io_context& context, std::string socket_path, Programmer& desired)
      : io(context),
        path(std::move(socket_path)),
        programmer(desired),
        feed(desired.feed()),
        retry_timer(context),
        beat_timer(context),
        poll_timer(context) {
    feed.on_dirty([this] { post_pump(); });
  }

  void enter(LinkState state) {
    if (info.state == state) return;
    info.state = state;
    info.since_ns = monotonic_ns();
    if (callbacks.on_state) callbacks.on_state(state);
  }

  // ---- connecting ------------------------------------------------------------------------------
  void connect() {
    if (!running) return;
    auto fd = connect_and_greet(path);
    if (!fd) return failed(fd.error());
    socket.emplace(io, fd->release());
    enter(LinkState::kConnecting);
    const auto now = ++generation;
    socket->async_wait(asio::posix::stream_descriptor::wait_read,
                       [this, now](const asio::error_code& error) {
                         if (!error && now == generation) on_socket();
                       });
    retry_timer.expires_after(kWelcomeTimeout);
    retry_timer.async_wait([this, now](const asio::error_code& error) {
      if (!error && now == generation && !session)
        failed(Error(ErrorCode::kTimeout, "the dataplane does not answer", ErrorOrigin::kDataplane,
                     true));
    });
  }

  // The socket is readable: the answer to Hello, later only its end.
  void on_socket() {
    if (session) return lost("the dataplane closed the connection");
    auto connected = take_welcome(socket->native_handle());
    if (!connected) return failed(connected.error());
    begin(std::move(*connected));
  }

  void begin(Connected connected) {
    const auto now = generation;
    retry_timer.cancel();
    retry = kFirstRetry;
    logged_error.clear();
    session = std::make_unique<Session>(std::move(connected));
    status = session->take_status();
    handlers = {.on_punt =
                    [this](const auto& header, auto bytes) {
                      ++info.punts;
                      if (callbacks.on_punt) callbacks.on_punt(header, bytes);
                    },
                .on_trace =
                    [this](const auto& record) {
                      if (callbacks.on_trace) callbacks.on_trace(record);
                    },
                .on_event = [this](const auto& event) { on_event(event); }};
    const auto epoch =
        static_cast<std::uint8_t>(session->last_epoch() == 255 ? 1 : session->last_epoch() + 1);
    info.dataplane_pid = status.get()->pid;
    info.dataplane_instance = session->instance();
    info.epoch = epoch;
    info.last_error.clear();
    info.stalled = false;
    ++info.connections;
    spdlog::info("event=link_connected pid={} instance={:016x} epoch={}", info.dataplane_pid,
                 info.dataplane_instance, epoch);
    sync_started_ns = monotonic_ns();
    sync_sequence = 0;
    places.reset();
    feed.start_replay(epoch);
    enter(LinkState::kSyncing);
    if (now != generation) return;  // a callback stopped the link
    watch_socket(now);
    // A copy of the descriptor, because stream_descriptor closes its own.
    const int woken = ::dup(session->woken());
    if (woken < 0) {
      return failed(Error(ErrorCode::kExhausted,
                          "no file descriptor left for the connection to the dataplane; raise "
                          "'ulimit -n' (LimitNOFILE)",
                          ErrorOrigin::kLocal, true));
    }
    doorbell.emplace(io, woken);
    beat();
    pump();
    if (now == generation) drain();
  }

  void watch_socket(std::uint64_t now) {
    socket->async_wait(asio::posix::stream_descriptor::wait_read,
                       [this, now](const asio::error_code& error) {
                         if (!error && now == generation) on_socket();
                       });
  }

  void failed(const Error& error) {
    disconnect();
    info.last_error = error.message();
    if (logged_error != error.message()) {  // once, however often it is tried
      spdlog::warn("event=link_connect_failed error=\"{}\"", error.message());
      logged_error = error.message();
    }
    enter(LinkState::kDisconnected);
    schedule_retry();
  }

  void lost(const std::string& why) {
    spdlog::warn("event=link_lost pid={} reason=\"{}\"", info.dataplane_pid, why);
    logged_error.clear();
    disconnect();
    info.last_error = why;
    enter(LinkState::kDisconnected);
    schedule_retry();
  }

  void disconnect() {
    ++generation;
    refresh();
    feed.stop();
    session.reset();
    socket.reset();
    doorbell.reset();
    beat_timer.cancel();
    poll_timer.cancel();
    poll_armed = false;
    info.stalled = false;
    std::vector<Waiter> failed_waiters;
    failed_waiters.swap(waiters);
    for (auto& waiter : failed_waiters)
      waiter.callback(fail(ErrorCode::kUnavailable, "the connection to the dataplane was lost",
                           ErrorOrigin::kDataplane, true));
  }

  void schedule_retry() {
    if (!running) return;
    retry_timer.expires_after(retry);
    retry = std::min(retry * 2, kLastRetry);
    retry_timer.async_wait([this, now = generation](const asio::error_code& error) {
      if (!error && now == generation) connect();
    });
  }

  // ---- sending ---------------------------------------------------------------------------------
  void post_pump() {
    if (pump_posted || !session) return;
    pump_posted = true;
    asio::post(io, [this, now = generation] {
      pump_posted = false;
      if (now == generation) {
        pump();
      } else if (session) {
        post_pump();  // posted for a connection that ended meanwhile
      }
    });
  }

  void pump() {
    if (!session) return;
    const std::uint64_t before = session->written();
    const bool more = feed.pump(*session, kPumpBudget, monotonic_ns());
    session->wake_if_needed();
    if (session->corrupt()) return lost("the command ring's index is impossible");
    if (more && session->written() - before >= kPumpBudget) post_pump();
    if (sync_sequence == 0 && !feed.replaying()) sync_sequence = session->written();
    settle();
    if (!session) return;  // a callback stopped the link
    const bool full = more && session->written() - before < kPumpBudget;
    if (full || !waiters.empty() || info.state == LinkState::kSyncing) arm_poll();
  }

  void arm_poll() {
    if (poll_armed) return;
    poll_armed = true;
    poll_timer.expires_after(kPoll);
    poll_timer.async_wait([this, now = generation](const asio::error_code& error) {
      if (error || now != generation) return;
      poll_armed = false;
      pump();
    });
  }

  // Who waits for the applied sequence, and whether the sync is through.
  void settle() {
    const std::uint64_t applied = session->applied();
    if (info.state == LinkState::kSyncing && sync_sequence != 0 && applied >= sync_sequence) {
      info.last_sync_ns = monotonic_ns() - sync_started_ns;
      spdlog::info("event=link_ready epoch={} commands={} milliseconds={}", info.epoch,
                   sync_sequence, info.last_sync_ns / kNsPerMs);
      enter(LinkState::kReady);
    }
    std::vector<Waiter> done;
    std::erase_if(waiters, [&](Waiter& waiter) {
      if (waiter.sequence == 0 && waiter.mark <= feed.written_mark())
        waiter.sequence = session->written();
      if (waiter.sequence == 0 || waiter.sequence > applied) return false;
      done.push_back(std::move(waiter));
      return true;
    });
    for (auto& waiter : done)
      waiter.callback({});
  }

  // ---- receiving -------------------------------------------------------------------------------
  void drain() {
    if (!session) return;
    const auto now = generation;
    const bool more = session->drain(handlers);
    if (now != generation) return;  // a callback stopped the link
    session->wake_if_needed();      // callbacks may have injected
    if (session->corrupt()) return lost("a ring's index is impossible");
    if (more || !session->prepare_wait()) {
      asio::post(io, [this, now] {
        if (now == generation) drain();
      });
      return;
    }
    doorbell->async_wait(
        asio::posix::stream_descriptor::wait_read, [this, now](const asio::error_code& error) {
          if (error || now != generation) return;
          std::uint64_t count = 0;
          [[maybe_unused]] const auto got = ::read(session->woken(), &count, sizeof count);
          drain();
        });
  }

  void on_event(const link::Event& event) {
    ++info.events;
    if (event.kind == link::EventKind::kCommandRefused) {
      ++info.commands_refused;
      const auto& refused_command = event.body.refused;
      if (refused_command.reason == link::RefusedReason::kTableFull) table_was_full();
      spdlog::error("event=command_refused sequence={} kind={} reason={} handle={} id={}",
                    refused_command.sequence, static_cast<unsigned>(refused_command.kind),
                    static_cast<unsigned>(refused_command.reason), refused_command.handle,
                    to_string(refused_command.id));
    }
    if (event.kind == link::EventKind::kTableFull) table_was_full();
    if (callbacks.on_event) callbacks.on_event(event);
  }

  // ---- full tables -----------------------------------------------------------------------------
  // What was refused is not remembered one by one: events are coalesced and may be lost.
  void table_was_full() {
    if (!places) places.emplace();
  }

  void retry_refused(std::uint64_t now_ns) {
    if (!places || feed.replaying()) return;
    if (!places->free_now(*status.get()) || now_ns - resent_ns < kResendNs) return;
    places.reset();
    resent_ns = now_ns;
    spdlog::info("event=refused_sent_again reason=\"a full table has room\"");
    feed.resend();
  }

  // ---- heartbeat -------------------------------------------------------------------------------
  void beat() {
    const std::uint64_t now_ns = monotonic_ns();
    session->beat(now_ns);
    const std::uint64_t peer = session->peer_heartbeat_ns();
    const std::uint64_t age = now_ns > peer ? now_ns - peer : 0;
    const bool stalled = age > link::kHeartbeatStalledNs;
    if (stalled != info.stalled) {
      info.stalled = stalled;
      if (stalled) {
        spdlog::warn("event=dataplane_stalled pid={} silent_ms={}", info.dataplane_pid,
                     age / kNsPerMs);
      } else {
        spdlog::info("event=dataplane_resumed pid={}", info.dataplane_pid);
      }
      if (callbacks.on_state) callbacks.on_state(info.state);
      if (!session) return;
    }
    retry_refused(now_ns);
    if (const auto due = feed.sweep_due_ns(); due && *due <= now_ns) post_pump();
    beat_timer.expires_after(kBeat);
    beat_timer.async_wait([this, now = generation](const asio::error_code& error) {
      if (!error && now == generation) beat();
    });
  }

  void refresh() const {
    info.commands_waiting = feed.waiting();
    if (!session) return;
    const std::uint64_t now_ns = monotonic_ns();
    const std::uint64_t peer = session->peer_heartbeat_ns();
    info.commands_sent = session->written();
    info.commands_applied = session->applied();
    info.events_lost = session->events_lost();
    info.punts_lost = session->punts_lost();
    info.dataplane_heartbeat_age_ns = now_ns > peer ? now_ns - peer : 0;
    const std::uint64_t own = session->own_heartbeat_ns();
    info.controlplane_heartbeat_age_ns = now_ns > own ? now_ns - own : 0;
  }

  Status send_now(const link::Command& command) {
    if (!session)
      return fail(ErrorCode::kUnavailable, "no dataplane is connected", ErrorOrigin::kDataplane,
                  true);
    link::Command stamped = command;
    stamped.header.epoch = info.epoch;
    const bool sent = session->write(&stamped, 1) == 1;
    session->wake_if_needed();
    if (!sent)
      return fail(ErrorCode::kExhausted, "the command ring is full", ErrorOrigin::kDataplane, true);
    return {};
  }
};

Link::Link(asio::io_context& io, std::string socket_path, Programmer& programmer)
    : impl_(std::make_unique<Impl>(io, std::move(socket_path), programmer)) {}
Link::~Link() {
  stop();
  impl_->feed.on_dirty({});
}

void Link::set_callbacks(LinkCallbacks callbacks) {
  impl_->callbacks = std::move(callbacks);
}

void Link::start() {
  if (impl_->running) return;
  impl_->running = true;
  impl_->info.since_ns = monotonic_ns();
  impl_->connect();
}

void Link::stop() {
  if (!impl_->running) return;
  impl_->running = false;
  impl_->retry_timer.cancel();
  impl_->disconnect();
  impl_->enter(LinkState::kDisconnected);
}

const LinkInfo& Link::info() const {
  impl_->refresh();
  return impl_->info;
}

Status Link::inject(const link::SlotHeader& header, std::span<const std::uint8_t> bytes) {
  if (!impl_->session)
    return fail(ErrorCode::kUnavailable, "no dataplane is connected", ErrorOrigin::kDataplane,
                true);
  if (bytes.size() > sizeof(link::Slot::data))
    return fail(ErrorCode::kInvalidArgument, "message is too long for a slot");
  auto status = impl_->session->inject(header, bytes);
  if (status) {
    ++impl_->info.injects;
    impl_->session->wake_if_needed();
  } else {
    ++impl_->info.injects_lost;
  }
  return status;
}

Status Link::offer_base(const link::SegmentId& segment, int file) {
  if (!impl_->session || !impl_->socket)
    return fail(ErrorCode::kUnavailable, "no dataplane is connected", ErrorOrigin::kDataplane,
                true);
  return send_offer(impl_->socket->native_handle(), segment, file);
}

Result<std::uint32_t> Link::start_trace(const Id& source, const Id& destination,
                                        std::uint32_t count) {
  if (count == 0 || count > 10'000)
    return fail(ErrorCode::kInvalidArgument, "trace: 1 to 10000 messages");
  link::Command command{};
  command.header.kind = link::CommandKind::kTraceStart;
  command.body.trace_start = {
      .source = source, .destination = destination, .count = count, .token = impl_->next_token};
  if (auto sent = impl_->send_now(command); !sent) return std::unexpected(sent.error());
  return impl_->next_token++;
}

void Link::stop_trace() {
  link::Command command{};
  command.header.kind = link::CommandKind::kTraceStop;
  // Without a connection there is no trace.
  [[maybe_unused]] const auto sent = impl_->send_now(command);
}

Status Link::clear_counters() {
  link::Command command{};
  command.header.kind = link::CommandKind::kCountersClear;
  return impl_->send_now(command);
}

void Link::when_applied(std::function<void(Status)> callback) {
  if (!impl_->session) {
    asio::post(impl_->io, [callback = std::move(callback)] {
      callback(fail(ErrorCode::kUnavailable, "no dataplane is connected", ErrorOrigin::kDataplane,
                    true));
    });
    return;
  }
  impl_->waiters.push_back({impl_->feed.mark(), 0, std::move(callback)});
  impl_->arm_poll();
}

const link::StatusSegment* Link::status() const {
  return impl_->status.get();
}

}  // namespace sluice::controlplane
