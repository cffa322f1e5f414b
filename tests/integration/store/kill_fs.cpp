#include "tests/integration/store/kill_fs.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace sluice::test {
namespace {

// As the store names its threads.
constexpr const char* kMergeThread = "store-merge";
constexpr const char* kMigrateThread = "store-migrate";

std::string thread_name() {
  std::array<char, 16> name{};
  ::pthread_getname_np(::pthread_self(), name.data(), name.size());
  return name.data();
}

}  // namespace

KillFs::KillFs(std::string root, Phase phase, std::uint64_t nth, KillBoard& board)
    : real_(store::make_posix_fs()),
      root_(std::move(root)),
      phase_(phase),
      nth_(nth),
      board_(board) {}

void KillFs::compacts_here() {
  ::pthread_setname_np(::pthread_self(), kMergeThread);
}

Phase KillFs::phase_of(const std::string& full) const {
  if (opening_.load()) return Phase::kOpen;
  // Folders above the root are synced, too, when something is made in it.
  const std::string_view path =
      full.starts_with(root_) ? std::string_view(full).substr(root_.size()) : std::string_view();
  if (path.contains("/base")) return Phase::kBase;
  if (path.contains("/backup")) return Phase::kBackup;
  if (path.contains("/MANIFEST")) return Phase::kManifest;
  if (path.contains("/log-")) return Phase::kLog;
  const std::string thread = thread_name();
  if (thread == kMergeThread) return Phase::kCompaction;
  if (thread == kMigrateThread) return Phase::kMigration;
  return path.contains("/seg-") ? Phase::kSeal : Phase::kLog;
}

template <class Operation>
auto KillFs::at(const std::string& path, const Operation& operation) {
  const Phase phase = phase_of(path);
  const bool last = phase == phase_ && count_.fetch_add(1) + 1 == nth_;
  auto& now = board_.now[static_cast<std::size_t>(phase)];
  const auto die = [&] {
    board_.reached.store(true);
    ::raise(SIGKILL);
  };
  now.fetch_add(1);
  if (last && nth_ % 2 != 0) die();
  auto result = operation();
  if (last) die();
  now.fetch_sub(1);
  return result;
}

class KillFs::KillFile final : public store::File {
 public:
  KillFile(KillFs& fs, std::unique_ptr<store::File> real) : fs_(fs), real_(std::move(real)) {}

  const std::string& path() const noexcept override { return real_->path(); }
  Result<std::uint64_t> size() const override { return real_->size(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    return real_->read_at(offset, into);
  }
  // In two halves, so that a kill can leave torn bytes.
  Status write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    const std::size_t half = bytes.size() / 2;
    if (const Status done = real_->write_at(offset, bytes.first(half)); !done) return done;
    return fs_.at(path(), [&] { return real_->write_at(offset + half, bytes.subspan(half)); });
  }
  Status append(std::span<const std::uint8_t> bytes) override {
    const std::size_t half = bytes.size() / 2;
    if (const Status done = real_->append(bytes.first(half)); !done) return done;
    return fs_.at(path(), [&] { return real_->append(bytes.subspan(half)); });
  }
  Status sync() override {
    return fs_.at(path(), [&] { return real_->sync(); });
  }
  Status truncate(std::uint64_t size) override {
    return fs_.at(path(), [&] { return real_->truncate(size); });
  }
  Status reserve(std::uint64_t size) override {
    return fs_.at(path(), [&] { return real_->reserve(size); });
  }
  Result<std::shared_ptr<const store::Mapping>> map() const override { return real_->map(); }

 private:
  KillFs& fs_;
  const std::unique_ptr<store::File> real_;
};

Result<std::unique_ptr<store::File>> KillFs::open(const std::string& path, store::OpenMode mode) {
  auto real = mode == store::OpenMode::kRead ? real_->open(path, mode)
                                             : at(path, [&] { return real_->open(path, mode); });
  if (!real) return real;
  return std::make_unique<KillFile>(*this, *std::move(real));
}

Status KillFs::rename(const std::string& from, const std::string& to) {
  return at(to, [&] { return real_->rename(from, to); });
}
Status KillFs::remove(const std::string& path) {
  return at(path, [&] { return real_->remove(path); });
}
Status KillFs::link(const std::string& from, const std::string& to) {
  return at(to, [&] { return real_->link(from, to); });
}
Status KillFs::make_dir(const std::string& directory) {
  return at(directory, [&] { return real_->make_dir(directory); });
}
Status KillFs::sync_dir(const std::string& directory) {
  return at(directory, [&] { return real_->sync_dir(directory); });
}
Result<std::unique_ptr<store::FileLock>> KillFs::lock(const std::string& path) {
  return at(path, [&] { return real_->lock(path); });
}

}  // namespace sluice::test
