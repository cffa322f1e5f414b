// A library to preload (LD_PRELOAD) into a program whose clock on the wall shall be another one:
// CLOCK_REALTIME is shifted by the seconds that the file named in SLUICE_CLOCK_SHIFT says, now
// before now, so that a test sets the clock of a running process. Any thread.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace {

long shift_s() noexcept {
  static const char* const path = std::getenv("SLUICE_CLOCK_SHIFT");
  if (path == nullptr) return 0;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[32] = {};
  const auto got = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  return got > 0 ? std::strtol(text, nullptr, 10) : 0;
}

bool on_the_wall(clockid_t clock) noexcept {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
  if (result == 0 && on_the_wall(clock)) now->tv_sec += shift_s();
  return result;
}

int gettimeofday(timeval* now, void*) noexcept {
  timespec precise{};
  clock_gettime(CLOCK_REALTIME, &precise);
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec precise{};
  clock_gettime(CLOCK_REALTIME, &precise);
  if (out != nullptr) *out = precise.tv_sec;
  return precise.tv_sec;
}

}  // extern "C"
