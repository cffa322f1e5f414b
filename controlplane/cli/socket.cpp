// Why a control plane cannot be reached, found out before gRPC would only say "unavailable".
#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "controlplane/cli/client.hpp"

namespace sluice::cli {
namespace {

std::string group_name(gid_t gid) {
  std::array<char, 4096> buffer;
  group entry{};
  group* found = nullptr;
  ::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? std::string(found->gr_name) : std::to_string(gid);
}

std::string how_to_get_permission(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0 || (about.st_mode & S_IWGRP) == 0 || about.st_gid == 0) {
    return "run it as root, or set api.group in the configuration to a group of yours";
  }
  const std::string group = group_name(about.st_gid);
  return fmt::format(
      "run it as root or as a member of group '{0}' ('sudo usermod -aG {0} $USER', "
      "then log in again)",
      group);
}

Error explain(int number, const std::string& path) {
  const std::string start = "cannot reach the control plane at " + path + ": ";
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return {ErrorCode::kUnavailable,
              start +
                  "it is not running, or runs with another run-dir; start it with 'systemctl "
                  "start sluice-controlplane'",
              ErrorOrigin::kPeer, true};
    case EACCES:
    case EPERM:
      return {ErrorCode::kPermissionDenied, start + "no permission; " + how_to_get_permission(path),
              ErrorOrigin::kPeer};
    case EPROTOTYPE:
    case ENOTSOCK:
      return {ErrorCode::kUnavailable,
              start + "that is no socket of a control plane; is it the dataplane's?",
              ErrorOrigin::kPeer};
    case EAGAIN:
      return {ErrorCode::kUnavailable, start + "it is running, but accepts no connections now",
              ErrorOrigin::kPeer, true};
    default:
      return {ErrorCode::kUnavailable, start + std::strerror(number), ErrorOrigin::kPeer};
  }
}

}  // namespace

Status check_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("the path of a unix socket has 1 to {} bytes: '{}'",
                            sizeof address.sun_path - 1, path));
  }
  path.copy(address.sun_path, path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::unexpected(explain(errno, path));
  const bool ok = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  const int number = errno;
  ::close(fd);
  return ok ? Status{} : std::unexpected(explain(number, path));
}

}  // namespace sluice::cli
