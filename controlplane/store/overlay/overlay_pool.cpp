#include "controlplane/store/overlay/overlay_pool.hpp"

#include <algorithm>
#include <utility>

namespace sluice::controlplane::store {

std::shared_ptr<Overlay> OverlayPool::take(Form form, std::uint64_t bytes) {
  std::unique_ptr<Overlay> taken;
  {
    const std::lock_guard lock(mutex_);
    idle_ticks_ = 0;
    const auto at = std::ranges::find_if(spares_, [&](const auto& spare) {
      return spare->form() == form && spare->bytes() == bytes;
    });
    if (at != spares_.end()) {
      taken = std::move(*at);
      bytes_ -= bytes;
      spares_.erase(at);
    }
  }
  if (taken == nullptr) taken = std::make_unique<Overlay>(form, bytes);
  return {taken.release(), [pool = shared_from_this()](Overlay* overlay) {
            pool->give(std::unique_ptr<Overlay>(overlay));
          }};
}

// The oldest go: what nobody takes, after a change of lanes say, does not stay.
void OverlayPool::give(std::unique_ptr<Overlay> overlay) {
  overlay->clear();
  std::vector<std::unique_ptr<Overlay>> gone;  // freed without the lock
  const std::lock_guard lock(mutex_);
  bytes_ += overlay->bytes();
  spares_.push_back(std::move(overlay));
  while (bytes_ > most_bytes_ && spares_.size() > 1) {
    bytes_ -= spares_.front()->bytes();
    gone.push_back(std::move(spares_.front()));
    spares_.erase(spares_.begin());
  }
}

void OverlayPool::tick() {
  std::vector<std::unique_ptr<Overlay>> gone;
  const std::lock_guard lock(mutex_);
  if (++idle_ticks_ < kIdleTicks) return;
  gone.swap(spares_);
  bytes_ = 0;
}

std::size_t OverlayPool::spares() const {
  const std::lock_guard lock(mutex_);
  return spares_.size();
}

}  // namespace sluice::controlplane::store
