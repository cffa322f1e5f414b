// What a log takes, gives back, keeps, removes and refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <semaphore>
#include <thread>

#include "tests/unit/controlplane/store/log_support.hpp"

namespace sluice::controlplane::store {
namespace {

using test::FaultFs;
using test::Loss;

class LogTest : public testing::Test {
 protected:
  std::unique_ptr<LogWriter> open(LogOptions options = {}) {
    auto log = open_log(*disk_, options);
    EXPECT_TRUE(log) << log.error().message();
    return log ? std::move(*log) : nullptr;
  }
  ReadBack read(LogReadOptions options = {}) {
    auto back = read_log(*disk_, options);
    EXPECT_TRUE(back) << back.error().message();
    return back ? *std::move(back) : ReadBack{};
  }
  std::string last_file() const {
    std::string last;
    for (const auto& path : disk_->all_files())
      if (path.starts_with(kLogDir)) last = path;
    return last;
  }

  std::unique_ptr<FaultFs> disk_ = log_disk();
};

TEST(LogFileName, ThereAndBack) {
  EXPECT_EQ(log_file_name(0x1f), "log-000000000000001f");
  EXPECT_EQ(log_file_base("log-000000000000001f"), 0x1fU);
  EXPECT_EQ(log_file_base("log-ffffffffffffffff"), ~std::uint64_t{0});
  for (const auto* name : {"log-1f", "log-000000000000001F", "log-000000000000001f.new", "seg-0",
                           "log-00000000000000-f"}) {
    EXPECT_FALSE(log_file_base(name)) << name;
  }
}

TEST_F(LogTest, GivesBackWhatItTook) {
  {
    auto log = open();
    EXPECT_EQ(log->next_sequence(), 1U);
    for (std::uint64_t i = 0; i < 10; ++i) {
      std::uint64_t got = 0;
      ASSERT_TRUE(log->commit(payload_of(i, i * 7), 3, [&](const Status& status, std::uint64_t at) {
        EXPECT_TRUE(status);
        got = at;
      }));
      EXPECT_EQ(got, 1 + 3 * i);
    }
    EXPECT_EQ(log->durable_sequence(), 30U);
    EXPECT_EQ(log->metrics().records, 10U);
  }
  const auto back = read();
  ASSERT_EQ(back.records.size(), 10U);
  for (std::uint64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(back.records[i].first, 1 + 3 * i);
    EXPECT_EQ(back.records[i].second, payload_of(i, i * 7));
  }
  EXPECT_FALSE(back.end.torn);
  EXPECT_EQ(back.end.next_sequence, 31U);
  EXPECT_EQ(open()->next_sequence(), 31U);
}

// Else the next record would have its sequence, and lie behind it.
TEST_F(LogTest, ARefusalForTheTimeBeingLeavesWhatWasBegun) {
  const Status refusal = fail(ErrorCode::kUnavailable, "moved away", ErrorOrigin::kStore, true);
  {
    auto log = open();
    disk_->on_operation([&](std::uint64_t, std::string_view name, const std::string&) {
      if (name.starts_with("writ")) log->set_refusal(refusal);
    });
    EXPECT_TRUE(log->commit(payload_of(0, 100), 1));
    disk_->on_operation({});
    EXPECT_FALSE(log->commit(payload_of(1, 100), 1));
    log->set_refusal({});
    EXPECT_TRUE(log->commit(payload_of(2, 100), 1));
  }
  const auto back = read();
  ASSERT_EQ(back.records.size(), 2U);
  EXPECT_EQ(back.records[1], std::pair(std::uint64_t{2}, payload_of(2, 100)));
}

TEST_F(LogTest, GoesOnInANewFileAfterEveryOpen) {
  for (std::uint64_t i = 0; i < 5; ++i)
    ASSERT_TRUE(open()->commit(payload_of(i, 100), 1));
  const auto back = read();
  ASSERT_EQ(back.records.size(), 5U);
  EXPECT_EQ(back.end.files.size(), 5U);
  EXPECT_EQ(back.records[4].first, 5U);
}

TEST_F(LogTest, BeginsFilesAndRemovesThem) {
  auto log = open({.file_bytes = 1000, .reserve_bytes = 300});
  for (std::uint64_t i = 0; i < 40; ++i)
    ASSERT_TRUE(log->commit(payload_of(i, 200), 2));
  const auto files = log->files();
  ASSERT_GT(files.size(), 9U);
  for (std::size_t i = 1; i < files.size(); ++i)
    EXPECT_EQ(files[i].base, files[i - 1].base + files[i - 1].length);
  EXPECT_EQ(read().records.size(), 40U);
  // Positions in the middle of a file keep it.
  ASSERT_TRUE(log->remove_through(files[3].first_sequence));
  EXPECT_EQ(log->files().front().base, files[3].base);
  ASSERT_TRUE(log->remove_through(files[4].first_sequence - 1));
  EXPECT_EQ(log->files().front().base, files[4].base);
  ASSERT_TRUE(log->remove_through(1'000'000));
  EXPECT_EQ(log->files().size(), 1U) << "the one that is written stays";
  log.reset();
  const auto back = read({.after_sequence = 78});
  ASSERT_EQ(back.records.size(), 1U);
  EXPECT_EQ(back.records[0].first, 79U);
}

TEST_F(LogTest, ReadsFromAPosition) {
  auto log = open({.file_bytes = 1000});
  for (std::uint64_t i = 0; i < 40; ++i)
    ASSERT_TRUE(log->commit(payload_of(i, 200), 5));
  log.reset();
  EXPECT_EQ(read({.after_sequence = 100}).records.front().first, 101U);
  EXPECT_EQ(read({.after_sequence = 102}).records.front().first, 101U) << "a batch is one";
  EXPECT_TRUE(read({.after_sequence = 200}).records.empty());
  const auto damaged = disk_->all_files().front();
  disk_->flip_bit(damaged, 200, 1);
  EXPECT_EQ(read({.after_sequence = 150}).records.size(), 10U) << "old files are not read";
  EXPECT_FALSE(read_log(*disk_));
}

TEST_F(LogTest, TheDurableEndIsThatOfWhatWasCommitted) {
  auto log = open({.fsync = Fsync::kNever, .file_bytes = 400});
  EXPECT_EQ(log->durable_end().next_sequence, 1U);
  EXPECT_EQ(log->durable_end().files.size(), 1U);
  for (std::uint64_t i = 0; i < 4; ++i)
    ASSERT_TRUE(log->commit(payload_of(i, 200), 4));
  const auto end = log->durable_end();
  EXPECT_EQ(end.next_sequence, 17U);
  EXPECT_EQ(end.files.size(), log->files().size());
  EXPECT_GT(end.files.size(), 2U);
  disk_->set_read_only(true);
  EXPECT_EQ(log->durable_end().position, end.position) << "needs nothing but to be read";
  disk_->set_read_only(false);
  log.reset();
  EXPECT_EQ(read({.end_position = end.position}).records.size(), 4U);
}

// The writer is given some records per round: one that runs free can write faster than all of it is
// read, and the rounds get longer and longer.
TEST_F(LogTest, TheDurableEndIsReadWhileOthersWriteOn) {
  constexpr std::uint64_t kRounds = 50;
  constexpr std::uint64_t kRecordsPerRound = 200;
  auto log =
      open({.fsync = Fsync::kNever, .file_bytes = 2000, .group_bytes = 64, .waiting_bytes = 4096});
  std::counting_semaphore<> records(0);
  const std::jthread writer([&] {
    for (std::uint64_t number = 0; number < kRounds * kRecordsPerRound; ++number) {
      records.acquire();
      log->submit(payload_of(number, 8), 1, {});
    }
  });
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::uint64_t before = round * kRecordsPerRound;
    records.release(kRecordsPerRound);
    while (log->next_sequence() <= before + 1)
      std::this_thread::yield();
    const auto end = log->durable_end();
    const auto back = read({.end_position = end.position});
    EXPECT_GT(end.next_sequence, before + 1);
    EXPECT_EQ(back.end.position, end.position);
    EXPECT_EQ(back.end.next_sequence, end.next_sequence);
    EXPECT_EQ(back.end.files.size(), end.files.size());
    EXPECT_EQ(back.end.files.back().length, end.files.back().length);
  }
}

TEST_F(LogTest, ManyWritersShareSyncsAndKeepTheirOrder) {
  auto log = open();
  constexpr std::uint64_t kWriters = 8;
  constexpr std::uint64_t kEach = 50;
  const auto syncs_before = disk_->syncs();
  std::vector<std::uint64_t> order;  // appended by callbacks, one at a time
  std::vector<std::thread> writers;
  std::latch start(kWriters);
  for (std::uint64_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      start.arrive_and_wait();
      for (std::uint64_t i = 0; i < kEach; ++i) {
        const auto number = writer * 1000 + i;
        const auto done = [&order, number](const Status&, std::uint64_t) {
          order.push_back(number);
        };
        if (writer % 2 == 0) {
          EXPECT_TRUE(log->commit(payload_of(number, 30), 1, done));
        } else {
          log->submit(payload_of(number, 30), 1, done);
        }
      }
    });
  }
  for (auto& writer : writers)
    writer.join();
  log.reset();  // all callbacks have run
  ASSERT_EQ(order.size(), kWriters * kEach);
  EXPECT_LE(disk_->syncs() - syncs_before, kWriters * kEach + 2);
  const auto back = read();
  ASSERT_EQ(back.records.size(), order.size());
  std::vector<std::uint64_t> next(kWriters);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto number = load<std::uint64_t>(back.records[i].second.data());
    EXPECT_EQ(number, order[i]) << "callbacks in log order";
    EXPECT_EQ(number % 1000, next[number / 1000]++) << "a writer's own order";
  }
}

TEST_F(LogTest, WaitersAreCommittedTogether) {
  // The first sync is held until three more wait: they must share one.
  auto log = open({.reserve_bytes = 0});
  std::latch reached(1);
  std::latch release(1);
  std::atomic<bool> armed = true;
  disk_->on_operation([&](std::uint64_t, std::string_view name, const std::string&) {
    if (name == "sync" && armed.exchange(false)) {
      reached.count_down();
      release.wait();
    }
  });
  std::thread first([&] { EXPECT_TRUE(log->commit(payload_of(0, 8), 1)); });
  reached.wait();
  for (std::uint64_t i = 1; i < 4; ++i)
    log->submit(payload_of(i, 8), 1, {});
  const auto before = disk_->syncs();
  release.count_down();
  first.join();
  log->submit(payload_of(4, 8), 1, {});
  EXPECT_TRUE(log->commit(payload_of(5, 8), 1));
  EXPECT_LE(log->metrics().groups, 4U);
  EXPECT_GE(disk_->syncs(), before + 2);
  disk_->on_operation({});
  log.reset();
  EXPECT_EQ(read().records.size(), 6U);
}

TEST_F(LogTest, FullDiskIsNoEnd) {
  auto log = open({.file_bytes = 600});
  ASSERT_TRUE(log->commit(payload_of(0, 100), 1));
  disk_->set_free_bytes(50);
  for (std::uint64_t i = 0; i < 3; ++i) {
    std::uint64_t at = 7;
    const auto refused = log->commit(payload_of(90 + i, 900), 1,
                                     [&](const Status&, std::uint64_t sequence) { at = sequence; });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::kExhausted);
    EXPECT_EQ(at, 0U);
  }
  EXPECT_TRUE(log->health());
  disk_->set_free_bytes(std::nullopt);
  ASSERT_TRUE(log->commit(payload_of(1, 100), 1));
  disk_->restart(Loss::kAll, 1);
  const auto back = read();
  ASSERT_EQ(back.records.size(), 2U);
  EXPECT_EQ(back.records[1], std::make_pair(std::uint64_t{2}, payload_of(1, 100)));
}

TEST_F(LogTest, ReadOnlyDiskIsSaid) {
  auto log = open();
  disk_->set_read_only(true);
  const auto refused = log->commit(payload_of(0, 8), 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kPermissionDenied);
  disk_->set_read_only(false);
  ASSERT_TRUE(log->commit(payload_of(1, 8), 1)) << "and it is no end";
  log.reset();
  const auto back = read();
  ASSERT_EQ(back.records.size(), 1U);
  EXPECT_EQ(back.records[0].second, payload_of(1, 8));
}

// The write fails half-way and nothing can be taken back at once: what was refused must be gone
// before anything else is taken.
TEST_F(LogTest, WhatWasRefusedIsTakenBackLater) {
  auto log = open({.reserve_bytes = 0});
  ASSERT_TRUE(log->commit(payload_of(0, 8), 1));
  disk_->set_free_bytes(300);
  disk_->on_operation([&](std::uint64_t, std::string_view name, const std::string&) {
    if (name == "truncate") disk_->set_read_only(true);
  });
  const auto refused = log->commit(payload_of(1, 1000), 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kExhausted);
  disk_->on_operation({});
  const auto still = log->commit(payload_of(2, 8), 1);
  ASSERT_FALSE(still);
  EXPECT_EQ(still.error().code(), ErrorCode::kPermissionDenied);
  disk_->set_read_only(false);
  disk_->set_free_bytes(std::nullopt);
  ASSERT_TRUE(log->commit(payload_of(3, 8), 1));
  disk_->crash_now();
  log.reset();
  disk_->restart(Loss::kAll, 1);
  const auto back = read();
  ASSERT_EQ(back.records.size(), 2U);
  EXPECT_EQ(back.records[1].second, payload_of(3, 8));
  EXPECT_FALSE(back.end.torn) << "nothing lies behind";
}

TEST_F(LogTest, AfterAFailedSyncNothingIsTaken) {
  auto log = open();
  ASSERT_TRUE(log->commit(payload_of(0, 8), 1));
  disk_->fail_sync_at(1);
  ASSERT_FALSE(log->commit(payload_of(1, 8), 1));
  const auto later = log->commit(payload_of(2, 8), 1);
  ASSERT_FALSE(later);
  EXPECT_NE(later.error().message().find("no more writes until the store is opened anew"),
            std::string::npos)
      << later.error().message();
  EXPECT_FALSE(log->health());
  EXPECT_FALSE(log->sync());
  EXPECT_EQ(log->durable_end().next_sequence, 2U) << "what failed is not sure to be there";
  log.reset();
  disk_->restart(Loss::kAll, 1);
  EXPECT_EQ(read().records.size(), 1U);
}

TEST_F(LogTest, FailureOfTheSyncThreadIsToldToTheNextWriter) {
  auto log = open({.fsync = Fsync::kInterval, .fsync_interval = std::chrono::milliseconds(1)});
  disk_->fail_sync_at(1);
  ASSERT_TRUE(log->commit(payload_of(0, 8), 1));
  while (log->health())
    std::this_thread::yield();
  EXPECT_FALSE(log->commit(payload_of(1, 8), 1));
}

TEST_F(LogTest, IntervalSyncsByItselfAndNeverDoesNot) {
  {
    auto log = open({.fsync = Fsync::kInterval, .fsync_interval = std::chrono::milliseconds(1)});
    ASSERT_TRUE(log->commit(payload_of(0, 8), 1));
    while (log->durable_sequence() < 1)
      std::this_thread::yield();
  }
  auto log = open({.fsync = Fsync::kNever});
  const auto before = disk_->syncs();
  ASSERT_TRUE(log->commit(payload_of(1, 8), 1));
  EXPECT_EQ(disk_->syncs(), before);
  EXPECT_EQ(log->durable_sequence(), 1U);
  ASSERT_TRUE(log->sync());
  EXPECT_EQ(log->durable_sequence(), 2U);
}

TEST_F(LogTest, NeverSyncsFilesThatAreFull) {
  auto log = open({.fsync = Fsync::kNever, .file_bytes = 400});
  for (std::uint64_t i = 0; i < 4; ++i)
    ASSERT_TRUE(log->commit(payload_of(i, 300), 1));
  while (log->durable_sequence() < 3)
    std::this_thread::yield();
}

TEST_F(LogTest, TornEndIsCut) {
  {
    auto log = open({.fsync = Fsync::kNever});
    ASSERT_TRUE(log->commit(payload_of(0, 8), 1));
    ASSERT_TRUE(log->commit(payload_of(1, 2000), 1));
    disk_->crash_now();
  }
  disk_->restart(Loss::kNone, 1);
  const auto file = last_file();
  auto torn = std::move(*disk_->open(file, OpenMode::kWrite));
  ASSERT_TRUE(torn->truncate(torn->size().value() - 100));
  const auto back = read();
  EXPECT_EQ(back.records.size(), 1U);
  ASSERT_TRUE(back.end.torn);
  EXPECT_EQ(back.end.torn->file, file);
  EXPECT_EQ(back.end.torn->offset, 64U + 40U);
  EXPECT_GT(back.end.torn->bytes, 1000U);
  ASSERT_TRUE(open()->commit(payload_of(2, 8), 1));
  const auto again = read();
  ASSERT_EQ(again.records.size(), 2U);
  EXPECT_EQ(again.records[1], std::make_pair(std::uint64_t{2}, payload_of(2, 8)));
  EXPECT_FALSE(again.end.torn);
}

// Every bit of a log that was closed in order: named, or harmless; never another record.
TEST_F(LogTest, EveryFlippedBitIsFound) {
  {
    auto log = open();
    for (std::uint64_t i = 0; i < 4; ++i)
      ASSERT_TRUE(log->commit(payload_of(i, 20), 1));
  }
  const auto file = last_file();
  const auto good = read().records;
  const auto size = disk_->contents(file).size();
  const std::uint64_t mark = size - 32;
  for (std::uint64_t offset = 0; offset < size; ++offset) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      disk_->flip_bit(file, offset, bit);
      const auto back = read_log(*disk_, {.at_least_sequence = 0});
      if (offset < mark) {
        ASSERT_FALSE(back) << offset << "." << bit;
        EXPECT_TRUE(back.error().code() == ErrorCode::kCorrupt ||
                    back.error().code() == ErrorCode::kUnsupported);
        EXPECT_TRUE(back.error().message().starts_with(file)) << back.error().message();
      } else {
        // The mark itself proves nothing then, but every record is there.
        ASSERT_TRUE(back);
        EXPECT_EQ(back->records, good);
        EXPECT_TRUE(back->end.torn);
      }
      disk_->flip_bit(file, offset, bit);
    }
  }
}

TEST_F(LogTest, DamageOfTheLastGroupReadsAsTornUnlessSomebodyReliesOnIt) {
  {
    auto log = open({.reserve_bytes = 0});
    for (std::uint64_t i = 0; i < 3; ++i)
      ASSERT_TRUE(log->commit(payload_of(i, 16), 1));
    disk_->crash_now();
  }
  disk_->restart(Loss::kAll, 1);
  const auto file = last_file();
  disk_->flip_bit(file, disk_->contents(file).size() - 1, 0);
  EXPECT_EQ(read().records.size(), 2U);
  const auto relied = read_log(*disk_, {.at_least_sequence = 3});
  ASSERT_FALSE(relied);
  EXPECT_EQ(relied.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(relied.error().message().find("ends before sequence 3"), std::string::npos);
}

TEST_F(LogTest, MissingFilesAreFound) {
  {
    auto log = open({.file_bytes = 400});
    for (std::uint64_t i = 0; i < 6; ++i)
      ASSERT_TRUE(log->commit(payload_of(i, 300), 1));
  }
  const auto files = disk_->all_files();
  ASSERT_GE(files.size(), 5U);
  const auto without = [&](const std::string& path, LogReadOptions options) {
    EXPECT_TRUE(disk_->link(path, "/kept"));
    EXPECT_TRUE(disk_->remove(path));
    const auto back = read_log(*disk_, options);
    EXPECT_TRUE(disk_->rename("/kept", path));
    return back ? std::string("read") : back.error().message();
  };
  EXPECT_NE(without(files[0], {}).find("files are missing"), std::string::npos);
  EXPECT_EQ(without(files[0], {.after_sequence = 1}), "read");
  EXPECT_NE(without(files[2], {}).find("was on the disk once"), std::string::npos);
  EXPECT_NE(without(files.back(), {.at_least_sequence = 6}).find("ends before"), std::string::npos);
  for (const auto& path : files)
    ASSERT_TRUE(disk_->remove(path));
  const auto none = read_log(*disk_);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message(), "/log: the log is missing");
  EXPECT_TRUE(read_log(*disk_, {.must_exist = false}));
}

TEST_F(LogTest, FileOfAnotherStoreOrNameIsRefused) {
  ASSERT_TRUE(open()->commit(payload_of(0, 8), 1));
  auto reader = LogReader::open(*disk_, {.directory = kLogDir, .store = {9}});
  ASSERT_FALSE(reader);
  EXPECT_NE(reader.error().message().find("another store, or was renamed"), std::string::npos);
  ASSERT_TRUE(disk_->rename(last_file(), kLogDir + "/" + log_file_name(0x1000)));
  EXPECT_FALSE(read_log(*disk_));
}

TEST_F(LogTest, RecordsInsidePayloadsProveNothing) {
  // A payload that holds a whole log, whose records say "synced", and a torn end before it.
  {
    auto log = open();
    for (std::uint64_t i = 0; i < 3; ++i)
      ASSERT_TRUE(log->commit(payload_of(i, 16), 1));
  }
  const Buffer inner = disk_->contents(last_file());
  {
    auto log = open({.fsync = Fsync::kNever});
    ASSERT_TRUE(log->commit(payload_of(3, 16), 1));
    ASSERT_TRUE(log->commit(inner, 1));
    disk_->crash_now();
  }
  disk_->restart(Loss::kNone, 1);
  disk_->flip_bit(last_file(), 64 + 40, 3);
  const auto back = read();
  EXPECT_EQ(back.records.size(), 3U);
  EXPECT_TRUE(back.end.torn);
}

TEST_F(LogTest, TooLongABatchIsRefused) {
  auto log = open();
  const auto refused = log->commit(Buffer(kMaxLogPayload + 1), 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(log->commit(payload_of(0, 8), 1));
}

}  // namespace
}  // namespace sluice::controlplane::store
