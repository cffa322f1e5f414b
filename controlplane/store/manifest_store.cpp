#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "controlplane/store/manifest.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::string_view kTemporary = ".new";

bool is_temporary(std::string_view name) {
  if (!name.ends_with(kTemporary)) return false;
  const auto kept = name.substr(0, name.size() - kTemporary.size());
  return kept == kManifestName || log_file_base(kept) || segment_file_number(kept);
}

std::set<std::uint64_t> segments_of(const Manifest& manifest) {
  std::set<std::uint64_t> files;
  for (const auto& layout : manifest.layouts)
    for (const auto& tree : layout.trees)
      for (const auto& segment : tree.segments)
        files.insert(segment.file);
  return files;
}

// A new store must not be made over what is left of another one.
Status check_empty(const std::string& directory, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (!segment_file_number(name) && !log_file_base(name)) continue;
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}: {} is there, but no {}: restore it from a backup, or move the "
                            "files away",
                            directory, name, kManifestName),
                ErrorOrigin::kStore);
  }
  return {};
}

}  // namespace

ManifestStore::ManifestStore(Fs& fs, std::string directory, std::unique_ptr<FileLock> lock)
    : fs_(fs), directory_(std::move(directory)), lock_(std::move(lock)) {}

Result<std::unique_ptr<ManifestStore>> ManifestStore::open(Fs& fs, const std::string& directory,
                                                           const Manifest& fresh) {
  if (auto made = fs.make_dir(directory); !made) return std::unexpected(std::move(made.error()));
  auto lock = fs.lock(fmt::format("{}/{}", directory, kLockName));
  if (!lock) return std::unexpected(std::move(lock.error()));
  std::unique_ptr<ManifestStore> store(new ManifestStore(fs, directory, std::move(*lock)));
  auto manifest = read_manifest(fs, directory);
  if (!manifest && manifest.error().code() == ErrorCode::kNotFound) {
    if (auto done = store->create(fresh); !done) return std::unexpected(std::move(done.error()));
  } else if (!manifest) {
    return std::unexpected(std::move(manifest.error()));
  } else {
    store->current_ = std::move(*manifest);
  }
  return store;
}

Status ManifestStore::settle() {
  const std::lock_guard lock(mutex_);
  return settle_locked();
}

// A process that was killed may have left names to the kernel, also that of the directory; nothing
// of the generation before may be removed until they are safe.
Status ManifestStore::settle_locked() {
  if (refused_) return std::unexpected(*refused_);
  if (settled_) return {};
  for (const auto& names : {parent_dir(directory_), directory_}) {
    const auto done = fs_.sync_dir(names);
    if (!done) return may_work_later(done.error()) ? done : give_up(done.error());
  }
  if (auto done = remove_strays(); !done) return done;
  settled_ = true;
  return {};
}

// A sync failed, and the next one would say nothing of what the first one lost.
std::unexpected<Error> ManifestStore::give_up(const Error& error) {
  refused_ =
      Error(error.code(),
            "the manifest takes no more changes until the store is opened anew: " + error.message(),
            ErrorOrigin::kStore);
  return std::unexpected(error);
}

Status ManifestStore::create(const Manifest& fresh) {
  const auto names = fs_.list(directory_);
  if (!names) return std::unexpected(names.error());
  if (auto empty = check_empty(directory_, *names); !empty) return empty;
  if (auto safe = sync_path(fs_, directory_); !safe) return safe;
  current_ = fresh;
  current_.generation = 1;
  created_ = true;
  return write_manifest(fs_, directory_, current_);
}

Status ManifestStore::remove_strays() {
  const auto names = fs_.list(directory_);
  if (!names) return std::unexpected(names.error());
  const auto wanted = segments_of(current_);
  for (const auto& name : *names) {
    const auto number = segment_file_number(name);
    if (!is_temporary(name) && (!number || wanted.contains(*number))) continue;
    if (auto done = fs_.remove(directory_ + "/" + name); !done) return done;
    strays_.push_back(name);
  }
  return {};
}

void ManifestStore::tidy() {
  const std::lock_guard lock(mutex_);
  if (refused_ || !settled_) return;
  (void)remove_strays();  // the next open tries again
}

Manifest ManifestStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

Status ManifestStore::commit(Manifest next) {
  const std::lock_guard lock(mutex_);
  if (auto settled = settle_locked(); !settled) return settled;
  if (auto there = in_place(); !there) return there;
  next.generation = current_.generation + 1;
  const std::string path = fmt::format("{}/{}", directory_, kManifestName);
  if (auto done = prepare_file(fs_, path, encode(next)); !done) return done;
  auto done = fs_.rename(path + ".new", path);
  if (!done) return done;
  // From here on both are possible after a crash.
  done = fs_.sync_dir(directory_);
  if (!done) return give_up(done.error());
  current_ = std::move(next);
  return {};
}

}  // namespace sluice::controlplane::store
