#include "controlplane/app/state_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/sha.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "controlplane/store/file/lock_holder.hpp"

namespace sluice::controlplane {

namespace {

std::unexpected<Error> system_error(const std::string& what, int error) {
  const auto code = error == EACCES || error == EPERM ? ErrorCode::kPermissionDenied
                    : error == ENOSPC                 ? ErrorCode::kExhausted
                                                      : ErrorCode::kUnavailable;
  return fail(code, fmt::format("{}: {}", what, std::strerror(error)), ErrorOrigin::kStore);
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Status make_folder(const std::string& folder) {
  for (std::size_t at = 1; at != std::string::npos;) {
    at = folder.find('/', at);
    const std::string part = folder.substr(0, at);
    if (::mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) {
      return system_error("making folder " + part, errno);
    }
    if (at != std::string::npos) ++at;
  }
  return {};
}

// The file: magic, key, the first bytes of the SHA-256 of both.
constexpr std::string_view kMagic = "SLHKEY1\n";
constexpr std::size_t kCheckBytes = 8;
constexpr std::size_t kFileBytes = 8 + sizeof(RouterKey) + kCheckBytes;
using KeyFile = std::array<std::uint8_t, kFileBytes>;
static_assert(kMagic.size() == 8);

KeyFile encode(const RouterKey& key) {
  KeyFile file{};
  std::ranges::copy(kMagic, file.begin());
  std::ranges::copy(key, file.begin() + kMagic.size());
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(file.data(), kFileBytes - kCheckBytes, digest.data());
  std::copy_n(digest.begin(), kCheckBytes, file.end() - kCheckBytes);
  return file;
}

Status write_durably(const std::string& folder, const std::string& name, const KeyFile& content) {
  const std::string path = folder + "/" + name;
  const std::string temporary = path + ".new";
  const Descriptor file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return system_error("making " + temporary, errno);
  const auto written = ::write(file.get(), content.data(), content.size());
  if (written != static_cast<ssize_t>(content.size())) {
    return system_error("writing " + temporary, written < 0 ? errno : ENOSPC);
  }
  if (::fsync(file.get()) != 0) return system_error("writing " + temporary, errno);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("making " + path, errno);
  const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() < 0 || ::fsync(parent.get()) != 0)
    return system_error("writing " + folder, errno);
  return {};
}

Result<RouterKey> decode(const std::string& path, int fd) {
  std::array<std::uint8_t, kFileBytes + 1> content{};
  std::size_t size = 0;
  while (size < content.size()) {
    const auto got = ::read(fd, content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("reading " + path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  RouterKey key{};
  std::copy_n(content.begin() + kMagic.size(), key.size(), key.begin());
  const KeyFile expected = encode(key);
  if (size != kFileBytes || !std::equal(expected.begin(), expected.end(), content.begin())) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} is damaged ({} bytes). Restore it from a backup, or remove it: a "
                            "new key is made then, and the dataplane builds its table anew",
                            path, size),
                ErrorOrigin::kStore);
  }
  return key;
}

// A pipe would never end, and a key that others can read protects the tables from nobody: a copy
// from a backup often has such a mode.
Status check_key_file(const std::string& path, int fd) {
  struct stat facts{};
  if (::fstat(fd, &facts) != 0) return system_error("reading " + path, errno);
  if (!S_ISREG(facts.st_mode)) {
    return fail(ErrorCode::kCorrupt, path + " is not a regular file", ErrorOrigin::kStore);
  }
  if ((facts.st_mode & 077) != 0 && ::fchmod(fd, 0600) != 0) {
    return system_error("closing " + path + " to others", errno);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LockFile>> LockFile::take(const std::string& folder,
                                                 const std::string& name) {
  if (auto ok = make_folder(folder); !ok) return std::unexpected(ok.error());
  const std::string path = folder + "/" + name;
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0) {
    const int error = errno;
    // On a read-only disk the file that is there can be locked all the same.
    if (error == EROFS) file = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) return system_error("opening " + path, error);
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("locking " + path, errno);
    const long pid = store::lock_holder(file.get());
    return fail(ErrorCode::kAlreadyExists,
                fmt::format("another control plane uses {} (process {}); stop it first, or give "
                            "this one folders of its own (router.state-dir, router.run-dir)",
                            folder, pid == 0 ? "?" : std::to_string(pid)));
  }
  store::sign_lock(file.get());
  return std::unique_ptr<LockFile>(new LockFile(file.release()));
}

LockFile::~LockFile() {
  ::close(fd_);
}

Result<RouterKey> load_or_make_hash_key(const std::string& folder) {
  const std::string path = folder + "/hash.key";
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() >= 0) {
    if (auto ok = check_key_file(path, file.get()); !ok) return std::unexpected(ok.error());
    return decode(path, file.get());
  }
  if (errno != ENOENT) return system_error("opening " + path, errno);
  RouterKey key{};
  if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    return system_error("getting random bytes", errno);
  }
  if (auto ok = write_durably(folder, "hash.key", encode(key)); !ok) {
    return std::unexpected(ok.error());
  }
  return key;
}

}  // namespace sluice::controlplane
