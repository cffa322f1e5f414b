// Tenants that leave and come back, over an index on a disk in memory: while the process runs, over
// restarts, and while the disk takes nothing.
#include "controlplane/app/tenant_keeper.hpp"

#include <gtest/gtest.h>

#include "controlplane/store/index.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"
#include "tests/support/fault_fs.hpp"
#include "tests/unit/controlplane/app/no_hops.hpp"

namespace sluice::controlplane {
namespace {

// A control plane, as far as it keeps agents.
struct Process {
  Process(store::Index& the_index, Time& the_now, Tenants first, unsigned writes)
      : index(the_index), now(the_now), writes_left(writes) {
    registry.set_listener(&forwarding);
    registry.set_journal(&journal);
    registry.set_policy({.default_s = 30, .min_s = 5, .max_s = 60, .grace_s = 10});
    EXPECT_TRUE(keeper.load());
    checked = keeper.check(first);
    if (!checked) return;
    keeper.on_left([this] { ++left; });
    keeper.change({}, first, now);
    tenants = std::move(first);
    Restorer restorer(registry, forwarding, tenants, keeper.stored(), journal, now);
    EXPECT_TRUE(restore_all(index.snapshot(), restorer));
    restored = restorer.result();
    keeper.begin(restored);
    run();
  }

  void run() {
    while (!posted.empty()) {
      const auto work = std::move(posted.front());
      posted.pop_front();
      work();
    }
  }
  void reload(Tenants next) {
    checked = keeper.check(next);
    if (!checked) return;
    keeper.change(tenants, next, now);
    tenants = std::move(next);
  }
  void enroll(std::string_view name, std::uint16_t tenant, std::uint32_t lease_s = 30) {
    const auto granted = registry.register_agent({.id = id_of_name(name),
                                                  .name = name,
                                                  .tenant = tenant,
                                                  .endpoint = *parse_endpoint("10.0.0.2:7601"),
                                                  .capabilities = capabilities,
                                                  .lease_s = lease_s,
                                                  .timestamp_ns = now.realtime_ns},
                                                 now);
    ASSERT_TRUE(granted) << granted.error().message();
  }
  void add(std::string_view name, std::uint16_t tenant) {
    ASSERT_TRUE(registry.add({.id = id_of_name(name),
                              .name = name,
                              .tenant = tenant,
                              .endpoint = *parse_endpoint("10.0.0.3:7601")},
                             now));
  }
  const Agent* find(std::string_view name) const {
    const auto slot = registry.find(id_of_name(name));
    return slot == kNoIndex ? nullptr : &registry.at(slot);
  }
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::uint64_t left_s(std::string_view name) const {
    return (registry.expires_ns(*registry.lease(*find(name))) - now.monotonic_ns) / kNsPerSecond;
  }

  store::Index& index;
  const store::Index* seen = &index;  // what a pass reads
  Time& now;
  unsigned writes_left;  // then it is as if killed: nothing is written, nobody is told
  const std::vector<std::string> capabilities{"translate"};
  Tenants tenants;
  Status checked;
  Restored restored;
  unsigned left = 0;
  std::deque<std::function<void()>> posted;
  Registry registry{SipKey{1, 2}};
  Programmer programmer;
  NoHops hops;
  Forwarding forwarding{registry, programmer, hops};
  Journal::Post post = [this](std::function<void()> work) { posted.push_back(std::move(work)); };
  Journal::Clock clock = [this] { return now; };
  Journal journal{registry, forwarding,
                  [this](const store::WriteBatch& batch, const std::function<void(Status)>& done) {
                    if (writes_left == 0) return;
                    --writes_left;
                    done(index.write(batch));
                  },
                  post, clock};
  TenantKeeper keeper{registry, forwarding, tenants, journal, [this] { return seen->snapshot(); },
                      post,     clock};
};

const Tenants kOne{{1, {.name = "one"}}};
const Tenants kBoth{{1, {.name = "one"}}, {2, {.name = "two"}}};
const Tenants kOther{{1, {.name = "one"}}, {2, {.name = "other"}}};

class TenantKeeperTest : public ::testing::Test {
 protected:
  TenantKeeperTest() { start(kBoth); }

  void start(const Tenants& tenants, unsigned writes = UINT_MAX) {
    process_.reset();
    index_.reset();
    auto opened = store::Index::open(fs_, {.directory = "/store", .tables = route_tables()});
    ASSERT_TRUE(opened) << opened.error().message();
    index_ = *std::move(opened);
    process_ = std::make_unique<Process>(*index_, now_, tenants, writes);
  }
  void reload(const Tenants& tenants) {
    process_->reload(tenants);
    process_->run();
  }
  void pass(std::uint64_t seconds) {
    now_.monotonic_ns += seconds * kNsPerSecond;
    now_.realtime_ns += seconds * kNsPerSecond;
  }
  // What the index has of agents of this tenant.
  std::uint64_t stored(std::uint16_t tenant) {
    auto usage = index_->maintenance().usage(tenant, {});
    return usage && usage->contains(tenant) ? usage->at(tenant).at(kAgentsTable).keys : 0;
  }
  bool away(std::uint16_t tenant) const { return is_away(process_->keeper.shown(), tenant); }

  Time now_{5000 * kNsPerSecond, 1'700'000'000 * kNsPerSecond};
  test::FaultFs fs_;
  std::unique_ptr<store::Index> index_;
  std::unique_ptr<Process> process_;
};

TEST_F(TenantKeeperTest, AgentsOfATenantThatLeavesStayInTheIndexOnly) {
  process_->enroll("a/b/c/1", 1);
  process_->enroll("a/b/c/2", 2);
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOne);
  EXPECT_TRUE(process_->has("a/b/c/1"));
  EXPECT_FALSE(process_->has("a/b/c/2"));
  EXPECT_FALSE(process_->has("a/b/c/3"));
  EXPECT_EQ(process_->registry.agents_of(2), 0u);
  EXPECT_EQ(stored(2), 2u);
  EXPECT_TRUE(away(2));
  EXPECT_EQ(process_->left, 1u) << "the base segment is to be built without them";
}

TEST_F(TenantKeeperTest, TheyComeBackAsTheyWereWithWhatIsLeftOfTheirLeases) {
  process_->enroll("a/b/c/2", 2);
  process_->add("a/b/c/3", 2);
  process_->run();
  pass(5);
  process_->enroll("a/b/c/2", 2);  // a renewal that the index had not been told of
  pass(10);
  reload(kOne);
  pass(10);
  reload(kBoth);
  ASSERT_TRUE(process_->has("a/b/c/2"));
  EXPECT_EQ(process_->find("a/b/c/2")->tenant, 2);
  EXPECT_EQ(process_->find("a/b/c/2")->name_view(), "a/b/c/2");
  EXPECT_EQ(process_->registry.capability_names(*process_->find("a/b/c/2")),
            std::vector<std::string>{"translate"});
  EXPECT_EQ(process_->left_s("a/b/c/2"), 30u - 20 + 10) << "of the lease, and the grace";
  EXPECT_TRUE(process_->has("a/b/c/3"));
  EXPECT_FALSE(away(2));
  EXPECT_EQ(stored(2), 2u);
}

TEST_F(TenantKeeperTest, WhoseLeaseEndedMeanwhileIsForgottenAtTheReturn) {
  process_->enroll("a/b/c/2", 2);
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOne);
  pass(41);
  EXPECT_EQ(stored(2), 2u);
  reload(kBoth);
  EXPECT_FALSE(process_->has("a/b/c/2"));
  EXPECT_TRUE(process_->has("a/b/c/3"));
  EXPECT_EQ(stored(2), 1u);
}

TEST_F(TenantKeeperTest, OverRestarts) {
  process_->enroll("a/b/c/2", 2, 60);
  process_->enroll("a/b/c/4", 2, 5);
  process_->add("a/b/c/3", 2);
  process_->run();
  start(kOne);
  EXPECT_EQ(process_->registry.size(), 0u);
  EXPECT_EQ(process_->restored.away.at(2), 3u);
  EXPECT_EQ(process_->left, 1u);
  EXPECT_EQ(process_->keeper.stored().at(2), (StoredTenant{"two", true}));
  pass(30);
  start(kOne);
  EXPECT_EQ(process_->restored.expired, 1u);
  EXPECT_EQ(process_->left, 0u) << "its routes were deleted before";
  EXPECT_EQ(stored(2), 2u);
  start(kBoth);
  EXPECT_TRUE(process_->has("a/b/c/2"));
  EXPECT_TRUE(process_->has("a/b/c/3"));
  EXPECT_EQ(process_->left_s("a/b/c/2"), 60u - 30 + 10);
  EXPECT_FALSE(away(2));
}

TEST_F(TenantKeeperTest, ARestartThatBringsATenantBackGivesNoGraceToLeasesThatEnded) {
  process_->enroll("a/b/c/1", 1);
  process_->enroll("a/b/c/2", 2);
  process_->run();
  reload(kOne);
  pass(41);
  start(kBoth);
  EXPECT_TRUE(process_->has("a/b/c/1")) << "it could not renew because the router was away";
  EXPECT_FALSE(process_->has("a/b/c/2"));
  EXPECT_EQ(stored(2), 0u);
}

// More of them than a batch of the journal holds.
constexpr unsigned kMoreThanABatch = 20'000;

TEST_F(TenantKeeperTest, EndedLeasesDoNotComeBackWhenTheReturnIsCutShort) {
  for (const bool at_start : {false, true}) {
    start(kBoth);
    for (unsigned i = 0; i < kMoreThanABatch; ++i)
      process_->enroll("a/b/c/" + std::to_string(i), 2);
    process_->run();
    reload(kOne);
    pass(41);
    if (at_start) {
      start(kBoth, 1);
    } else {
      process_->writes_left = 1;
      reload(kBoth);
    }
    EXPECT_LT(stored(2), kMoreThanABatch);
    EXPECT_GT(stored(2), 0u) << "killed too late";
    start(kBoth);
    EXPECT_EQ(process_->registry.size(), 0u);
    EXPECT_EQ(stored(2), 0u);
    EXPECT_EQ(process_->keeper.stored().at(2), (StoredTenant{"two", false}));
  }
}

TEST_F(TenantKeeperTest, ATenantIsBackInTheIndexWhenItsReturnIsDurable) {
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOne);
  fs_.set_read_only(true);
  process_->add("a/b/c/1", 1);
  process_->run();
  reload(kBoth);
  EXPECT_FALSE(away(2)) << "for people it is here";
  EXPECT_TRUE(is_away(process_->keeper.stored(), 2));
  reload(kOther);
  EXPECT_TRUE(process_->checked) << "it may be renamed";
  EXPECT_EQ(process_->registry.agents_of(2), 1u);
  reload(kOne);
  EXPECT_TRUE(away(2));
  reload(kOther);
  fs_.set_read_only(false);
  pass(2);
  process_->journal.tick();
  process_->run();
  process_->keeper.tick();
  process_->run();
  EXPECT_EQ(process_->keeper.stored().at(2), (StoredTenant{"other", false}));
  start(kOther);
  EXPECT_TRUE(process_->has("a/b/c/3"));
}

TEST_F(TenantKeeperTest, OutAgainBeforeTheReturnIsDurable) {
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOne);
  process_->writes_left = 0;  // they hang
  reload(kBoth);
  EXPECT_TRUE(process_->has("a/b/c/3"));
  reload(kOne);
  EXPECT_TRUE(away(2));
  start(kOther);
  EXPECT_FALSE(process_->checked);
}

TEST_F(TenantKeeperTest, ATenantWithoutAgentsIsForgottenWhenItLeaves) {
  reload(kOne);
  EXPECT_FALSE(process_->keeper.stored().contains(2));
  start(kOther);
  EXPECT_TRUE(process_->checked);
  EXPECT_EQ(process_->keeper.stored().at(2).name, "other");
}

TEST_F(TenantKeeperTest, ANumberIsNotGivenToAnotherTenantWhileAgentsWait) {
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOne);
  reload(kOther);
  ASSERT_FALSE(process_->checked);
  const std::string why = process_->checked.error().message();
  EXPECT_NE(why.find("'other' has the number 2 of 'two'"), std::string::npos) << why;
  EXPECT_NE(why.find("sluice store delete --tenant 2"), std::string::npos) << why;
  start(kOther);
  EXPECT_FALSE(process_->checked) << "over a restart, too";
  start(kOne);
  process_->registry.forget(id_of_name("a/b/c/3"), 2, now_);
  process_->keeper.forget(2);
  process_->run();
  EXPECT_EQ(stored(2), 0u);
  reload(kOther);
  EXPECT_TRUE(process_->checked);
  EXPECT_EQ(process_->registry.size(), 0u);
}

TEST_F(TenantKeeperTest, NorWhileThoseWaitThatHadNoRoom) {
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOne);
  process_->add("a/b/c/1", 1);
  process_->registry.set_limit(1);
  reload(kBoth);
  EXPECT_FALSE(process_->has("a/b/c/3"));
  EXPECT_EQ(process_->keeper.stored().at(2), (StoredTenant{"two", false}));
  reload(kOne);
  EXPECT_TRUE(away(2));
  reload(kOther);
  EXPECT_FALSE(process_->checked);
  process_->registry.set_limit(2);
  reload(kBoth);
  EXPECT_TRUE(process_->has("a/b/c/3"));
  ASSERT_TRUE(process_->registry.remove(id_of_name("a/b/c/3")));
  process_->run();
  reload(kOne);
  EXPECT_FALSE(process_->keeper.stored().contains(2)) << "nothing stayed behind this time";
}

TEST_F(TenantKeeperTest, NorWhileThoseWaitThatAreDamaged) {
  const Id id = id_of_name("a/b/c/3");
  store::WriteBatch batch;
  batch.put(kAgentsTable, 2, id.bytes, std::vector<std::uint8_t>{99});
  ASSERT_TRUE(index_->write(batch));
  start(kBoth);
  EXPECT_EQ(process_->restored.damaged, 1u);
  reload(kOne);
  EXPECT_TRUE(away(2));
  start(kOne);
  EXPECT_TRUE(away(2)) << "over a restart, too";
  reload(kBoth);
  reload(kOne);
  EXPECT_TRUE(away(2));
  process_->registry.forget(id, 2, now_);
  process_->keeper.forget(2);
  process_->run();
  EXPECT_EQ(stored(2), 0u);
  reload(kOther);
  EXPECT_TRUE(process_->checked);
}

TEST_F(TenantKeeperTest, APassThatFailsIsTriedAgain) {
  test::FaultFs other_fs;
  const auto open_other = [&] {
    return store::Index::open(other_fs, {.directory = "/store", .tables = route_tables()}).value();
  };
  auto damaged = open_other();
  store::WriteBatch batch;
  for (int i = 0; i < 100; ++i)
    batch.put(kAgentsTable, 3, id_of_name("a/b/c/" + std::to_string(i)).bytes,
              std::vector<std::uint8_t>(100));
  ASSERT_TRUE(damaged->write(batch));
  ASSERT_TRUE(damaged->maintenance().compact({}));
  damaged.reset();
  for (const std::string& file : other_fs.all_files())
    if (file.find("/seg-") != std::string::npos)
      other_fs.flip_bit(file, other_fs.contents(file).size() / 2, 3);
  damaged = open_other();

  process_->enroll("a/b/c/2", 2, 60);
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOne);
  process_->seen = damaged.get();
  reload(kBoth);
  EXPECT_FALSE(process_->has("a/b/c/3"));
  EXPECT_TRUE(is_away(process_->keeper.stored(), 2)) << "the next process is to ask as this one";
  reload(kOne);
  EXPECT_TRUE(away(2));
  reload(kOther);
  EXPECT_FALSE(process_->checked);
  reload(kBoth);
  process_->seen = index_.get();
  process_->keeper.tick();
  process_->run();
  EXPECT_FALSE(process_->has("a/b/c/3")) << "not all the time";
  pass(31);
  process_->add("a/b/c/4", 2);
  process_->keeper.tick();
  process_->run();
  EXPECT_TRUE(process_->has("a/b/c/2"));
  EXPECT_TRUE(process_->has("a/b/c/3"));
  EXPECT_TRUE(process_->has("a/b/c/4"));
  EXPECT_EQ(process_->keeper.stored().at(2), (StoredTenant{"two", false}));
  EXPECT_EQ(stored(2), 3u);
}

TEST_F(TenantKeeperTest, ATenantMayBeRenamed) {
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOther);
  EXPECT_TRUE(process_->has("a/b/c/3"));
  start(kBoth);
  EXPECT_TRUE(process_->checked);
  EXPECT_TRUE(process_->has("a/b/c/3"));
}

TEST_F(TenantKeeperTest, AnIdThatAnotherTenantTookMeanwhileStaysThatOnes) {
  process_->add("a/b/c/3", 2);
  process_->run();
  reload(kOne);
  pass(1);
  process_->add("a/b/c/3", 1);
  process_->run();
  EXPECT_EQ(stored(2), 1u);
  reload(kBoth);
  EXPECT_EQ(process_->find("a/b/c/3")->tenant, 1);
  EXPECT_EQ(stored(2), 0u);
}

TEST_F(TenantKeeperTest, AlsoWhenBothComeWithARestart) {
  for (int i = 0; i < 20; ++i)
    process_->add("a/b/c/" + std::to_string(i), 2);
  process_->run();
  reload(kOne);
  for (int i = 0; i < 20; ++i)
    process_->add("a/b/c/" + std::to_string(i), 1);
  process_->run();
  start(kBoth);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(process_->find("a/b/c/" + std::to_string(i))->tenant, 1);
  EXPECT_EQ(process_->restored.outdated, 20u);
  EXPECT_EQ(process_->restored.agents, 20u);
}

TEST_F(TenantKeeperTest, WhatHappensWhileTheIndexIsReadGoesBeforeWhatItHas) {
  process_->add("a/b/c/3", 2);
  process_->add("a/b/c/4", 2);
  process_->add("a/b/c/5", 2);
  process_->run();
  reload(kOne);
  process_->reload(kBoth);  // nothing posted has run yet
  process_->add("a/b/c/3", 2);
  ASSERT_TRUE(process_->registry.remove(id_of_name("a/b/c/3")));
  process_->registry.forget(id_of_name("a/b/c/4"), 2, now_);
  process_->run();
  EXPECT_FALSE(process_->has("a/b/c/3")) << "deleted since";
  EXPECT_FALSE(process_->has("a/b/c/4"));
  EXPECT_TRUE(process_->has("a/b/c/5"));
  EXPECT_EQ(stored(2), 1u);
}

TEST_F(TenantKeeperTest, OutAndInAndOutAgainAtOnce) {
  process_->add("a/b/c/3", 2);
  process_->run();
  process_->reload(kOne);
  process_->reload(kBoth);
  process_->reload(kOne);
  process_->run();
  EXPECT_FALSE(process_->has("a/b/c/3"));
  EXPECT_TRUE(away(2));
  process_->reload(kBoth);
  process_->reload(kOne);
  process_->reload(kBoth);
  process_->run();
  EXPECT_TRUE(process_->has("a/b/c/3"));
  EXPECT_EQ(stored(2), 1u);
}

TEST_F(TenantKeeperTest, ManyComeBackInPieces) {
  constexpr unsigned kMany = 20'000;
  const auto run_one = [this] {
    ASSERT_FALSE(process_->posted.empty());
    const auto work = std::move(process_->posted.front());
    process_->posted.pop_front();
    work();
  };
  const auto missing = [this] {
    for (int i = 0;; ++i)
      if (const auto name = "a/b/c/" + std::to_string(i); !process_->has(name)) return name;
  };
  for (unsigned i = 0; i < kMany; ++i)
    process_->add("a/b/c/" + std::to_string(i), 2);
  process_->run();
  reload(kOne);
  EXPECT_EQ(stored(2), kMany);
  process_->reload(kBoth);
  while (process_->registry.size() == 0)
    run_one();
  EXPECT_LT(process_->registry.size(), kMany);
  process_->reload(kOne);
  process_->run();
  EXPECT_EQ(process_->registry.size(), 0u) << "it left while it was coming";
  EXPECT_EQ(stored(2), kMany);
  process_->reload(kBoth);
  while (process_->registry.size() == 0)
    run_one();
  const auto deleted = missing();
  process_->registry.forget(id_of_name(deleted), 2, now_);
  process_->run();
  EXPECT_FALSE(process_->has(deleted)) << "before its turn had come";
  EXPECT_EQ(process_->registry.size(), kMany - 1);
  EXPECT_EQ(stored(2), kMany - 1);
}

TEST_F(TenantKeeperTest, WithADiskThatTakesNothingTheyComeBackFromMemory) {
  process_->add("a/b/c/3", 2);
  process_->enroll("a/b/c/2", 2);
  process_->run();
  pass(10);
  process_->enroll("a/b/c/2", 2);
  fs_.set_read_only(true);
  reload(kOne);
  EXPECT_FALSE(process_->journal.ready());
  EXPECT_FALSE(process_->has("a/b/c/2"));
  reload(kBoth);
  ASSERT_TRUE(process_->has("a/b/c/2"));
  EXPECT_EQ(process_->left_s("a/b/c/2"), 30u + 10) << "the renewal is not lost";
  EXPECT_TRUE(process_->has("a/b/c/3"));
  fs_.set_read_only(false);
  pass(2);
  process_->journal.tick();
  process_->run();
  EXPECT_TRUE(process_->journal.ready());
  EXPECT_EQ(stored(2), 2u);
}

TEST_F(TenantKeeperTest, WithADiskThatTakesNothingForAWhileTheyAreKept) {
  process_->add("a/b/c/3", 2);
  process_->enroll("a/b/c/2", 2);
  process_->run();
  fs_.set_read_only(true);
  pass(1);
  process_->enroll("a/b/c/2", 2, 60);
  reload(kOne);
  EXPECT_FALSE(process_->journal.ready());
  fs_.set_read_only(false);
  pass(2);
  process_->journal.tick();
  process_->run();
  EXPECT_TRUE(process_->journal.ready());
  start(kBoth);
  EXPECT_TRUE(process_->has("a/b/c/3"));
  EXPECT_EQ(process_->left_s("a/b/c/2"), 60u - 2 + 10);
}

}  // namespace
}  // namespace sluice::controlplane
