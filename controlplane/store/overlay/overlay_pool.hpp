// Overlays to use again. The memory of a fresh one is the kernel's to clear, a huge page at a time
// and in the middle of a write; one that was written out is cleared by whoever lets it go. So there
// are as many as were in use at once lately; what was not needed for a while is given back. Any
// thread.
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
  // An empty one, as Overlay's constructor makes it. It comes back by itself when nobody has it any
  // more; the pool, made by std::make_shared, lives as long. Throws std::bad_alloc.
  std::shared_ptr<Overlay> take(Form form, std::uint64_t bytes);
  // To be called about once a second.
  void tick();
  std::size_t spares() const;

 private:
  static constexpr unsigned kWindow = 10;  // ticks

  void give(std::unique_ptr<Overlay> overlay);

  mutable std::mutex mutex_;                      // of what follows
  std::vector<std::unique_ptr<Overlay>> spares_;  // newest last
  std::size_t fewest_ = 0;                        // spares at any time of the window
  unsigned ticks_ = 0;
};

}  // namespace sluice::controlplane::store
