#include "dataplane/io/host_interface.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::dataplane {
namespace {

constexpr std::size_t kMaxPieces = 8;

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), std::min(name.size(), std::size_t{IFNAMSIZ - 1}));
  return request;
}

std::unexpected<Error> failed(const std::string& name, const char* what, std::string_view remedy) {
  return fail(errno == EPERM ? ErrorCode::kPermissionDenied : ErrorCode::kUnavailable,
              fmt::format("host interface {}: {}: {}{}{}", name, what, std::strerror(errno),
                          remedy.empty() ? "" : "; ", remedy));
}

// A socket for interface ioctls, closed on scope exit.
struct ControlSocket {
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ~ControlSocket() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

Result<HostInterface> HostInterface::open(const std::string& name, const MacAddress& mac,
                                          std::uint32_t mtu) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return failed(name, "/dev/net/tun", "modprobe tun, and run with CAP_NET_ADMIN");
  HostInterface interface(fd, name);
  if (auto ok = interface.attach(); !ok) return std::unexpected(ok.error());
  if (auto ok = interface.set_up(mac, mtu); !ok) return std::unexpected(ok.error());
  return interface;
}

HostInterface::HostInterface(HostInterface&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      name_(std::move(other.name_)),
      index_(std::exchange(other.index_, 0)) {}

HostInterface::~HostInterface() {
  if (fd_ >= 0) ::close(fd_);
}

Status HostInterface::attach() {
  auto request = request_for(name_);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd_, TUNSETIFF, &request) != 0) {
    if (errno == EBUSY)
      return failed(name_, "attaching",
                    "another process has it; stop that, or set "
                    "ports[].host-interface");
    if (errno == EINVAL)
      return failed(name_, "attaching",
                    "an interface of another kind has that name; set "
                    "ports[].host-interface");
    return failed(name_, "attaching", "");
  }
  if (::ioctl(fd_, TUNSETOFFLOAD, 0) != 0) return failed(name_, "switching offloads off", "");
  if (::ioctl(fd_, TUNSETPERSIST, 1) != 0) return failed(name_, "making it persistent", "");
  index_ = ::if_nametoindex(name_.c_str());
  return {};
}

// Only what differs is changed: a new MAC address makes the kernel forget its neighbours.
Status HostInterface::set_up(const MacAddress& mac, std::uint32_t mtu) {
  const ControlSocket control;
  if (control.fd < 0) return failed(name_, "socket", "");
  auto request = request_for(name_);
  if (::ioctl(control.fd, SIOCGIFHWADDR, &request) != 0) return failed(name_, "MAC address", "");
  if (std::memcmp(request.ifr_hwaddr.sa_data, mac.data(), mac.size()) != 0) {
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
    if (::ioctl(control.fd, SIOCSIFHWADDR, &request) != 0)
      return failed(name_, "setting the MAC address", "");
  }
  request = request_for(name_);
  request.ifr_mtu = static_cast<int>(mtu);
  if (::ioctl(control.fd, SIOCSIFMTU, &request) != 0) return failed(name_, "setting the MTU", "");
  request = request_for(name_);
  if (::ioctl(control.fd, SIOCGIFFLAGS, &request) != 0) return failed(name_, "flags", "");
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(control.fd, SIOCSIFFLAGS, &request) != 0) return failed(name_, "setting it up", "");
  return {};
}

std::size_t HostInterface::read(void* buffer, std::size_t bytes) noexcept {
  const auto got = ::read(fd_, buffer, bytes);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

bool HostInterface::write(std::span<const Piece> pieces) noexcept {
  std::array<iovec, kMaxPieces> vector;
  if (pieces.size() > vector.size()) return false;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    vector[i] = {const_cast<void*>(pieces[i].data), pieces[i].bytes};
  return ::writev(fd_, vector.data(), static_cast<int>(pieces.size())) > 0;
}

void HostInterface::remove() noexcept {
  if (fd_ >= 0) ::ioctl(fd_, TUNSETPERSIST, 0);
}

}  // namespace sluice::dataplane
