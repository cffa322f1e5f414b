// One writer against readers. What a reader gets for an id is always an action that belongs to that
// id; for ids that are never touched it is always there.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "dataplane/table/route_table.hpp"
#include "tests/support/eal.hpp"
#include "tests/unit/dataplane/table/ids.hpp"

namespace sluice::dataplane {
namespace {

using testing::id_of;

constexpr std::size_t kCapacity = 7800;  // of 8192 places: cuckoo moves all the time
constexpr std::uint64_t kStable = 4000;
constexpr unsigned kBurst = 32;

// Every action of an id says whose it is; `version` is free.
Action action_of(std::uint64_t number, std::uint16_t version, std::uint8_t epoch = 1) {
  return {ActionKind::kAdjacency, static_cast<std::uint32_t>(number & 0xfffff), version,
          static_cast<std::uint16_t>(version ^ 0x5a5a), epoch};
}

bool belongs_to(Action action, std::uint64_t number) {
  return action.kind() == ActionKind::kAdjacency && action.index() == (number & 0xfffff) &&
         action.tenant() == (action.udp_port() ^ 0x5a5a);
}

class Reader {
 public:
  Reader(unsigned index, Readers& readers, const std::atomic<const RouteTable*>& table)
      : thread_([this, index, &readers, &table] { run(index, readers, table); }) {}
  ~Reader() { stop(); }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::atomic<std::uint64_t> bursts{0};
  std::atomic<std::uint64_t> missing{0};
  std::atomic<std::uint64_t> wrong{0};

 private:
  void run(unsigned index, Readers& readers, const std::atomic<const RouteTable*>& table) {
    readers.add(index);
    readers.online(index);
    std::uint64_t seed = index * 1000 + 1;
    while (!stop_.load(std::memory_order_relaxed)) {
      const RouteTable* routes = table.load(std::memory_order_acquire);
      std::array<std::uint64_t, kBurst> numbers{};
      std::array<Id, kBurst> ids;
      std::array<Action, kBurst> actions;
      for (unsigned i = 0; i < kBurst; ++i) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        numbers[i] = (seed >> 33) % (2 * kCapacity);
        ids[i] = id_of(numbers[i]);
      }
      routes->lookup_burst(ids.data(), kBurst, actions.data());
      for (unsigned i = 0; i < kBurst; ++i) {
        if (actions[i].kind() == ActionKind::kNone) {
          missing += numbers[i] < kStable ? 1 : 0;
        } else if (!belongs_to(actions[i], numbers[i])) {
          ++wrong;
        }
      }
      ++bursts;
      readers.quiescent(index);
      if (bursts % 64 == 0) std::this_thread::yield();  // the writer may need this CPU
    }
    readers.offline(index);
    readers.remove(index);
  }

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class RouteTableConcurrency : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBurstsEach = 3000;
  static void SetUpTestSuite() { testing::start_eal(); }

  void SetUp() override {
    table_ = std::move(*RouteTable::create(kCapacity, HashKey{{1}}, readers_, -1));
    for (std::uint64_t i = 0; i < kStable; ++i)
      ASSERT_EQ(table_->set(id_of(i), action_of(i, 0)).outcome, RouteOutcome::kInserted);
    published_ = table_.get();
  }
  void start() {
    for (unsigned index = 0; index < 2; ++index)
      running_.push_back(std::make_unique<Reader>(index, readers_, published_));
  }
  bool enough() const {
    for (const auto& reader : running_)
      if (reader->bursts < kBurstsEach) return false;
    return true;
  }
  void check() {
    for (const auto& reader : running_) {
      reader->stop();
      EXPECT_EQ(reader->missing, 0U);
      EXPECT_EQ(reader->wrong, 0U);
    }
  }

  Readers readers_;
  std::unique_ptr<RouteTable> table_;
  std::atomic<const RouteTable*> published_{nullptr};
  std::vector<std::unique_ptr<Reader>> running_;
};

TEST_F(RouteTableConcurrency, ChurnIsNeverSeenByOthers) {
  start();
  std::uint64_t oldest = kStable;
  std::uint64_t next = kStable;
  std::uint16_t version = 0;
  while (next - kStable < 30'000 || !enough()) {
    // Other ids come and go up to the brim, stable ones are overwritten.
    const std::uint64_t number = kStable + next++ % (2 * kCapacity - kStable);
    table_->set(id_of(number), action_of(number, ++version));
    if (table_->size() == kCapacity) {
      const std::uint64_t gone = kStable + oldest++ % (2 * kCapacity - kStable);
      table_->erase(id_of(gone));
    }
    table_->set(id_of(next % kStable), action_of(next % kStable, version));
    table_->reclaim(4);
  }
  check();
}

TEST_F(RouteTableConcurrency, RehashUnderReaders) {
  start();
  std::vector<std::unique_ptr<RouteTable>> old;
  for (std::uint8_t round = 2; round < 20 || !enough(); ++round) {
    auto next = table_->rehashed(HashKey{{round}});
    ASSERT_TRUE(next) << next.error().message();
    published_.store(next->get(), std::memory_order_release);
    readers_.synchronize();
    table_ = std::move(*next);  // frees the old one: nobody looks any more
  }
  check();
}

TEST_F(RouteTableConcurrency, SweepUnderReaders) {
  for (std::uint64_t i = kStable; i < kCapacity; ++i)
    table_->set(id_of(i), action_of(i, 1, 9));
  start();
  for (std::uint8_t round = 0; round < 5 || !enough(); ++round) {
    while (!table_->sweep(1, 50, [](const Id&, Action) {}))
      table_->reclaim(50);
    EXPECT_EQ(table_->size(), kStable);
    for (std::uint64_t i = kStable; i < kCapacity; ++i)
      ASSERT_EQ(table_->set(id_of(i), action_of(i, round, 9)).outcome, RouteOutcome::kInserted);
  }
  check();
}

}  // namespace
}  // namespace sluice::dataplane
