#include "dataplane/io/queue_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::dataplane {

Result<QueuePlan> plan_queues(const QueueWish& wish, const QueueLimits& limits) {
  const auto serving = static_cast<std::uint32_t>(wish.serving.size());
  const std::uint32_t most_rx =
      limits.equal ? std::min(limits.max_rx, limits.max_tx) : limits.max_rx;
  if (wish.rx_queues && *wish.rx_queues > most_rx) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} receive queues wanted, the device has {}; lower "
                            "ports[].rx-queues, or give the device more queues by its arguments",
                            *wish.rx_queues, most_rx),
                ErrorOrigin::kConfig);
  }
  if (most_rx == 0 || limits.max_tx == 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the device has {} receive and {} transmit queues; both are needed",
                            limits.max_rx, limits.max_tx));
  }
  std::uint32_t rx = std::min(wish.rx_queues.value_or(serving), most_rx);
  std::uint32_t tx = std::min<std::uint32_t>(wish.workers, limits.max_tx);
  if (limits.equal) {
    // More receive queues than serving workers are no loss (one polls several), a ring to another
    // worker's transmit queue is: so follow the workers, unless rx-queues says otherwise.
    if (!wish.rx_queues) rx = std::min(std::max(rx, tx), most_rx);
    tx = rx;
  }
  QueuePlan plan;
  plan.rx_queues = static_cast<std::uint16_t>(rx);
  plan.tx_queues = static_cast<std::uint16_t>(tx);
  plan.dispatch = rx < serving;
  for (std::uint32_t queue = 0; queue < rx; ++queue)
    plan.poller.push_back(wish.serving[queue % serving]);
  for (std::uint32_t worker = 0; worker < wish.workers; ++worker)
    plan.sender.push_back(static_cast<std::uint16_t>(worker % tx));
  return plan;
}

}  // namespace sluice::dataplane
