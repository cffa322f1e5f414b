// Runs one member of the cluster on Asio: sockets and timers round the protocol core. Takes
// datagrams in bounded batches, drops what the kernel will not send at once (the protocol repeats
// itself), and leaves TCP to Streams. Everything on the thread of the io_context, which must not
// run before create() has returned nor outlive the driver's callbacks.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/membership/core.hpp"
#include "controlplane/membership/layers.hpp"
#include "controlplane/membership/seeds.hpp"
#include "controlplane/membership/serf.hpp"
#include "controlplane/membership/streams.hpp"
#include "sluice/base/result.hpp"

namespace sluice::membership {

struct DriverOptions {
  std::string name;
  Endpoint bind;  // the unspecified address of IPv6 is that of IPv4 as well; port 0: any
  // Where others reach us; unspecified: bind's, or else the host's first address fit for it.
  Endpoint advertise;
  std::vector<JoinTarget> join;
  WireSettings wire;
  Profile profile;
  bool tcp_pings = true;
  Tags tags;
  std::uint64_t seed = 0;
  SavedState saved;
  StreamLimits streams;
};

// An event of the core that owns its texts.
struct MemberEvent {
  EventKind kind{};
  std::string name;
  Endpoint address;
  Bytes meta;
  std::uint32_t incarnation = 0;
  std::string from;
  std::string reason;  // of kJoinFailed
};

struct DriverStats {
  std::uint64_t packets_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t send_dropped = 0;  // the kernel's buffer was full
  std::uint64_t send_failed = 0;   // no route, wrong family, encryption
  MalformedCounters malformed;     // of datagrams and streams
  StreamStats streams;
};

class Driver final : public Output {
 public:
  using OnEvent = std::function<void(const MemberEvent&)>;
  // event=... lines for the log; warn or info.
  using OnLog = std::function<void(const std::string& line, bool warn)>;

  static Result<std::unique_ptr<Driver>> create(asio::io_context& io, DriverOptions options,
                                                OnEvent on_event, OnLog on_log);
  ~Driver() override;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  void start();
  // Tells the others, gives them time to hear it, then calls done. For once.
  void leave(std::function<void()> done);
  void stop();

  bool force_leave(std::string_view name);
  Status set_tags(const Tags& tags);
  bool send_user(std::uint64_t key, ByteView data, bool routers_only);
  bool send_user_to(const Endpoint& to, ByteView data);
  // nullopt: nothing is encrypted, and that cannot be changed while running.
  Keyring* keyring() noexcept { return wire_.keyring ? &*wire_.keyring : nullptr; }

  Core::View view() const noexcept { return core_->view(); }
  SavedState save() const { return core_->save(); }
  DriverStats stats() const;
  std::size_t open_streams() const noexcept { return streams_->active(); }
  std::size_t stream_bytes() const noexcept { return streams_->held_bytes(); }
  Endpoint local() const noexcept { return local_; }
  Endpoint advertise() const noexcept { return advertise_; }
  const std::string& name() const noexcept { return name_; }

 private:
  Driver(asio::io_context& io, std::string name, WireSettings wire, OnEvent on_event, OnLog on_log);
  Status open(DriverOptions& options);
  Status open_udp(const Endpoint& bind);

  // Output, called by the core.
  void packet(const Endpoint& to, Bytes payload, bool crc) override;
  void open_stream(StreamRequest request) override;
  void event(const Event& event) override;

  void wait_datagrams();
  void receive_batch();
  void received(const Endpoint& from, ByteView datagram);
  void log_malformed(const Endpoint& from, Malformed reason);
  // After each call of the core: timers, and events, whose handlers may call us again.
  void settle();
  void arm_timer();
  void leave_now();
  void left();
  void learn_time(const PushPull& state);
  bool has_serf_members() const;
  Streams::Handlers stream_handlers();

  asio::io_context& io_;
  std::string name_;
  WireSettings wire_;
  OnEvent on_event_;
  OnLog on_log_;
  Family family_ = Family::kIpv4;
  Endpoint local_;
  Endpoint advertise_;
  asio::ip::udp::socket socket_;
  asio::steady_timer timer_;
  asio::steady_timer leave_timer_;
  PacketLayers layers_;
  PacketDecoder decoder_;
  InternPool pool_;
  std::unique_ptr<Streams> streams_;
  std::unique_ptr<SeedResolver> seeds_;
  std::unique_ptr<Core> core_;
  DriverStats stats_;
  RateLimit malformed_lines_{5, 10 * kNsPerSecond};
  std::vector<MemberEvent> events_;
  std::string stream_failure_;  // while the core is told of it
  bool settling_ = false;
  std::uint64_t armed_ns_ = TimerHeap::kNever;
  std::uint64_t lamport_time_ = 0;  // serf's, as far as we know
  std::function<void()> on_left_;
  bool leaving_ = false;
  bool left_ = false;
  Bytes receive_buffer_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

// The host's address that others most likely reach: private ones of IPv4 first, then public ones,
// then IPv6; never loopback or link-local. kNotFound: none.
Result<IpAddress> host_address(bool ipv6_only);

}  // namespace sluice::membership
