// A sealed overlay as a sorted sequence of entries, for merging and iterating. Sorting happens in
// the constructor (some ten nanoseconds per key). One thread; keeps the overlay alive.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "controlplane/store/entry_source.hpp"
#include "controlplane/store/overlay/overlay.hpp"

namespace sluice::controlplane::store {

class OverlaySource final : public EntrySource {
 public:
  explicit OverlaySource(std::shared_ptr<const Overlay> overlay);

  Result<bool> next(Entry& entry) override;

 private:
  static constexpr std::size_t kAhead = 8;  // keys whose nodes are on their way

  void prefetch() const noexcept;
  void fill(Entry& entry, const Hash128& hash, const Overlay::Node& node) const noexcept;
  void gather(const Overlay::KeyRef& key);

  std::shared_ptr<const Overlay> overlay_;
  std::vector<Overlay::KeyRef> keys_;
  std::size_t at_ = 0;
  std::vector<const Overlay::Node*> operations_;  // of the present set, newest first
  std::size_t operation_ = 0;
};

}  // namespace sluice::controlplane::store
