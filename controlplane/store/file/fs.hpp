// The file system as the store uses it, injected, so that tests can lose power at any operation
// (tests/support/fault_fs.hpp) and fill or break the disk. PosixFs is the real one.
//
// Threads: an Fs from any thread at once. A File: reads, map() and sync from any thread at once;
// writes (write_at, append, truncate, reserve) from one thread at a time. A sync is about the
// writes that had returned when it was called. Errors: origin kStore; the text is "<operation>
// <path>: <errno text>". A full disk or quota is kExhausted, and so are used-up descriptors, of
// origin kLocal, since the disk has no part in it; a disk that is mounted read-only is
// kPermissionDenied; these are named as such, and retryable. A missing file
// is kNotFound; an existing one kAlreadyExists; what a disk that fails says is kInternal.
// Durability, as on Linux: bytes are safe after File::sync; a name (create, rename, link, remove)
// only after sync_dir of its directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

enum class OpenMode : std::uint8_t {
  kRead,    // must exist; read-only
  kWrite,   // must exist; reads and writes
  kCreate,  // must not exist; reads and writes; mode 0600
};

enum class Advice : std::uint8_t { kNormal, kSequential, kRandom, kWillNeed, kDontNeed };

// A read-only view of a whole file as it was when mapped. The bytes stay until this is destroyed,
// also when the file is removed. Nobody may truncate a file that is mapped.
class Mapping {
 public:
  Mapping() = default;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  virtual ~Mapping() = default;

  std::span<const std::uint8_t> bytes() const noexcept { return bytes_; }
  // A hint; the range is widened to pages and cut to the file.
  virtual void advise(Advice advice, std::size_t offset, std::size_t length) const noexcept = 0;

 protected:
  std::span<const std::uint8_t> bytes_;
};

class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  virtual ~File() = default;

  virtual const std::string& path() const noexcept = 0;
  virtual Result<std::uint64_t> size() const = 0;
  // Fewer bytes than asked for only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const = 0;
  // All bytes, or an error after which an unknown part of them is there.
  virtual Status write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) = 0;
  // At the end of the file.
  virtual Status append(std::span<const std::uint8_t> bytes) = 0;
  // fdatasync. After an error nothing is known about any unsynced byte of the file, and a second
  // sync that succeeds proves nothing (the kernel forgets the error): give the file up.
  virtual Status sync() = 0;
  // A hint: these bytes, just written, will be synced soon; the disk may begin with them.
  virtual void start_sync(std::uint64_t /*offset*/, std::uint64_t /*bytes*/) noexcept {}
  virtual Status truncate(std::uint64_t size) = 0;
  // Makes the file at least this large; what is new reads as zeros and its blocks are there.
  virtual Status reserve(std::uint64_t size) = 0;
  virtual Result<std::shared_ptr<const Mapping>> map() const = 0;
};

// Held as long as it lives; the lock of a process that dies is gone with it. Any thread.
class FileLock {
 public:
  FileLock() = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  virtual ~FileLock() = default;

  // Whether the directory that is locked is still the one of that path: kUnavailable when it was
  // moved away or replaced. Well when that cannot be told.
  virtual Status in_place() const { return {}; }
};

struct SpaceInfo {
  std::uint64_t free_bytes = 0;  // for us, without what is kept for root
  std::uint64_t total_bytes = 0;
};

class Fs {
 public:
  Fs() = default;
  Fs(const Fs&) = delete;
  Fs& operator=(const Fs&) = delete;
  virtual ~Fs() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  // Atomic; replaces what `to` names.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;
  // A second name for the same file; `to` must not exist.
  virtual Status link(const std::string& from, const std::string& to) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<std::uint64_t> file_size(const std::string& path) = 0;
  // Names of everything in it but "." and "..", sorted.
  virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
  // With its parents, mode 0700; well when it is there already.
  virtual Status make_dir(const std::string& directory) = 0;
  // It must be empty.
  virtual Status remove_dir(const std::string& directory) = 0;
  virtual Status sync_dir(const std::string& directory) = 0;
  // Locks this file, which is made, and its directory for this process; kUnavailable names the
  // process that has one of them. On a read-only disk a file that is there can be locked as well,
  // and without one the directory alone: it keeps others away also when the disk takes writes
  // again.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  // Keeps whoever calls lock() for a file of this directory away, and nobody else; makes nothing.
  // kUnavailable: somebody has one.
  virtual Result<std::unique_ptr<FileLock>> lock_for_reading(const std::string& directory) = 0;
  virtual Result<SpaceInfo> space(const std::string& directory) = 0;
};

// The one of the operating system.
std::unique_ptr<Fs> make_posix_fs();

// The disk is full or mounted read-only, or descriptors are used up: nothing was done, the same may
// work later, and until then what is there can be read.
bool may_work_later(const Error& error) noexcept;
// The last of these: room on the disk does not help.
bool is_out_of_descriptors(const Error& error) noexcept;

// All bytes of a file of at most `limit` bytes; a larger one is kCorrupt ("larger than ...").
Result<std::vector<std::uint8_t>> read_file(Fs& fs, const std::string& path, std::uint64_t limit);

// Writes `<path>.new`, syncs it, renames it over `path` and syncs the directory: afterwards, and
// after a crash at any moment, `path` holds either the old bytes or the new ones.
Status replace_file(Fs& fs, const std::string& path, std::span<const std::uint8_t> bytes);

// Its first half: `<path>.new` with these bytes, synced.
Status prepare_file(Fs& fs, const std::string& path, std::span<const std::uint8_t> bytes);

// Makes the name of `directory` durable, and those of the folders above it, of which make_dir may
// have made some. Where we may not sync was made by somebody else: there it ends.
Status sync_path(Fs& fs, const std::string& directory);

// "a/b" -> "a"; "b" -> ".".
std::string parent_dir(const std::string& path);

}  // namespace sluice::controlplane::store
