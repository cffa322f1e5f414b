#include "dataplane/pipeline/meter.hpp"

#include <algorithm>

namespace sluice::dataplane {

void Meter::configure(const TenantLimit& limit, unsigned share, std::uint64_t now_tsc) noexcept {
  rte_meter_srtcm_params params{};
  params.cir = std::max<std::uint64_t>(limit.rate_per_second / share, 1);
  params.cbs = std::max<std::uint64_t>(limit.burst / share, 1);
  params.ebs = 0;
  // Cannot fail: both are above zero.
  rte_meter_srtcm_profile_config(&profile_, &params);
  rte_meter_srtcm_config(&meter_, &profile_);
  meter_.time = now_tsc;  // the burst's clock, which is a little behind the TSC
  limit_ = limit;
}

}  // namespace sluice::dataplane
