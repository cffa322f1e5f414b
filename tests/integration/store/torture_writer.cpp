#include "tests/integration/store/torture_writer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "controlplane/store/segment/base_builder.hpp"
#include "controlplane/store/segment/segment_format.hpp"

namespace sluice::test {
namespace {

// Whoever wants to die in a phase should not wait long for it.
class Disturber {
 public:
  Disturber(store::Fs& fs, store::Index& index, const TortureRound& round)
      : fs_(fs), index_(index), round_(round), random_(round.seed) {}

  [[noreturn]] void run() {
    KillFs::compacts_here();
    for (;;) {
      ++turn_;
      work_on(random_() % 4 != 0 ? round_.kill.phase : static_cast<Phase>(random_() % kPhases));
    }
  }

 private:
  // An error is none of its business: the disk is fine, so it is "cancelled" or "too busy".
  void work_on(Phase phase) {
    store::Maintenance& maintenance = index_.maintenance();
    switch (phase) {
      case Phase::kCompaction:
        (void)maintenance.compact({});
        break;
      case Phase::kMigration:
        migrate();
        break;
      case Phase::kBase:
        build_base();
        break;
      case Phase::kBackup:
        (void)maintenance.backup(fmt::format("{}/backup-{}", round_.directory, turn_), {});
        break;
      default:
        (void)index_.snapshot();  // seals
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random_() % 2000));
  }

  void migrate() {
    HashKey key;
    key.bytes.fill(static_cast<std::uint8_t>(random_()));
    store::MigrateTarget target{.lanes = 1 + static_cast<unsigned>(random_() % 4)};
    if (random_() % 2 == 0) target.key = key;
    if (random_() % 2 == 0)
      target.format = static_cast<std::uint32_t>(
          store::kOldestSegmentFormat +
          random_() % (store::kNewestSegmentFormat - store::kOldestSegmentFormat + 1));
    (void)index_.maintenance().migrate(target, {});
  }

  void build_base() {
    store::BaseBuilder builder({.key = index_.hash_key(), .id = {1}});
    const auto position = builder.position({.port = 1, .family = 4});
    const store::Snapshot snapshot = index_.snapshot();
    auto cursor = snapshot.cursor(kNumbers, std::uint16_t{0});
    store::Item item;
    while (cursor && position && cursor->next(item).value_or(false)) {
      Id id;
      if (item.key.size() != id.bytes.size()) continue;
      std::memcpy(id.bytes.data(), item.key.data(), id.bytes.size());
      (void)builder.add(id, {ActionKind::kAdjacency, *position, 7600, 0, 0});
    }
    const std::string directory = round_.directory + "/base";
    store::Pace pace;
    if (fs_.make_dir(directory))
      (void)builder.finish(fs_, fmt::format("{}/{}.base", directory, turn_), pace);
  }

  store::Fs& fs_;
  store::Index& index_;
  const TortureRound& round_;
  std::mt19937_64 random_;
  std::uint64_t turn_ = 0;
};

}  // namespace

StoreModel::Shape torture_shape(std::uint64_t seed) {
  return {.seed = seed, .keys = 400, .largest_batch = 40};
}

store::IndexOptions torture_options(const std::string& directory, store::Fsync fsync) {
  return {.directory = directory,
          .tables = model_tables(),
          .lanes = 2,
          .fsync = fsync,
          .overlay_bytes = 1 << 19};
}

void write_until_killed(const TortureRound& round, KillBoard& board) {
  KillFs fs(round.directory, round.kill.phase, round.kill.nth, board);
  auto index = store::Index::open(fs, torture_options(round.directory + "/store", round.fsync));
  if (!index) {
    fmt::print(stderr, "{}\n", index.error().message());
    ::_exit(3);
  }
  fs.opened();
  std::thread other([&] { Disturber(fs, **index, round).run(); });
  const StoreModel model(torture_shape(round.history));
  for (std::uint64_t number = round.first;; ++number) {
    if (const Status done = (*index)->write(model.batch(number)); !done) {
      fmt::print(stderr, "batch {}: {}\n", number, done.error().message());
      ::_exit(4);
    }
    if (::write(round.acknowledge, &number, sizeof number) != sizeof number) ::_exit(5);
  }
}

}  // namespace sluice::test
