// Reclamation: nothing is freed under a reader, everything after it.
#include "controlplane/store/epoch.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace sluice::controlplane::store {
namespace {

struct Held {
  explicit Held(const EpochDomain& domain) : guard(domain.enter()) {}
  EpochDomain::Guard guard;
};

TEST(Epoch, FreesWhenTheReadersOfThatTimeAreGone) {
  EpochDomain domain;
  auto object = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = object;
  auto early = std::make_unique<Held>(domain);
  domain.retire(std::move(object));
  EXPECT_TRUE(domain.collect().empty());
  EXPECT_EQ(domain.waiting(), 1U);
  EXPECT_FALSE(watch.expired());
  const auto late = domain.enter();  // began after: does not hold it back
  early.reset();
  EXPECT_EQ(domain.collect().size(), 1U);
  EXPECT_EQ(domain.waiting(), 0U);
  EXPECT_TRUE(watch.expired());
}

TEST(Epoch, CountersAreKeptWhenReadersCome) {
  EpochDomain domain;
  for (int i = 0; i < 10; ++i) {
    const auto guard = domain.enter();
    EpochDomain::Counters::add(guard.counters().lookups, 3);
  }
  EXPECT_EQ(domain.totals().lookups, 30U);
}

TEST(Epoch, ReadersNeverSeeAFreedObject) {
  struct Object {
    explicit Object(int n) : a(n), b(n) {}
    ~Object() { a = -1; }
    int a;
    int b;
  };
  EpochDomain domain;
  auto owner = std::make_shared<Object>(0);
  std::atomic<const Object*> current{owner.get()};
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&] {
      while (!done.load(std::memory_order_relaxed)) {
        const auto guard = domain.enter();
        const Object* const object = current.load(std::memory_order_seq_cst);
        ASSERT_EQ(object->a, object->b);
      }
    });
  }
  for (int n = 1; n < 20'000; ++n) {
    auto next = std::make_shared<Object>(n);
    current.store(next.get(), std::memory_order_seq_cst);
    domain.retire(std::exchange(owner, std::move(next)));
    domain.collect().clear();
  }
  done.store(true);
  for (std::thread& reader : readers)
    reader.join();
  domain.collect().clear();
  EXPECT_EQ(domain.waiting(), 0U);
}

}  // namespace
}  // namespace sluice::controlplane::store
