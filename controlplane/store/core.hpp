// The heart of the engine: the present Version, how writes get into it, and how a changed set of
// files becomes the manifest. Everything else (compaction, migration, backup) works through this.
//
// Locks, in this order: opening_mutex_ (what an opening writes), install_mutex_ (one change of
// files at a time; held over fsyncs), then mutex_ (the Version and the overlays' writer; held for
// microseconds). Readers take neither.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/store/epoch.hpp"
#include "controlplane/store/index.hpp"
#include "controlplane/store/overlay/overlay_pool.hpp"
#include "controlplane/store/version.hpp"

namespace sluice::controlplane::store {

struct EngineCounters {
  std::atomic<std::uint64_t> writes{0};
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> write_failures{0};
  std::atomic<std::uint64_t> slowed_writes{0};
  std::atomic<std::uint64_t> stopped_writes{0};
  std::atomic<std::uint64_t> stall_ns{0};
  std::atomic<std::uint64_t> flushes{0};
  std::atomic<std::uint64_t> compactions{0};
  std::atomic<std::uint64_t> compaction_read_bytes{0};
  std::atomic<std::uint64_t> compaction_written_bytes{0};
  std::atomic<std::uint64_t> verified_bytes{0};
  std::atomic<std::uint64_t> to_verify_bytes{0};
  std::atomic<std::uint64_t> damaged_segments{0};
};

class Core {
 public:
  // Locks the directory, opens the segments that the manifest names, replays the log; then
  // finish_opening(), which may fail on a disk that takes no writes.
  static Result<std::unique_ptr<Core>> open(Fs& fs, IndexOptions options);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // All that an opening writes: until it has worked nothing else is written, neither log nor
  // manifest, and the disk stays as the last process left it. To be tried again; any thread, but
  // not under a lock of this class.
  Status finish_opening();
  // To be called now and then: when the directory is not in its place any more, the store is as
  // before its opening was finished, until it is back. What is written into it meanwhile is not
  // lost, but not what the next start would find either.
  void watch_directory();
  // Whether the next start would find it.
  Status check_directory() const { return manifest_->in_place(); }
  bool opened() const noexcept { return opened_.load(std::memory_order_acquire); }
  // Why nothing is written yet; well when it is opened.
  Status check_opened() const;

  Fs& fs() const noexcept { return fs_; }
  const IndexOptions& options() const noexcept { return options_; }
  LogWriter& log() const noexcept { return *log_; }
  // Commits what was submitted; nothing is written after it.
  void close_log() noexcept { log_.reset(); }
  EngineCounters& counters() noexcept { return counters_; }
  const EpochDomain& epochs() const noexcept { return epochs_; }
  const std::string& directory() const noexcept { return manifest_->directory(); }

  // For readers under a guard of epochs().
  const Version& present() const noexcept { return *present_.load(std::memory_order_seq_cst); }
  std::shared_ptr<const Version> version() const;
  // With the newest sequence in it; everything written so far is sealed in it.
  std::pair<std::shared_ptr<const Version>, std::uint64_t> sealed_version();

  // Nothing of that table, or its kind.
  std::optional<Kind> kind_of(std::uint8_t table) const noexcept;
  std::vector<TableSpec> tables() const { return tables_; }

  // In log order, one at a time (LogWriter::Done). `hashes` are of the layout of that id.
  void apply(const WriteBatch& batch, std::span<const Hash128> hashes, std::uint32_t layout,
             std::uint64_t first_sequence);
  // Seals what is not empty.
  void seal_all();

  // Changes the set of files: makes what the edited version needs durable, commits it as the next
  // manifest, publishes it. `edit` may run twice and must not touch active overlays.
  Status install(const std::function<void(Version&)>& edit);
  // The same for an edit that also moves the writes to other trees: no write gets in between.
  Status install_exclusively(const std::function<Status(Version&)>& edit);

  std::uint64_t new_file() noexcept { return next_file_.fetch_add(1); }
  std::string segment_path(std::uint64_t file) const;
  std::shared_ptr<Overlay> new_overlay(const Layout& layout, Form form) const;
  OverlayPool& overlays() const noexcept { return *overlays_; }
  std::uint64_t overlay_bytes(const Layout& layout, Form form) const noexcept;
  Result<SegmentPtr> open_segment(const SegmentRef& ref);
  // Removes the file of a segment that could not be installed, when no manifest names it; null is
  // well.
  void discard(const SegmentPtr& segment);
  // Counts it and says so in the log, once.
  void quarantine(const SegmentHandle& segment, const Error& why);

  Manifest manifest() const { return manifest_->current(); }
  void tidy() { manifest_->tidy(); }
  std::uint64_t applied_sequence() const;

  // Called (under mutex_, must be short) when an overlay was sealed.
  void on_sealed(std::function<void()> call) { on_sealed_ = std::move(call); }

  // While one exists no log file is removed. Made between two installs: one that has looked for
  // holds may be removing files.
  class LogHold {
   public:
    explicit LogHold(Core& core) noexcept : core_(core) {
      const auto files = core_.hold_files();
      core_.log_holds_.fetch_add(1);
    }
    ~LogHold() { core_.log_holds_.fetch_sub(1); }
    LogHold(const LogHold&) = delete;
    LogHold& operator=(const LogHold&) = delete;

   private:
    Core& core_;
  };
  // Excludes install while it lives: the version and the manifest stay together.
  std::unique_lock<std::mutex> hold_files() { return std::unique_lock(install_mutex_); }

 private:
  Core(Fs& fs, IndexOptions options);
  Status load(const Manifest& manifest);
  Result<TreeSet> load_layout(const LayoutState& state, bool takes_writes);
  Status replay(const Manifest& manifest);
  Status write_opening();
  Status replay_record(const LogRecord& record);
  void apply_entry(Entry& entry);
  void seal(std::size_t tree);
  void publish(std::shared_ptr<const Version> next);
  Status install_now(const std::function<void(Version&)>& edit);
  Manifest manifest_of(const Version& version, std::uint64_t upto) const;
  Status make_durable(const Version& draft);
  void remove_logs();
  Status take_tables(const Manifest& manifest);

  Fs& fs_;
  const IndexOptions options_;
  std::unique_ptr<ManifestStore> manifest_;
  std::unique_ptr<LogWriter> log_;
  std::vector<TableSpec> tables_;          // sorted by id; fixed after open
  std::array<std::uint8_t, 256> kinds_{};  // by table; 0: none
  unsigned forms_used_ = 1;
  const std::shared_ptr<OverlayPool> overlays_;
  EngineCounters counters_;
  EpochDomain epochs_;
  std::atomic<std::uint64_t> next_file_{1};
  std::atomic<int> log_holds_{0};
  std::function<void()> on_sealed_;

  std::mutex opening_mutex_;  // of finish_opening(); taken before the others
  std::atomic<bool> opened_{false};

  std::mutex install_mutex_;
  mutable std::mutex mutex_;  // of what follows
  std::shared_ptr<const Version> owner_;
  std::atomic<const Version*> present_{nullptr};
  std::uint64_t applied_sequence_ = 0;
};

}  // namespace sluice::controlplane::store
