// When leases end: a timer wheel of one-second buckets. Renewing a lease writes nothing here; an
// entry that comes due early is told apart by its owner and scheduled again. One thread; time is
// injected.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace sluice::controlplane {

class LeaseWheel {
 public:
  struct Entry {
    std::uint32_t lease;
    std::uint64_t due_s;
  };

  void schedule(std::uint32_t lease, std::uint64_t due_s) {
    if (due_s <= now_s_) due_s = now_s_ + 1;
    buckets_[due_s % kBuckets].push_back({lease, due_s});
  }

  // Moves what is due at `now_s` to the end of `due`.
  void advance(std::uint64_t now_s, std::vector<Entry>& due) {
    if (now_s <= now_s_) return;
    const std::uint64_t steps = std::min<std::uint64_t>(now_s - now_s_, kBuckets);
    for (std::uint64_t second = now_s - steps + 1; second <= now_s; ++second) {
      auto& bucket = buckets_[second % kBuckets];
      std::size_t kept = 0;
      for (const Entry& entry : bucket) {
        if (entry.due_s <= now_s) {
          due.push_back(entry);
        } else {
          bucket[kept++] = entry;  // of a later turn of the wheel
        }
      }
      bucket.resize(kept);
      if (kept == 0) bucket.shrink_to_fit();
    }
    now_s_ = now_s;
  }

 private:
  static constexpr std::size_t kBuckets = 1024;

  std::array<std::vector<Entry>, kBuckets> buckets_;
  std::uint64_t now_s_ = 0;
};

}  // namespace sluice::controlplane
