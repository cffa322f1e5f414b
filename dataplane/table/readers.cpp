#include "dataplane/table/readers.hpp"

#include <immintrin.h>
#include <sched.h>

#include <new>

#include "sluice/base/cacheline.hpp"

namespace sluice::dataplane {

namespace {
constexpr std::align_val_t kLine{kCacheLineBytes};
}

Readers::Readers() {
  const std::size_t bytes = rte_rcu_qsbr_get_memsize(kMax);
  state_.reset(static_cast<rte_rcu_qsbr*>(::operator new(bytes, kLine)));
  rte_rcu_qsbr_init(state_.get(), kMax);
}

void Readers::Free::operator()(rte_rcu_qsbr* state) const noexcept {
  ::operator delete(state, kLine);
}

void Readers::synchronize() noexcept {
  const Token token = start();
  // A worker's burst ends within microseconds; the yield is for a worker that shares our core.
  constexpr int kSpins = 200;
  for (int spin = 0; !passed(token); ++spin) {
    if (spin < kSpins) {
      _mm_pause();
    } else {
      ::sched_yield();
    }
  }
}

}  // namespace sluice::dataplane
