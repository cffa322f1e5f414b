#include "controlplane/store/log/log_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sluice/base/clock.hpp"

namespace sluice::controlplane::store {

using log_format::encode;
using log_format::FileHeader;
using log_format::kFileHeader;
using log_format::salt_of;

// What the kernel could not write it drops, and reports once: what is read back meanwhile, and was
// served, may not be on the disk. kInternal: waiting for room does not help.
std::unexpected<Error> LogFiles::give_up(const Error& error) {
  given_up_ = Error(ErrorCode::kInternal,
                    "the log takes no writes until the store is opened anew: " + error.message(),
                    ErrorOrigin::kStore);
  return std::unexpected(*given_up_);
}

Status LogFiles::sync_names() {
  auto done = fs_.sync_dir(options_.directory);
  if (!done && !may_work_later(done.error())) return give_up(done.error());
  return done;
}

// Later files first, then the torn one: whenever the power goes, the log ends at the same place.
Status LogFiles::cut(const LogEnd& end) {
  auto names = fs_.list(options_.directory);
  if (!names) return std::unexpected(std::move(names.error()));
  std::ranges::reverse(*names);  // the digits sort as the positions do
  bool removed = false;
  for (const auto& name : *names) {
    const auto base = log_file_base(name);
    // One that begins at the end has nothing in it; the new one replaces it.
    if (!base || *base <= end.position) continue;
    if (auto done = fs_.remove(options_.directory + "/" + name); !done) return done;
    removed = true;
  }
  if (removed) {
    if (auto done = sync_names(); !done) return done;
  }
  for (const auto& kept : end.files) {
    auto file = fs_.open(path(kept.base), OpenMode::kWrite);
    if (!file) return std::unexpected(std::move(file.error()));
    const auto size = (*file)->size();
    if (!size) return std::unexpected(size.error());
    if (*size > kept.length) {
      if (auto done = (*file)->truncate(kept.length); !done) return done;
    }
    // A process that was killed may have left it to the kernel.
    if (auto done = timed_sync(**file); !done) return give_up(done.error());
  }
  return {};
}

Status LogFiles::create(const std::string& path, std::uint64_t base, std::uint64_t first_sequence,
                        std::shared_ptr<File>& file) {
  auto created = fs_.open(path, OpenMode::kCreate);
  if (!created) return std::unexpected(std::move(created.error()));
  const FileHeader header{
      .salt = salt_of(options_.store, base), .base = base, .first_sequence = first_sequence};
  if (auto done = (*created)->write_at(0, encode(header)); !done) return done;
  file = std::move(*created);
  return {};
}

Status LogFiles::open(const LogEnd& end) {
  if (given_up_) return std::unexpected(*given_up_);
  if (!cut_) {
    if (auto done = cut(end); !done) return done;
    cut_ = true;
  }
  return begin_first(end);
}

Status LogFiles::begin_first(const LogEnd& end) {
  // By rename: a name that is there is a file that is whole, and a log that was there once is never
  // without a file.
  const std::string name = path(end.position);
  const std::string temporary = name + ".new";
  if (auto removed = fs_.remove(temporary);
      !removed && removed.error().code() != ErrorCode::kNotFound) {
    return removed;
  }
  std::shared_ptr<File> file;
  if (auto done = create(temporary, end.position, end.next_sequence, file); !done) return done;
  if (auto done = timed_sync(*file); !done) return done;
  if (auto done = fs_.rename(temporary, name); !done) return done;
  if (auto done = sync_names(); !done) return done;

  const std::lock_guard lock(mutex_);
  for (const auto& kept : end.files)
    files_.push_back({.about = kept, .file = {}, .synced = kept.length, .name_synced = true});
  files_.push_back({.about = {end.position, end.next_sequence, kFileHeader},
                    .file = file,
                    .synced = kFileHeader,
                    .name_synced = true});
  active_ = std::move(file);
  base_ = end.position;
  length_ = reserved_ = kFileHeader;
  salt_ = salt_of(options_.store, base_);
  next_sequence_ = end.next_sequence;
  durable_position_.store(base_ + length_, std::memory_order_release);
  durable_sequence_.store(next_sequence_ - 1, std::memory_order_release);
  return {};
}

// A hint: a disk without room says so when it matters. Zeros are written, since to a file system
// the first write to a block that is only reserved is a change of the file: every sync would write
// its inode, too.
void LogFiles::reserve(std::uint64_t end) {
  if (options_.fsync != Fsync::kEach || options_.reserve_bytes == 0 || end <= reserved_) return;
  const std::uint64_t wanted =
      std::max(end, std::min(end + options_.reserve_bytes, options_.file_bytes));
  if (!active_->reserve(wanted)) return;
  const std::uint64_t from = std::max(reserved_, end);
  reserved_ = wanted;
  (void)active_->write_at(from, Buffer(wanted - from));  // as much of it as the disk takes
}

// What was refused must not be there after a crash, nor in the way of what comes next. Tried again
// before every write until the disk allows it.
Status LogFiles::repair() {
  if (tail_) {
    if (auto done = active_->truncate(length_); !done) return done;
    reserved_ = length_;
    tail_ = false;
  }
  if (!leftover_.empty()) {
    auto removed = fs_.remove(leftover_);
    if (!removed && removed.error().code() != ErrorCode::kNotFound) return removed;
    leftover_.clear();
  }
  return {};
}

Status LogFiles::write(ByteView group, std::uint64_t next_sequence) {
  if (auto done = repair(); !done) return done;
  reserve(length_ + group.size());
  if (auto done = active_->write_at(length_, group); !done) {
    tail_ = true;
    (void)repair();
    return done;
  }
  length_ += group.size();
  const std::lock_guard lock(mutex_);
  files_.back().about.length = length_;
  next_sequence_ = next_sequence;
  return {};
}

Status LogFiles::begin_file(std::uint64_t first_sequence) {
  const std::uint64_t base = base_ + length_;
  const std::string name = path(base);
  if (auto done = repair(); !done) return done;
  std::shared_ptr<File> file;
  if (auto done = create(name, base, first_sequence, file); !done) {
    leftover_ = name;
    (void)repair();
    return done;
  }
  if (reserved_ > length_) (void)active_->truncate(length_);
  active_ = file;
  base_ = base;
  length_ = reserved_ = kFileHeader;
  salt_ = salt_of(options_.store, base);
  const std::lock_guard lock(mutex_);
  files_.push_back({.about = {base, first_sequence, length_}, .file = std::move(file)});
  return {};
}

Status LogFiles::timed_sync(File& file) {
  const std::uint64_t start = monotonic_ns();
  auto done = file.sync();
  const std::uint64_t took = monotonic_ns() - start;
  const std::lock_guard lock(mutex_);
  ++fsyncs_;
  fsync_ns_ += took;
  fsync_max_ns_ = std::max(fsync_max_ns_, took);
  return done;
}

Status LogFiles::sync() {
  const std::lock_guard one(sync_mutex_);
  std::vector<Live> todo;
  std::uint64_t position = 0;
  std::uint64_t sequence = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& live : files_)
      if (live.synced < live.about.length || !live.name_synced) todo.push_back(live);
    position = files_.back().about.base + files_.back().about.length;
    sequence = next_sequence_ - 1;
  }
  // In order, so that the log on the disk has no hole that a later file hides.
  bool names = false;
  for (const auto& live : todo) {
    if (auto done = timed_sync(*live.file); !done) return done;
    names = names || !live.name_synced;
  }
  if (names) {
    if (auto done = fs_.sync_dir(options_.directory); !done) return done;
  }
  const std::lock_guard lock(mutex_);
  for (const auto& done : todo) {
    const auto live = std::ranges::find(files_, done.about.base,
                                        [](const Live& file) { return file.about.base; });
    if (live == files_.end()) continue;  // removed meanwhile
    live->synced = done.about.length;
    live->name_synced = true;
    if (live->synced == live->about.length && std::next(live) != files_.end()) live->file.reset();
  }
  durable_position_.store(position, std::memory_order_release);
  durable_sequence_.store(sequence, std::memory_order_release);
  return {};
}

Status LogFiles::remove_through(std::uint64_t sequence) {
  for (;;) {
    std::uint64_t base = 0;
    {
      const std::lock_guard lock(mutex_);
      if (files_.size() < 2 || files_[1].about.first_sequence > sequence + 1) return {};
      base = files_.front().about.base;
      files_.erase(files_.begin());
    }
    auto done = fs_.remove(path(base));
    if (!done && done.error().code() != ErrorCode::kNotFound) return done;
  }
}

Status LogFiles::trim() {
  return reserved_ > length_ ? active_->truncate(length_) : Status{};
}

LogEnd LogFiles::durable_end() const {
  const std::lock_guard lock(mutex_);
  LogEnd end{.position = durable_position(), .next_sequence = durable_sequence() + 1};
  for (const auto& live : files_) {
    if (!live.name_synced) break;
    end.files.push_back({live.about.base, live.about.first_sequence, live.synced});
  }
  return end;
}

std::vector<LogEnd::KeptFile> LogFiles::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<LogEnd::KeptFile> files;
  for (const auto& live : files_)
    files.push_back(live.about);
  return files;
}

void LogFiles::add_to(LogMetrics& metrics) const {
  const std::lock_guard lock(mutex_);
  metrics.files = files_.size();
  for (const auto& live : files_)
    metrics.live_bytes += live.about.length;
  metrics.fsyncs = fsyncs_;
  metrics.fsync_ns = fsync_ns_;
  metrics.fsync_max_ns = fsync_max_ns_;
}

}  // namespace sluice::controlplane::store
