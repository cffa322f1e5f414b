// A rate limit of one worker, in messages: rte_meter's single-rate meter with one message as one
// byte and no excess burst. Worker only.
#pragma once

#include <rte_meter.h>

#include <cstdint>

#include "dataplane/table/forwarding_state.hpp"

namespace sluice::dataplane {

class Meter {
 public:
  // The limit's rate is not 0; `share` workers have it in common. Starts with a full bucket. The
  // EAL must be initialised (rate of the TSC).
  void configure(const TenantLimit& limit, unsigned share, std::uint64_t now_tsc) noexcept;
  const TenantLimit& limit() const noexcept { return limit_; }

  // One message now: true when it is within the rate.
  bool take(std::uint64_t now_tsc) noexcept {
    return rte_meter_srtcm_color_blind_check(&meter_, &profile_, now_tsc, 1) == RTE_COLOR_GREEN;
  }

 private:
  rte_meter_srtcm meter_{};
  rte_meter_srtcm_profile profile_{};
  TenantLimit limit_{};
};

}  // namespace sluice::dataplane
