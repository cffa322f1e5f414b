// Orders of events that are rare and must not cost anything: what comes while a base is built or
// taken over, a table that is smaller than what may differ, agents that come and go.
#include <thread>

#include "base_fixture.hpp"

namespace sluice::controlplane {
namespace {

class BaseEventsTest : public BaseManagerTest {
 protected:
  // A snapshot and an adoption go over the routes in pieces, which are smaller.
  static constexpr unsigned kMoreThanAPiece = 40'000;

  void fill(unsigned from, unsigned to) {
    for (unsigned n = from; n < to; ++n)
      set(n, n % 17);
  }
  bool building() { return manager().info().state == BaseManagerInfo::State::kBuilding; }
  std::size_t files_being_made() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      if (entry.path().extension() == ".new") ++count;
    return count;
  }
  // A new process whose adoption of the base has seen the first piece of the routes.
  void adopt_one_piece() {
    manager().start([](const Id&) { return false; });
    wait_until([this] { return !posted_empty(); });
    ASSERT_TRUE(run_one());
    ASSERT_EQ(manager().info().state, BaseManagerInfo::State::kAdopting);
    ASSERT_TRUE(programmer().base().adopting());
  }
  // Without running anything meanwhile.
  template <class Condition>
  void wait_until(Condition&& condition) {
    const auto give_up = monotonic_ns() + 20 * kNsPerSecond;
    while (!condition()) {
      ASSERT_LT(monotonic_ns(), give_up);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  bool posted_empty() {
    const std::lock_guard lock(mutex_);
    return posted_.empty();
  }
  void adopt_the_rest() {
    run_until([this] { return manager().settled(); });
    ASSERT_TRUE(programmer().base().current());
  }
  void restart_dataplane() {
    disconnect();
    offers_.clear();
    dataplane_ = std::make_unique<FakeDataplane>(kKey);
  }
};

TEST_F(BaseEventsTest, AnAgentThatComesAndGoesTakesOnePlace) {
  start();
  fill(0, 500);
  settle();
  const auto turns = [this](unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      remove(7);
      pump();
      set(7, 3, 8);
      pump();
    }
  };
  turns(10);
  const auto before = programmer().route_memory_bytes();
  turns(2000);
  EXPECT_EQ(programmer().route_memory_bytes(), before);
  EXPECT_EQ(counts().deleted, 0u);
  remove(7);
  pump();
  EXPECT_EQ(counts().deleted, 1u);
  restart_dataplane();
  settle();
  expect_right(500);
}

TEST_F(BaseEventsTest, AnAgentThatCameDuringTheAdoptionDoesNotComeBack) {
  constexpr unsigned kLast = kMoreThanAPiece;
  start();
  fill(1, kLast);
  settle();
  kill();
  const Meaning late = wanted_[kLast - 1];
  wanted_.erase(kLast - 1);
  wanted_[0] = late;  // a place that no route of the base has
  boot();
  adopt_one_piece();
  remove(0);
  wanted_[kLast - 1] = late;
  program(kLast - 1, late);  // takes the place that was left
  adopt_the_rest();
  settle();
  expect_right(kLast);
  remove(kLast - 1);
  settle();
  expect_right(kLast);
  restart_dataplane();
  settle();
  expect_right(kLast);
}

TEST_F(BaseEventsTest, ADeletionDuringTheAdoptionDoesNotComeBackEither) {
  constexpr unsigned kLast = kMoreThanAPiece;
  start();
  fill(1, kLast);
  settle();
  kill();
  const Meaning late = wanted_[kLast - 1];
  wanted_.erase(kLast - 1);
  wanted_[0] = late;
  boot();
  adopt_one_piece();
  remove(0);
  program(kLast - 1, late);
  programmer().delete_route(id_of(kLast - 1));
  adopt_the_rest();
  restart_dataplane();
  settle();
  expect_right(kLast);
}

// A handle may become another neighbour's while the routes are compared.
TEST_F(BaseEventsTest, NeighboursThatChangeDuringTheAdoptionAreToldApart) {
  constexpr unsigned kLast = kMoreThanAPiece;
  start();
  fill(0, kLast);
  settle();
  kill();
  const unsigned moved = kLast - 1;
  const AdjacencyKey before = wanted_[moved].key;
  for (auto& [n, meaning] : wanted_)
    if (meaning.key == before) meaning.key = neighbour(18);
  boot();
  // There, but nobody's.
  ASSERT_TRUE(programmer().set_adjacency(
      before,
      {.source = before.destination.is_v4() ? *parse_ip("10.0.0.254") : *parse_ip("fd00::fe"),
       .state = AdjacencyState::kUp}));
  adopt_one_piece();
  programmer().delete_adjacency(before);
  set(moved, 19, wanted_[moved].udp_port);
  adopt_the_rest();
  settle();
  expect_right(kLast);
}

}  // namespace
}  // namespace sluice::controlplane
