// Lets readers use an object that a writer replaces, without a lock and without touching a
// reference count: a reader marks one of a fixed number of slots with the present epoch while it
// reads; what a writer took out of use is freed when no slot holds an epoch from before that.
// (Epoch-based reclamation: Fraser, "Practical lock freedom", 2004.)
//
// enter(): any thread, costs one compare-and-swap on a line that the thread usually has to itself.
// retire() and collect(): one thread at a time (the owner's mutex).
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace sluice::controlplane::store {

class EpochDomain {
 public:
  static constexpr unsigned kSlots = 64;

  // Figures of the readers of one slot; written only by the one that holds it.
  struct Counters {
    std::atomic<std::uint64_t> lookups{0};
    std::atomic<std::uint64_t> hits{0};
    std::atomic<std::uint64_t> probes{0};
    std::atomic<std::uint64_t> false_positives{0};

    static void add(std::atomic<std::uint64_t>& to, std::uint64_t more) noexcept {
      to.store(to.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
  };

  class Guard {
   public:
    Guard(std::atomic<std::uint64_t>& epoch, Counters& counters) noexcept
        : epoch_(epoch), counters_(counters) {}
    // Releases what was read under it to whoever frees it (pairs with oldest_reader).
    ~Guard() { epoch_.store(0, std::memory_order_release); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    Counters& counters() const noexcept { return counters_; }

   private:
    std::atomic<std::uint64_t>& epoch_;
    Counters& counters_;
  };

  // Pointers to replaceable objects must be loaded (seq_cst) after this, and not kept beyond the
  // guard. With more than kSlots readers at once, one waits for another to finish.
  Guard enter() const noexcept {
    const std::uint64_t now = epoch_.load(std::memory_order_seq_cst);
    for (std::size_t at = home();; ++at) {
      Slot& slot = slots_[at % kSlots];
      std::uint64_t free = 0;
      // seq_cst: in one order with the writer's exchange of the pointer and its look at the slots,
      // so that it sees this mark, or this reader sees the new pointer.
      if (slot.epoch.load(std::memory_order_relaxed) == 0 &&
          slot.epoch.compare_exchange_strong(free, now, std::memory_order_seq_cst)) {
        return Guard(slot.epoch, slot.counters);
      }
    }
  }

  // `object` is not reachable for new readers any more: keeps it until the present ones are gone.
  void retire(std::shared_ptr<const void> object) {
    retired_.push_back({epoch_.fetch_add(1, std::memory_order_seq_cst), std::move(object)});
  }

  // What nobody reads any more: for the caller to let go of, outside of its lock, since freeing may
  // take long.
  [[nodiscard]] std::vector<std::shared_ptr<const void>> collect() {
    const std::uint64_t oldest = oldest_reader();
    std::vector<std::shared_ptr<const void>> free;
    std::erase_if(retired_, [&](Retired& r) {
      if (r.epoch >= oldest) return false;
      free.push_back(std::move(r.object));
      return true;
    });
    return free;
  }
  std::size_t waiting() const noexcept { return retired_.size(); }

  // Sums over all readers; each figure is exact for the readers that are done.
  struct Totals {
    std::uint64_t lookups = 0;
    std::uint64_t hits = 0;
    std::uint64_t probes = 0;
    std::uint64_t false_positives = 0;
  };
  Totals totals() const noexcept {
    Totals sum;
    for (const Slot& slot : slots_) {
      sum.lookups += slot.counters.lookups.load(std::memory_order_relaxed);
      sum.hits += slot.counters.hits.load(std::memory_order_relaxed);
      sum.probes += slot.counters.probes.load(std::memory_order_relaxed);
      sum.false_positives += slot.counters.false_positives.load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  struct alignas(64) Slot {
    std::atomic<std::uint64_t> epoch{0};  // 0: free
    Counters counters;
  };
  struct Retired {
    std::uint64_t epoch;
    std::shared_ptr<const void> object;
  };

  // Different for each thread, the same for one: so a thread finds its own line in its cache.
  static std::size_t home() noexcept {
    return static_cast<std::size_t>(
        static_cast<std::uint64_t>(::pthread_self()) * 0x9e3779b97f4a7c15ULL >> 58);
  }

  std::uint64_t oldest_reader() const noexcept {
    std::uint64_t oldest = epoch_.load(std::memory_order_seq_cst);
    for (const Slot& slot : slots_) {
      const std::uint64_t epoch = slot.epoch.load(std::memory_order_seq_cst);
      if (epoch != 0 && epoch < oldest) oldest = epoch;
    }
    return oldest;
  }

  std::atomic<std::uint64_t> epoch_{1};
  mutable std::array<Slot, kSlots> slots_;
  std::vector<Retired> retired_;
};

}  // namespace sluice::controlplane::store
