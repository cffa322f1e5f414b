// Checks every segment in the background after opening, at the rate of background work, so that
// damage is found before somebody needs the data, and loads what look-ups touch into huge pages.
// Segments written later were checked when written.
#pragma once

#include <atomic>
#include <thread>

#include "controlplane/store/compaction/pace.hpp"
#include "controlplane/store/core.hpp"

namespace sluice::controlplane::store {

class Verifier {
 public:
  explicit Verifier(Core& core);
  ~Verifier();
  Verifier(const Verifier&) = delete;
  Verifier& operator=(const Verifier&) = delete;

 private:
  void run();

  Core& core_;
  RateLimiter limiter_;  // its own: compaction shall not wait for it
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace sluice::controlplane::store
