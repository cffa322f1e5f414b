#include "controlplane/cli/whole_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace sluice::cli {
namespace {

std::unexpected<Error> broken(std::string_view what, std::string_view path) {
  const int error = errno;
  const auto code = error == ENOSPC || error == EDQUOT  ? ErrorCode::kExhausted
                    : error == EACCES || error == EROFS ? ErrorCode::kPermissionDenied
                    : error == ENOENT                   ? ErrorCode::kNotFound
                                                        : ErrorCode::kInternal;
  return fail(code, fmt::format("{} {}: {}", what, path.empty() ? "a temporary file" : path,
                                std::generic_category().message(error)));
}

// The name of the file, too, shall outlive a power loss.
Status sync_folder(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  const std::string folder = parent.empty() ? std::string(".") : parent.string();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return broken("opening", folder);
  const bool good = ::fsync(fd) == 0;
  const Status done = good ? Status{} : broken("syncing", folder);
  ::close(fd);
  return done;
}

}  // namespace

Result<WholeFile> WholeFile::create(const std::string& path) {
  if (path.empty()) {
    std::FILE* const file = std::tmpfile();
    if (file == nullptr) return broken("making", path);
    return WholeFile({}, {}, file);
  }
  // A name of its own, so that two at once do not write into one file.
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);  // mode 0600
  if (fd < 0) return broken("making", path);
  return WholeFile(path, temporary, ::fdopen(fd, "w"));
}

WholeFile::~WholeFile() {
  if (file_ != nullptr && !temporary_.empty()) ::unlink(temporary_.c_str());
}

Status WholeFile::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size()) return {};
  return broken("writing", path_);
}

Status WholeFile::flush() {
  if (std::fflush(file_.get()) == 0) return {};
  return broken("writing", path_);
}

Status WholeFile::commit() {
  if (auto done = flush(); !done) return done;
  if (::fsync(::fileno(file_.get())) != 0) return broken("syncing", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return broken("naming", path_);
  temporary_.clear();
  return sync_folder(path_);
}

Status WholeFile::commit_to(const std::function<bool(std::string_view)>& out) {
  if (auto done = flush(); !done) return done;
  std::rewind(file_.get());
  std::array<char, 65536> piece;
  for (;;) {
    const std::size_t got = std::fread(piece.data(), 1, piece.size(), file_.get());
    if (got != 0 && !out({piece.data(), got})) break;
    if (got < piece.size()) break;
  }
  return std::ferror(file_.get()) == 0 ? Status{} : broken("reading", path_);
}

}  // namespace sluice::cli
