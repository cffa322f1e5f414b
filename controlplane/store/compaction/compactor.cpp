#include "controlplane/store/compaction/compactor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "controlplane/store/compaction/segment_job.hpp"
#include "controlplane/store/overlay/overlay_source.hpp"
#include "controlplane/store/thread_name.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::chrono::milliseconds kLook{200};   // without being told
constexpr std::chrono::milliseconds kRetry{250};  // after a failure
constexpr std::size_t kUrgentSealed = 3;          // of one tree: the rate limit is lifted
constexpr std::uint64_t kObserveNs = kNsPerSecond;
constexpr std::uint64_t kTellAgainNs = 60 * kNsPerSecond;

std::size_t segment_limit(const Version& version) noexcept {
  std::size_t old = 0;
  if (version.old) {
    for (const Tree& tree : version.old->trees)
      old = std::max(old, tree.segments.size());
  }
  return old < kMaxSegments ? kMaxSegments - old : 1;
}

bool is_damaged(const Tree& tree) noexcept {
  return std::ranges::any_of(tree.segments, [](const auto& segment) { return segment->damaged(); });
}

MergeForReads::Census census_of(const Version& version, std::uint64_t lookups) noexcept {
  MergeForReads::Census census{.lookups = lookups};
  for (const Tree& tree : version.current.trees) {
    if (is_damaged(tree)) continue;
    const std::uint64_t all = tree.overlay_entries() + tree.segment_entries();
    census.entries += all;
    census.above += all - (tree.segments.empty() ? 0 : tree.segments.back()->ref().entries);
  }
  return census;
}

}  // namespace

Compactor::Compactor(Core& core) : core_(core), limiter_(core.options().bytes_per_second) {
  observed_ns_ = monotonic_ns();
  core_.on_sealed([this] { notify(); });
  threads_.emplace_back([this] { run_thread(Work::kFlush); });
  for (unsigned i = 0; i < core_.options().workers; ++i)
    threads_.emplace_back([this] { run_thread(Work::kMerge); });
}

Compactor::~Compactor() {
  stop();
  core_.on_sealed({});
}

void Compactor::stop() noexcept {
  stop_.store(true);
  limiter_.interrupt();
  notify();
  for (std::thread& thread : threads_)
    thread.join();
  threads_.clear();
}

void Compactor::notify() noexcept {
  {
    const std::lock_guard lock(mutex_);
    ++events_;
  }
  changed_.notify_all();
}

std::string Compactor::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

CompactionPolicy Compactor::policy() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

unsigned Compactor::running() const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned>(running_);
}

void Compactor::run_thread(Work work) {
  name_thread(work == Work::kFlush ? "store-flush" : "store-merge");
  std::uint64_t seen = 0;
  while (!stop_.load()) {
    if (work == Work::kFlush) {
      core_.watch_directory();
      if (!core_.opened() && core_.finish_opening()) notify();
      bound_log();
      observe_urgency();
    } else {
      observe_load();
    }
    if (const auto job = take(work)) {
      // Flushes are not held back: writes wait for them.
      const Status done = run(*job, Pace(work == Work::kMerge ? &limiter_ : nullptr, &stop_));
      finish(*job, done);
      if (done) continue;
    }
    std::unique_lock lock(mutex_);
    const bool failed = !failure_.empty();
    changed_.wait_for(lock, failed ? kRetry : kLook,
                      [&] { return stop_.load() || (!failed && events_ != seen); });
    seen = events_;
  }
}

// The version is read without the lock, so what it shows may be taken, or gone, by the time the
// lock is held: then it is read again.
std::optional<Compactor::Job> Compactor::take(Work work) {
  if (!core_.opened()) return std::nullopt;
  for (;;) {
    std::unique_lock lock(mutex_);
    const std::uint64_t events = events_;
    lock.unlock();
    const auto version = core_.version();
    lock.lock();
    if (events != events_) continue;
    if (paused_ != 0 || (work == Work::kMerge && no_merges_ != 0)) return std::nullopt;
    auto job = work == Work::kFlush ? plan_flush_of(*version) : plan_merge_of(*version);
    if (!job && work == Work::kMerge) job = plan_for_reads(*version);
    if (job) mark(*job, true);
    return job;
  }
}

std::vector<SegmentShape> Compactor::shapes_of(const Tree& tree) const {
  std::vector<SegmentShape> shapes;
  for (const SegmentPtr& segment : tree.segments) {
    shapes.push_back({.entries = segment->ref().entries,
                      .busy = segment->damaged() || busy_files_.contains(segment->ref().file)});
  }
  return shapes;
}

// The tree whose overlay waits longest comes first, so that a lane with many writes does not keep
// the others waiting.
std::optional<Compactor::Job> Compactor::plan_flush_of(const Version& version) const {
  std::optional<Job> best;
  std::uint64_t best_sequence = 0;
  for (std::size_t i = 0; i < version.current.trees.size(); ++i) {
    const Tree& tree = version.current.trees[i];
    if (tree.sealed.empty() || flushing_.contains(i)) continue;
    const auto with = plan_flush(shapes_of(tree), segment_limit(version));
    const std::uint64_t sequence = tree.sealed.back()->min_sequence();
    if (!with || (best && sequence >= best_sequence)) continue;
    best = job_of(Why::kFlush, version, i, 0, *with);
    best_sequence = sequence;
  }
  return best;
}

// The tree with the most segments comes first.
std::optional<Compactor::Job> Compactor::plan_merge_of(const Version& version) const {
  std::optional<Job> best;
  std::size_t best_count = 0;
  for (std::size_t i = 0; i < version.current.trees.size(); ++i) {
    const Tree& tree = version.current.trees[i];
    if (tree.segments.size() <= best_count) continue;
    const Layout& layout = *version.current.layout;
    const std::uint64_t unit = core_.overlay_bytes(layout, tree.form) / Overlay::kBytesPerNumber;
    const auto range = plan_merge(shapes_of(tree), unit, policy_);
    if (!range) continue;
    best = job_of(Why::kPolicy, version, i, range->first, range->count);
    best_count = tree.segments.size();
  }
  return best;
}

std::optional<Compactor::Job> Compactor::plan_for_reads(const Version& version) {
  if (version.old) for_reads_.drop();
  const auto tree = for_reads_.take([&](std::size_t i) { return state_for_reads(version, i); });
  if (!tree) return std::nullopt;
  return job_of(Why::kReads, version, *tree, 0, version.current.trees[*tree].segments.size());
}

// There must be room for flushes while it is merged, in the tree and on the disk: nobody needs
// this.
MergeForReads::Tree Compactor::state_for_reads(const Version& version, std::size_t tree) const {
  if (tree >= version.current.trees.size()) return MergeForReads::Tree::kDone;
  const Tree& of = version.current.trees[tree];
  if (is_damaged(of)) return MergeForReads::Tree::kDone;
  if (!of.sealed.empty() || of.segments.size() >= segment_limit(version) ||
      std::ranges::any_of(shapes_of(of), &SegmentShape::busy))
    return MergeForReads::Tree::kLater;
  if (of.segments.size() < 2) return MergeForReads::Tree::kDone;
  const auto space = core_.fs().space(core_.directory());
  return space && space->free_bytes / 2 >= of.segment_bytes() ? MergeForReads::Tree::kReady
                                                              : MergeForReads::Tree::kDone;
}

Compactor::Job Compactor::job_of(Why why, const Version& version, std::size_t tree,
                                 std::size_t first, std::size_t count) const {
  const Tree& of = version.current.trees[tree];
  Job job{.why = why, .layout = version.current.layout->id, .tree = tree};
  if (why == Why::kFlush || why == Why::kAsked) job.sealed = of.sealed;
  const auto begin = of.segments.begin() + static_cast<std::ptrdiff_t>(first);
  job.segments.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
  job.bottom = !version.old && first + count == of.segments.size();
  return job;
}

void Compactor::mark(const Job& job, bool begins) {
  const int change = begins ? 1 : -1;
  running_ += change;
  if (job.why == Why::kFlush) flushing_now_ += change;
  if (job.why == Why::kReads && !begins) for_reads_.finished();
  if (!job.sealed.empty()) {
    if (begins) {
      flushing_.insert(job.tree);
    } else {
      flushing_.erase(job.tree);
    }
  }
  for (const SegmentPtr& segment : job.segments) {
    if (begins) {
      busy_files_.insert(segment->ref().file);
    } else {
      busy_files_.erase(segment->ref().file);
    }
  }
}

void Compactor::finish(const Job& job, const Status& status) {
  const std::lock_guard lock(mutex_);
  mark(job, false);
  ++events_;
  if (status) {
    if (!failure_.empty()) spdlog::info("event=compaction_works_again");
    failure_.clear();
  } else if (!stop_.load()) {
    tell_failure(job, status.error());
  }
  changed_.notify_all();
}

void Compactor::tell_failure(const Job& job, const Error& error) {
  if (job.why == Why::kAsked) return;  // whoever asked is told
  const std::uint64_t now = monotonic_ns();
  if (now >= tell_again_ns_) {  // the texts differ from try to try
    spdlog::error("event=compaction_failed error=\"{}\"", error.message());
    tell_again_ns_ = now + kTellAgainNs;
  }
  if (job.why == Why::kReads) return;  // is not owed, and waits until it is worth it anew
  ++failures_;
  failure_ = error.message();
}

Result<SegmentPtr> Compactor::write_segment(const Version& version, const Job& job, Pace pace) {
  const Layout& layout = *version.current.layout;
  std::vector<std::unique_ptr<EntrySource>> sources;
  std::uint64_t expected = 0;
  for (const auto& overlay : job.sealed) {
    sources.push_back(std::make_unique<OverlaySource>(overlay));
    expected += overlay->entries();
  }
  for (const SegmentPtr& segment : job.segments) {
    if (segment->damaged()) return std::unexpected(damaged_error(*segment));
    sources.push_back(watched_source(core_, segment));
    expected += segment->ref().entries;
    core_.counters().compaction_read_bytes += segment->ref().bytes;
  }
  return merge_to_segment(core_, layout, version.current.trees[job.tree].form, std::move(sources),
                          expected, job.bottom, pace);
}

Status Compactor::run(const Job& job, Pace pace) {
  const auto version = core_.version();
  const auto made = write_segment(*version, job, pace);
  if (!made) return std::unexpected(made.error());
  const std::uint64_t flushed = job.sealed.empty() ? 0 : job.sealed.front()->max_sequence();
  const Status done = core_.install([&](Version& next) {
    Tree& tree = next.current.trees[job.tree];
    std::erase_if(tree.sealed, [&](const auto& overlay) {
      return std::ranges::find(job.sealed, overlay) != job.sealed.end();
    });
    auto at = tree.segments.begin();
    if (!job.segments.empty()) {
      at = std::ranges::find(tree.segments, job.segments.front());
      at = tree.segments.erase(at, at + static_cast<std::ptrdiff_t>(job.segments.size()));
    }
    if (*made != nullptr) tree.segments.insert(at, *made);
    tree.flushed_sequence = std::max(tree.flushed_sequence, flushed);
  });
  if (!done) {
    core_.discard(*made);
    return done;
  }
  for (const SegmentPtr& segment : job.segments)
    segment->set_obsolete();
  auto& counter = job.sealed.empty() ? core_.counters().compactions : core_.counters().flushes;
  counter.fetch_add(1, std::memory_order_relaxed);
  if (*made != nullptr) core_.counters().compaction_written_bytes += (*made)->ref().bytes;
  return {};
}

// Without writes elsewhere, a tree that gets few would keep the log from being cut: it is written
// out, too, when the log becomes longer than all overlays.
void Compactor::bound_log() {
  const std::uint64_t limit = std::max(std::uint64_t{64} << 20, 2 * core_.options().overlay_bytes);
  if (core_.log().metrics().live_bytes > limit) core_.seal_all();
}

// By the thread that flushes, since merges may be held back by the very limit.
void Compactor::observe_urgency() {
  const auto version = core_.version();
  limiter_.set_urgent(std::ranges::any_of(version->current.trees, [](const Tree& tree) {
    return tree.sealed.size() >= kUrgentSealed;
  }));
}

void Compactor::observe_load() {
  const std::uint64_t now = monotonic_ns();
  std::unique_lock lock(mutex_);
  if (now - observed_ns_ < kObserveNs) return;
  observed_ns_ = now;
  lock.unlock();
  core_.overlays().tick();
  const auto version = core_.version();
  std::uint64_t entries = 0;
  for (const Tree& tree : version->current.trees)
    entries += tree.segment_entries();
  const std::uint64_t lookups = core_.epochs().totals().lookups;
  const std::uint64_t writes = core_.counters().writes.load();
  lock.lock();
  const double reads_per_write =
      static_cast<double>(lookups - seen_lookups_) /
      static_cast<double>(std::max<std::uint64_t>(1, writes - seen_writes_));
  // Nothing happened: what was right stays right.
  if (lookups != seen_lookups_ || writes != seen_writes_) {
    const std::uint64_t unit = core_.options().overlay_bytes / Overlay::kBytesPerNumber;
    policy_ = choose_policy(entries, unit, reads_per_write);
  }
  seen_lookups_ = lookups;
  seen_writes_ = writes;
  const bool worth = !version->old && for_reads_.worth(census_of(*version, lookups));
  lock.unlock();
  if (worth) start_for_reads(version->current.trees.size());
}

void Compactor::start_for_reads(std::size_t trees) {
  core_.seal_all();  // before: a tree with nothing sealed is ready to be merged
  {
    const std::lock_guard lock(mutex_);
    for_reads_.start(trees);
  }
  notify();
}

Status Compactor::drain() {
  if (const Status ready = core_.check_opened(); !ready) return ready;
  core_.seal_all();
  std::unique_lock lock(mutex_);
  const std::uint64_t failures = failures_;
  for (;;) {
    const std::uint64_t events = events_;
    lock.unlock();
    const auto version = core_.version();
    const bool clean = std::ranges::all_of(version->current.trees,
                                           [](const Tree& tree) { return tree.sealed.empty(); });
    lock.lock();
    if (clean) return {};
    if (failures_ != failures || stop_.load())
      return fail(ErrorCode::kUnavailable, "writing out failed: " + failure_, ErrorOrigin::kStore,
                  true);
    changed_.wait_for(lock, kLook, [&] { return events_ != events || stop_.load(); });
  }
}

Status Compactor::compact_tree(std::size_t tree, Pace pace) {
  if (const Status ready = core_.check_opened(); !ready) return ready;
  for (;;) {
    std::unique_lock lock(mutex_);
    const std::uint64_t events = events_;
    lock.unlock();
    const auto version = core_.version();
    lock.lock();
    if (events != events_) continue;
    const Tree& of = version->current.trees[tree];
    if (of.sealed.empty() && of.segments.size() <= 1 && !version->old) {
      // One segment that was a bottom when it was written has nothing to drop.
      return {};
    }
    const bool busy = flushing_.contains(tree) || no_merges_ != 0 ||
                      std::ranges::any_of(of.segments, [&](const SegmentPtr& segment) {
                        return busy_files_.contains(segment->ref().file);
                      });
    if (busy) {
      changed_.wait_for(lock, kLook, [&] { return events_ != events || stop_.load(); });
      if (stop_.load()) return fail(ErrorCode::kUnavailable, "the store is closing");
      continue;
    }
    const Job job = job_of(Why::kAsked, *version, tree, 0, of.segments.size());
    mark(job, true);
    lock.unlock();
    const Status done = run(job, pace);
    finish(job, done);
    return done;
  }
}

void Compactor::wait_for_progress(std::uint64_t ms) {
  std::unique_lock lock(mutex_);
  const std::uint64_t events = events_;
  changed_.wait_for(lock, std::chrono::milliseconds(ms),
                    [&] { return events_ != events || stop_.load(); });
}

std::uint64_t Compactor::debt_bytes(const Tree& tree) const {
  std::uint64_t debt = 0;
  for (const auto& overlay : tree.sealed)
    debt += overlay->bytes_used();
  const std::lock_guard lock(mutex_);
  const std::uint64_t unit = core_.options().overlay_bytes / Overlay::kBytesPerNumber;
  const auto range = plan_merge(shapes_of(tree), unit, policy_);
  if (!range) return debt;
  for (std::size_t i = range->first; i < range->first + range->count; ++i)
    debt += tree.segments[i]->ref().bytes;
  return debt;
}

// Merges first, which may take long: meanwhile what is sealed is still written out.
Compactor::Pause::Pause(Compactor& compactor) : compactor_(compactor) {
  std::unique_lock lock(compactor_.mutex_);
  ++compactor_.no_merges_;
  compactor_.changed_.wait(lock, [&] { return compactor_.running_ == compactor_.flushing_now_; });
  ++compactor_.paused_;
  compactor_.changed_.wait(lock, [&] { return compactor_.running_ == 0; });
}

Compactor::Pause::~Pause() {
  {
    const std::lock_guard lock(compactor_.mutex_);
    --compactor_.paused_;
    --compactor_.no_merges_;
    ++compactor_.events_;
  }
  compactor_.changed_.notify_all();
}

}  // namespace sluice::controlplane::store
