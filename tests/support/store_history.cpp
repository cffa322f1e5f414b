#include "tests/support/store_history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <set>
#include <thread>
#include <utility>

#include "controlplane/store/manifest.hpp"
#include "controlplane/store/segment/base_builder.hpp"
#include "controlplane/store/segment/base_file.hpp"

namespace sluice::test {
namespace {

constexpr const char* kStore = "/data/store";
constexpr const char* kBackup = "/data/backup";
constexpr const char* kRestored = "/data/restored";
constexpr const char* kBaseDirectory = "/data/base";
constexpr const char* kBase = "/data/base/one.base";
constexpr unsigned kBatchesPerStep = 4;

store::IndexOptions options(const std::string& directory, store::Fsync fsync) {
  return {.directory = directory,
          .tables = model_tables(),
          .lanes = 2,
          .fsync = fsync,
          .overlay_bytes = 1 << 19,
          .verify_after_open = false};
}

}  // namespace

StoreHistory::StoreHistory(FaultFs& fs, store::Fsync fsync, std::uint64_t seed)
    : fs_(fs),
      fsync_(fsync),
      model_({.seed = seed, .keys = 40, .largest_batch = 12, .largest_record = 60}) {}

bool StoreHistory::run() {
  using Step = bool (StoreHistory::*)();
  const std::pair<std::string_view, Step> steps[] = {
      {"open", &StoreHistory::open},
      {"log", &StoreHistory::log},
      {"seal", &StoreHistory::seal},
      {"log", &StoreHistory::log},
      {"seal", &StoreHistory::seal},
      {"compact", &StoreHistory::compact},
      {"log", &StoreHistory::log},
      {"base", &StoreHistory::build_base},
      {"log", &StoreHistory::log},
      {"backup", &StoreHistory::back_up},
      {"log", &StoreHistory::log},
      {"migrate keys", &StoreHistory::migrate_keys},
      {"log", &StoreHistory::log},
      {"migrate lanes", &StoreHistory::migrate_lanes},
      {"restore", &StoreHistory::restore},
      {"log", &StoreHistory::log},
      {"close and open", &StoreHistory::close_and_reopen},
      {"log", &StoreHistory::log},
  };
  for (const auto& [name, step] : steps) {
    step_ = name;
    if (!(this->*step)()) return false;
  }
  step_ = "close";
  close();
  return !fs_.crashed();
}

bool StoreHistory::open() {
  auto opened = store::Index::open(fs_, options(kStore, fsync_));
  if (!opened) {
    error_ = opened.error().message();
    return false;
  }
  index_ = *std::move(opened);
  return true;
}

bool StoreHistory::log() {
  for (unsigned i = 0; i < kBatchesPerStep; ++i) {
    if (!index_->write(model_.batch(written_ + 1))) return false;
    ++written_;
    if (fsync_ == store::Fsync::kEach) safe_ = written_;
  }
  if (!index_->sync()) return false;
  safe_ = written_;
  return true;
}

// Until the background has nothing to do and has cleared away what it left.
bool StoreHistory::settle() {
  for (;;) {
    if (fs_.crashed()) return false;
    const store::IndexMetrics metrics = index_->metrics();
    const bool flushed = std::ranges::all_of(
        metrics.trees, [](const store::TreeMetrics& tree) { return tree.overlay_entries == 0; });
    if (flushed && !metrics.migrating && metrics.debt_bytes == 0 && strays().empty()) return true;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

bool StoreHistory::seal() {
  (void)index_->snapshot();
  return settle();
}

bool StoreHistory::compact() {
  return index_->maintenance().compact({}).has_value() && settle();
}

bool StoreHistory::build_base() {
  if (!seal()) return false;
  store::BaseBuilder builder({.key = index_->hash_key(), .id = {1}});
  const auto position = builder.position({.port = 1, .family = 4});
  if (!position) return false;
  const store::Snapshot snapshot = index_->snapshot();
  auto cursor = snapshot.cursor(kNumbers, std::uint16_t{0});
  if (!cursor) return false;
  store::Item item;
  for (;;) {
    const auto more = cursor->next(item);
    if (!more) return false;
    if (!*more) break;
    Id id;
    if (item.key.size() != id.bytes.size()) continue;
    std::memcpy(id.bytes.data(), item.key.data(), id.bytes.size());
    if (!builder.add(id, {ActionKind::kAdjacency, *position, 7600, 0, 0})) return false;
  }
  if (!fs_.make_dir(kBaseDirectory) || !fs_.sync_dir("/data")) return false;
  store::Pace pace;
  base_built_ = builder.finish(fs_, kBase, pace).has_value();
  return base_built_;
}

bool StoreHistory::back_up() {
  in_backup_ = written_;
  backed_up_ = index_->maintenance().backup(kBackup, {}).has_value();
  return backed_up_;
}

bool StoreHistory::migrate_keys() {
  HashKey key;
  key.bytes.fill(7);
  return index_->maintenance().migrate({.lanes = 3, .key = key}, {}).has_value() && settle();
}

bool StoreHistory::migrate_lanes() {
  return index_->maintenance().migrate({.lanes = 2}, {}).has_value() && settle();
}

bool StoreHistory::restore() {
  restored_ = store::restore_backup(fs_, kBackup, kRestored, {}).has_value();
  return restored_;
}

bool StoreHistory::close_and_reopen() {
  close();
  return open();
}

// --- what is left -------------------------------------------------------------------------------

// What the directory has and no manifest names; of what cannot be read now nothing is said.
std::string StoreHistory::strays() const {
  const auto manifest = store::read_manifest(fs_, kStore);
  const auto names = fs_.list(kStore);
  if (!manifest || !names) return {};
  std::set<std::string> named = {std::string(store::kManifestName), std::string(store::kLockName)};
  for (const auto& layout : manifest->layouts) {
    for (const auto& tree : layout.trees) {
      for (const auto& segment : tree.segments)
        named.insert(store::segment_file_name(segment.file));
    }
  }
  std::string strays;
  for (const std::string& name : *names) {
    if (!named.contains(name) && !store::log_file_base(name)) strays += " " + name;
  }
  return strays;
}

std::string StoreHistory::check() {
  index_.reset();
  if (std::string wrong = check_read_only(); !wrong.empty()) return "read-only: " + wrong;
  if (std::string wrong = check_store(); !wrong.empty()) return wrong;
  if (std::string wrong = check_copy(kBackup, backed_up_, in_backup_); !wrong.empty()) return wrong;
  if (std::string wrong = check_copy(kRestored, restored_, in_backup_); !wrong.empty())
    return wrong;
  return check_base();
}

// On a disk that takes no writes the store is served as it is, and stays so. One whose first
// opening did not come to its end has nothing to serve.
std::string StoreHistory::check_read_only() {
  const auto manifest = store::read_manifest(fs_, kStore);
  if (!manifest || manifest->generation == 1) return "";
  const auto before = all_contents();
  fs_.set_read_only(true);
  std::string wrong;
  if (!open()) {
    wrong = "it does not open: " + error_;
  } else if (const auto served = check_served(); !served) {
    wrong = served.error();
  }
  index_.reset();
  fs_.set_read_only(false);
  if (wrong.empty() && all_contents() != before) wrong = "the disk has changed";
  return wrong;
}

std::map<std::string, std::vector<std::uint8_t>> StoreHistory::all_contents() const {
  std::map<std::string, std::vector<std::uint8_t>> all;
  for (const std::string& file : fs_.all_files())
    all[file] = fs_.contents(file);
  return all;
}

// A prefix of the history, with all that was promised; how much of it, or what is wrong.
std::expected<std::uint64_t, std::string> StoreHistory::check_served() {
  const auto progress = StoreModel::progress_of(*index_);
  if (!progress) return std::unexpected(progress.error().message());
  if (*progress < safe_)
    return std::unexpected(
        fmt::format("batch {} is lost, which was acknowledged; {} is there", safe_, *progress));
  if (*progress > written_ + 1)
    return std::unexpected(fmt::format("batch {} was never written", *progress));
  StoreModel then = model_;
  then.apply_history(*progress);
  if (std::string wrong = then.compare(*index_, *progress); !wrong.empty())
    return std::unexpected(std::move(wrong));
  return *progress;
}

std::string StoreHistory::check_store() {
  if (!open()) return "it does not open: " + error_;
  const auto progress = check_served();
  if (!progress) return progress.error();
  StoreModel then = model_;
  then.apply_history(*progress);
  for (std::uint64_t next = *progress + 1; next <= *progress + 2; ++next) {
    if (const Status done = index_->write(model_.batch(next)); !done)
      return "it takes no more writes: " + done.error().message();
  }
  then.apply_history(*progress + 2);
  if (std::string wrong = then.compare(*index_, *progress); !wrong.empty())
    return "written after the crash: " + wrong;
  index_.reset();
  const std::string left = strays();
  return left.empty() ? "" : "stray files:" + left;
}

std::string StoreHistory::check_copy(const std::string& directory, bool promised,
                                     std::uint64_t at_least) {
  const auto whole = fs_.exists(fmt::format("{}/{}", directory, store::kManifestName));
  if (!whole) return whole.error().message();
  if (!*whole) return promised ? directory + " is gone" : "";
  const auto copy = store::Index::open(fs_, options(directory, fsync_));
  if (!copy) return copy.error().message();
  const auto progress = StoreModel::progress_of(**copy);
  if (!progress) return directory + ": " + progress.error().message();
  if (*progress < at_least)
    return fmt::format("{} has batch {} of {}", directory, *progress, at_least);
  StoreModel then = model_;
  then.apply_history(*progress);
  const std::string wrong = then.compare(**copy, *progress);
  return wrong.empty() ? "" : fmt::format("{}: {}", directory, wrong);
}

std::string StoreHistory::check_base() {
  const auto there = fs_.exists(kBase);
  if (!there) return there.error().message();
  if (!*there) return base_built_ ? "the base segment is gone" : "";
  const auto base = store::BaseFile::open(fs_, kBase);
  if (!base) return base.error().message();
  const Status good = base->verify([](std::uint64_t, std::uint64_t) { return true; });
  return good ? "" : good.error().message();
}

}  // namespace sluice::test
