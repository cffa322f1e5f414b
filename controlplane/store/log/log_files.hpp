// The files of an open log, behind LogWriter: where the end is, what is synced, which files there
// are. write() and begin_file() from one thread at a time (the leader of group commit); everything
// else from any thread beside it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/store/log/log.hpp"
#include "controlplane/store/log/log_format.hpp"

namespace sluice::controlplane::store {

class LogFiles {
 public:
  LogFiles(Fs& fs, const LogOptions& options) : fs_(fs), options_(options) {}

  // Cuts what is torn, makes durable what is kept, begins a file there: nothing is written behind
  // a torn end before the cut is on the disk. To be tried again after an error, from the step that
  // failed; but once a sync failed, which a second one would hide, for ever the same error.
  Status open(const LogEnd& end);

  // After an error the end is where it was.
  Status write(ByteView group, std::uint64_t next_sequence);
  Status begin_file(std::uint64_t first_sequence);
  // No files before open() has worked.
  LogEnd durable_end() const;

  // Makes durable what is written. After an error the log must not be written any more.
  Status sync();

  Status remove_through(std::uint64_t sequence);
  // Gives back reserved space.
  Status trim();

  bool full(std::size_t more) const noexcept {
    return length_ + more > options_.file_bytes && length_ > log_format::kFileHeader;
  }
  std::uint32_t salt() const noexcept { return salt_; }
  std::uint64_t durable_position() const noexcept {
    return durable_position_.load(std::memory_order_acquire);  // sync()'s store
  }
  std::uint64_t durable_sequence() const noexcept {
    return durable_sequence_.load(std::memory_order_acquire);  // sync()'s store
  }
  std::vector<LogEnd::KeptFile> list() const;
  void add_to(LogMetrics& metrics) const;

 private:
  struct Live {
    LogEnd::KeptFile about;
    std::shared_ptr<File> file;  // until all of it is synced and another one is written
    std::uint64_t synced = 0;
    bool name_synced = false;
  };

  std::string path(std::uint64_t base) const {
    return options_.directory + "/" + log_file_name(base);
  }
  Status cut(const LogEnd& end);
  Status begin_first(const LogEnd& end);
  std::unexpected<Error> give_up(const Error& error);
  Status sync_names();
  Status create(const std::string& path, std::uint64_t base, std::uint64_t first_sequence,
                std::shared_ptr<File>& file);
  void reserve(std::uint64_t end);
  Status repair();
  Status timed_sync(File& file);

  Fs& fs_;
  const LogOptions& options_;

  // The leader's.
  std::shared_ptr<File> active_;
  std::uint64_t length_ = 0;  // of it
  std::uint64_t base_ = 0;
  std::uint64_t reserved_ = 0;
  std::uint32_t salt_ = 0;
  bool tail_ = false;              // a failed write may have left something behind the end
  std::string leftover_;           // a failed begin_file() may have left this
  std::optional<Error> given_up_;  // by open()
  bool cut_ = false;               // by open(): what is kept is on the disk

  std::mutex sync_mutex_;  // one sync at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::vector<Live> files_;  // in order; the last is the active one
  std::uint64_t next_sequence_ = 1;
  std::uint64_t fsyncs_ = 0;
  std::uint64_t fsync_ns_ = 0;
  std::uint64_t fsync_max_ns_ = 0;

  std::atomic<std::uint64_t> durable_position_{0};
  std::atomic<std::uint64_t> durable_sequence_{0};
};

}  // namespace sluice::controlplane::store
