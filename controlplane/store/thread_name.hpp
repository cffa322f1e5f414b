// What the store's threads are called in top, perf and gdb: at most 15 characters. To be called by
// the thread itself.
#pragma once

#include <pthread.h>

namespace sluice::controlplane::store {

inline void name_thread(const char* name) noexcept {
  ::pthread_setname_np(::pthread_self(), name);
}

}  // namespace sluice::controlplane::store
