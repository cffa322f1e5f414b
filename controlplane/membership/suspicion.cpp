#include "controlplane/membership/suspicion.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::membership {

SuspicionTimes suspicion_times(const Profile& profile, bool dogpile, std::size_t members) noexcept {
  const double scale =
      std::max(1.0, std::log10(std::max<double>(1.0, static_cast<double>(members))));
  // The reference truncates the scale to thousandths.
  const auto scale_milli = static_cast<std::uint64_t>(scale * 1000.0);
  SuspicionTimes times;
  times.min_ns = profile.suspicion_mult * scale_milli * profile.probe_interval_ns / 1000;
  times.max_ns = times.min_ns;
  if (!dogpile) return times;
  // Two intervals short of the multiplier: the time others need to come round to the suspect.
  const std::uint32_t wanted = profile.suspicion_mult > 2 ? profile.suspicion_mult - 2 : 0;
  // Us and the suspect cannot confirm.
  if (members >= wanted + 2)
    times.confirmations =
        std::min<std::uint32_t>(wanted, static_cast<std::uint32_t>(Suspicion::kMaxConfirmations));
  times.max_ns = times.min_ns * profile.suspicion_max_timeout_mult;
  return times;
}

Suspicion::Suspicion(const SuspicionTimes& times, std::uint64_t now_ns,
                     InternPool::Id first) noexcept
    : times_(times), start_ns_(now_ns) {
  accusers_[0] = first;
}

bool Suspicion::confirm(InternPool::Id from) noexcept {
  if (confirmations_ >= times_.confirmations) return false;
  const auto known = std::span(accusers_).first(confirmations_ + 1);
  if (std::ranges::find(known, from) != known.end()) return false;
  accusers_[++confirmations_] = from;
  return true;
}

std::uint64_t Suspicion::ends_ns() const noexcept {
  if (times_.confirmations == 0) return start_ns_ + times_.min_ns;
  const double share = std::log(confirmations_ + 1.0) / std::log(times_.confirmations + 1.0);
  const double max_s = static_cast<double>(times_.max_ns) / kNsPerSecond;
  const double min_s = static_cast<double>(times_.min_ns) / kNsPerSecond;
  const auto milli = static_cast<std::uint64_t>(
      std::floor(std::max(0.0, 1000.0 * (max_s - share * (max_s - min_s)))));
  return start_ns_ + std::max(times_.min_ns, milli * kNsPerMs);
}

}  // namespace sluice::membership
