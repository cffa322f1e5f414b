// Copies and links of whole files, for backup and restore: a hard link where the file system can, a
// copy that is synced where it cannot. Any thread; blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/maintenance.hpp"

namespace sluice::controlplane::store {

// Adds up over several files and asks whether to go on.
class ProgressMeter {
 public:
  ProgressMeter(const Progress& progress, std::uint64_t total) noexcept
      : progress_(progress), total_(total) {}

  // kUnavailable, "cancelled", when the caller wants no more.
  Status add(std::uint64_t bytes);
  std::uint64_t done() const noexcept { return done_; }
  std::uint64_t total() const noexcept { return total_; }

 private:
  const Progress& progress_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
};

// Makes `to`, durably but for its name. The bytes are counted on the meter.
Status copy_file(Fs& fs, const std::string& from, const std::string& to, ProgressMeter& meter);
// The same of the first `bytes` only, of a file that may grow meanwhile.
Status copy_front(Fs& fs, const std::string& from, const std::string& to, std::uint64_t bytes,
                  ProgressMeter& meter);
// A hard link where the file system can, else a copy.
Status link_or_copy(Fs& fs, const std::string& from, const std::string& to, ProgressMeter& meter);
// Keeps others from opening the store there while it is read, and makes nothing: where it has no
// lock file, as a backup, others may read it, too. Null where that cannot be. kUnavailable:
// somebody has it open.
Result<std::unique_ptr<FileLock>> lock_if_there(Fs& fs, const std::string& directory);
// An empty folder that becomes a store. What was put into it is removed again unless it is
// finished, and the folder, too, when it was not there before.
class NewDirectory {
 public:
  // kAlreadyExists unless it is missing or empty; makes it, durably.
  static Result<NewDirectory> make(Fs& fs, const std::string& path);
  ~NewDirectory();
  NewDirectory(NewDirectory&& other) noexcept;
  NewDirectory& operator=(NewDirectory&&) = delete;

  void finished() noexcept { fs_ = nullptr; }

 private:
  NewDirectory(Fs& fs, std::string path, bool made) noexcept
      : fs_(&fs), path_(std::move(path)), made_(made) {}

  Fs* fs_;  // null: nothing to remove
  std::string path_;
  bool made_;
};

}  // namespace sluice::controlplane::store
