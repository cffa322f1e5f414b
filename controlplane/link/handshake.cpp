#include "controlplane/link/handshake.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace sluice::controlplane {

template <class T>
Mapping<T>::~Mapping() {
  if (at_ != nullptr) ::munmap(const_cast<std::remove_const_t<T>*>(at_), sizeof(T));
}
template class Mapping<link::Region>;
template class Mapping<const link::StatusSegment>;

namespace {

constexpr std::size_t kDescriptors = 4;

std::unexpected<Error> peer_error(ErrorCode code, std::string message, bool retryable = true) {
  return fail(code, std::move(message), ErrorOrigin::kDataplane, retryable);
}

std::string errno_text() {
  return std::strerror(errno);
}

// The size is fixed by seals, or a peer could shrink the file under our mapping (SIGBUS).
template <class T>
Result<Mapping<T>> map_sealed(int fd, int protection, const char* what) {
  struct stat info{};
  if (::fstat(fd, &info) != 0 || static_cast<std::size_t>(info.st_size) != sizeof(T))
    return peer_error(ErrorCode::kCorrupt, fmt::format("{}: wrong size", what));
  const int seals = ::fcntl(fd, F_GET_SEALS);
  constexpr int kNeeded = F_SEAL_SHRINK | F_SEAL_GROW;
  if (seals < 0 || (seals & kNeeded) != kNeeded)
    return peer_error(ErrorCode::kCorrupt, fmt::format("{}: its size is not sealed", what));
  void* at = ::mmap(nullptr, sizeof(T), protection, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED)
    return fail(ErrorCode::kExhausted, fmt::format("mapping the {}: {}", what, errno_text()),
                ErrorOrigin::kLocal, true);
  return Mapping<T>(static_cast<T*>(at));
}

std::unexpected<Error> refusal(const link::Welcome& welcome) {
  switch (welcome.result) {
    case link::WelcomeResult::kWrongVersion:
      return peer_error(ErrorCode::kUnsupported,
                        fmt::format("the dataplane speaks link version {}, this control plane {}; "
                                    "install both from the same build",
                                    welcome.layout_version, link::kLayoutVersion));
    case link::WelcomeResult::kBusy:
      return peer_error(ErrorCode::kUnavailable,
                        fmt::format("another control plane (pid {}) is connected to the dataplane",
                                    welcome.other_pid));
    case link::WelcomeResult::kBadHello:
      return peer_error(ErrorCode::kUnsupported, "the dataplane did not understand our Hello");
    case link::WelcomeResult::kNoMemory:
      return peer_error(ErrorCode::kExhausted, "the dataplane has no memory for a connection");
    case link::WelcomeResult::kAccepted:
      break;
  }
  return peer_error(ErrorCode::kCorrupt, "the dataplane answered with an unknown result");
}

struct Answer {
  link::Welcome welcome{};
  std::array<UniqueFd, kDescriptors> fds;
  std::size_t fd_count = 0;
};

Result<Answer> receive(int socket) {
  Answer answer;
  iovec part{&answer.welcome, sizeof answer.welcome};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kDescriptors)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0)
    return peer_error(ErrorCode::kUnavailable, "reading the dataplane's answer: " + errno_text());
  if (got == 0) return peer_error(ErrorCode::kUnavailable, "the dataplane closed the connection");
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      UniqueFd fd(load<int>(CMSG_DATA(at) + i * sizeof(int)));
      if (answer.fd_count < kDescriptors) answer.fds[answer.fd_count++] = std::move(fd);
    }
  }
  if (got != sizeof answer.welcome || answer.welcome.magic != link::kRegionMagic)
    return peer_error(ErrorCode::kCorrupt, "the answer on the socket is not a dataplane's");
  return answer;
}

}  // namespace

Result<UniqueFd> connect_and_greet(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path)
    return fail(ErrorCode::kInvalidArgument, "socket path is too long: " + socket_path);
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket)
    return fail(ErrorCode::kExhausted, "making a socket: " + errno_text(), ErrorOrigin::kLocal,
                true);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED)
      return peer_error(ErrorCode::kUnavailable, "no dataplane is running at " + socket_path);
    if (errno == EACCES || errno == EPERM)
      return peer_error(ErrorCode::kPermissionDenied, "no permission to connect to " + socket_path);
    return peer_error(ErrorCode::kUnavailable, socket_path + ": " + errno_text());
  }
  const link::Hello hello{.magic = link::kRegionMagic,
                          .layout_version = link::kLayoutVersion,
                          .pid = static_cast<std::uint32_t>(::getpid()),
                          .region_bytes = sizeof(link::Region),
                          .status_bytes = sizeof(link::StatusSegment)};
  if (::send(socket.get(), &hello, sizeof hello, MSG_NOSIGNAL) != sizeof hello)
    return peer_error(ErrorCode::kUnavailable, "greeting the dataplane: " + errno_text());
  return socket;
}

Result<Connected> take_welcome(int socket) {
  auto answer = receive(socket);
  if (!answer) return std::unexpected(answer.error());
  if (answer->welcome.result != link::WelcomeResult::kAccepted) return refusal(answer->welcome);
  if (answer->welcome.layout_version != link::kLayoutVersion || answer->fd_count != kDescriptors)
    return peer_error(ErrorCode::kCorrupt, "the dataplane's answer is incomplete");
  auto region = map_sealed<link::Region>(answer->fds[0].get(), PROT_READ | PROT_WRITE, "region");
  if (!region) return std::unexpected(region.error());
  auto status =
      map_sealed<const link::StatusSegment>(answer->fds[1].get(), PROT_READ, "status segment");
  if (!status) return std::unexpected(status.error());
  const auto& header = *region->get();
  const auto& facts = *status->get();
  if (header.magic != link::kRegionMagic || header.layout_version != link::kLayoutVersion ||
      header.bytes != sizeof(link::Region))
    return peer_error(ErrorCode::kCorrupt, "the region's header is wrong");
  if (facts.magic != link::kStatusMagic || facts.version != link::kStatusVersion ||
      facts.bytes != sizeof(link::StatusSegment))
    return peer_error(ErrorCode::kCorrupt, "the status segment's header is wrong");
  return Connected{.region = std::move(*region),
                   .status = std::move(*status),
                   .wake_dataplane = std::move(answer->fds[2]),
                   .woken = std::move(answer->fds[3])};
}

Status send_offer(int socket, const link::SegmentId& segment, int file) {
  link::BaseOffer offer{.magic = link::kBaseOfferMagic, .segment = segment};
  iovec part{&offer, sizeof offer};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* at = CMSG_FIRSTHDR(&message);
  at->cmsg_level = SOL_SOCKET;
  at->cmsg_type = SCM_RIGHTS;
  at->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(at), &file, sizeof file);
  if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof offer) return {};
  const auto code = errno == EAGAIN  ? ErrorCode::kExhausted
                    : errno == EBADF ? ErrorCode::kInvalidArgument
                                     : ErrorCode::kUnavailable;
  return peer_error(code, "offering a base segment to the dataplane: " + errno_text(),
                    code != ErrorCode::kInvalidArgument);
}

}  // namespace sluice::controlplane
