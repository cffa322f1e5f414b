// Kills a process that writes to a store (SIGKILL), again and again, in every phase of what it
// does, and checks each time: the store opens by itself, holds a prefix of the history that has
// everything acknowledged, and keeps no stray file. The writer acknowledges each batch through a
// pipe.
//
//   store_torture --directory D [--rounds N] [--seed S]
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/store/index.hpp"
#include "controlplane/store/manifest.hpp"
#include "tests/integration/store/kill_fs.hpp"
#include "tests/support/store_model.hpp"

namespace sluice::test {
namespace {

// Where a round's kill shall hit: by the file that is worked on, or by time alone.
struct Phase {
  std::string_view name;
  std::string_view part;  // of the path; empty: at a random time
  std::uint64_t most;     // operations
};
constexpr std::array kPhases = {
    Phase{"time", "", 0},           Phase{"log", "/log-", 400},
    Phase{"segment", "/seg-", 120}, Phase{"manifest", "/MANIFEST", 30},
    Phase{"backup", "/backup", 40}, Phase{"directory", "/store", 800},
};

struct Options {
  std::string directory;
  unsigned rounds = 20;
  std::uint64_t seed = 0;
};

StoreModel::Shape shape_of(std::uint64_t seed) {
  return {.seed = seed, .keys = 1500, .largest_batch = 60};
}

store::IndexOptions index_options(const std::string& directory, std::uint64_t round) {
  constexpr std::array kPolicies = {store::Fsync::kNever, store::Fsync::kEach,
                                    store::Fsync::kInterval};
  return {.directory = directory,
          .tables = model_tables(),
          .lanes = 2,
          .fsync = kPolicies[round % kPolicies.size()],
          .overlay_bytes = 1 << 19};
}

// Maintenance beside the writes, without end.
void disturb(store::Index& index, const std::string& directory, std::uint64_t seed,
             const std::atomic<bool>& stop) {
  std::mt19937_64 random(seed);
  store::Maintenance& maintenance = index.maintenance();
  for (unsigned turn = 0; !stop.load(); ++turn) {
    switch (random() % 5) {
      case 0:
        (void)maintenance.compact({});
        break;
      case 1: {
        HashKey key;
        key.bytes.fill(static_cast<std::uint8_t>(random()));
        (void)maintenance.migrate({.lanes = 1 + static_cast<unsigned>(random() % 4), .key = key},
                                  {});
        break;
      }
      case 2:
        (void)maintenance.backup(fmt::format("{}/backup-{}", directory, turn), {});
        break;
      default:
        (void)index.snapshot();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 4));
  }
}

// The process that is killed. Writes batches from `first` on; acknowledges their numbers.
[[noreturn]] void write_until_killed(const Options& options, std::uint64_t round,
                                     const Phase& phase, std::uint64_t nth, std::uint64_t first,
                                     int acknowledge) {
  KillFs fs(std::string(phase.part), nth);
  // Opening, too, may be killed.
  if (!phase.part.empty() && round % 3 == 0) fs.arm();
  auto index = store::Index::open(fs, index_options(options.directory + "/store", round));
  if (!index) {
    fmt::print(stderr, "{}\n", index.error().message());
    ::_exit(3);
  }
  if (!phase.part.empty()) fs.arm();
  const std::atomic<bool> stop{false};
  std::thread other([&] { disturb(**index, options.directory, options.seed + round, stop); });
  const StoreModel model(shape_of(options.seed));
  for (std::uint64_t number = first;; ++number) {
    if (const Status done = (*index)->write(model.batch(number)); !done) {
      fmt::print(stderr, "batch {}: {}\n", number, done.error().message());
      ::_exit(4);
    }
    if (::write(acknowledge, &number, sizeof number) != sizeof number) ::_exit(5);
  }
}

class Torture {
 public:
  explicit Torture(const Options& options)
      : options_(options), random_(options.seed), model_(shape_of(options.seed)) {}

  bool run() {
    for (unsigned round = 0; round < options_.rounds; ++round) {
      if (round != 0 && round % kRoundsOfOneHistory == 0) begin_anew();
      if (!one_round(round)) {
        fmt::print("seed {} round {} ({}): {}\n", options_.seed, round, phase_, error_);
        return false;
      }
    }
    for (const auto& [phase, kills] : kills_)
      fmt::print("phase={} kills={}\n", phase, kills);
    fmt::print("rounds={}: nothing acknowledged was lost\n", options_.rounds);
    return true;
  }

 private:
  // A history that is too long takes too long to make again.
  void begin_anew() {
    std::filesystem::remove_all(options_.directory + "/store");
    ++options_.seed;
    model_ = StoreModel(shape_of(options_.seed));
    progress_ = 0;
  }

  bool fail_with(std::string error) {
    error_ = std::move(error);
    return false;
  }

  bool one_round(unsigned round) {
    const Phase& phase = kPhases[random_() % kPhases.size()];
    phase_ = phase.name;
    const std::uint64_t nth = phase.most == 0 ? 0 : 1 + random_() % phase.most;
    std::uint64_t acknowledged = progress_;
    if (!kill_writer(round, phase, nth, acknowledged)) return false;
    return check(round, acknowledged);
  }

  // Reads acknowledgements until the writer is dead.
  bool kill_writer(unsigned round, const Phase& phase, std::uint64_t nth,
                   std::uint64_t& acknowledged) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return fail_with("no pipe");
    const pid_t child = ::fork();
    if (child < 0) return fail_with("no process");
    if (child == 0) {
      ::close(pipe[0]);
      write_until_killed(options_, round, phase, nth, progress_ + 1, pipe[1]);
    }
    ::close(pipe[1]);
    // By time, or when the phase is not reached.
    const auto limit = std::chrono::milliseconds(phase.most == 0 ? random_() % 120 : 400);
    std::thread killer([child, limit] {
      std::this_thread::sleep_for(limit);
      ::kill(child, SIGKILL);
    });
    std::uint64_t number = 0;
    while (::read(pipe[0], &number, sizeof number) == sizeof number)
      acknowledged = number;
    ::close(pipe[0]);
    killer.join();
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
      return fail_with(fmt::format("the writer ended by itself, status {:x}", status));
    ++kills_[std::string(phase.name)];
    return true;
  }

  bool check(unsigned round, std::uint64_t acknowledged) {
    const auto fs = store::make_posix_fs();
    auto index = store::Index::open(*fs, index_options(options_.directory + "/store", round));
    if (!index) return fail_with(index.error().message());
    const auto progress = StoreModel::progress_of(**index);
    if (!progress) return fail_with(progress.error().message());
    if (*progress < acknowledged)
      return fail_with(fmt::format("batch {} is the last one there, {} was acknowledged", *progress,
                                   acknowledged));
    if (*progress > acknowledged + 1)
      return fail_with(fmt::format("batch {} was never written", *progress));
    model_.apply_history(*progress);
    progress_ = *progress;
    if (std::string difference = model_.compare(**index, round); !difference.empty())
      return fail_with(difference);
    if (round % 8 == 0) {
      const auto report = (*index)->maintenance().verify({});
      if (!report) return fail_with(report.error().message());
      if (!report->damaged.empty()) return fail_with(report->damaged[0].what);
    }
    index->reset();
    return check_strays() && check_backups(*fs);
  }

  bool check_strays() {
    const auto fs = store::make_posix_fs();
    const auto manifest = store::read_manifest(*fs, options_.directory + "/store");
    if (!manifest) return fail_with(manifest.error().message());
    std::set<std::string> named;
    for (const auto& layout : manifest->layouts) {
      for (const auto& tree : layout.trees) {
        for (const auto& segment : tree.segments)
          named.insert(store::segment_file_name(segment.file));
      }
    }
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory + "/store")) {
      const std::string name = entry.path().filename();
      if (name.starts_with("log-") || name == store::kManifestName || name == store::kLockName)
        continue;
      if (!named.contains(name)) return fail_with("stray file " + name);
    }
    return true;
  }

  // A backup that was being made when the process died is none, or is whole.
  bool check_backups(store::Fs& fs) {
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory)) {
      const std::string path = entry.path();
      if (path.find("/backup") == std::string::npos) continue;
      if (std::filesystem::exists(path + "/MANIFEST")) {
        const std::string restored = options_.directory + "/restored";
        const auto report = store::restore_backup(fs, path, restored, {});
        if (!report) return fail_with(report.error().message());
        auto index = store::Index::open(fs, index_options(restored, 0));
        if (!index) return fail_with(index.error().message());
        const auto progress = StoreModel::progress_of(**index);
        if (!progress) return fail_with(progress.error().message());
        StoreModel then(shape_of(options_.seed));
        then.apply_history(*progress);
        if (std::string difference = then.compare(**index, 1); !difference.empty())
          return fail_with("backup: " + difference);
        index->reset();
        std::filesystem::remove_all(restored);
      }
      std::filesystem::remove_all(path);
    }
    return true;
  }

  static constexpr unsigned kRoundsOfOneHistory = 25;

  Options options_;
  std::mt19937_64 random_;
  StoreModel model_;
  std::uint64_t progress_ = 0;
  std::string phase_;
  std::string error_;
  std::map<std::string, unsigned> kills_;
};

}  // namespace
}  // namespace sluice::test

int main(int argc, char** argv) {
  sluice::test::Options options;
  options.seed = std::random_device{}();
  CLI::App app("Kills a process that writes to a store, and checks what is left", "store_torture");
  app.add_option("--directory", options.directory, "where to work; made, and emptied at the end")
      ->required();
  app.add_option("--rounds", options.rounds, "kills")->envname("SLUICE_STORE_KILLS");
  app.add_option("--seed", options.seed, "of history and kills")->envname("SLUICE_STORE_SEED");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::warn);
  std::filesystem::create_directories(options.directory);
  // A run that failed left what it made to be looked at.
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(options.directory)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("backup-") || name == "store" || name == "restored")
      left.push_back(entry.path());
  }
  for (const auto& path : left)
    std::filesystem::remove_all(path);
  const bool good = sluice::test::Torture(options).run();
  if (good) std::filesystem::remove_all(options.directory);
  return good ? 0 : 1;
}
