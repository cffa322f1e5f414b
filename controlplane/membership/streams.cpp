#include "controlplane/membership/streams.hpp"

#include <asio/buffer.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "controlplane/membership/asio_endpoint.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::membership {
namespace {

// As members end a connection that they cannot decrypt, or whose label is another.
constexpr std::string_view kNoAnswer =
    "it closed the connection without an answer: has it the same keys and label?";

}  // namespace

using asio::ip::tcp;

// One connection from its first byte to its end. Lives in the owner's map; handlers under way keep
// it alive and look whether the owner still is there.
class Streams::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Streams& owner, std::uint64_t id, tcp::socket socket, StreamRole role,
          const Endpoint& peer)
      : owner_(&owner),
        id_(id),
        role_(role),
        peer_(peer),
        socket_(std::move(socket)),
        deadline_(owner.io_) {
    decoder_.emplace(owner.wire_, role);
  }

  bool inbound() const noexcept { return role_ == StreamRole::kAcceptor; }

  void serve() {
    set_deadline(owner_->limits_.inbound_timeout_ns);
    read();
  }

  void dial(StreamRequest request) {
    request_ = std::move(request);
    const auto now = monotonic_ns();
    set_deadline(request_.deadline_ns > now ? request_.deadline_ns - now : 0);
    out_ = seal_stream(owner_->wire_, StreamRole::kDialer, CipherVersion::kPlain,
                       std::move(request_.message));
    if (out_.empty()) return fail_later("encryption failed");
    if (owner_->family_ == Family::kIpv4 && !request_.to.address.is_v4()) {
      return fail_later("an IPv6 address, and we are bound to an IPv4 one");
    }
    socket_.async_connect({to_asio(peer_.address, owner_->family_), peer_.port},
                          [self = shared_from_this()](const asio::error_code& error) {
                            if (!self->owner_) return;
                            if (error) return self->finish(error.message());
                            self->write();
                          });
  }

  std::uint64_t id() const noexcept { return id_; }
  const IpAddress& source() const noexcept { return peer_.address; }

  // Without any report: the owner ends.
  void abandon() {
    owner_ = nullptr;
    close();
  }

 private:
  void fail_later(const char* why) {
    asio::post(socket_.get_executor(), [self = shared_from_this(), why] {
      if (self->owner_) self->finish(why);
    });
  }

  void set_deadline(std::uint64_t in_ns) {
    deadline_.expires_after(std::chrono::nanoseconds(in_ns));
    deadline_.async_wait([self = shared_from_this()](const asio::error_code& error) {
      if (error || !self->owner_) return;
      ++self->owner_->stats_.timed_out;
      self->finish("timed out");
    });
  }

  void read() {
    socket_.async_read_some(asio::buffer(in_), [self = shared_from_this()](
                                                   const asio::error_code& error, std::size_t n) {
      if (!self->owner_) return;
      if (error == asio::error::eof) return self->finish(std::string(kNoAnswer));
      if (error) return self->finish(error.message());
      self->got(ByteView(self->in_).first(n));
    });
  }

  void got(ByteView bytes) {
    owner_->stats_.bytes_in += bytes.size();
    decoder_->allow(allowance());
    const auto state = decoder_->feed(bytes);
    if (state == StreamDecoder::State::kBad) return refuse();
    if (state == StreamDecoder::State::kFull || !hold(decoder_->held_bytes())) return no_room();
    if (state == StreamDecoder::State::kMore) return read();
    owner_->stats_.skipped_members += decoder_->skipped_nodes();
    if (inbound()) return handle();
    auto* owner = owner_;
    auto self = shared_from_this();
    const auto id = request_.id;
    leave();
    owner->handlers_.on_reply(id, decoder_->message());
  }

  // What came is let go before the answer, which a slow peer may take its time to read.
  void handle() {
    auto message = owner_->handlers_.on_message(peer_, decoder_->message());
    if (!owner_) return;  // the handler stopped everything
    decoder_.reset();
    hold(0);
    answer(std::move(message));
  }

  std::size_t allowance() const noexcept {
    if (inbound()) return owner_->budget_.allowance(peer_.address, held_);
    const auto most = owner_->limits_.held_bytes;
    return held_ + (owner_->own_held_ < most ? most - owner_->own_held_ : 0);
  }
  // False: more than it may.
  bool hold(std::size_t now) noexcept {
    const auto before = std::exchange(held_, now);
    if (inbound()) return owner_->budget_.hold(peer_.address, before, now);
    owner_->own_held_ = owner_->own_held_ - before + now;
    return owner_->own_held_ <= owner_->limits_.held_bytes;
  }
  void no_room() {
    owner_->refuse(StreamRefusal::kMemory);
    finish("too much memory in use by connections");
  }

  // As the reference does, so that whoever has no key, or none of ours, is told.
  void refuse() {
    const auto reason = decoder_->reason();
    owner_->stats_.malformed.add(reason);
    if (inbound()) owner_->handlers_.on_refused(peer_, reason);
    const bool no_keys = !owner_->wire_.keyring;
    if (inbound() && reason == Malformed::kDecrypt && no_keys) {
      return answer_err("Remote state is encrypted and encryption is not configured");
    }
    if (inbound() && reason == Malformed::kPlain) {
      return answer_err("Encryption is configured but remote state is not encrypted");
    }
    finish(std::string(to_string(reason)));
  }

  void answer_err(std::string_view text) {
    Bytes message;
    encode(Err{text}, message);
    answer(std::move(message));
  }

  void answer(Bytes message) {
    if (message.empty()) return finish("");
    out_ = seal_stream(owner_->wire_, StreamRole::kAcceptor, CipherVersion::kPlain,
                       std::move(message));
    if (out_.empty()) return finish("encryption failed");
    if (!hold(out_.capacity())) return no_room();
    write();
  }

  void write() {
    asio::async_write(socket_, asio::buffer(out_),
                      [self = shared_from_this()](const asio::error_code& error, std::size_t n) {
                        if (!self->owner_) return;
                        self->owner_->stats_.bytes_out += n;
                        if (error) return self->finish(error.message());
                        self->out_ = {};
                        if (!self->inbound()) return self->read();
                        self->hold(0);
                        // What the peer still sends would reset the connection and so lose our
                        // answer.
                        asio::error_code ignored;
                        self->socket_.shutdown(tcp::socket::shutdown_send, ignored);
                        self->drain();
                      });
  }

  // Until the peer closes, or the deadline.
  void drain() {
    socket_.async_read_some(
        asio::buffer(in_), [self = shared_from_this()](const asio::error_code& error, std::size_t) {
          if (!self->owner_) return;
          error ? self->finish("") : self->drain();
        });
  }

  void finish(const std::string& why) {
    auto* owner = owner_;
    auto self = shared_from_this();
    if (!why.empty()) ++owner->stats_.failed;
    const auto id = request_.id;
    leave();
    if (!inbound()) owner->handlers_.on_failed(id, why);
  }

  void leave() {
    hold(0);
    auto* owner = std::exchange(owner_, nullptr);
    close();
    owner->ended(*this);
  }

  void close() {
    asio::error_code ignored;
    deadline_.cancel();
    socket_.close(ignored);
  }

  Streams* owner_;
  std::uint64_t id_;
  StreamRole role_;
  Endpoint peer_;
  tcp::socket socket_;
  asio::steady_timer deadline_;
  std::optional<StreamDecoder> decoder_;  // none once it has been answered
  StreamRequest request_;
  Bytes out_;
  std::size_t held_ = 0;
  std::array<std::uint8_t, 16384> in_;
};

Streams::Streams(asio::io_context& io, WireSettings& wire, StreamLimits limits, Handlers handlers)
    : io_(io),
      wire_(wire),
      limits_(limits),
      handlers_(std::move(handlers)),
      acceptor_(io),
      retry_(io),
      accept_rate_(limits.accepts_at_once, limits.accept_period_ns),
      budget_(limits_) {}

Streams::~Streams() {
  stop();
}

Status Streams::listen(const Endpoint& bind) {
  asio::error_code error;
  family_ = bind.address.family();
  const auto protocol = family_ == Family::kIpv4 ? tcp::v4() : tcp::v6();
  acceptor_.open(protocol, error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  // Of all addresses: those of IPv4 as well.
  if (!error && family_ == Family::kIpv6) {
    acceptor_.set_option(asio::ip::v6_only(!bind.address.is_unspecified()), error);
  }
  if (!error) acceptor_.bind({to_asio(bind.address, family_), bind.port}, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) return {};
  asio::error_code ignored;
  acceptor_.close(ignored);
  return fail(ErrorCode::kUnavailable,
              "cannot listen on TCP " + to_string(bind) + ": " + error.message());
}

Endpoint Streams::local() const {
  asio::error_code ignored;
  return from_asio(acceptor_.local_endpoint(ignored));
}

void Streams::start() {
  accept();
}

void Streams::stop() {
  alive_.reset();
  asio::error_code ignored;
  acceptor_.close(ignored);
  retry_.cancel();
  for (auto& [id, session] : sessions_)
    session->abandon();
  sessions_.clear();
}

void Streams::accept() {
  acceptor_.async_accept(
      [this, alive = std::weak_ptr(alive_)](const asio::error_code& error, tcp::socket socket) {
        if (alive.expired()) return;
        if (!error) {
          accepted(std::move(socket));
          return accept();
        }
        // Out of descriptors or memory: waiting connections stay in the kernel's queue meanwhile.
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this, alive](const asio::error_code& cancelled) {
          if (!cancelled && !alive.expired()) accept();
        });
      });
}

// What is refused is closed by going out of scope.
void Streams::accepted(tcp::socket socket) {
  asio::error_code gone;
  const auto peer = from_asio(socket.remote_endpoint(gone));
  if (gone) return;
  if (budget_.full()) return refuse(StreamRefusal::kConnections);
  if (budget_.full(peer.address)) return refuse(StreamRefusal::kSource);
  if (!accept_rate_.allow(monotonic_ns())) return refuse(StreamRefusal::kRate);
  ++stats_.accepted;
  budget_.opened(peer.address);
  const auto id = next_id_++;
  auto session =
      std::make_shared<Session>(*this, id, std::move(socket), StreamRole::kAcceptor, peer);
  sessions_.emplace(id, session);
  session->serve();
}

void Streams::open(StreamRequest request) {
  const auto stream = request.id;
  if (own_ >= limits_.outbound) {
    refuse(StreamRefusal::kOutbound);
    asio::post(io_, [this, stream, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) handlers_.on_failed(stream, "too many connections under way");
    });
    return;
  }
  ++own_;
  const auto id = next_id_++;
  auto session =
      std::make_shared<Session>(*this, id, tcp::socket(io_), StreamRole::kDialer, request.to);
  sessions_.emplace(id, session);
  session->dial(std::move(request));
}

void Streams::ended(const Session& session) {
  session.inbound() ? budget_.closed(session.source()) : static_cast<void>(--own_);
  sessions_.erase(session.id());
}

}  // namespace sluice::membership
