// Whether everything shall become one segment per tree for the sake of reads alone, and which trees
// still have to. Levels above the oldest segment of a tree cost every lookup, a merge costs once:
// as soon as the lookups since have paid for the levels what the merge costs it is done, so that
// both together never cost more than twice what the best moment would have (the ski-rental rule).
// One such round at a time. No clock, no thread; under the owner's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

namespace sluice::controlplane::store {

class MergeForReads {
 public:
  struct Census {
    std::uint64_t entries = 0;  // of the index, without trees that cannot be merged
    std::uint64_t above = 0;    // of them, not in the oldest segment of their tree
    std::uint64_t lookups = 0;  // since opening
  };
  // To be called now and then. True: it is worth it now; seal what is in overlays, then start().
  bool worth(const Census& census) noexcept;
  void start(std::size_t trees);
  // The trees are others now.
  void drop() noexcept { waiting_.clear(); }

  enum class Tree : std::uint8_t { kReady, kLater, kDone };
  // The next tree that `state_of(tree)` calls ready; finished() follows when its merge has ended,
  // well or not. What is done, or cannot be merged, is forgotten.
  template <class StateOf>
  std::optional<std::size_t> take(const StateOf& state_of) {
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      const std::size_t tree = *at;
      const Tree state = state_of(tree);
      if (state == Tree::kLater) {
        ++at;
        continue;
      }
      at = waiting_.erase(at);
      if (state == Tree::kDone) continue;
      ++running_;
      return tree;
    }
    return std::nullopt;
  }
  void finished() noexcept { --running_; }

 private:
  std::uint64_t paid_from_ = 0;  // lookups before do not count
  std::set<std::size_t> waiting_;
  int running_ = 0;
};

}  // namespace sluice::controlplane::store
