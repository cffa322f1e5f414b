// Overlays to use again. The memory of a fresh one is the kernel's to clear, a huge page at a time
// and in the middle of a write; one that was written out is cleared by whoever lets it go. Keeps no
// more than what writing out takes anyway, and gives it back when writes have ended. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "controlplane/store/overlay/overlay.hpp"

namespace sluice::controlplane::store {

class OverlayPool : public std::enable_shared_from_this<OverlayPool> {
 public:
  // Made by std::make_shared: overlays may outlive their owner.
  // `most_bytes`: Overlay::bytes() of all spares; but one there may be.
  explicit OverlayPool(std::uint64_t most_bytes) noexcept : most_bytes_(most_bytes) {}

  // An empty one, as Overlay's constructor makes it. It comes back by itself when nobody has it any
  // more. Throws std::bad_alloc.
  std::shared_ptr<Overlay> take(Form form, std::uint64_t bytes);
  // To be called about once a second.
  void tick();
  std::size_t spares() const;

 private:
  static constexpr unsigned kIdleTicks = 10;  // without a taker: then spares are freed

  void give(std::unique_ptr<Overlay> overlay);

  const std::uint64_t most_bytes_;
  mutable std::mutex mutex_;                      // of what follows
  std::vector<std::unique_ptr<Overlay>> spares_;  // newest last
  std::uint64_t bytes_ = 0;
  unsigned idle_ticks_ = 0;
};

}  // namespace sluice::controlplane::store
