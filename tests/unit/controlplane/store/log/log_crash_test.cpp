// Power goes at every operation of a history, under every policy, with everything, nothing or any
// part of what was not synced lost. Reopened, the log is a prefix of what was written, holds all
// that was acknowledged as durable, and takes more; and that several times in a row.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/unit/controlplane/store/log_support.hpp"

namespace sluice::controlplane::store {
namespace {

using test::FaultFs;
using test::Loss;

struct History {
  std::vector<Buffer> written;  // in order; each one operation
  std::uint64_t durable = 0;    // of them, promised
  bool open_failed = false;
};

// Runs until the power goes or `steps` are done.
void run(FaultFs& disk, Fsync fsync, std::uint64_t steps, std::mt19937_64& random,
         History& history) {
  auto log = open_log(disk, {.fsync = fsync,
                             .fsync_interval = std::chrono::hours(1),
                             .file_bytes = 1500,
                             .reserve_bytes = 600,
                             .group_bytes = 700});
  if (!log) {
    // Only the power may keep it from being opened.
    EXPECT_TRUE(disk.crashed()) << log.error().message();
    return;
  }
  EXPECT_EQ((*log)->next_sequence(), history.written.size() + 1);
  for (std::uint64_t step = 0; step < steps && !disk.crashed(); ++step) {
    const auto kind = random() % 16;
    if (kind == 0) {
      if ((*log)->sync()) history.durable = history.written.size();
    } else if (kind == 1) {
      history.durable = std::max(history.durable, (*log)->durable_end().next_sequence - 1);
    } else {
      const auto payload = payload_of(history.written.size() + 1000 * random() % 7, random() % 900);
      const auto done = (*log)->commit(payload, 1);
      // What failed may be there all the same, as the last.
      history.written.push_back(payload);
      if (!done) return;
      if (fsync == Fsync::kEach) history.durable = history.written.size();
    }
  }
}

void check(FaultFs& disk, History& history, const std::string& about) {
  const auto back = read_log(disk, {.must_exist = false});
  ASSERT_TRUE(back) << about << ": " << back.error().message();
  const auto& records = back->records;
  ASSERT_GE(records.size(), history.durable) << about;
  ASSERT_LE(records.size(), history.written.size()) << about;
  for (std::size_t i = 0; i < records.size(); ++i) {
    ASSERT_EQ(records[i].first, i + 1) << about;
    ASSERT_EQ(records[i].second, history.written[i]) << about;
  }
  history.written.resize(records.size());
}

class LogCrashTest : public testing::TestWithParam<Fsync> {};

TEST_P(LogCrashTest, EveryOperation) {
  constexpr std::uint64_t kSeeds = 10;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    bool crashed = true;
    for (std::uint64_t at = 1; crashed; ++at) {
      auto disk = log_disk();
      std::mt19937_64 random(seed * 1000);
      History history;
      crashed = false;
      for (std::uint64_t life = 0; life < 3; ++life) {
        disk->crash_at(life == 0 ? at : 1 + random() % 40);
        run(*disk, GetParam(), 12, random, history);
        crashed = crashed || (life == 0 && disk->crashed());
        const auto loss = static_cast<Loss>(random() % 3);
        disk->crash_now();
        disk->restart(loss, random());
        check(*disk, history,
              "seed " + std::to_string(seed) + " operation " + std::to_string(at) + " life " +
                  std::to_string(life));
        if (testing::Test::HasFatalFailure()) return;
        // What was read back once must be read back always: opening has made it durable.
        {
          auto log = open_log(*disk);
          ASSERT_TRUE(log) << log.error().message();
          disk->crash_now();
        }
        disk->restart(Loss::kAll, random());
        history.durable = history.written.size();
        check(*disk, history, "after opening, seed " + std::to_string(seed));
        if (testing::Test::HasFatalFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, LogCrashTest,
                         testing::Values(Fsync::kEach, Fsync::kInterval, Fsync::kNever),
                         [](const auto& policy) {
                           return policy.param == Fsync::kEach       ? "Each"
                                  : policy.param == Fsync::kInterval ? "Interval"
                                                                     : "Never";
                         });

// A bit of a synced record rots while later, unsynced ones are there: never cut silently.
TEST(LogRot, IsToldApartFromTornEnds) {
  std::uint64_t named = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    std::mt19937_64 random(seed);
    auto disk = log_disk();
    constexpr std::uint64_t kSynced = 5;
    std::string file;
    std::uint64_t synced_bytes = 0;
    {
      auto log = open_log(*disk, {.fsync = Fsync::kNever});
      ASSERT_TRUE(log);
      file = kLogDir + "/" + log_file_name((*log)->files().back().base);
      for (std::uint64_t i = 0; i < 10; ++i) {
        ASSERT_TRUE((*log)->commit(payload_of(i, 400), 1));
        if (i + 1 == kSynced) {
          ASSERT_TRUE((*log)->sync());
          synced_bytes = (*log)->files().back().length;
        }
      }
      disk->crash_now();
    }
    disk->restart(Loss::kRandom, seed);
    const auto intact = read_log(*disk);
    ASSERT_TRUE(intact) << seed << ": " << intact.error().message();
    ASSERT_GE(intact->records.size(), kSynced);
    disk->flip_bit(file, random() % synced_bytes, static_cast<unsigned>(random() % 8));
    const auto back = read_log(*disk, {.at_least_sequence = kSynced});
    ASSERT_FALSE(back) << seed;
    EXPECT_EQ(back.error().code() == ErrorCode::kCorrupt ||
                  back.error().code() == ErrorCode::kUnsupported,
              true);
    named += back.error().message().find("was on the disk once") != std::string::npos ? 1 : 0;
  }
  EXPECT_GT(named, 250U);
}

}  // namespace
}  // namespace sluice::controlplane::store
