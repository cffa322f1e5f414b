// Backup of a running index, and restoring one.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "controlplane/store/care/operations.hpp"
#include "controlplane/store/care/remains.hpp"
#include "controlplane/store/file/file_copy.hpp"
#include "controlplane/store/log/log.hpp"
#include "controlplane/store/segment/segment.hpp"

namespace sluice::controlplane::store {
namespace {

std::vector<SegmentRef> segments_of(const Manifest& manifest) {
  std::vector<SegmentRef> all;
  for (const LayoutState& layout : manifest.layouts) {
    for (const TreeState& tree : layout.trees)
      all.insert(all.end(), tree.segments.begin(), tree.segments.end());
  }
  return all;
}

std::string in(const std::string& directory, const std::string& name) {
  return fmt::format("{}/{}", directory, name);
}

// A folder above it that is missing is a slip, or a disk that is not mounted: made here the backup
// would lie where nobody looks, or on the disk that it is to outlive.
Status check_parent(Fs& fs, const std::string& directory) {
  const std::string parent = parent_dir(directory);
  const auto there = fs.exists(parent);
  if (!there) return std::unexpected(there.error());
  if (*there) return {};
  return fail(ErrorCode::kNotFound,
              fmt::format("the folder {} is not there; mount its disk, or make it, first", parent),
              ErrorOrigin::kStore);
}

struct LogRange {
  std::uint64_t flushed = 0;  // what comes behind is in the log only
  std::uint64_t reached = 0;
};

LogRange log_range(const Manifest& manifest) {
  LogRange range{.flushed = ~std::uint64_t{0}};
  for (const TreeState& tree : manifest.layouts.back().trees) {
    range.flushed = std::min(range.flushed, tree.flushed_sequence);
    range.reached = std::max(range.reached, tree.flushed_sequence);
  }
  return range;
}

// Reads all of the log; returns its end.
Result<LogEnd> read_log(Fs& fs, const std::string& directory, const Manifest& manifest,
                        bool must_exist) {
  const LogRange range = log_range(manifest);
  auto reader = LogReader::open(fs, {.directory = directory,
                                     .store = manifest.store,
                                     .after_sequence = range.flushed,
                                     .at_least_sequence = range.reached,
                                     .must_exist = must_exist});
  if (!reader) return std::unexpected(std::move(reader).error());
  LogRecord record;
  for (;;) {
    const auto more = (*reader)->next(record);
    if (!more) return std::unexpected(more.error());
    if (!*more) return (*reader)->end();
  }
}

Status check_segment(Fs& fs, const std::string& directory, const SegmentRef& ref,
                     ProgressMeter& meter) {
  const std::string path = in(directory, segment_file_name(ref.file));
  const auto segment = Segment::open(fs, path);
  if (!segment) return std::unexpected(segment.error());
  if ((*segment)->info().checksum != ref.checksum || (*segment)->info().bytes != ref.bytes)
    return fail(ErrorCode::kCorrupt, path + ": not the file that the manifest names",
                ErrorOrigin::kStore);
  const auto go_on = [](std::uint64_t, std::uint64_t) { return true; };
  if (const Status good = (*segment)->verify(go_on); !good) return good;
  return meter.add(ref.bytes);
}

}  // namespace

// Needs nothing of the store's own disk but to be read: when that is full or read-only, a copy
// elsewhere is what is wanted most.
Result<BackupReport> Operations::backup(const std::string& directory, const Progress& progress) {
  Fs& fs = core_.fs();
  const std::string context = "backup to " + directory;
  if (const Status there = core_.check_directory(); !there) return fail(there.error(), context);
  if (const Status parent = check_parent(fs, directory); !parent)
    return fail(parent.error(), context);
  auto made = NewDirectory::make(fs, directory);
  if (!made) return fail(made.error(), context);
  const Core::LogHold hold(core_);  // before the manifest is read: the log it needs stays
  auto files = core_.hold_files();
  const auto version = core_.version();  // keeps the files
  const Manifest manifest = core_.manifest();
  files.unlock();
  const LogEnd log = core_.log().durable_end();

  BackupReport report{.sequence = log.next_sequence - 1};
  std::vector<std::string> names;
  std::uint64_t total = 0;
  for (const SegmentRef& ref : segments_of(manifest)) {
    names.push_back(segment_file_name(ref.file));
    total += ref.bytes;
  }
  for (const LogEnd::KeptFile& file : log.files) {
    names.push_back(log_file_name(file.base));
    total += file.length;
  }
  const std::string growing = log.files.empty() ? "" : log_file_name(log.files.back().base);
  ProgressMeter meter(progress, total);
  for (const std::string& name : names) {
    const std::string from = in(core_.directory(), name);
    const std::string to = in(directory, name);
    const Status done = name == growing ? copy_front(fs, from, to, log.files.back().length, meter)
                                        : link_or_copy(fs, from, to, meter);
    if (!done) return fail(done.error(), context);
  }
  if (const Status synced = fs.sync_dir(directory); !synced) return fail(synced.error(), context);
  if (const Status written = write_manifest(fs, directory, manifest); !written)
    return fail(written.error(), context);
  made->finished();
  report.files = names.size() + 1;
  report.bytes = meter.done();
  return report;
}

Result<BackupReport> restore_backup(Fs& fs, const std::string& backup, const std::string& directory,
                                    const Progress& progress) {
  const std::string context = fmt::format("restore of {} to {}", backup, directory);
  const auto failed = [&](const Error& error) { return fail(error, context); };
  const auto manifest = read_manifest(fs, backup);
  if (!manifest) return failed(manifest.error());
  // One that is in use changes under our hands: its own backup() is the way.
  const auto lock = lock_if_there(fs, backup);
  if (!lock) return failed(lock.error());
  const std::vector<SegmentRef> segments = segments_of(*manifest);
  std::uint64_t bytes = 0;
  for (const SegmentRef& ref : segments)
    bytes += ref.bytes;
  ProgressMeter meter(progress, 2 * bytes);
  for (const SegmentRef& ref : segments) {
    if (const Status good = check_segment(fs, backup, ref, meter); !good)
      return failed(good.error());
  }
  const auto log = read_log(fs, backup, *manifest, true);
  if (!log) return failed(log.error());

  auto made = NewDirectory::make(fs, directory);
  if (!made) return failed(made.error());
  std::vector<std::string> names;
  for (const SegmentRef& ref : segments)
    names.push_back(segment_file_name(ref.file));
  for (const LogEnd::KeptFile& file : log->files)
    names.push_back(log_file_name(file.base));
  for (const std::string& name : names) {
    if (const Status done = copy_file(fs, in(backup, name), in(directory, name), meter); !done)
      return failed(done.error());
  }
  if (const Status synced = fs.sync_dir(directory); !synced) return failed(synced.error());
  if (const Status written = write_manifest(fs, directory, *manifest); !written)
    return failed(written.error());
  made->finished();
  return BackupReport{
      .files = names.size() + 1, .bytes = meter.done() - bytes, .sequence = log->next_sequence - 1};
}

// The manifest, every segment, and the log up to this call.
Result<VerifyReport> Operations::verify(const Progress& progress) {
  if (const Status there = core_.check_directory(); !there) return std::unexpected(there.error());
  const auto version = core_.version();
  VerifyReport report;
  std::vector<SegmentPtr> segments;
  std::uint64_t total = 0;
  const auto add = [&](const TreeSet& set) {
    for (const Tree& tree : set.trees) {
      for (const SegmentPtr& segment : tree.segments) {
        segments.push_back(segment);
        total += segment->ref().bytes;
      }
    }
  };
  add(version->current);
  if (version->old) add(*version->old);
  for (const SegmentPtr& segment : segments) {
    bool cancel = false;
    const std::uint64_t before = report.bytes;
    if (segment->damaged()) {
      std::ranges::move(segment_damage(core_.fs(), segment->path()),
                        std::back_inserter(report.damaged));
    } else {
      const Status good = segment->segment().verify([&](std::uint64_t done, std::uint64_t) {
        cancel = progress && !progress(before + done, total);
        return !cancel;
      });
      if (cancel) return fail(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
      if (!good) {
        core_.quarantine(*segment, good.error());
        std::ranges::move(segment_damage(core_.fs(), segment->path()),
                          std::back_inserter(report.damaged));
      }
    }
    ++report.files;
    report.bytes += segment->ref().bytes;
  }
  if (const Status done = verify_rest(report); !done) return std::unexpected(done.error());
  if (progress) progress(report.bytes, report.bytes);
  return report;
}

Status Operations::verify_rest(VerifyReport& report) {
  const Core::LogHold hold(core_);
  const auto manifest = read_manifest(core_.fs(), core_.directory());
  ++report.files;
  if (!manifest) {
    // No descriptor left is no damage.
    if (may_work_later(manifest.error())) return std::unexpected(manifest.error());
    report.damaged.push_back(
        {in(core_.directory(), std::string(kManifestName)), manifest.error().message()});
    return {};
  }
  const LogEnd durable = core_.log().durable_end();
  for (const LogEnd::KeptFile& file : durable.files) {
    ++report.files;
    report.bytes += file.length;
  }
  auto log = log_damage(core_.fs(), core_.directory(), *manifest, durable);
  if (!log) return std::unexpected(log.error());
  std::ranges::move(log->damaged, std::back_inserter(report.damaged));
  return {};
}

}  // namespace sluice::controlplane::store
