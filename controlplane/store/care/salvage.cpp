#include "controlplane/store/care/salvage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "controlplane/store/care/remains.hpp"
#include "controlplane/store/file/file_copy.hpp"
#include "controlplane/store/index.hpp"
#include "controlplane/store/log/log_batch.hpp"
#include "controlplane/store/log/log_remains.hpp"
#include "controlplane/store/version.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::size_t kOperationsPerBatch = 512;
constexpr std::uint64_t kTellEvery = 8192;  // entries

// Table, tenant and key, as one text.
std::string name_of(const Entry& entry) {
  std::string name(3, '\0');
  name[0] = static_cast<char>(entry.table);
  name[1] = static_cast<char>(entry.tenant & 0xff);
  name[2] = static_cast<char>(entry.tenant >> 8);
  name.append(entry.key.begin(), entry.key.end());
  return name;
}

// Writes what was found into the new store, in the order in which it comes.
class Copier {
 public:
  Copier(Index& index, const std::vector<TableSpec>& tables) : index_(index) {
    for (const TableSpec& table : tables)
      kinds_[table.id] = table.kind;
  }

  Status add(const Entry& entry) {
    const auto kind = kinds_.find(entry.table);
    if (kind == kinds_.end() || !put(entry, kind->second)) {
      ++unknown_[entry.table];
      return {};
    }
    return batch_.size() < kOperationsPerBatch ? Status{} : flush();
  }

  Status flush() {
    const Status done = index_.write(batch_);
    batch_.clear();
    return done;
  }

  void tell(std::vector<Damage>& damaged) const {
    for (const auto& [table, operations] : unknown_) {
      damaged.push_back({fmt::format("table {}", table),
                         fmt::format("{} operations that do not fit, or of a table that nobody "
                                     "knows without the manifest",
                                     operations)});
    }
  }

 private:
  bool put(const Entry& entry, Kind kind) {
    const bool of_set = entry.op == Op::kSetAdd || entry.op == Op::kSetRemove;
    if (entry.op == Op::kDelete) {
      batch_.erase(entry.table, entry.tenant, entry.key);
    } else if (of_set != (kind == Kind::kSet)) {
      return false;
    } else if (entry.op == Op::kSetAdd) {
      batch_.set_add(entry.table, entry.tenant, entry.key, entry.value);
    } else if (entry.op == Op::kSetRemove) {
      batch_.set_remove(entry.table, entry.tenant, entry.key, entry.value);
    } else if (kind == Kind::kNumber) {
      batch_.put(entry.table, entry.tenant, entry.key, entry.inline_value);
    } else {
      batch_.put(entry.table, entry.tenant, entry.key, entry.value);
    }
    return true;
  }

  Index& index_;
  std::unordered_map<std::uint8_t, Kind> kinds_;
  std::unordered_map<std::uint8_t, std::uint64_t> unknown_;
  WriteBatch batch_;
};

// The log, read first and applied last. What a segment has of a key is newer than what the log has
// of it up to the same number.
class LoggedWrites {
 public:
  Status add(const LogRecord& record) {
    records_.push_back({record.sequence, Buffer(record.payload.begin(), record.payload.end())});
    return each(records_.back(), [&](const Entry& entry) {
      segments_[name_of(entry)] = 0;
      return Status{};
    });
  }
  void seen_in_segment(const Entry& entry) {
    if (const auto at = segments_.find(name_of(entry)); at != segments_.end())
      at->second = std::max(at->second, entry.sequence);
  }
  // `flushed`: everything of this entry's tree up to there was in segments, which are whole.
  Status apply(Copier& copier, const std::function<std::uint64_t(const Entry&)>& flushed) const {
    for (const Record& record : records_) {
      const Status done = each(record, [&](const Entry& entry) -> Status {
        const bool older = entry.sequence <= segments_.at(name_of(entry));
        return older || entry.sequence <= flushed(entry) ? Status{} : copier.add(entry);
      });
      if (!done) return done;
    }
    return {};
  }

 private:
  struct Record {
    std::uint64_t sequence;
    Buffer payload;
  };
  // Under a good checksum; what is no operation all the same ends the record.
  static Status each(const Record& record, const std::function<Status(const Entry&)>& take) {
    BatchReader reader(record.payload, record.sequence);
    Entry entry;
    while (reader.next(entry).value_or(false))
      if (auto done = take(entry); !done) return done;
    return {};
  }

  std::vector<Record> records_;
  std::unordered_map<std::string, std::uint64_t> segments_;  // newest there; 0: not there
};

class Salvager {
 public:
  Salvager(Fs& fs, const StoreRemains& from, const Progress& progress)
      : fs_(fs), from_(from), progress_(progress), total_(from.bytes) {}

  Status read_log() {
    const auto store = from_.manifest ? std::optional(from_.manifest->store) : std::nullopt;
    auto log = read_log_remains(fs_, from_.directory, store,
                                [&](const LogRecord& record) { return logged_.add(record); });
    if (!log) return std::unexpected(log.error());
    report_.files += log->files;
    report_.records = log->records;
    report_.lost_operations = log->lost_operations;
    std::ranges::move(log->damaged, std::back_inserter(report_.damaged));
    return tell(log->bytes);
  }

  Status copy(Index& index, const std::vector<TableSpec>& tables) {
    Copier copier(index, tables);
    for (const SegmentRemainder& segment : from_.segments)
      if (auto done = copy_segment(segment, copier); !done) return done;
    const Flushed flushed(from_);
    auto done = logged_.apply(copier, [&](const Entry& entry) { return flushed(entry); });
    if (done) done = copier.flush();
    copier.tell(report_.damaged);
    return done ? index.sync() : done;
  }

  SalvageReport& report() noexcept { return report_; }

 private:
  // By tree of the present layout; 0 where a segment is damaged.
  class Flushed {
   public:
    explicit Flushed(const StoreRemains& from) {
      if (!from.manifest) return;
      const LayoutState& state = from.manifest->layouts.back();
      layout_ = std::make_unique<Layout>(state.id, state.key, state.lanes, state.segment_format);
      for (const TableSpec& table : from.manifest->tables)
        forms_[table.id] = form_of(table.kind);
      flushed_.resize(layout_->trees());
      for (const TreeState& tree : state.trees) {
        const bool whole = std::ranges::none_of(tree.segments, [&](const SegmentRef& segment) {
          return from.is_damaged(segment.file);
        });
        if (whole) flushed_.at(layout_->tree_of(tree.form, tree.lane)) = tree.flushed_sequence;
      }
    }
    std::uint64_t operator()(const Entry& entry) const {
      const auto form = forms_.find(entry.table);
      if (form == forms_.end()) return 0;
      const auto hash = layout_->hasher(entry.table, entry.tenant, entry.key);
      return flushed_[layout_->tree_of(form->second, hash)];
    }

   private:
    std::unique_ptr<Layout> layout_;
    std::unordered_map<std::uint8_t, Form> forms_;
    std::vector<std::uint64_t> flushed_;
  };

  Status copy_segment(const SegmentRemainder& segment, Copier& copier) {
    ++report_.files;
    const std::uint64_t all = segment.entries;
    if (!segment.remains) {
      report_.lost_entries += all;
      return tell(segment.bytes);
    }
    std::uint64_t done_here = 0;
    const auto read = segment.remains->read([&](const Entry& entry) -> Status {
      logged_.seen_in_segment(entry);
      if (++done_here % kTellEvery == 0) {
        const auto told = show(done_ + segment.bytes * std::min(done_here, all) / all);
        if (!told) return told;
      }
      return copier.add(entry);
    });
    if (!read) return std::unexpected(read.error());
    report_.entries += *read;
    report_.lost_entries += all > *read ? all - *read : 0;
    return tell(segment.bytes);
  }

  Status show(std::uint64_t done) const {
    if (!progress_ || progress_(done, std::max(done, total_))) return {};
    return fail(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
  }
  Status tell(std::uint64_t bytes) {
    report_.bytes += bytes;
    done_ += bytes;
    return show(done_);
  }

  Fs& fs_;
  const StoreRemains& from_;
  const Progress& progress_;
  const std::uint64_t total_;
  std::uint64_t done_ = 0;
  LoggedWrites logged_;
  SalvageReport report_;
};

Status remove_all(Fs& fs, const std::string& directory) {
  const auto names = fs.list(directory);
  if (!names) return std::unexpected(names.error());
  for (const auto& name : *names)
    if (auto done = fs.remove(directory + "/" + name); !done) return done;
  return fs.remove_dir(directory);
}

// Fills a store in `draft` and makes it one in `to`, whole or not at all, as a backup of it.
Status fill(Fs& fs, const StoreRemains& from, const std::string& draft, const std::string& to,
            const std::vector<TableSpec>& tables, Salvager& salvager) {
  IndexOptions options{.directory = draft, .tables = tables, .fsync = Fsync::kNever};
  if (from.manifest) {
    options.tables = from.manifest->tables;
    options.key = from.manifest->layouts.back().key;
    options.lanes = from.manifest->layouts.back().lanes;
  }
  auto index = Index::open(fs, options);
  if (!index) return std::unexpected(index.error());
  if (auto done = salvager.copy(**index, options.tables); !done) return done;
  const auto usage = (*index)->maintenance().usage(std::nullopt, {});
  if (!usage) return std::unexpected(usage.error());
  for (const auto& [tenant, of] : *usage)
    for (const auto& [table, amount] : of)
      salvager.report().items += amount.keys;
  const auto made = (*index)->maintenance().backup(to, {});
  return made ? Status{} : std::unexpected(made.error());
}

}  // namespace

Result<VerifyReport> verify_directory(Fs& fs, const std::string& directory,
                                      const Progress& progress) {
  const auto lock = lock_if_there(fs, directory);
  if (!lock) return std::unexpected(lock.error());
  auto remains = find_remains(fs, directory, progress);
  if (!remains) return std::unexpected(remains.error());
  VerifyReport report{.files = remains->segments.size() + 1, .bytes = remains->bytes};
  report.damaged = std::move(remains->damaged);
  auto log = log_damage(fs, directory, remains->manifest);
  if (!log) return std::unexpected(log.error());
  report.files += log->files;
  std::ranges::move(log->damaged, std::back_inserter(report.damaged));
  return report;
}

Result<SalvageReport> salvage(Fs& fs, const std::string& directory, const std::string& to,
                              const std::vector<TableSpec>& tables, const Progress& progress) {
  const std::string context = fmt::format("salvage of {} to {}", directory, to);
  const std::string draft = to + ".draft";
  for (const auto& path : {to, draft}) {
    const auto there = fs.exists(path);
    if (!there) return fail(there.error(), context);
    if (*there)
      return fail(ErrorCode::kAlreadyExists, path + " is there already", ErrorOrigin::kStore);
  }
  const auto lock = lock_if_there(fs, directory);
  if (!lock) return fail(lock.error(), context);
  const auto remains = find_remains(fs, directory, {});
  if (!remains) return fail(remains.error(), context);
  Salvager salvager(fs, *remains, progress);
  salvager.report().damaged = remains->damaged;
  salvager.report().manifest = remains->manifest.has_value();
  Status done = salvager.read_log();
  if (done) done = fill(fs, *remains, draft, to, tables, salvager);
  const Status removed = remove_all(fs, draft);
  if (!done) return fail(done.error(), context);
  if (!removed) return fail(removed.error(), context + ", which is done");
  ++salvager.report().files;  // the manifest
  return std::move(salvager.report());
}

}  // namespace sluice::controlplane::store
