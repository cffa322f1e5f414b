// The write-ahead log: every batch of changes is one record here before it is anywhere else.
//
// Files `log-<base>`: base is the position (bytes ever logged, 16 hex digits) of the file's first
// byte, so a missing file is a gap. A file is a header of 64 bytes and records, all little-endian:
//   header  "SLLOG01\n" | version u32 | salt u32 | base u64 | first sequence u64 | zeros |
//           crc u32 at 60
//   record  header crc u32 | payload crc u32 | payload bytes u32 | operations u32 |
//           first sequence u64 | durable u64 | payload, padded with zeros to 8 bytes
// Checksums are CRC-32C, begun with the salt, which is made of store id and base: a record of
// another store or file, or one inside somebody's payload, is no record here. The payload's covers
// the padding. A record without operations is a mark.
//
// Which damage is cut and which is reported. `durable` is the position up to which fsync had
// returned when the record was written. When the record at X does not check, everything behind it
// (also in later files) is searched for records that check. One that says durable > X proves that
// X was on the disk once: that is corruption, and is reported with file and offset. Without such a
// proof nothing at or behind X was ever acknowledged as durable; the log is cut at X, whatever
// order the disk had written the rest in. The last group before a crash has no record behind it:
// its damage reads as torn, as it must. After an orderly close a mark proves everything.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/store/file/checksum.hpp"
#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/log/fsync_policy.hpp"

namespace sluice::controlplane::store {

using StoreId = std::array<std::uint8_t, 16>;  // random, made with the store

inline constexpr std::size_t kMaxLogPayload = std::size_t{64} << 20;
inline constexpr std::uint64_t kNoLogEnd = std::numeric_limits<std::uint64_t>::max();

std::string log_file_name(std::uint64_t base);
// Nothing when it is not the name of a log file.
std::optional<std::uint64_t> log_file_base(std::string_view name);

struct LogRecord {
  std::uint64_t sequence = 0;    // of the first operation
  std::uint32_t operations = 0;  // the others follow, one number each
  ByteView payload;              // until the next next()
};

// Where reading ended: what LogWriter::create goes on from. Or up to where a log is durable.
struct LogEnd {
  std::uint64_t position = 0;
  std::uint64_t next_sequence = 1;
  struct Torn {
    std::string file;
    std::uint64_t offset = 0;  // of the first byte that is cut
    std::uint64_t bytes = 0;   // cut in all, with later files
  };
  std::optional<Torn> torn;
  struct KeptFile {
    std::uint64_t base = 0;
    std::uint64_t first_sequence = 0;
    std::uint64_t length = 0;
  };
  std::vector<KeptFile> files;  // in order
};

struct LogReadOptions {
  std::string directory;
  StoreId store{};
  std::uint64_t after_sequence = 0;  // records with operations behind this one are given
  // What must be there (it was synced before somebody, the manifest, relied on it): a log that ends
  // before it, or starts behind after_sequence + 1, is kCorrupt.
  std::uint64_t at_least_sequence = 0;
  bool must_exist = true;  // false only while the store is being made
  // What lies at or behind it is not looked at.
  std::uint64_t end_position = kNoLogEnd;
};

// Reads all records in order. One thread. Changes nothing on the disk, and what it reads must not
// change meanwhile: of a log that is written to, read up to its durable_end().
class LogReader {
 public:
  static Result<std::unique_ptr<LogReader>> open(Fs& fs, LogReadOptions options);
  ~LogReader();

  // False at the end (also at a torn one). kCorrupt names file and offset.
  Result<bool> next(LogRecord& record);
  // After next() said false.
  const LogEnd& end() const noexcept;
  // For progress: bytes read of bytes there.
  std::uint64_t bytes_done() const noexcept;
  std::uint64_t bytes_total() const noexcept;

 private:
  class Impl;
  explicit LogReader(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

struct LogOptions {
  std::string directory;
  StoreId store{};
  Fsync fsync = Fsync::kEach;
  std::chrono::milliseconds fsync_interval{10};
  std::uint64_t file_bytes = std::uint64_t{32} << 20;     // a new file is begun behind this
  std::uint64_t reserve_bytes = std::uint64_t{1} << 20;   // ahead of the end, under kEach: an
                                                          // fsync that grows no file is cheaper
  std::uint64_t group_bytes = std::uint64_t{4} << 20;     // of one write
  std::uint64_t waiting_bytes = std::uint64_t{64} << 20;  // submit blocks above this
};

struct LogMetrics {
  std::uint64_t records = 0;
  std::uint64_t groups = 0;
  std::uint64_t bytes = 0;  // written since opening
  std::uint64_t files = 0;
  std::uint64_t live_bytes = 0;  // of all files
  std::uint64_t fsyncs = 0;
  std::uint64_t fsync_ns = 0;
  std::uint64_t fsync_max_ns = 0;
  std::uint64_t failures = 0;  // groups that failed
};

// Any thread; many at once.
//
// Failure: after a full disk the group is taken back (cut off the file) and later commits are tried
// again: kExhausted, retryable. After a failed fsync nothing is known about the file, so this log
// refuses everything until the store is opened anew: the error is kept and given to every later
// commit. What failed that way may or may not be there after opening.
class LogWriter {
 public:
  // Called in log order, one at a time, by whichever thread commits (the log's own or one that is
  // in commit()), after the record is as durable as the policy says. It must be short and must not
  // call the log. On failure the sequence is 0.
  using Done = std::function<void(const Status&, std::uint64_t first_sequence)>;

  // Cuts what `end` says is torn, then begins a new file there, and takes writes.
  static Result<std::unique_ptr<LogWriter>> create(Fs& fs, LogOptions options, const LogEnd& end);
  // The same in steps, for a disk that may take no writes yet: touches nothing and refuses
  // everything until begin() has worked and set_refusal({}) was called. One thread calls the two.
  static std::unique_ptr<LogWriter> create_waiting(Fs& fs, LogOptions options, LogEnd end);
  // To be tried again after an error; does nothing once it has worked.
  Status begin();
  // Takes writes from now on, unless a sync failed; or refuses everything with that error, for the
  // time being.
  void set_refusal(const Status& status);
  // Commits what was submitted; syncs; leaves a mark that says so.
  ~LogWriter();

  // Returns when done. `payload` must live as long; `done` (may be empty) is called before.
  Status commit(ByteView payload, std::uint32_t operations, const Done& done = {});
  // Returns at once, unless waiting_bytes are waiting.
  void submit(Buffer payload, std::uint32_t operations, Done done);

  // Everything committed before the call is on the disk after it.
  Status sync();
  // The end of what is on the disk for sure, which is all that was committed before the call,
  // unless the disk takes nothing any more. Up to it nothing changes again: it can be read beside
  // the writer, and its files but the last can be linked by a backup. Needs no room; while the log
  // waits to be opened it is the end that was given.
  LogEnd durable_end();
  // Removes the files whose operations all have this sequence or a lower one.
  Status remove_through(std::uint64_t sequence);

  std::uint64_t next_sequence() const;     // of the next commit
  std::uint64_t durable_sequence() const;  // up to it all is synced
  std::vector<LogEnd::KeptFile> files() const;
  // Why everything is refused; ok when it is not.
  Status health() const;
  LogMetrics metrics() const;

 private:
  class Impl;
  explicit LogWriter(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::controlplane::store
