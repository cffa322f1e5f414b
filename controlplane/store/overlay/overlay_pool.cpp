#include "controlplane/store/overlay/overlay_pool.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::controlplane::store {

std::shared_ptr<Overlay> OverlayPool::take(Form form, std::uint64_t bytes) {
  std::unique_ptr<Overlay> taken;
  {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find_if(spares_, [&](const auto& spare) {
      return spare->form() == form && spare->bytes() == bytes;
    });
    if (at != spares_.end()) {
      taken = std::move(*at);
      spares_.erase(at);
    }
    fewest_ = std::min(fewest_, spares_.size());
  }
  if (taken == nullptr) taken = std::make_unique<Overlay>(form, bytes);
  return {taken.release(), [pool = shared_from_this()](Overlay* overlay) {
            pool->give(std::unique_ptr<Overlay>(overlay));
          }};
}

void OverlayPool::give(std::unique_ptr<Overlay> overlay) {
  overlay->clear();
  const std::lock_guard lock(mutex_);
  spares_.push_back(std::move(overlay));
}

// The oldest go: among them what nobody can take, after a change of lanes say.
void OverlayPool::tick() {
  std::vector<std::unique_ptr<Overlay>> gone;  // freed without the lock
  const std::lock_guard lock(mutex_);
  if (++ticks_ < kWindow) return;
  ticks_ = 0;
  const auto needed = spares_.begin() + static_cast<std::ptrdiff_t>(fewest_);
  gone.assign(std::make_move_iterator(spares_.begin()), std::make_move_iterator(needed));
  spares_.erase(spares_.begin(), needed);
  fewest_ = spares_.size();
}

std::size_t OverlayPool::spares() const {
  const std::lock_guard lock(mutex_);
  return spares_.size();
}

}  // namespace sluice::controlplane::store
