#include "controlplane/store/file/lock_holder.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>

namespace sluice::controlplane::store {

long lock_holder(int fd) noexcept {
  std::array<char, 32> text{};
  const auto got = ::pread(fd, text.data(), text.size() - 1, 0);
  const long holder = got > 0 ? std::strtol(text.data(), nullptr, 10) : 0;
  if (holder <= 0) return 0;
  const bool gone = ::kill(static_cast<pid_t>(holder), 0) != 0 && errno == ESRCH;
  return gone ? 0 : holder;
}

void sign_lock(int fd) noexcept {
  std::array<char, 32> text{};
  char* const end = std::to_chars(text.begin(), text.end() - 1, ::getpid()).ptr;
  *end = '\n';
  if (::ftruncate(fd, 0) == 0) (void)!::pwrite(fd, text.data(), end + 1 - text.data(), 0);
}

}  // namespace sluice::controlplane::store
