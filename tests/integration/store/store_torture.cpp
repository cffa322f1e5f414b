// Kills a process that writes to a store (SIGKILL), again and again, in every phase of what it
// does, and checks each time: the store opens by itself, holds a prefix of the history that has
// everything acknowledged, and keeps no stray file; a backup or a base segment is whole or is none.
//
//   store_torture --directory D [--rounds N] [--seed S]
//
// Works in a new directory below D, so that two may run at once and nothing of another run is in
// the way; a run that fails leaves it to be looked at.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "controlplane/store/manifest.hpp"
#include "controlplane/store/segment/base_file.hpp"
#include "tests/integration/store/torture_writer.hpp"

namespace sluice::test {
namespace {

namespace files = std::filesystem;
using Clock = std::chrono::steady_clock;

// About as many operations as one turn of the phase takes; by the open one: of a short log.
constexpr std::array<std::uint64_t, kPhases> kOperations = {24, 60, 40, 60, 90, 30, 24, 40};
constexpr std::array kPolicies = {store::Fsync::kNever, store::Fsync::kEach,
                                  store::Fsync::kInterval};
constexpr unsigned kRoundsOfOneHistory = 25;         // a long one takes long to make again
constexpr std::chrono::milliseconds kPatience{300};  // with a phase that does not come

struct Options {
  std::string directory;
  unsigned rounds = 60;
  std::uint64_t seed = 0;
};

class Torture {
 public:
  Torture(const Options& options, KillBoard& board)
      : options_(options),
        board_(board),
        fs_(store::make_posix_fs()),
        random_(options.seed),
        history_(options.seed),
        model_(torture_shape(history_)) {}

  bool run() {
    const auto start = Clock::now();
    for (unsigned round = 0; round < options_.rounds; ++round) {
      if (round != 0 && round % kRoundsOfOneHistory == 0) begin_anew();
      if (one_round(round)) continue;
      fmt::print("seed {} history {} round {} ({}): {}\nleft in {}\n", options_.seed, history_,
                 round, what_, error_, options_.directory);
      return false;
    }
    tell(Clock::now() - start);
    return true;
  }

 private:
  void tell(Clock::duration took) const {
    for (const auto& [what, kills] : kills_)
      fmt::print("{} kills={}\n", what, kills);
    fmt::print(
        "seed={} rounds={} batches={} backups={} bases={} milliseconds={}: nothing "
        "acknowledged was lost\n",
        options_.seed, options_.rounds, batches_, backups_, bases_,
        std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
  }

  void begin_anew() {
    files::remove_all(options_.directory + "/store");
    model_ = StoreModel(torture_shape(++history_));
    progress_ = 0;
  }

  bool fail_with(std::string error) {
    error_ = std::move(error);
    return false;
  }

  // Each phase in turn, and now and then any moment.
  bool one_round(unsigned round) {
    Kill kill;
    const std::size_t turn = round % (kPhases + 1);
    if (turn < kPhases)
      kill = {.phase = static_cast<Phase>(turn), .nth = 1 + random_() % kOperations[turn]};
    what_ = turn < kPhases ? fmt::format("{}, operation {}", kPhaseNames[turn], kill.nth)
                           : "at any moment";
    std::uint64_t acknowledged = progress_;
    return kill_writer(round, kill, acknowledged) && check(round, acknowledged);
  }

  bool kill_writer(unsigned round, const Kill& kill, std::uint64_t& acknowledged) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return fail_with("no pipe");
    board_.reached.store(false);
    for (auto& count : board_.now)
      count.store(0);
    const pid_t child = ::fork();
    if (child < 0) return fail_with("no process");
    if (child == 0) {
      ::close(pipe[0]);
      write_until_killed({.directory = options_.directory,
                          .history = history_,
                          .seed = options_.seed + round,
                          .first = progress_ + 1,
                          .fsync = kPolicies[random_() % kPolicies.size()],
                          .kill = kill,
                          .acknowledge = pipe[1]},
                         board_);
    }
    ::close(pipe[1]);
    const auto limit = kill.nth == 0 ? std::chrono::milliseconds(random_() % 60) : kPatience;
    follow(pipe[0], child, Clock::now() + limit, acknowledged);
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
      return fail_with(fmt::format("the writer ended by itself, status {:x}", status));
    count_kill(kill);
    return true;
  }

  // Reads acknowledgements until the writer is dead; kills it when the time has come.
  static void follow(int pipe, pid_t child, Clock::time_point until, std::uint64_t& acknowledged) {
    bool killed = false;
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      if (left <= 0 && !killed) {
        ::kill(child, SIGKILL);
        killed = true;
      }
      pollfd ready{.fd = pipe, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, killed ? -1 : static_cast<int>(left)) <= 0) continue;
      std::uint64_t number = 0;
      if (::read(pipe, &number, sizeof number) != sizeof number) return;
      acknowledged = number;
    }
  }

  // Where it died: in the phase it was told to, or by the operations that were under way.
  void count_kill(const Kill& kill) {
    if (board_.reached.load()) {
      ++kills_[fmt::format("phase={}", kPhaseNames[static_cast<std::size_t>(kill.phase)])];
      return;
    }
    bool any = false;
    for (std::size_t i = 0; i < kPhases; ++i) {
      if (board_.now[i].load() == 0) continue;
      any = true;
      ++kills_[fmt::format("moment={}", kPhaseNames[i])];
    }
    if (!any) ++kills_["moment=between"];
  }

  bool check(unsigned round, std::uint64_t acknowledged) {
    const auto policy = kPolicies[round % kPolicies.size()];
    auto index = store::Index::open(*fs_, torture_options(options_.directory + "/store", policy));
    if (!index) return fail_with(index.error().message());
    const auto progress = StoreModel::progress_of(**index);
    if (!progress) return fail_with(progress.error().message());
    if (*progress < acknowledged)
      return fail_with(fmt::format("batch {} is the last one there, {} was acknowledged", *progress,
                                   acknowledged));
    if (*progress > acknowledged + 1)
      return fail_with(fmt::format("batch {} was never written", *progress));
    batches_ += *progress - progress_;
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
    return check_strays() && check_backups() && check_bases();
  }

  bool check_strays() {
    const auto manifest = store::read_manifest(*fs_, options_.directory + "/store");
    if (!manifest) return fail_with(manifest.error().message());
    std::set<std::string> named;
    for (const auto& layout : manifest->layouts) {
      for (const auto& tree : layout.trees) {
        for (const auto& segment : tree.segments)
          named.insert(store::segment_file_name(segment.file));
      }
    }
    for (const auto& entry : files::directory_iterator(options_.directory + "/store")) {
      const std::string name = entry.path().filename();
      if (store::log_file_base(name) || name == store::kManifestName || name == store::kLockName)
        continue;
      if (!named.contains(name)) return fail_with("stray file " + name);
    }
    return true;
  }

  std::vector<std::string> below(std::string_view directory, std::string_view prefix) const {
    std::vector<std::string> found;
    const std::string path = options_.directory + std::string(directory);
    if (!files::exists(path)) return found;
    for (const auto& entry : files::directory_iterator(path)) {
      if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
    }
    return found;
  }

  // A backup that was being made when the process died is none, or is whole.
  bool check_backups() {
    for (const std::string& path : below("", "backup-")) {
      if (files::exists(path + "/MANIFEST") && !check_backup(path)) return false;
      files::remove_all(path);
    }
    return true;
  }

  // Now and then as a restored copy; mostly as it is, which is cheaper.
  bool check_backup(const std::string& path) {
    std::string at = path;
    if (++backups_ % 4 == 0) {
      at = options_.directory + "/restored";
      const auto report = store::restore_backup(*fs_, path, at, {});
      if (!report) return fail_with(report.error().message());
    }
    auto index = store::Index::open(*fs_, torture_options(at, store::Fsync::kNever));
    if (!index) return fail_with(index.error().message());
    const auto progress = StoreModel::progress_of(**index);
    if (!progress) return fail_with(progress.error().message());
    StoreModel then(torture_shape(history_));
    then.apply_history(*progress);
    if (std::string difference = then.compare(**index, 1); !difference.empty())
      return fail_with("backup: " + difference);
    index->reset();
    files::remove_all(options_.directory + "/restored");
    return true;
  }

  // Under its name a base segment is whole; the rest is what the next start removes.
  bool check_bases() {
    for (const std::string& path : below("/base", "")) {
      if (path.ends_with(".base")) {
        ++bases_;
        const auto base = store::BaseFile::open(*fs_, path);
        if (!base) return fail_with(base.error().message());
        const Status good = base->verify([](std::uint64_t, std::uint64_t) { return true; });
        if (!good) return fail_with(good.error().message());
      } else if (!path.ends_with(".base.new")) {
        return fail_with("stray file " + path);
      }
      files::remove(path);
    }
    return true;
  }

  const Options options_;
  KillBoard& board_;
  const std::unique_ptr<store::Fs> fs_;
  std::mt19937_64 random_;
  std::uint64_t history_;
  StoreModel model_;
  std::uint64_t progress_ = 0;
  std::uint64_t batches_ = 0;
  std::uint64_t backups_ = 0;
  std::uint64_t bases_ = 0;
  std::string what_;
  std::string error_;
  std::map<std::string, unsigned> kills_;
};

KillBoard* shared_board() {
  void* const memory =
      ::mmap(nullptr, sizeof(KillBoard), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : new (memory) KillBoard;
}

}  // namespace
}  // namespace sluice::test

int main(int argc, char** argv) {
  sluice::test::Options options;
  options.seed = std::random_device{}();
  CLI::App app("Kills a process that writes to a store, and checks what is left", "store_torture");
  app.add_option("--directory", options.directory, "where to work, in a new directory")->required();
  app.add_option("--rounds", options.rounds, "kills")->envname("SLUICE_STORE_KILLS");
  app.add_option("--seed", options.seed, "of history and kills")->envname("SLUICE_STORE_SEED");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::warn);
  std::filesystem::create_directories(options.directory);
  options.directory += "/run-XXXXXX";
  sluice::test::KillBoard* const board = sluice::test::shared_board();
  if (board == nullptr || ::mkdtemp(options.directory.data()) == nullptr) {
    fmt::print(stderr, "{}: no memory or no directory\n", options.directory);
    return 1;
  }
  const bool good = sluice::test::Torture(options, *board).run();
  if (good) std::filesystem::remove_all(options.directory);
  return good ? 0 : 1;
}
