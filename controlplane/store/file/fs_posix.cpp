// PosixFs: Linux system calls behind Fs.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/file/lock_holder.hpp"

namespace sluice::controlplane::store {
namespace {

ErrorCode code_of(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EFBIG:
    case EMLINK:
      return ErrorCode::kExhausted;
    case EROFS:
    case EACCES:
    case EPERM:
      return ErrorCode::kPermissionDenied;
    case ENOENT:
      return ErrorCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return ErrorCode::kAlreadyExists;
    case EXDEV:
    case EINVAL:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return ErrorCode::kInvalidArgument;
    default:
      return ErrorCode::kInternal;
  }
}

bool is_of_descriptors(int error) noexcept {
  return error == EMFILE || error == ENFILE;
}

// What the system's text leaves open.
std::string_view hint_of(int error) noexcept {
  switch (error) {
    case EROFS:
      return " (the disk is mounted read-only)";
    case EMFILE:
      return " (this process is at its limit: raise ulimit -n, or LimitNOFILE of its unit)";
    case ENFILE:
      return " (this machine is at its limit: raise it with sysctl fs.file-max)";
    default:
      return "";
  }
}

std::unexpected<Error> system_error(std::string_view what, const std::string& path, int error) {
  std::array<char, 128> buffer{};
  // The GNU form: it may use the buffer or a text of its own.
  const char* text = strerror_r(error, buffer.data(), buffer.size());
  const ErrorCode code = code_of(error);
  return fail(code, fmt::format("{} {}: {}{}", what, path, text, hint_of(error)),
              is_of_descriptors(error) ? ErrorOrigin::kLocal : ErrorOrigin::kStore,
              code == ErrorCode::kExhausted || error == EROFS);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

std::shared_ptr<const Descriptor> open_directory(const std::string& path) {
  return std::make_shared<const Descriptor>(
      ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

class PosixMapping final : public Mapping {
 public:
  PosixMapping(void* address, std::size_t size) noexcept : address_(address) {
    bytes_ = {static_cast<const std::uint8_t*>(address), size};
  }
  ~PosixMapping() override {
    if (!bytes_.empty()) ::munmap(address_, bytes_.size());
  }

  void advise(Advice advice, std::size_t offset, std::size_t length) const noexcept override {
    constexpr std::size_t kPage = 4096;
    if (offset >= bytes_.size()) return;
    const std::size_t end = offset + std::min(length, bytes_.size() - offset);
    offset &= ~(kPage - 1);
    (void)::madvise(static_cast<char*>(address_) + offset, end - offset, flag(advice));
  }

 private:
  static int flag(Advice advice) noexcept {
    switch (advice) {
      case Advice::kSequential:
        return MADV_SEQUENTIAL;
      case Advice::kRandom:
        return MADV_RANDOM;
      case Advice::kWillNeed:
        return MADV_WILLNEED;
      case Advice::kDontNeed:
        return MADV_DONTNEED;
      case Advice::kNormal:
        break;
    }
    return MADV_NORMAL;
  }

  void* address_;
};

class PosixFile final : public File {
 public:
  PosixFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  const std::string& path() const noexcept override { return path_; }

  Result<std::uint64_t> size() const override {
    struct stat status{};
    if (::fstat(fd_.get(), &status) != 0) return system_error("reading size of", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> into) const override {
    std::size_t done = 0;
    while (done < into.size()) {
      const auto got = ::pread(fd_.get(), into.data() + done, into.size() - done,
                               static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("reading", path_, errno);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Status write_at(std::uint64_t offset, std::span<const std::uint8_t> bytes) override {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto put = ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(offset + done));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return system_error("writing", path_, put < 0 ? errno : ENOSPC);
      done += static_cast<std::size_t>(put);
    }
    return {};
  }

  Status append(std::span<const std::uint8_t> bytes) override {
    const auto end = size();
    if (!end) return std::unexpected(end.error());
    return write_at(*end, bytes);
  }

  Status sync() override {
    if (::fdatasync(fd_.get()) != 0) return system_error("syncing", path_, errno);
    return {};
  }

  void start_sync(std::uint64_t offset, std::uint64_t bytes) noexcept override {
    (void)::sync_file_range(fd_.get(), static_cast<off64_t>(offset), static_cast<off64_t>(bytes),
                            SYNC_FILE_RANGE_WRITE);
  }

  Status truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      return system_error("truncating", path_, errno);
    }
    return {};
  }

  Status reserve(std::uint64_t wanted) override {
    if (wanted == 0 || ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(wanted)) == 0) return {};
    if (errno != EOPNOTSUPP) return system_error("reserving space for", path_, errno);
    const auto now = size();
    if (!now) return std::unexpected(now.error());
    return *now < wanted ? truncate(wanted) : Status{};
  }

  Result<std::shared_ptr<const Mapping>> map() const override {
    const auto bytes = size();
    if (!bytes) return std::unexpected(bytes.error());
    if (*bytes == 0) return std::make_shared<const PosixMapping>(nullptr, 0);
    void* address = ::mmap(nullptr, *bytes, PROT_READ, MAP_SHARED, fd_.get(), 0);
    if (address == MAP_FAILED) return system_error("mapping", path_, errno);
    return std::make_shared<const PosixMapping>(address, *bytes);
  }

 private:
  std::string path_;
  Descriptor fd_;
};

class PosixLock final : public FileLock {
 public:
  PosixLock(std::string path, std::shared_ptr<const Descriptor> directory, Descriptor file)
      : path_(std::move(path)), directory_(std::move(directory)), file_(std::move(file)) {}

  Status in_place() const override {
    struct stat ours{};
    struct stat there{};
    const bool any = ::stat(path_.c_str(), &there) == 0;
    if (!any && errno != ENOENT && errno != ENOTDIR) return {};
    if (::fstat(directory_->get(), &ours) != 0) return {};
    if (any && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino) return {};
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} was {} while it was open; nothing is written until it is back",
                            path_, any ? "replaced by another folder" : "moved away or removed"),
                ErrorOrigin::kStore, true);
  }

 private:
  const std::string path_;
  const std::shared_ptr<const Descriptor> directory_;
  const Descriptor file_;  // none on a read-only disk that has none
};

constexpr int kLockFlags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

// The lock belongs to the file and not to the way it is opened: whoever opens it for writing later,
// on a disk that takes writes again, is excluded.
Result<Descriptor> open_lock(const std::string& path, bool may_be_missing) {
  Descriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | kLockFlags, 0600));
  if (fd.get() >= 0) return fd;
  const int error = errno;
  if (error != EROFS) return system_error("opening", path, error);
  Descriptor readable(::open(path.c_str(), O_RDONLY | kLockFlags));
  if (readable.get() >= 0 || (errno == ENOENT && may_be_missing)) return readable;
  return system_error("opening", path, error);
}

std::unexpected<Error> locked_by_other(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | kLockFlags));
  const long holder = fd.get() >= 0 ? lock_holder(fd.get()) : 0;
  const std::string who = holder > 0 ? fmt::format("process {}", holder) : "another process";
  return fail(ErrorCode::kUnavailable, fmt::format("locking {}: {} has this store open", path, who),
              ErrorOrigin::kStore, true);
}

// False: somebody else has it.
Result<bool> take_lock(int fd, const std::string& path, int kind = LOCK_EX) {
  if (::flock(fd, kind | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) return false;
  return system_error("locking", path, errno);
}

// A directory that is locked is reached by what was locked, whatever its path names meanwhile: who
// moves it away, or puts another into its place, gets no half of a store there.
class PosixFs final : public Fs {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    const int flags = mode == OpenMode::kRead    ? O_RDONLY
                      : mode == OpenMode::kWrite ? O_RDWR
                                                 : O_RDWR | O_CREAT | O_EXCL;
    // Without O_NONBLOCK a pipe of that name would hold us for ever; it means nothing for files.
    const Place at = place_of(path);
    Descriptor fd(::openat(at.fd(), at.name(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (fd.get() < 0) {
      return system_error(mode == OpenMode::kCreate ? "creating" : "opening", path, errno);
    }
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return system_error("opening", path, errno);
    if (!S_ISREG(status.st_mode)) {
      return fail(ErrorCode::kInvalidArgument, fmt::format("opening {}: not a regular file", path),
                  ErrorOrigin::kStore);
    }
    return std::make_unique<PosixFile>(path, std::move(fd));
  }

  Status rename(const std::string& from, const std::string& to) override {
    const Place source = place_of(from);
    const Place target = place_of(to);
    if (::renameat(source.fd(), source.name(), target.fd(), target.name()) != 0) {
      return system_error("renaming " + from + " to", to, errno);
    }
    // A directory of ours that is moved by ourselves is the one of its new path.
    const std::lock_guard lock(mutex_);
    if (auto moved = locked_.extract(from)) locked_[to] = std::move(moved.mapped());
    return {};
  }

  Status remove(const std::string& path) override {
    const Place at = place_of(path);
    if (::unlinkat(at.fd(), at.name(), 0) != 0) return system_error("removing", path, errno);
    return {};
  }

  Status link(const std::string& from, const std::string& to) override {
    const Place source = place_of(from);
    const Place target = place_of(to);
    if (::linkat(source.fd(), source.name(), target.fd(), target.name(), 0) != 0) {
      return system_error("linking " + from + " to", to, errno);
    }
    return {};
  }

  Result<bool> exists(const std::string& path) override {
    const Place at = place_of(path);
    struct stat status{};
    if (::fstatat(at.fd(), at.name(), &status, AT_SYMLINK_NOFOLLOW) == 0) return true;
    if (errno == ENOENT) return false;
    return system_error("looking for", path, errno);
  }

  Result<std::uint64_t> file_size(const std::string& path) override {
    const Place at = place_of(path);
    struct stat status{};
    if (::fstatat(at.fd(), at.name(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return system_error("reading size of", path, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    const auto held = locked(directory);
    const int fd = ::openat(held ? held->get() : AT_FDCWD, held ? "." : directory.c_str(),
                            O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* entries = fd < 0 ? nullptr : ::fdopendir(fd);
    if (entries == nullptr) {
      const int error = errno;
      if (fd >= 0) ::close(fd);
      return system_error("listing", directory, error);
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(entries)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    ::closedir(entries);
    if (error != 0) return system_error("listing", directory, error);
    std::ranges::sort(names);
    return names;
  }

  Status make_dir(const std::string& directory) override {
    for (std::size_t at = 1; at != std::string::npos;) {
      at = directory.find('/', at);
      const std::string part = directory.substr(0, at);
      if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST && errno != EISDIR) {
        // On a read-only disk an existing directory may answer EROFS instead of EEXIST.
        const int error = errno;
        struct stat status{};
        if (::stat(part.c_str(), &status) != 0) return system_error("making", part, error);
      }
      if (at != std::string::npos) ++at;
    }
    struct stat status{};
    if (::stat(directory.c_str(), &status) != 0) return system_error("making", directory, errno);
    if (!S_ISDIR(status.st_mode)) return system_error("making", directory, ENOTDIR);
    return {};
  }

  Status remove_dir(const std::string& directory) override {
    if (::rmdir(directory.c_str()) != 0) return system_error("removing", directory, errno);
    return {};
  }

  // A file whose name is not sure stops a log for good, so descriptors that are used up just then
  // must not: a directory that is locked is open already.
  Status sync_dir(const std::string& directory) override {
    const auto held = locked(directory);
    const auto fd = held ? held : open_directory(directory);
    if (fd->get() < 0 || ::fsync(fd->get()) != 0) return system_error("syncing", directory, errno);
    return {};
  }

  // The directory first: whoever found the disk read-only may have no file. Some network file
  // systems lock no directories; there the file has to do.
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    const std::string directory = parent_dir(path);
    auto folder = open_directory(directory);
    if (folder->get() < 0) return system_error("opening", directory, errno);
    const auto first = take_lock(folder->get(), directory);
    if (first && !*first) return locked_by_other(path);
    auto file = open_lock(path, first.has_value());
    if (!file) return std::unexpected(std::move(file.error()));
    if (file->get() >= 0) {
      const auto second = take_lock(file->get(), path);
      if (!second) return std::unexpected(second.error());
      if (!*second) return locked_by_other(path);
      sign_lock(file->get());
    }
    const std::lock_guard guard(mutex_);
    locked_[directory] = folder;
    return std::make_unique<PosixLock>(directory, std::move(folder), *std::move(file));
  }

  Result<std::unique_ptr<FileLock>> lock_for_reading(const std::string& directory) override {
    auto folder = open_directory(directory);
    if (folder->get() < 0) return system_error("opening", directory, errno);
    const auto taken = take_lock(folder->get(), directory, LOCK_SH);
    if (!taken) return std::unexpected(taken.error());
    if (!*taken) return locked_by_other(directory);
    return std::make_unique<PosixLock>(directory, std::move(folder), Descriptor(-1));
  }

  Result<SpaceInfo> space(const std::string& directory) override {
    const auto held = locked(directory);
    struct statvfs status{};
    if ((held ? ::fstatvfs(held->get(), &status) : ::statvfs(directory.c_str(), &status)) != 0) {
      return system_error("reading the free space of", directory, errno);
    }
    return SpaceInfo{static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize,
                     static_cast<std::uint64_t>(status.f_blocks) * status.f_frsize};
  }

 private:
  // What the system calls get for a path.
  class Place {
   public:
    Place(const std::string& path, std::shared_ptr<const Descriptor> directory)
        : directory_(std::move(directory)),
          name_(path.c_str() + (directory_ ? path.rfind('/') + 1 : 0)) {}
    int fd() const noexcept { return directory_ ? directory_->get() : AT_FDCWD; }
    const char* name() const noexcept { return name_; }

   private:
    std::shared_ptr<const Descriptor> directory_;  // null: the path says all
    const char* name_;                             // in the path
  };

  Place place_of(const std::string& path) { return {path, locked(parent_dir(path))}; }
  std::shared_ptr<const Descriptor> locked(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    const auto at = locked_.find(directory);
    return at == locked_.end() ? nullptr : at->second.lock();
  }

  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<const Descriptor>> locked_;
};

}  // namespace

std::unique_ptr<Fs> make_posix_fs() {
  return std::make_unique<PosixFs>();
}

}  // namespace sluice::controlplane::store
