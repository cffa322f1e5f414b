// Background work: one thread writes sealed overlays out as segments, `workers` threads merge
// segments as the policy says. What a job makes becomes part of the index in one manifest; a job
// that is killed leaves a file that nobody names, which the next open removes. Failures (a full
// disk) are kept, shown, and the job is tried again. An opening that could not write is the first
// job: until it is done there is no other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/store/compaction/compaction_policy.hpp"
#include "controlplane/store/compaction/merge_for_reads.hpp"
#include "controlplane/store/compaction/pace.hpp"
#include "controlplane/store/core.hpp"
#include "controlplane/store/entry_source.hpp"

namespace sluice::controlplane::store {

class Compactor {
 public:
  explicit Compactor(Core& core);
  ~Compactor();
  Compactor(const Compactor&) = delete;
  Compactor& operator=(const Compactor&) = delete;

  // Ends the threads; what they were doing is left for the next open.
  void stop() noexcept;

  // There is something new to look at. Any thread, under any lock.
  void notify() noexcept;
  // Waits until nothing is sealed, or background work fails.
  Status drain();
  // Everything of one tree into one segment, by the calling thread. `pace` may cancel it.
  Status compact_tree(std::size_t tree, Pace pace);
  RateLimiter& limiter() noexcept { return limiter_; }

  // No job runs and none begins while it lives.
  class Pause {
   public:
    explicit Pause(Compactor& compactor);
    ~Pause();
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    Compactor& compactor_;
  };

  // Waits until a flush or a merge ended, at most `ms`; for writes that have to wait.
  void wait_for_progress(std::uint64_t ms);
  // Why the last job failed; empty after one that did not.
  std::string failure() const;
  CompactionPolicy policy() const;
  unsigned running() const;  // jobs
  std::uint64_t debt_bytes(const Tree& tree) const;

 private:
  // Who wants it: writes wait for a flush, the policy for a merge; the third is for reads that go
  // on, the fourth somebody waits for.
  enum class Why : std::uint8_t { kFlush, kPolicy, kReads, kAsked };
  struct Job {
    Why why = Why::kPolicy;
    std::uint32_t layout = 0;
    std::size_t tree = 0;
    std::vector<std::shared_ptr<const Overlay>> sealed;  // newest first
    std::vector<SegmentPtr> segments;                    // neighbours, newest first
    bool bottom = false;                                 // nothing older exists
  };
  enum class Work : std::uint8_t { kFlush, kMerge };

  void run_thread(Work work);
  // Takes a job and marks what it reads; nothing when there is none.
  std::optional<Job> take(Work work);
  std::optional<Job> plan_flush_of(const Version& version) const;
  std::optional<Job> plan_merge_of(const Version& version) const;
  std::optional<Job> plan_for_reads(const Version& version);
  MergeForReads::Tree state_for_reads(const Version& version, std::size_t tree) const;
  Job job_of(Why why, const Version& version, std::size_t tree, std::size_t first,
             std::size_t count) const;
  void mark(const Job& job, bool begins);
  std::vector<SegmentShape> shapes_of(const Tree& tree) const;
  void finish(const Job& job, const Status& status);
  Status run(const Job& job, Pace pace);
  Result<SegmentPtr> write_segment(const Version& version, const Job& job, Pace pace);
  void tell_failure(const Job& job, const Error& error);
  void observe_urgency();
  void observe_load();
  void start_for_reads(std::size_t trees);
  void bound_log();

  Core& core_;
  RateLimiter limiter_;
  std::atomic<bool> stop_{false};

  // Core's lock is never taken under this one: notify() is called the other way round.
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::uint64_t events_ = 0;  // whatever may have made new work or room
  int running_ = 0;
  int flushing_now_ = 0;            // of them
  int no_merges_ = 0;               // pauses that wait for the merges to end
  int paused_ = 0;                  // pauses that wait for all
  std::set<std::size_t> flushing_;  // trees whose sealed overlays are being written
  std::set<std::uint64_t> busy_files_;
  std::string failure_;
  std::uint64_t failures_ = 0;
  std::uint64_t tell_again_ns_ = 0;
  CompactionPolicy policy_;
  std::uint64_t seen_lookups_ = 0;
  std::uint64_t seen_writes_ = 0;
  std::uint64_t observed_ns_ = 0;
  MergeForReads for_reads_;

  std::vector<std::thread> threads_;
};

}  // namespace sluice::controlplane::store
