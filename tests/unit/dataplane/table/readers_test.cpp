#include "dataplane/table/readers.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace sluice::dataplane {
namespace {

TEST(Readers, TokenPassesAtOnceWithoutReaders) {
  Readers readers;
  EXPECT_TRUE(readers.passed(readers.start()));
  readers.synchronize();
}

TEST(Readers, TokenWaitsForEveryReaderThatIsOnline) {
  Readers readers;
  for (const unsigned index : {0U, 5U, Readers::kMax - 1}) {
    readers.add(index);
    readers.online(index);
  }
  const auto token = readers.start();
  EXPECT_FALSE(readers.passed(token));
  readers.quiescent(0);
  readers.quiescent(5);
  EXPECT_FALSE(readers.passed(token));
  readers.quiescent(Readers::kMax - 1);
  EXPECT_TRUE(readers.passed(token));
}

TEST(Readers, QuiescenceBeforeTheTokenDoesNotCount) {
  Readers readers;
  readers.add(1);
  readers.online(1);
  readers.quiescent(1);
  EXPECT_FALSE(readers.passed(readers.start()));
}

TEST(Readers, OfflineAndRemovedReadersAreNotWaitedFor) {
  Readers readers;
  readers.add(1);
  readers.add(2);
  readers.online(1);
  readers.online(2);
  const auto token = readers.start();
  readers.offline(1);
  EXPECT_FALSE(readers.passed(token));
  readers.offline(2);
  readers.remove(2);
  EXPECT_TRUE(readers.passed(token));
  readers.online(1);  // back after the token: cannot hold what was unlinked before
  EXPECT_TRUE(readers.passed(token));
}

TEST(Readers, SynchronizeReturnsAfterTheReadersBurst) {
  Readers readers;
  std::atomic<bool> stop{false};
  std::atomic<bool> started{false};
  std::atomic<const int*> shared{new int(7)};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    readers.add(3);
    readers.online(3);
    started = true;
    while (!stop.load(std::memory_order_relaxed)) {
      const int* value = shared.load(std::memory_order_acquire);
      if (*value != 7) ++wrong;
      readers.quiescent(3);
      std::this_thread::yield();  // the writer may need this CPU
    }
    readers.offline(3);
    readers.remove(3);
  });
  while (!started)
    std::this_thread::yield();
  for (int i = 0; i < 200; ++i) {
    const int* old = shared.exchange(new int(7), std::memory_order_acq_rel);
    readers.synchronize();
    delete old;  // ASan and TSan see a reader that still looks
  }
  stop = true;
  reader.join();
  delete shared.load();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace sluice::dataplane
