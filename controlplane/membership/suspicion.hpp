// How long a suspected member has to refute before it is declared dead: SWIM's suspicion with
// Lifeguard's dogpile part (arXiv 1707.00788 §IV.B): long at first, shorter with every independent
// accuser. Pure arithmetic, as the reference does it; the timer itself is the core's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "controlplane/membership/intern.hpp"
#include "controlplane/membership/profile.hpp"

namespace sluice::membership {

struct SuspicionTimes {
  std::uint32_t confirmations = 0;  // how many it takes to reach the minimum
  std::uint64_t min_ns = 0;
  std::uint64_t max_ns = 0;
};

// For a list of so many members, us and the suspect included.
SuspicionTimes suspicion_times(const Profile& profile, bool dogpile, std::size_t members) noexcept;

class Suspicion {
 public:
  // Accusers kept by name; suspicion_mult - 2 of them are ever needed.
  static constexpr std::size_t kMaxConfirmations = 8;

  // first: who accused first, not a confirmation.
  Suspicion(const SuspicionTimes& times, std::uint64_t now_ns, InternPool::Id first) noexcept;

  // True when this accuser is new and still counts: the accusation is then passed on.
  bool confirm(InternPool::Id from) noexcept;
  std::uint64_t started_ns() const noexcept { return start_ns_; }
  std::uint64_t ends_ns() const noexcept;
  std::uint32_t confirmations() const noexcept { return confirmations_; }

 private:
  SuspicionTimes times_;
  std::uint64_t start_ns_;
  std::uint32_t confirmations_ = 0;
  std::array<InternPool::Id, kMaxConfirmations + 1> accusers_;
};

}  // namespace sluice::membership
