// Who polls which receive queue of a port, and through which queue each worker sends: decided from
// what the configuration wants and what the driver can. No DPDK; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sluice/base/result.hpp"

namespace sluice::dataplane {

struct QueueWish {
  std::optional<std::uint32_t> rx_queues;  // configured; nullopt: one for each serving worker
  std::vector<std::uint16_t> serving;      // workers that receive from the port, never empty
  std::uint16_t workers = 1;               // in all: each must be able to send through the port
};

struct QueueLimits {
  std::uint16_t max_rx = 1;
  std::uint16_t max_tx = 1;
  bool equal = false;  // the driver wants as many of one as of the other
};

struct QueuePlan {
  std::uint16_t rx_queues = 0;
  std::uint16_t tx_queues = 0;
  std::vector<std::uint16_t> poller;  // by receive queue: the worker that polls it
  // Fewer receive queues than serving workers: those that have none get theirs over rings.
  bool dispatch = false;
  std::vector<std::uint16_t> sender;  // by worker: the worker through whose queue it sends

  // A worker that sends through itself uses the transmit queue of its own number.
  bool own_tx(std::uint16_t worker) const noexcept { return sender[worker] == worker; }
};

Result<QueuePlan> plan_queues(const QueueWish& wish, const QueueLimits& limits);

}  // namespace sluice::dataplane
