// A connected, non-blocking UDP socket that sends and receives messages in batches with sendmmsg
// and recvmmsg. Owns its descriptor and its receive buffers. One thread at a time.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/result.hpp"
#include "sluice/wire/envelope.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::agent {

inline constexpr std::size_t kMaxBatch = 64;

// A message to be sent; the payload is read during the call only.
struct Outgoing {
  Envelope envelope;
  std::span<const std::byte> payload;
};

namespace detail {
inline Error socket_error(int number, std::string_view doing, const Endpoint& router) {
  const std::string where = std::string(doing) + " router " + to_string(router) + ": ";
  switch (number) {
    case ECONNREFUSED:
      return {ErrorCode::kUnavailable,
              where +
                  "nobody listens there; is sluice-dataplane running, is the port right, and "
                  "is this a host behind one of its ports, not the router's own?",
              ErrorOrigin::kPeer, true};
    case ENETUNREACH:
    case EHOSTUNREACH:
      return {ErrorCode::kUnavailable,
              where + "no route to it; check addresses with 'ip route get'", ErrorOrigin::kPeer,
              true};
    case EMSGSIZE:
      return {ErrorCode::kInvalidArgument, where + "message larger than the path MTU allows"};
    case EACCES:
    case EPERM:
      return {ErrorCode::kPermissionDenied, where + "refused by a local firewall or permission"};
    default:
      return {ErrorCode::kInternal, where + std::strerror(number)};
  }
}

inline socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& storage) noexcept {
  storage = {};
  if (endpoint.address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    v4.sin_port = host_to_network(endpoint.port);
    v4.sin_addr.s_addr = endpoint.address.v4_part().raw();
    return sizeof v4;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = host_to_network(endpoint.port);
  std::memcpy(&v6.sin6_addr, endpoint.address.bytes.data(), 16);
  return sizeof v6;
}
}  // namespace detail

class UdpSocket {
 public:
  // `local` may be unspecified with port 0: the kernel chooses. `max_message_bytes` bounds what is
  // received; longer datagrams are counted by truncated() and not delivered.
  static Result<UdpSocket> open(const Endpoint& router, const std::optional<Endpoint>& local,
                                std::size_t max_message_bytes) {
    UdpSocket s(router, max_message_bytes);
    const int domain = router.address.is_v4() ? AF_INET : AF_INET6;
    s.fd_ = ::socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s.fd_ < 0)
      return std::unexpected(detail::socket_error(errno, "opening a socket for", router));
    s.ask_for_large_buffers();
    sockaddr_storage address{};
    if (local) {
      if (local->address.is_v4() != router.address.is_v4()) {
        return fail(ErrorCode::kInvalidArgument, "local address and router " + to_string(router) +
                                                     " are of different address families");
      }
      const socklen_t size = detail::to_sockaddr(*local, address);
      if (::bind(s.fd_, reinterpret_cast<sockaddr*>(&address), size) != 0) {
        return fail(errno == EADDRINUSE ? ErrorCode::kAlreadyExists : ErrorCode::kInvalidArgument,
                    "binding to " + to_string(*local) + ": " + std::strerror(errno));
      }
    }
    const socklen_t size = detail::to_sockaddr(router, address);
    if (::connect(s.fd_, reinterpret_cast<sockaddr*>(&address), size) != 0) {
      return std::unexpected(detail::socket_error(errno, "connecting to", router));
    }
    return s;
  }

  UdpSocket(UdpSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        router_(other.router_),
        max_bytes_(other.max_bytes_),
        buffers_(std::move(other.buffers_)),
        truncated_(other.truncated_) {}
  UdpSocket& operator=(UdpSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(router_, other.router_);
    std::swap(max_bytes_, other.max_bytes_);
    std::swap(buffers_, other.buffers_);
    std::swap(truncated_, other.truncated_);
    return *this;
  }
  ~UdpSocket() {
    if (fd_ >= 0) ::close(fd_);
  }

  // Sends in order; returns how many of the messages the kernel took (fewer than given when its
  // queue is full: try the rest again). At most kMaxBatch per system call; any number may be given.
  Result<std::size_t> send(std::span<const Outgoing> messages) {
    std::size_t sent = 0;
    while (sent < messages.size()) {
      const auto batch = messages.subspan(sent, std::min(messages.size() - sent, kMaxBatch));
      const int n = send_batch(batch);
      if (n < 0) {
        if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) break;
        // An earlier datagram's ICMP error is reported here once; the messages themselves were not
        // tried.
        if (errno == ECONNREFUSED && sent > 0) break;
        return std::unexpected(detail::socket_error(errno, "sending to", router_));
      }
      sent += static_cast<std::size_t>(n);
      if (static_cast<std::size_t>(n) < batch.size()) break;
    }
    return sent;
  }

  // Receives what is there, at most kMaxBatch messages, into the socket's own buffers; the spans
  // are valid until the next call. Waits up to `timeout` for the first one. Empty: nothing came.
  Result<std::span<const std::span<const std::byte>>> receive(std::chrono::nanoseconds timeout) {
    if (timeout.count() > 0) {
      if (auto ready = wait(timeout); !ready) return std::unexpected(ready.error());
    }
    std::array<mmsghdr, kMaxBatch> headers{};
    std::array<iovec, kMaxBatch> vectors;
    for (std::size_t i = 0; i < kMaxBatch; ++i) {
      vectors[i] = {buffers_.get() + i * max_bytes_, max_bytes_};
      headers[i].msg_hdr.msg_iov = &vectors[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    const int n = ::recvmmsg(fd_, headers.data(), kMaxBatch, 0, nullptr);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      return std::unexpected(detail::socket_error(errno, "receiving from", router_));
    }
    std::size_t count = 0;
    for (int i = 0; i < n; ++i) {
      if ((headers[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        ++truncated_;
        continue;
      }
      received_[count++] = {buffers_.get() + static_cast<std::size_t>(i) * max_bytes_,
                            headers[i].msg_len};
    }
    return std::span<const std::span<const std::byte>>(received_.data(), count);
  }

  Result<Endpoint> local_endpoint() const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      return fail(ErrorCode::kInternal,
                  std::string("reading the local address: ") + strerror(errno));
    }
    if (address.ss_family == AF_INET) {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
      return Endpoint{IpAddress::v4(load<Big32>(&v4.sin_addr)), host_to_network(v4.sin_port)};
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return Endpoint{IpAddress::v6(load<std::array<std::uint8_t, 16>>(&v6.sin6_addr)),
                    host_to_network(v6.sin6_port)};
  }

  int fd() const noexcept { return fd_; }
  const Endpoint& router() const noexcept { return router_; }
  std::uint64_t truncated() const noexcept { return truncated_; }

 private:
  UdpSocket(const Endpoint& router, std::size_t max_bytes)
      : router_(router),
        max_bytes_(max_bytes),
        buffers_(std::make_unique<std::byte[]>(max_bytes * kMaxBatch)) {}

  void ask_for_large_buffers() noexcept {
    // Best effort: without CAP_NET_ADMIN the kernel's limits (net.core.rmem_max) win, and a smaller
    // buffer only loses earlier.
    const int bytes = 8 << 20;
    if (::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    if (::setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
  }

  int send_batch(std::span<const Outgoing> batch) noexcept {
    std::array<mmsghdr, kMaxBatch> headers{};
    std::array<iovec, 2 * kMaxBatch> vectors;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      vectors[2 * i] = {const_cast<Envelope*>(&batch[i].envelope), kEnvelopeBytes};
      vectors[2 * i + 1] = {const_cast<std::byte*>(batch[i].payload.data()),
                            batch[i].payload.size()};
      headers[i].msg_hdr.msg_iov = &vectors[2 * i];
      headers[i].msg_hdr.msg_iovlen = 2;
    }
    return ::sendmmsg(fd_, headers.data(), static_cast<unsigned>(batch.size()), 0);
  }

  Status wait(std::chrono::nanoseconds timeout) const {
    pollfd poll{fd_, POLLIN, 0};
    const timespec limit{static_cast<time_t>(timeout.count() / 1'000'000'000),
                         static_cast<long>(timeout.count() % 1'000'000'000)};
    if (::ppoll(&poll, 1, &limit, nullptr) < 0 && errno != EINTR) {
      return fail(ErrorCode::kInternal, std::string("waiting for messages: ") + strerror(errno));
    }
    return {};
  }

  int fd_ = -1;
  Endpoint router_;
  std::size_t max_bytes_;
  std::unique_ptr<std::byte[]> buffers_;
  std::array<std::span<const std::byte>, kMaxBatch> received_;
  std::uint64_t truncated_ = 0;
};

}  // namespace sluice::agent
