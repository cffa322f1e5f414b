// Opening: manifest, segments (their headers only), log. First all is read, then what there is to
// write is written; a full or read-only disk ends only the second part.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <limits>

#include "controlplane/store/core.hpp"
#include "controlplane/store/log/log_batch.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"

namespace sluice::controlplane::store {
namespace {

Status check(const IndexOptions& options) {
  const auto refuse = [](std::string what) {
    return fail(ErrorCode::kInvalidArgument, std::move(what), ErrorOrigin::kStore);
  };
  if (options.directory.empty()) return refuse("the store needs a directory");
  if (options.lanes == 0 || options.lanes > kMaxLanes)
    return refuse(fmt::format("lanes must be 1 to {}, not {}", kMaxLanes, options.lanes));
  if (options.workers == 0 || options.workers > 64)
    return refuse(fmt::format("compaction workers must be 1 to 64, not {}", options.workers));
  std::array<bool, 256> seen{};
  for (const TableSpec& table : options.tables) {
    if (std::exchange(seen[table.id], true))
      return refuse(fmt::format("table {} is declared twice", table.id));
  }
  return {};
}

// Whether what is there can be served after such an error of a write. Others are of the way to the
// store, such as rights, and no router should run on without anybody seeing to them.
bool leaves_reading(const Error& error) noexcept {
  return may_work_later(error) || error.code() == ErrorCode::kInternal;
}

Manifest fresh_manifest(const IndexOptions& options) {
  LayoutState layout{.id = 1,
                     .key = options.key.value_or(HashKey{random_bytes<16>()}),
                     .lanes = static_cast<std::uint16_t>(options.lanes),
                     .segment_format = kNewestSegmentFormat};
  for (const Form form : {Form::kCompact, Form::kExact}) {
    for (unsigned lane = 0; lane < options.lanes; ++lane)
      layout.trees.push_back({.form = form, .lane = static_cast<std::uint16_t>(lane)});
  }
  Manifest manifest{.store = random_bytes<16>(), .tables = options.tables};
  std::ranges::sort(manifest.tables, {}, &TableSpec::id);
  manifest.layouts.push_back(std::move(layout));
  return manifest;
}

}  // namespace

Result<std::unique_ptr<Core>> Core::open(Fs& fs, IndexOptions options) {
  if (const Status good = check(options); !good) return std::unexpected(good.error());
  const std::string context = fmt::format("opening store {}", options.directory);
  std::unique_ptr<Core> core(new Core(fs, std::move(options)));
  auto manifest = ManifestStore::open(fs, core->options_.directory, fresh_manifest(core->options_));
  if (!manifest && manifest.error().code() == ErrorCode::kAlreadyExists) {
    return fail(ErrorCode::kUnavailable, context + ": " + manifest.error().message(),
                ErrorOrigin::kStore, true);
  }
  if (!manifest) return fail(std::move(manifest).error(), context);
  core->manifest_ = *std::move(manifest);
  const Manifest present = core->manifest_->current();
  for (const auto step : {&Core::take_tables, &Core::load, &Core::replay}) {
    if (const Status done = (core.get()->*step)(present); !done) return fail(done.error(), context);
  }
  // A store that was never whole has nothing to serve.
  const Status done = core->finish_opening();
  if (!done && (present.generation == 1 || !leaves_reading(done.error())))
    return fail(done.error(), context);
  return core;
}

Status Core::check_opened() const {
  return opened() ? Status{} : log_->health();
}

Status Core::finish_opening() {
  const std::lock_guard lock(opening_mutex_);
  if (opened()) return {};
  const Status done = write_opening();
  log_->set_refusal(done);
  opened_.store(done.has_value(), std::memory_order_release);  // pairs with opened()
  return done;
}

void Core::watch_directory() {
  if (!opened()) return;
  const Status there = check_directory();
  if (there) return;
  (void)log_->sync();  // what was confirmed is there when it comes back
  const std::lock_guard lock(opening_mutex_);
  log_->set_refusal(there);
  opened_.store(false, std::memory_order_release);  // pairs with opened()
}

// The second manifest is written as soon as there is a log, so from then on a missing log is a
// loss, and said.
Status Core::write_opening() {
  if (const Status there = check_directory(); !there) return there;
  if (const Status settled = manifest_->settle(); !settled) return settled;
  if (const Status begun = log_->begin(); !begun) return begun;
  const Manifest present = manifest_->current();
  if (present.generation > 1 && present.tables == tables_) return {};
  return install_now([](Version&) {});
}

// Tables that are new are written with the next manifest; until then nothing can be in them.
Status Core::take_tables(const Manifest& manifest) {
  tables_ = manifest.tables;
  for (const TableSpec& wanted : options_.tables) {
    const auto known = std::ranges::find(tables_, wanted.id, &TableSpec::id);
    if (known == tables_.end()) {
      tables_.push_back(wanted);
    } else if (*known != wanted) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("table {} is '{}' of kind {} in the store, not '{}' of kind {}",
                              wanted.id, known->name, static_cast<int>(known->kind), wanted.name,
                              static_cast<int>(wanted.kind)),
                  ErrorOrigin::kStore);
    }
  }
  std::ranges::sort(tables_, {}, &TableSpec::id);
  std::array<bool, kMaxForm + 1> used{};
  for (const TableSpec& table : tables_) {
    kinds_[table.id] = static_cast<std::uint8_t>(table.kind);
    used[static_cast<std::size_t>(form_of(table.kind))] = true;
  }
  forms_used_ = std::max(1U, static_cast<unsigned>(std::ranges::count(used, true)));
  return {};
}

Result<SegmentPtr> Core::open_segment(const SegmentRef& ref) {
  const std::string path = segment_path(ref.file);
  auto segment = Segment::open(fs_, path);
  if (!segment) return std::unexpected(std::move(segment).error());
  if (const auto size = fs_.file_size(path); !size || *size != ref.bytes) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}: not the {} bytes that the manifest names", path, ref.bytes),
                ErrorOrigin::kStore);
  }
  if ((*segment)->info().checksum != ref.checksum) {
    return fail(ErrorCode::kCorrupt,
                fmt::format("{}: not the file that the manifest names (checksum)", path),
                ErrorOrigin::kStore);
  }
  return std::make_shared<const SegmentHandle>(fs_, path, ref, *std::move(segment),
                                               manifest_->lock());
}

// A segment that cannot be opened does not keep the rest from being served.
Result<TreeSet> Core::load_layout(const LayoutState& state, bool takes_writes) {
  TreeSet set{.layout = std::make_shared<const Layout>(state.id, state.key, state.lanes,
                                                       state.segment_format)};
  set.trees.resize(set.layout->trees());
  for (const TreeState& from : state.trees) {
    Tree& tree = set.trees.at(set.layout->tree_of(from.form, from.lane));
    tree = {.form = from.form, .lane = from.lane, .flushed_sequence = from.flushed_sequence};
    if (takes_writes) tree.active = new_overlay(*set.layout, from.form);
    for (const SegmentRef& ref : from.segments) {
      auto segment = open_segment(ref);
      if (!segment && segment.error().code() != ErrorCode::kCorrupt &&
          segment.error().code() != ErrorCode::kNotFound) {
        return std::unexpected(std::move(segment).error());
      }
      if (!segment) {
        auto lost = std::make_shared<const SegmentHandle>(fs_, segment_path(ref.file), ref, nullptr,
                                                          manifest_->lock());
        quarantine(*lost, segment.error());
        tree.segments.push_back(std::move(lost));
        continue;
      }
      tree.segments.push_back(*std::move(segment));
    }
  }
  return set;
}

Status Core::load(const Manifest& manifest) {
  const LayoutState& current = manifest.layouts.back();
  if (options_.key && *options_.key != current.key) {
    return fail(ErrorCode::kInvalidArgument,
                "the store has another hash key than the one given; use its own, or migrate it",
                ErrorOrigin::kStore);
  }
  next_file_ = manifest.next_file;
  auto version = std::make_shared<Version>();
  auto set = load_layout(current, true);
  if (!set) return std::unexpected(std::move(set).error());
  version->current = *std::move(set);
  if (manifest.layouts.size() == 2) {
    auto old = load_layout(manifest.layouts.front(), false);
    if (!old) return std::unexpected(std::move(old).error());
    version->old = *std::move(old);
  }
  const std::lock_guard lock(mutex_);
  publish(std::move(version));
  return {};
}

Status Core::replay_record(const LogRecord& record) {
  BatchReader reader(record.payload, record.sequence);
  Entry entry;
  for (;;) {
    const auto more = reader.next(entry);
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    const auto kind = kind_of(entry.table);
    if (!kind) {
      return fail(
          ErrorCode::kCorrupt,
          fmt::format("the log has an operation of table {}, which is not there", entry.table),
          ErrorOrigin::kStore);
    }
    const TreeSet& set = owner_->current;
    entry.hash = set.layout->hasher(entry.table, entry.tenant, entry.key);
    applied_sequence_ = std::max(applied_sequence_, entry.sequence);
    const std::size_t tree = set.layout->tree_of(form_of(*kind), entry.hash);
    if (entry.sequence > set.trees[tree].flushed_sequence) apply_entry(entry);
  }
}

// A store whose first manifest is the only one may have died before it had a log.
Status Core::replay(const Manifest& manifest) {
  const std::uint64_t start_ns = monotonic_ns();
  std::uint64_t flushed = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t reached = 0;
  for (const TreeState& tree : manifest.layouts.back().trees) {
    flushed = std::min(flushed, tree.flushed_sequence);
    reached = std::max(reached, tree.flushed_sequence);
  }
  auto reader = LogReader::open(fs_, {.directory = directory(),
                                      .store = manifest.store,
                                      .after_sequence = flushed,
                                      .at_least_sequence = reached,
                                      .must_exist = manifest.generation > 1});
  if (!reader) return std::unexpected(std::move(reader).error());
  std::uint64_t operations = 0;
  {
    const std::lock_guard lock(mutex_);
    applied_sequence_ = reached;
    LogRecord record;
    for (;;) {
      const auto more = (*reader)->next(record);
      if (!more) return std::unexpected(more.error());
      if (!*more) break;
      if (const Status done = replay_record(record); !done) return done;
      operations += record.operations;
    }
  }
  const LogEnd& end = (*reader)->end();
  if (end.torn) {
    spdlog::info("event=log_tail_cut file={} offset={} bytes={}", end.torn->file, end.torn->offset,
                 end.torn->bytes);
  }
  log_ = LogWriter::create_waiting(fs_,
                                   {.directory = directory(),
                                    .store = manifest.store,
                                    .fsync = options_.fsync,
                                    .fsync_interval = options_.fsync_interval},
                                   end);
  if (operations != 0) {
    spdlog::info("event=log_replayed operations={} milliseconds={}", operations,
                 (monotonic_ns() - start_ns) / kNsPerMs);
  }
  return {};
}

}  // namespace sluice::controlplane::store
