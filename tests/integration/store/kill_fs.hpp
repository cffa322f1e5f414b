// The real file system, in a process that kills itself (SIGKILL) at the n-th operation of one phase
// of the store's work: so that a kill hits each phase, also those too short to be hit by chance.
// What it was doing is told to the process that watches, through memory that both share. Any
// thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/file/fs.hpp"

namespace sluice::test {

namespace store = controlplane::store;

// Told apart by the file that is worked on and, for segments and directories, by the thread.
enum class Phase : std::uint8_t {
  kOpen,
  kLog,
  kSeal,
  kCompaction,
  kMigration,
  kManifest,
  kBase,
  kBackup,
};
inline constexpr std::array<std::string_view, 8> kPhaseNames = {
    "open", "log", "seal", "compaction", "migration", "manifest", "base", "backup"};
inline constexpr std::size_t kPhases = kPhaseNames.size();

// In shared memory. The process that watches reads it when the other one is dead.
struct KillBoard {
  std::atomic<bool> reached{false};                     // it died where it was told to
  std::array<std::atomic<std::uint32_t>, kPhases> now;  // operations under way
};
static_assert(std::atomic<bool>::is_always_lock_free);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

class KillFs final : public store::Fs {
 public:
  // Dies at the `nth` operation (from 1; 0: never) of that phase, before it or, at even numbers,
  // behind it. Everything is below `root`.
  KillFs(std::string root, Phase phase, std::uint64_t nth, KillBoard& board);

  // Until this everything belongs to opening.
  void opened() noexcept { opening_.store(false); }
  // Of the calling thread: what it does with segments is compaction.
  static void compacts_here();

  Result<std::unique_ptr<store::File>> open(const std::string& path, store::OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status link(const std::string& from, const std::string& to) override;
  Result<bool> exists(const std::string& path) override { return real_->exists(path); }
  Result<std::uint64_t> file_size(const std::string& path) override {
    return real_->file_size(path);
  }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    return real_->list(directory);
  }
  Status make_dir(const std::string& directory) override;
  Status remove_dir(const std::string& directory) override { return real_->remove_dir(directory); }
  Status sync_dir(const std::string& directory) override;
  Result<std::unique_ptr<store::FileLock>> lock(const std::string& path) override;
  Result<std::unique_ptr<store::FileLock>> lock_for_reading(const std::string& directory) override {
    return real_->lock_for_reading(directory);
  }
  Result<store::SpaceInfo> space(const std::string& directory) override {
    return real_->space(directory);
  }

 private:
  class KillFile;
  Phase phase_of(const std::string& path) const;
  template <class Operation>
  auto at(const std::string& path, const Operation& operation);

  const std::unique_ptr<store::Fs> real_;
  const std::string root_;
  const Phase phase_;
  const std::uint64_t nth_;
  KillBoard& board_;
  std::atomic<bool> opening_{true};
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace sluice::test
