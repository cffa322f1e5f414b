// Random bytes from the kernel, for keys, seeds and instance ids that nobody shall guess. Set-up
// code of any thread; a system call each time.
#pragma once

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace sluice {

// getrandom(2) does not fail for so few bytes: it waits while the system starts, which a signal may
// interrupt. Without it (a sandbox that forbids it) no key is safe: the process ends.
template <std::size_t kBytes>
std::array<std::uint8_t, kBytes> random_bytes() noexcept {
  static_assert(kBytes <= 256);
  std::array<std::uint8_t, kBytes> bytes;
  while (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    if (errno != EINTR) std::abort();
  }
  return bytes;
}

}  // namespace sluice
