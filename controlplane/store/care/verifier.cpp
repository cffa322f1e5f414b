#include "controlplane/store/care/verifier.hpp"

#include <spdlog/spdlog.h>

#include <utility>
#include <vector>

#include "controlplane/store/thread_name.hpp"

namespace sluice::controlplane::store {

Verifier::Verifier(Core& core) : core_(core), limiter_(core.options().bytes_per_second) {
  thread_ = std::thread([this] { run(); });
}

Verifier::~Verifier() {
  stop_.store(true);
  limiter_.interrupt();
  thread_.join();
}

void Verifier::run() {
  name_thread("store-verify");
  std::vector<SegmentPtr> segments;
  {
    const auto version = core_.version();
    const auto add = [&](const TreeSet& set) {
      for (const Tree& tree : set.trees)
        segments.insert(segments.end(), tree.segments.begin(), tree.segments.end());
    };
    add(version->current);
    if (version->old) add(*version->old);
  }
  std::uint64_t total = 0;
  for (const SegmentPtr& segment : segments)
    total += segment->ref().bytes;
  const bool verify = core_.options().verify_after_open;
  core_.counters().to_verify_bytes.store(verify ? total : 0);
  Pace pace(&limiter_, &stop_);
  for (SegmentPtr& segment : segments) {
    if (!segment->damaged()) {
      std::uint64_t seen = 0;
      const auto progress = [&](std::uint64_t done, std::uint64_t) {
        const std::uint64_t more = done - std::exchange(seen, done);
        core_.counters().verified_bytes.fetch_add(more);
        return pace.spend(more);
      };
      Status good = verify ? segment->segment().verify(progress) : Status{};
      if (stop_.load()) return;
      if (good && core_.options().serves_lookups) good = segment->segment().load_hot();
      if (!good) core_.quarantine(*segment, good.error());
    }
    segment.reset();  // a file that compaction has replaced is let go
  }
}

}  // namespace sluice::controlplane::store
