// A file system in memory that breaks as told: the store's tests lose power, fill the disk, lose
// fsyncs and flip bits with it. What a crash leaves is fault_disk.hpp's model.
//
// Any thread. An operation is a call that changes the disk: create, write, sync, truncate, reserve,
// rename, remove, link, make_dir, remove_dir, sync_dir, lock; numbered from 1 in the order of the
// calls.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/file/fs.hpp"
#include "tests/support/fault_disk.hpp"

namespace sluice::test {

namespace store = controlplane::store;

class FaultFs final : public store::Fs {
 public:
  // Of operations: name ("write"), path; called before it, with no lock held.
  using Hook = std::function<void(std::uint64_t number, std::string_view name, const std::string&)>;

  // --- faults -----------------------------------------------------------------------------------
  // The n-th operation from now (1: the next) fails with kUnavailable "power lost", and so does
  // everything after it, reads too, until restart(). Of that operation itself a part may survive.
  void crash_at(std::uint64_t n);
  void crash_now() { crash_at(0); }
  // The same at the first operation that is chosen: "writing", "syncing", "renaming" and so on, and
  // its path. Called under the lock for each one, so it must not call this.
  using Chooser = std::function<bool(std::string_view name, const std::string& path)>;
  void crash_when(Chooser chosen);
  bool crashed() const;
  std::uint64_t operations() const;
  // The machine comes back: applies the loss, forgets locks and faults. Files of before fail.
  void restart(Loss loss, std::uint64_t seed);

  // Room for so many bytes more, then ENOSPC; a write gets in as far as it fits. nullopt: no limit.
  void set_free_bytes(std::optional<std::uint64_t> bytes);
  // EROFS for every operation, but for locks, which then make no file.
  void set_read_only(bool on);
  // EACCES for every operation.
  void deny_changes(bool on);
  // The n-th sync from now fails with EIO, once; as on Linux a later one succeeds and helps
  // nothing.
  void fail_sync_at(std::uint64_t n);
  // Writes, or reads and maps, of paths that contain `part` fail with EIO; "" ends it.
  void fail_writes_of(std::string part);
  void fail_reads_of(std::string part);
  void flip_bit(const std::string& path, std::uint64_t offset, unsigned bit);
  void on_operation(Hook hook);
  // Called before a file is opened for reading, with no lock held: what changes while it is read.
  using ReadHook = std::function<void(const std::string& path)>;
  void on_read(ReadHook hook);

  // --- looking ----------------------------------------------------------------------------------
  std::vector<std::uint8_t> contents(const std::string& path) const;
  std::vector<std::string> all_files() const;  // full paths, sorted
  std::uint64_t syncs() const;                 // of files

  // --- Fs ---------------------------------------------------------------------------------------
  Result<std::unique_ptr<store::File>> open(const std::string& path, store::OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status link(const std::string& from, const std::string& to) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::uint64_t> file_size(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  Status make_dir(const std::string& directory) override;
  Status remove_dir(const std::string& directory) override;
  Status sync_dir(const std::string& directory) override;
  Result<std::unique_ptr<store::FileLock>> lock(const std::string& path) override;
  Result<std::unique_ptr<store::FileLock>> lock_for_reading(const std::string& directory) override;
  Result<store::SpaceInfo> space(const std::string& directory) override;

 private:
  class OpenFile;
  class Lock;

  enum class Gate : std::uint8_t { kPass, kCrashing };
  // Counts the operation and says whether it fails; kCrashing: it is the one the power goes in.
  Result<Gate> enter(std::string_view name, const std::string& path, bool changes = true);
  // The same for what is no operation. Call with mutex_ held.
  Status readable(std::string_view name, const std::string& path) const;
  Status change(std::string_view name, const std::string& directory, DiskNames::Step step,
                Gate gate);
  std::uint64_t used() const;
  std::uint64_t room() const;
  void call_hook(std::string_view name, const std::string& path);
  void call_read_hook(const std::string& path);

  mutable std::mutex mutex_;
  DiskNames names_;
  std::uint64_t life_ = 0;  // grows with restart()
  std::uint64_t operations_ = 0;
  std::uint64_t crash_at_ = std::numeric_limits<std::uint64_t>::max();
  Chooser crash_when_;
  bool crashed_ = false;
  bool read_only_ = false;
  bool denied_ = false;
  std::optional<std::uint64_t> capacity_;
  std::uint64_t syncs_ = 0;
  std::uint64_t fail_sync_at_ = 0;  // 0: none
  std::string fail_writes_;
  std::string fail_reads_;
  std::set<std::string> locks_;
  Hook hook_;
  ReadHook read_hook_;
};

}  // namespace sluice::test
