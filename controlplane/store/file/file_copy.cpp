#include "controlplane/store/file/file_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "controlplane/store/manifest.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

}  // namespace

Status ProgressMeter::add(std::uint64_t bytes) {
  done_ += bytes;
  if (progress_ && !progress_(done_, std::max(done_, total_)))
    return fail(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
  return {};
}

Status copy_file(Fs& fs, const std::string& from, const std::string& to, ProgressMeter& meter) {
  const auto size = fs.file_size(from);
  if (!size) return std::unexpected(size.error());
  return copy_front(fs, from, to, *size, meter);
}

Status copy_front(Fs& fs, const std::string& from, const std::string& to, std::uint64_t bytes,
                  ProgressMeter& meter) {
  auto source = fs.open(from, OpenMode::kRead);
  if (!source) return std::unexpected(std::move(source).error());
  auto target = fs.open(to, OpenMode::kCreate);
  if (!target) return std::unexpected(std::move(target).error());
  std::vector<std::uint8_t> piece(kPiece);
  for (std::uint64_t offset = 0; offset < bytes;) {
    const auto got = (*source)->read_at(
        offset, std::span(piece).first(std::min<std::uint64_t>(kPiece, bytes - offset)));
    if (!got) return std::unexpected(got.error());
    if (*got == 0)
      return fail(ErrorCode::kCorrupt, fmt::format("{}: shorter than {} bytes", from, bytes),
                  ErrorOrigin::kStore);
    if (const Status done = (*target)->append(std::span(piece).first(*got)); !done) return done;
    if (const Status going = meter.add(*got); !going) return going;
    offset += *got;
  }
  return (*target)->sync();
}

Status link_or_copy(Fs& fs, const std::string& from, const std::string& to, ProgressMeter& meter) {
  const auto size = fs.file_size(from);
  if (!size) return std::unexpected(size.error());
  if (fs.link(from, to)) return meter.add(*size);
  return copy_file(fs, from, to, meter);
}

Result<std::unique_ptr<FileLock>> lock_if_there(Fs& fs, const std::string& directory) {
  const std::string path = fmt::format("{}/{}", directory, kLockName);
  const auto there = fs.exists(path);
  if (!there) return std::unexpected(there.error());
  if (!*there) {
    // Who opened it on a disk that was read-only has the directory alone.
    auto lock = fs.lock_for_reading(directory);
    if (!lock && lock.error().code() != ErrorCode::kUnavailable) return nullptr;
    return lock;
  }
  auto lock = fs.lock(path);
  if (!lock && lock.error().code() == ErrorCode::kPermissionDenied) return nullptr;
  return lock;
}

Result<NewDirectory> NewDirectory::make(Fs& fs, const std::string& path) {
  const auto there = fs.exists(path);
  if (!there) return std::unexpected(there.error());
  if (*there) {
    const auto names = fs.list(path);
    if (!names) return std::unexpected(names.error());
    if (!names->empty())
      return fail(ErrorCode::kAlreadyExists, path + " is not empty", ErrorOrigin::kStore);
  } else if (const Status made = fs.make_dir(path); !made) {
    return std::unexpected(made.error());
  }
  NewDirectory directory(fs, path, !*there);
  if (const Status synced = sync_path(fs, path); !synced) return std::unexpected(synced.error());
  return directory;
}

NewDirectory::NewDirectory(NewDirectory&& other) noexcept
    : fs_(std::exchange(other.fs_, nullptr)), path_(std::move(other.path_)), made_(other.made_) {}

// Why it was not finished is told already.
NewDirectory::~NewDirectory() {
  if (fs_ == nullptr) return;
  if (const auto names = fs_->list(path_); names) {
    for (const std::string& name : *names)
      (void)fs_->remove(fmt::format("{}/{}", path_, name));
  }
  if (made_) (void)fs_->remove_dir(path_);
}

}  // namespace sluice::controlplane::store
