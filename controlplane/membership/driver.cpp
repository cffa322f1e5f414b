#include "controlplane/membership/driver.hpp"

#include <fmt/format.h>
#include <asio/ip/v6_only.hpp>

#include <chrono>
#include <utility>

#include "controlplane/membership/asio_endpoint.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {

using asio::ip::udp;

namespace {

constexpr std::size_t kMaxDatagram = 65536;
constexpr int kBatch = 64;  // datagrams before timers and streams have their turn
constexpr int kSocketBuffer = 2 << 20;
constexpr int kPortAttempts = 16;
// serf drops a leave of a member whose intent it has not heard: that one goes first.
constexpr auto kIntentAhead = std::chrono::milliseconds(1500);
constexpr std::uint64_t kLeaveIntentKey = 0;
constexpr auto kLeaveAtMost = std::chrono::seconds(15);

Bytes own_meta(const Tags& tags) {
  return encode_tags(tags).value_or(Bytes{});
}

}  // namespace

Driver::Driver(asio::io_context& io, std::string name, WireSettings wire, OnEvent on_event,
               OnLog on_log)
    : io_(io),
      name_(std::move(name)),
      wire_(std::move(wire)),
      on_event_(std::move(on_event)),
      on_log_(std::move(on_log)),
      socket_(io),
      timer_(io),
      leave_timer_(io),
      layers_(wire_),
      receive_buffer_(kMaxDatagram) {}

Driver::~Driver() {
  stop();
}

Result<std::unique_ptr<Driver>> Driver::create(asio::io_context& io, DriverOptions options,
                                               OnEvent on_event, OnLog on_log) {
  if (options.name.empty() || options.name.size() > kMaxNameBytes) {
    return fail(ErrorCode::kInvalidArgument, "the name of a member has 1 to 255 bytes");
  }
  if (options.wire.label.size() > kMaxLabelBytes) {
    return fail(ErrorCode::kInvalidArgument, "a label has at most 255 bytes");
  }
  if (auto meta = encode_tags(options.tags); !meta) return std::unexpected(meta.error());
  std::unique_ptr<Driver> driver(new Driver(io, options.name, std::move(options.wire),
                                            std::move(on_event), std::move(on_log)));
  if (auto opened = driver->open(options); !opened) return std::unexpected(opened.error());
  return driver;
}

Status Driver::open(DriverOptions& options) {
  family_ = options.bind.address.family();
  // Any port: UDP must get the one that TCP got.
  Status opened;
  const int attempts = options.bind.port == 0 ? kPortAttempts : 1;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    streams_ = std::make_unique<Streams>(io_, wire_, options.streams, stream_handlers());
    opened = streams_->listen(options.bind);
    if (!opened) return opened;
    local_ = {options.bind.address, streams_->local().port};
    opened = open_udp(local_);
    if (opened) break;
  }
  if (!opened) return opened;

  advertise_ = options.advertise;
  if (advertise_.address.is_unspecified()) {
    advertise_.address = local_.address;
    if (local_.address.is_unspecified()) {
      auto found = host_address(false);
      if (!found) return std::unexpected(found.error());
      advertise_.address = *found;
    }
  }
  if (advertise_.port == 0) advertise_.port = local_.port;
  CoreConfig config;
  config.name = name_;
  config.advertise = advertise_;
  config.meta = own_meta(options.tags);
  config.profile = options.profile;
  config.tcp_pings = options.tcp_pings;
  config.packet_budget = kUdpBufferBytes - packet_overhead(wire_);
  config.takes_hints = is_router;
  const auto now = monotonic_ns();
  const bool saved = options.saved.incarnation != 0 || !options.saved.peers.empty();
  core_ = std::make_unique<Core>(std::move(config), pool_, *this, options.seed, now,
                                 saved ? &options.saved : nullptr);
  seeds_ = std::make_unique<SeedResolver>(
      io_, std::move(options.join),
      [this](const std::vector<Endpoint>& seeds) {
        core_->set_seeds(monotonic_ns(), seeds);
        settle();
      },
      [this](const std::string& host, const std::string& why) {
        on_log_(fmt::format("event=cluster_join_unresolved host={} error=\"{}\" retry=for_ever",
                            host, why),
                true);
      });
  return {};
}

Status Driver::open_udp(const Endpoint& bind) {
  asio::error_code error;
  asio::error_code ignored;
  socket_.close(ignored);
  socket_.open(family_ == Family::kIpv4 ? udp::v4() : udp::v6(), error);
  if (!error && family_ == Family::kIpv6) {
    socket_.set_option(asio::ip::v6_only(!bind.address.is_unspecified()), error);
  }
  // As large as the kernel allows: a batch must not be lost while we do something else.
  socket_.set_option(asio::socket_base::receive_buffer_size(kSocketBuffer), ignored);
  socket_.set_option(asio::socket_base::send_buffer_size(kSocketBuffer), ignored);
  if (!error) socket_.bind({to_asio(bind.address, family_), bind.port}, error);
  if (!error) socket_.non_blocking(true, error);
  if (!error) return {};
  return fail(ErrorCode::kUnavailable,
              "cannot listen on UDP " + to_string(bind) + ": " + error.message());
}

Streams::Handlers Driver::stream_handlers() {
  return {.on_message =
              [this](const Endpoint& from, const StreamMessage& message) {
                if (const auto* state = std::get_if<PushPull>(&message)) learn_time(*state);
                auto answer = core_->on_stream(monotonic_ns(), from, message);
                settle();
                return answer;
              },
          .on_reply =
              [this](std::uint32_t id, const StreamMessage& message) {
                if (const auto* state = std::get_if<PushPull>(&message)) learn_time(*state);
                if (const auto* err = std::get_if<Err>(&message)) {
                  on_log_(fmt::format("event=cluster_peer_refused error=\"{}\"", err->text), true);
                }
                core_->on_stream_reply(monotonic_ns(), id, message);
                settle();
              },
          .on_failed =
              [this](std::uint32_t id, const std::string& why) {
                stream_failure_ = why;
                core_->on_stream_failed(monotonic_ns(), id);
                stream_failure_.clear();
                settle();
              },
          .on_refused = [this](const Endpoint& from,
                               Malformed reason) { log_malformed(from, reason); }};
}

void Driver::learn_time(const PushPull& state) {
  if (const auto time = lamport_time_of(state.user_state)) {
    lamport_time_ = std::max(lamport_time_, *time);
  }
}

void Driver::start() {
  streams_->start();
  wait_datagrams();
  seeds_->start();
  settle();
}

void Driver::stop() {
  alive_.reset();
  asio::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  leave_timer_.cancel();
  if (seeds_) seeds_->stop();
  if (streams_) streams_->stop();
}

// ---- datagrams ---------------------------------------------------------------------------------

void Driver::wait_datagrams() {
  socket_.async_wait(udp::socket::wait_read,
                     [this, alive = std::weak_ptr(alive_)](const asio::error_code& error) {
                       if (error || alive.expired()) return;
                       receive_batch();
                       // A callback may have stopped us.
                       if (!alive.expired()) wait_datagrams();
                     });
}

void Driver::receive_batch() {
  const std::weak_ptr alive(alive_);
  for (int i = 0; i < kBatch && !alive.expired(); ++i) {
    udp::endpoint from;
    asio::error_code error;
    const auto size = socket_.receive_from(asio::buffer(receive_buffer_), from, 0, error);
    if (error == asio::error::would_block || error == asio::error::try_again) return;
    // Otherwise what an earlier datagram of ours met (ICMP): of no interest.
    if (!error) received(from_asio(from), ByteView(receive_buffer_).first(size));
  }
}

void Driver::received(const Endpoint& from, ByteView datagram) {
  ++stats_.packets_in;
  stats_.bytes_in += datagram.size();
  const auto packet = layers_.open(datagram);
  if (!packet) {
    stats_.malformed.add(packet.error());
    return log_malformed(from, packet.error());
  }
  const auto messages = decoder_.decode(*packet);
  if (messages.empty()) return;
  core_->on_packet(monotonic_ns(), from, messages);
  settle();
}

// Counted one by one; a line now and then says whose they are.
void Driver::log_malformed(const Endpoint& from, Malformed reason) {
  if (!malformed_lines_.allow(monotonic_ns())) return;
  on_log_(fmt::format("event=cluster_packet_refused reason={} from={} suppressed={}",
                      to_string(reason), to_string(from), malformed_lines_.take_refused()),
          true);
}

void Driver::packet(const Endpoint& to, Bytes payload, bool crc) {
  if (family_ == Family::kIpv4 && !to.address.is_v4()) {
    ++stats_.send_failed;
    return;
  }
  const auto sealed = layers_.seal(payload, crc, CipherVersion::kPlain);
  if (sealed.empty()) {
    ++stats_.send_failed;
    return;
  }
  asio::error_code error;
  const udp::endpoint endpoint(to_asio(to.address, family_), to.port);
  socket_.send_to(asio::buffer(sealed.data(), sealed.size()), endpoint, 0, error);
  if (!error) {
    ++stats_.packets_out;
    stats_.bytes_out += sealed.size();
  } else if (error == asio::error::would_block || error == asio::error::no_buffer_space) {
    ++stats_.send_dropped;
  } else {
    ++stats_.send_failed;
  }
}

// ---- the core's other wishes -------------------------------------------------------------------

void Driver::open_stream(StreamRequest request) {
  streams_->open(std::move(request));
}

void Driver::event(const Event& event) {
  events_.push_back({event.kind, std::string(event.name), event.address,
                     Bytes(event.meta.begin(), event.meta.end()), event.incarnation,
                     std::string(event.from),
                     event.kind == EventKind::kJoinFailed ? stream_failure_ : std::string()});
}

void Driver::settle() {
  arm_timer();
  if (settling_) return;
  settling_ = true;
  const std::weak_ptr alive(alive_);
  while (!events_.empty() && !alive.expired()) {
    const auto events = std::exchange(events_, {});
    for (const auto& event : events) {
      if (event.kind == EventKind::kLeaveDone) left();
      if (alive.expired()) return;
      on_event_(event);
      if (alive.expired()) return;
    }
  }
  settling_ = false;
}

void Driver::arm_timer() {
  const auto next = core_->next_timer_ns();
  if (next == armed_ns_) return;
  armed_ns_ = next;
  if (next == TimerHeap::kNever) {
    timer_.cancel();
    return;
  }
  const auto now = monotonic_ns();
  timer_.expires_after(std::chrono::nanoseconds(next > now ? next - now : 0));
  timer_.async_wait([this, alive = std::weak_ptr(alive_)](const asio::error_code& error) {
    if (error || alive.expired()) return;
    armed_ns_ = TimerHeap::kNever;
    core_->on_timer(monotonic_ns());
    settle();
  });
}

// ---- leaving -----------------------------------------------------------------------------------

bool Driver::has_serf_members() const {
  const auto view = core_->view();
  for (const auto slot : view.members.ring()) {
    if (slot != view.self && view.members[slot].reachable() && !view.members[slot].takes_hints) {
      return true;
    }
  }
  return false;
}

void Driver::leave(std::function<void()> done) {
  if (left_) return done();
  on_left_ = std::move(done);
  if (leaving_) return;
  leaving_ = true;
  if (!has_serf_members()) return leave_now();
  core_->send_user(kLeaveIntentKey, leave_intent(lamport_time_ + 1, name_), false);
  settle();
  leave_timer_.expires_after(kIntentAhead);
  leave_timer_.async_wait([this, alive = std::weak_ptr(alive_)](const asio::error_code& error) {
    if (!error && !alive.expired()) leave_now();
  });
}

void Driver::leave_now() {
  leave_timer_.expires_after(kLeaveAtMost);
  leave_timer_.async_wait([this, alive = std::weak_ptr(alive_)](const asio::error_code& error) {
    if (!error && !alive.expired()) left();
  });
  core_->leave(monotonic_ns());
  settle();
}

void Driver::left() {
  leave_timer_.cancel();
  left_ = true;
  if (const auto done = std::exchange(on_left_, nullptr)) done();
}

// ---- for the API -------------------------------------------------------------------------------

bool Driver::force_leave(std::string_view name) {
  const bool known = core_->force_leave(monotonic_ns(), name);
  settle();
  return known;
}

Status Driver::set_tags(const Tags& tags) {
  auto meta = encode_tags(tags);
  if (!meta) return std::unexpected(meta.error());
  core_->update_meta(monotonic_ns(), *meta);
  settle();
  return {};
}

bool Driver::send_user(std::uint64_t key, ByteView data, bool routers_only) {
  const bool queued = core_->send_user(key, data, routers_only);
  settle();
  return queued;
}

bool Driver::send_user_to(const Endpoint& to, ByteView data) {
  const bool sent = core_->send_user_to(to, data);
  settle();
  return sent;
}

DriverStats Driver::stats() const {
  DriverStats stats = stats_;
  stats.streams = streams_->stats();
  stats.malformed += decoder_.malformed();
  stats.malformed += stats.streams.malformed;
  return stats;
}

}  // namespace sluice::membership
