#include "dataplane/worker/waker.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <thread>

namespace sluice::dataplane {
namespace {

struct EventFd {
  int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  ~EventFd() { ::close(fd); }
  bool readable(int timeout_ms) const {
    pollfd event{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&event, 1, timeout_ms) == 1;
  }
};

TEST(Waker, NoSystemCallWhileTheOwnerIsAwake) {
  const EventFd event;
  Waker waker(event.fd);
  waker.wake();
  EXPECT_FALSE(event.readable(0));
}

TEST(Waker, WakesOncePerSleep) {
  const EventFd event;
  Waker waker(event.fd);
  waker.prepare();
  waker.wake();
  waker.wake();
  EXPECT_TRUE(event.readable(0));
  waker.finish();
  EXPECT_FALSE(event.readable(0));
  waker.wake();
  EXPECT_FALSE(event.readable(0));
}

// A producer and a sleeper: every item is seen, however the two meet.
TEST(Waker, NothingIsSleptOver) {
  const EventFd event;
  Waker waker(event.fd);
  std::atomic<unsigned> produced{0};
  constexpr unsigned kItems = 20'000;
  std::thread producer([&] {
    for (unsigned i = 0; i < kItems; ++i) {
      produced.fetch_add(1, std::memory_order_release);
      waker.wake();
    }
  });
  unsigned seen = 0;
  bool timed_out = false;
  while (seen < kItems && !timed_out) {
    if (const unsigned now = produced.load(std::memory_order_acquire); now != seen) {
      seen = now;
      continue;
    }
    waker.prepare();
    if (produced.load(std::memory_order_acquire) == seen) timed_out = !event.readable(5000);
    waker.finish();
  }
  producer.join();
  EXPECT_FALSE(timed_out);
  EXPECT_EQ(seen, kItems);
}

}  // namespace
}  // namespace sluice::dataplane
