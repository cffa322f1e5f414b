// Clusters in virtual time under everything that goes wrong in real ones. Invariants are checked
// every virtual second: nobody dead comes back without a higher incarnation, what the cores hold is
// what they told, queues and memory stay within bounds; and views agree within a stated time after
// the faults cease. SLUICE_SIM_SEED repeats or varies a run, SLUICE_SIM_NODES sets the size.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/simulation/simulation.hpp"

namespace sluice::simulation {
namespace {

using membership::Dead;
using membership::Suspect;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

class Scenario : public testing::Test {
 protected:
  Scenario() {
    config.nodes = std::max<std::uint64_t>(24, from_environment("SLUICE_SIM_NODES", 60));
    config.seed = from_environment("SLUICE_SIM_SEED", 1);
    RecordProperty("seed", static_cast<int>(config.seed));
  }
  void begin() { world = std::make_unique<Simulation>(config); }
  std::uint32_t n() const { return static_cast<std::uint32_t>(config.nodes); }

  // Seconds of virtual time with the invariants checked after each.
  void run(std::uint64_t seconds) {
    for (std::uint64_t s = 0; s < seconds && !HasFailure(); ++s) {
      world->run_for(1000);
      const std::string breach = world->check();
      ASSERT_EQ(breach, "") << "seed " << config.seed;
    }
  }
  // Gossip passes somebody by now and then (each message goes out a limited number of times); the
  // next push/pull of whoever missed it is the bound that the protocol promises.
  std::uint64_t anti_entropy_s() const {
    std::uint64_t scale = 1;
    for (std::uint64_t size = 32; size < n(); size *= 2)
      ++scale;
    return 30 * scale + 10;
  }
  void expect_converged(std::uint64_t within_s) {
    const auto took = world->run_until_converged(within_s * 1000);
    EXPECT_GE(took, 0) << world->truth().wrong() << " wrong pairs after " << within_s << " s, seed "
                       << config.seed;
    EXPECT_EQ(world->check(), "");
  }

  SimulationConfig config;
  std::unique_ptr<Simulation> world;
};

TEST_F(Scenario, AClusterFormsThroughOneSeed) {
  begin();
  for (std::uint32_t i = 0; i < n(); ++i)
    world->at(1 + 20 * i, [this, i] { world->start(i, {0}); });
  run(2);
  expect_converged(anti_entropy_s());
}

TEST_F(Scenario, JoinAllAtOnceThroughATree) {
  config.links.loss = 0.01;
  begin();
  for (std::uint32_t i = 0; i < n(); ++i)
    world->start(i,
                 i == 0 ? std::vector<std::uint32_t>{} : std::vector<std::uint32_t>{(i - 1) / 8});
  expect_converged(anti_entropy_s());
}

TEST_F(Scenario, QuietClustersStayQuiet) {
  config.links.loss = 0.01;
  begin();
  world->start_all_joined(n());
  run(120);
  EXPECT_EQ(world->truth().counts().false_views, 0u);
  EXPECT_EQ(world->truth().counts().false_leaves, 0u);
  EXPECT_EQ(world->truth().wrong(), 0u);
}

TEST_F(Scenario, DeathIsSeenByAll) {
  config.links = {.loss = 0.02, .duplicate = 0.02, .reorder = 0.05};
  begin();
  world->start_all_joined(n());
  run(10);
  for (std::uint32_t i = 3; i < 8; ++i)
    world->kill(i);
  expect_converged(20 + anti_entropy_s());
  EXPECT_EQ(world->truth().counts().false_views, 0u);
}

TEST_F(Scenario, LeaveIsSeenAsLeaveByAll) {
  begin();
  world->start_all_joined(n());
  run(10);
  world->leave(7);
  run(15);
  std::size_t left = 0;
  for (std::uint32_t i = 0; i < n(); ++i) {
    if (world->core(i) == nullptr) continue;
    const auto view = world->core(i)->view();
    const auto slot = view.members.find(Simulation::name_of(7));
    ASSERT_NE(slot, membership::MemberTable::kNone);
    left += view.members[slot].state == membership::MemberState::kLeft;
  }
  EXPECT_GE(left + 1, n() - 1) << "at most one that the news has passed by";
  expect_converged(anti_entropy_s());
}

// Anybody on the network can say that a member leaves; a healthy one never leaves any view.
TEST_F(Scenario, ForgedLeavesTakeNobodyOut) {
  config.links.loss = 0.01;
  begin();
  world->start_all_joined(n());
  run(10);
  for (std::uint32_t victim = 0; victim < 10; ++victim) {
    const std::string name = Simulation::name_of(victim);
    for (std::uint32_t i = 0; i < n(); ++i)
      world->inject(i, Dead{1, name, name});
    run(6);
  }
  run(30);
  EXPECT_EQ(world->truth().counts().false_leaves, 0u);
  EXPECT_EQ(world->truth().counts().false_views, 0u);
  EXPECT_EQ(world->truth().wrong(), 0u);
}

TEST_F(Scenario, HalvesFindEachOtherAgain) {
  begin();
  world->start_all_joined(n());
  run(10);
  const std::uint32_t half = n() / 2;
  world->network().cut(
      [half](std::uint32_t a, std::uint32_t b, std::uint64_t) { return (a < half) != (b < half); });
  run(300);
  EXPECT_EQ(world->truth().watchers(0), half) << "the halves have given each other up";
  world->network().cut({});
  expect_converged(60);
}

TEST_F(Scenario, AStoppedProcessComesBack) {
  begin();
  world->start_all_joined(n());
  run(10);
  // Shorter than the suspicion: nobody loses it. Longer: it is buried, and back.
  world->starve(1, Starved::kStopped, 4'000);
  world->starve(2, Starved::kStopped, 90'000);
  run(20);
  EXPECT_GE(world->truth().watchers(1), n() - 1);
  EXPECT_LE(world->truth().watchers(2), 1u);
  run(69);
  expect_converged(anti_entropy_s());
  EXPECT_EQ(world->truth().false_verdicts_of(2), 0u) << "it judged others by its own pause";
}

TEST_F(Scenario, RestartsWithAndWithoutState) {
  begin();
  world->start_all_joined(n());
  run(10);
  for (const std::uint32_t i : {1u, 2u, 3u, 4u})
    world->kill(i);
  run(2);
  // At once: still in every list, with and without the incarnation they had.
  world->start(1, {0});
  world->start(2, {}, true);
  expect_converged(20 + anti_entropy_s());
  // Long after: in nobody's list any more.
  run(60);
  world->start(3, {0});
  world->start(4, {}, true);
  expect_converged(anti_entropy_s());
}

TEST_F(Scenario, FlappingAndOneWayLinks) {
  config.links = {.loss = 0.01, .duplicate = 0.01, .reorder = 0.02};
  begin();
  world->start_all_joined(n());
  run(5);
  world->network().cut([](std::uint32_t from, std::uint32_t to, std::uint64_t now_ms) {
    if (from == 1 && to % 2 == 0) return true;                 // one way only
    return (from == 2 || to == 2) && now_ms / 3'000 % 2 == 0;  // three seconds in six
  });
  run(120);
  for (std::uint32_t i = 3; i < n(); ++i)
    EXPECT_GE(world->truth().watchers(i), n() - 3) << i << ": a bystander";
  world->network().cut({});
  expect_converged(60);
}

TEST_F(Scenario, EverythingAtOnce) {
  config.links = {.loss = 0.05, .duplicate = 0.05, .reorder = 0.1};
  begin();
  world->start_all_joined(n());
  membership::Random random(config.seed);
  for (int round = 0; round < 30 && !HasFailure(); ++round) {
    const auto node = static_cast<std::uint32_t>(random.below(n()));
    const auto other = static_cast<std::uint32_t>(random.below(n()));
    switch (random.below(7)) {
      case 0:
        world->kill(node);
        break;
      case 1:
        world->leave(node);
        break;
      case 2:
        world->starve(node, Starved::kStopped, random.below(20'000));
        break;
      case 3:
        world->starve(node, Starved::kBlocked, random.below(20'000));
        break;
      case 4:
        world->network().cut([node](std::uint32_t a, std::uint32_t b, std::uint64_t) {
          return (a < node) != (b < node);
        });
        break;
      case 5:
        world->network().cut({});
        break;
      default:
        world->start(node, {other}, random.below(2) == 0);
        break;
    }
    run(4);
  }
  world->network().cut({});
  world->network().quality() = {};
  for (std::uint32_t i = 0; i < n(); ++i)
    world->start(i, {(i + 1) % n(), (i + 2) % n()});
  // Two suspicions and a round of the address book: whoever was left on its own is found again.
  expect_converged(180);
}

// A member taken at its word could only be buried by liars with what it cannot refute.
TEST_F(Scenario, ForgedAccusationsAreRefuted) {
  begin();
  world->start_all_joined(n());
  run(10);
  const std::string name = Simulation::name_of(5);
  for (std::uint32_t i = 0; i < n(); ++i)
    world->inject(i, Suspect{1, name, Simulation::name_of((i + 1) % n())});
  run(30);
  EXPECT_EQ(world->truth().counts().false_views, 0u);
  EXPECT_EQ(world->truth().wrong(), 0u);
}

TEST_F(Scenario, UserMessagesReachAllWhileMembershipChurns) {
  config.links.loss = 0.01;
  begin();
  world->start_all_joined(n());
  run(10);
  for (std::uint32_t i = 10; i < 20; ++i)
    world->kill(i);
  for (std::uint8_t i = 0; i < 40; ++i)
    world->send_user(0, fmt::format("R{:017}", i));
  run(10);
  std::size_t missing = 0;
  for (std::uint32_t i = 20; i < n(); ++i)
    missing += 40 - world->user_messages(i);
  // They travel together; gossip sent eight times passes one member in e^8 by, more while every
  // sixth target is dead. The digests of the layer above repair it.
  EXPECT_LE(missing, 2u * 40);
}

TEST_F(Scenario, TheSameSeedIsTheSameRun) {
  config.links = {.loss = 0.05, .duplicate = 0.05, .reorder = 0.1};
  std::uint64_t handled[2];
  for (auto& count : handled) {
    begin();
    world->start_all_joined(n());
    world->run_for(5'000);
    world->kill(1);
    world->run_for(20'000);
    count = world->handled();
  }
  EXPECT_EQ(handled[0], handled[1]);
}

}  // namespace
}  // namespace sluice::simulation
