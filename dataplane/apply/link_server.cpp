#include "dataplane/apply/link_server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "sluice/base/bytes.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/rate_limit.hpp"

namespace sluice::dataplane {

namespace {

std::unexpected<Error> system_error(std::string what) {
  const auto code = errno == EACCES || errno == EPERM ? ErrorCode::kPermissionDenied
                    : errno == ENOENT                 ? ErrorCode::kNotFound
                                                      : ErrorCode::kInternal;
  return fail(code, fmt::format("{}: {}", what, std::strerror(errno)));
}

// Held for as long as the process lives, so a lock that can be taken proves that nobody else uses
// the directory, whatever files a killed process left there.
Result<UniqueFd> take_lock(const std::string& path) {
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock) return system_error(path);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 16> text{};
    const auto got = ::pread(lock.get(), text.data(), text.size() - 1, 0);
    const std::string pid = got > 0 ? std::string(text.data()) : std::string("unknown");
    return fail(ErrorCode::kAlreadyExists,
                fmt::format("another dataplane (pid {}) uses {}; stop it or give this one its own "
                            "run directory",
                            pid.substr(0, pid.find('\n')), path.substr(0, path.rfind('/'))));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock.get(), 0) != 0 ||
      ::pwrite(lock.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
    return system_error(path);
  return lock;
}

Result<UniqueFd> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: longer than a socket path may be ({} bytes)", path,
                            sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.data(), path.size());
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0) {
    // We have the lock, so a socket there is a dead one's. Anything else is not ours to remove.
    if (!S_ISSOCK(info.st_mode))
      return fail(ErrorCode::kAlreadyExists, fmt::format("{}: is there and is no socket", path));
    if (::unlink(path.c_str()) != 0) return system_error(path);
  }
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return system_error("socket");
  // The mode from the first moment on.
  const mode_t old_mask = ::umask(0177);
  const int bound =
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(old_mask);
  if (bound != 0 || ::listen(socket.get(), 4) != 0) return system_error(path);
  return socket;
}

struct Descriptors {
  UniqueFd memory;
  UniqueFd status;
  UniqueFd wake_us;
  UniqueFd wake_peer;
};

bool send_welcome(int socket, const link::Welcome& welcome, std::span<const int> fds) {
  link::Welcome copy = welcome;
  iovec part{&copy, sizeof copy};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * 4)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* at = CMSG_FIRSTHDR(&message);
    at->cmsg_level = SOL_SOCKET;
    at->cmsg_type = SCM_RIGHTS;
    at->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(at), fds.data(), fds.size_bytes());
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof copy;
}

// As recvmsg(). All descriptors that came with the packet are in `handed`; with more of them than
// this program ever expects the kernel has dropped the rest, and there is more than one.
ssize_t receive_with_descriptors(int socket, link::BaseOffer& packet,
                                 std::vector<UniqueFd>& handed) {
  constexpr std::size_t kMost = 4;
  iovec part{&packet, sizeof packet};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMost)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | MSG_TRUNC);
  if (got < 0) return got;
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i)
      handed.emplace_back(load<int>(CMSG_DATA(at) + i * sizeof(int)));
  }
  return got;
}

}  // namespace

struct LinkServer::Impl {
  StatusMemory& status;
  std::string socket_path;
  UniqueFd lock;
  UniqueFd listener;
  UniqueFd epoll;
  UniqueFd greeting;  // accepted, Hello not received
  std::uint32_t greeting_pid = 0;
  UniqueFd peer;
  std::uint32_t pid = 0;
  Descriptors fds;
  Offer offer;
  link::Region* region = nullptr;
  std::uint64_t connections = 0;
  RateLimit refusal_lines{8, kNsPerSecond};  // who connects may do so as often as it likes

  explicit Impl(StatusMemory& s) : status(s) {}
  ~Impl() {
    unmap();
    if (listener) ::unlink(socket_path.c_str());
  }

  void unmap() {
    if (region != nullptr) ::munmap(region, sizeof(link::Region));
    region = nullptr;
  }

  bool watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void drain_doorbell() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(fds.wake_us.get(), &count, sizeof count);
  }

  // After Hello the peer may offer base segments; any other packet is a breach. kDisconnected: it
  // is gone, or must go, and `why` says so.
  Change hear_peer(std::string& why) {
    link::BaseOffer said{};
    std::vector<UniqueFd> handed;
    const ssize_t got = receive_with_descriptors(peer.get(), said, handed);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Change::kNone;
    if (got == sizeof said && said.magic == link::kBaseOfferMagic && handed.size() == 1) {
      offer = Offer{.segment = said.segment, .file = std::move(handed.front())};
      return Change::kOffer;
    }
    why = got == 0 ? "closed" : got < 0 ? std::strerror(errno) : "unexpected data on the socket";
    return Change::kDisconnected;
  }

  // Closing our descriptor is not enough for the doorbell: the peer has another of the same file,
  // and as long as that lives epoll would go on telling of it.
  void close_peer() {
    if (fds.wake_us) ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fds.wake_us.get(), nullptr);
    unmap();
    fds = {};
    peer = {};
    offer = {};
    pid = 0;
  }

  template <class... Args>
  void log_refused(fmt::format_string<Args...> why, Args&&... args) {
    if (!refusal_lines.allow(monotonic_ns())) return;
    spdlog::warn("event=link_refused {} suppressed={}",
                 fmt::format(why, std::forward<Args>(args)...), refusal_lines.take_refused());
  }

  void refuse(int socket, link::WelcomeResult result) {
    const link::Welcome welcome{.magic = link::kRegionMagic,
                                .layout_version = link::kLayoutVersion,
                                .result = result,
                                .other_pid = pid,
                                .reserved = 0};
    send_welcome(socket, welcome, {});
  }

  void accept_one() {
    UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    ucred credentials{};
    socklen_t length = sizeof credentials;
    const bool known = ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0;
    if (!known || (credentials.uid != 0 && credentials.uid != ::geteuid())) {
      log_refused(R"(reason="user {} may not connect" pid={})", credentials.uid, credentials.pid);
      return;
    }
    if (peer) {
      log_refused("reason=busy pid={} connected_pid={}", credentials.pid, pid);
      return refuse(fd.get(), link::WelcomeResult::kBusy);
    }
    // The last to come is heard; one that said nothing so far gives way.
    greeting = std::move(fd);
    greeting_pid = static_cast<std::uint32_t>(credentials.pid);
    watch(greeting.get());
  }

  bool take_hello(std::uint8_t last_epoch) {
    link::Hello hello{};
    const ssize_t got = ::recv(greeting.get(), &hello, sizeof hello, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    UniqueFd socket = std::exchange(greeting, UniqueFd{});
    if (got == 0) return false;
    if (got != sizeof hello || hello.magic != link::kRegionMagic) {
      log_refused(R"(reason="bad hello" bytes={} pid={})", got, greeting_pid);
      refuse(socket.get(), link::WelcomeResult::kBadHello);
      return false;
    }
    if (hello.layout_version != link::kLayoutVersion ||
        hello.region_bytes != sizeof(link::Region) ||
        hello.status_bytes != sizeof(link::StatusSegment)) {
      log_refused(R"(reason="link version {}, here {}" pid={})", hello.layout_version,
                  link::kLayoutVersion, greeting_pid);
      refuse(socket.get(), link::WelcomeResult::kWrongVersion);
      return false;
    }
    return welcome(std::move(socket), greeting_pid, last_epoch);
  }

  bool make_region(Descriptors& made, std::uint8_t last_epoch) {
    made.memory = UniqueFd(::memfd_create("sluice-region", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    made.wake_us = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    made.wake_peer = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    auto readable = status.open_read_only();
    if (readable) made.status = UniqueFd(*readable);
    if (!made.memory || !made.wake_us || !made.wake_peer || !made.status) return false;
    constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    if (::ftruncate(made.memory.get(), sizeof(link::Region)) != 0 ||
        ::fcntl(made.memory.get(), F_ADD_SEALS, kSeals) != 0)
      return false;
    void* at = ::mmap(nullptr, sizeof(link::Region), PROT_READ | PROT_WRITE, MAP_SHARED,
                      made.memory.get(), 0);
    if (at == MAP_FAILED) return false;
    region = static_cast<link::Region*>(at);
    region->magic = link::kRegionMagic;
    region->layout_version = link::kLayoutVersion;
    region->bytes = sizeof(link::Region);
    region->dataplane_instance = status.segment().instance;
    region->connection = ++connections;
    region->last_epoch = last_epoch;
    region->dataplane_heartbeat_ns = region->controlplane_heartbeat_ns = monotonic_ns();
    return true;
  }

  bool welcome(UniqueFd socket, std::uint32_t peer_pid, std::uint8_t last_epoch) {
    Descriptors made;
    if (!make_region(made, last_epoch)) {
      spdlog::error("event=link_refused reason=\"no memory: {}\"", std::strerror(errno));
      refuse(socket.get(), link::WelcomeResult::kNoMemory);
      unmap();
      return false;
    }
    const std::array<int, 4> handed{made.memory.get(), made.status.get(), made.wake_us.get(),
                                    made.wake_peer.get()};
    const link::Welcome accepted{.magic = link::kRegionMagic,
                                 .layout_version = link::kLayoutVersion,
                                 .result = link::WelcomeResult::kAccepted,
                                 .other_pid = 0,
                                 .reserved = 0};
    if (!send_welcome(socket.get(), accepted, handed) || !watch(made.wake_us.get())) {
      unmap();
      return false;
    }
    peer = std::move(socket);  // is in the epoll set since it was accepted
    pid = peer_pid;
    fds = std::move(made);
    spdlog::info("event=link_connected pid={} connection={}", pid, connections);
    return true;
  }
};

LinkServer::LinkServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LinkServer::~LinkServer() = default;

Result<std::unique_ptr<LinkServer>> LinkServer::create(const std::string& run_dir,
                                                       StatusMemory& status) {
  auto impl = std::make_unique<Impl>(status);
  auto lock = take_lock(run_dir + "/dataplane.lock");
  if (!lock) return std::unexpected(std::move(lock.error()));
  impl->lock = std::move(*lock);
  impl->socket_path = run_dir + "/dataplane.sock";
  auto listener = listen_at(impl->socket_path);
  if (!listener) return std::unexpected(std::move(listener.error()));
  impl->listener = std::move(*listener);
  impl->epoll = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  if (!impl->epoll || !impl->watch(impl->listener.get())) return system_error("epoll");
  return std::unique_ptr<LinkServer>(new LinkServer(std::move(impl)));
}

int LinkServer::fd() const noexcept {
  return impl_->epoll.get();
}

Status LinkServer::watch(int descriptor) {
  if (!impl_->watch(descriptor)) return system_error("watching a descriptor");
  return {};
}

LinkServer::Change LinkServer::poll(std::uint8_t last_epoch) {
  Impl& s = *impl_;
  std::array<epoll_event, 8> ready;
  const int n = ::epoll_wait(s.epoll.get(), ready.data(), static_cast<int>(ready.size()), 0);
  for (const epoll_event& event :
       std::span(ready).first(static_cast<std::size_t>(std::max(n, 0)))) {
    const int fd = event.data.fd;
    if (s.peer && fd == s.fds.wake_us.get()) s.drain_doorbell();
    if (s.peer && fd == s.peer.get()) {
      std::string why;
      const Change change = s.hear_peer(why);
      if (change == Change::kNone) continue;
      if (change == Change::kOffer) return change;
      spdlog::warn("event=link_closed pid={} reason=\"{}\"", s.pid, why);
      s.close_peer();
      return Change::kDisconnected;
    }
    if (s.greeting && fd == s.greeting.get() && s.take_hello(last_epoch)) return Change::kConnected;
    if (fd == s.listener.get()) s.accept_one();
  }
  return Change::kNone;
}

LinkServer::Offer LinkServer::take_offer() {
  return std::exchange(impl_->offer, Offer{});
}

link::Region* LinkServer::region() noexcept {
  return impl_->region;
}
std::uint32_t LinkServer::peer_pid() const noexcept {
  return impl_->pid;
}

void LinkServer::wake_peer() noexcept {
  const std::uint64_t one = 1;
  // It can only fail when the count is full, and then the peer is awake.
  [[maybe_unused]] const auto written = ::write(impl_->fds.wake_peer.get(), &one, sizeof one);
}

void LinkServer::disconnect(std::string_view why) {
  if (!impl_->peer) return;
  spdlog::error("event=link_disconnected pid={} reason=\"{}\"", impl_->pid, why);
  impl_->close_peer();
}

}  // namespace sluice::dataplane
