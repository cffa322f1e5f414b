#include "controlplane/store/file/fs.hpp"

#include <fmt/format.h>

namespace sluice::controlplane::store {

bool may_work_later(const Error& error) noexcept {
  return error.retryable() &&
         (error.code() == ErrorCode::kExhausted || error.code() == ErrorCode::kPermissionDenied);
}

bool is_out_of_descriptors(const Error& error) noexcept {
  return error.code() == ErrorCode::kExhausted && error.origin() == ErrorOrigin::kLocal;
}

Result<std::vector<std::uint8_t>> read_file(Fs& fs, const std::string& path, std::uint64_t limit) {
  auto file = fs.open(path, OpenMode::kRead);
  if (!file) return std::unexpected(std::move(file.error()));
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  if (*size > limit) {
    return fail(ErrorCode::kCorrupt, fmt::format("{}: larger than {} bytes", path, limit),
                ErrorOrigin::kStore);
  }
  std::vector<std::uint8_t> bytes(*size);
  const auto got = (*file)->read_at(0, bytes);
  if (!got) return std::unexpected(got.error());
  bytes.resize(*got);
  return bytes;
}

Status prepare_file(Fs& fs, const std::string& path, std::span<const std::uint8_t> bytes) {
  const std::string temporary = path + ".new";
  // What an earlier attempt left must not be written into: it may be linked elsewhere.
  if (const auto removed = fs.remove(temporary);
      !removed && removed.error().code() != ErrorCode::kNotFound) {
    return removed;
  }
  auto file = fs.open(temporary, OpenMode::kCreate);
  if (!file) return std::unexpected(std::move(file.error()));
  if (auto done = (*file)->append(bytes); !done) return done;
  return (*file)->sync();
}

Status replace_file(Fs& fs, const std::string& path, std::span<const std::uint8_t> bytes) {
  if (auto done = prepare_file(fs, path, bytes); !done) return done;
  if (auto done = fs.rename(path + ".new", path); !done) return done;
  return fs.sync_dir(parent_dir(path));
}

Status sync_path(Fs& fs, const std::string& directory) {
  std::string parent = parent_dir(directory);
  if (auto done = fs.sync_dir(parent); !done) return done;
  while (parent != "/" && parent != ".") {
    parent = parent_dir(parent);
    const auto done = fs.sync_dir(parent);
    if (done) continue;
    const auto code = done.error().code();
    const bool foreign =
        code == ErrorCode::kPermissionDenied || code == ErrorCode::kInvalidArgument;
    return foreign ? Status{} : done;
  }
  return {};
}

std::string parent_dir(const std::string& of) {
  auto path = of;
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace sluice::controlplane::store
