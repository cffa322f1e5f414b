// Carries frames between the host interfaces and the workers: from their to_host rings to the
// kernel, from the kernel to the transmit ring of a worker that serves the port. Manager thread
// only; every turn is bounded. On a port with a VLAN the kernel sees that VLAN untagged, other
// tags as they are; untagged frames of such a port belong to nobody and are dropped.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <vector>

#include "dataplane/io/host_interface.hpp"
#include "dataplane/pipeline/ports.hpp"
#include "dataplane/worker/context.hpp"
#include "sluice/link/status.hpp"

namespace sluice::dataplane {

struct HostLinkOptions {
  std::vector<const WorkerContext*> workers;  // by index
  const PortTable* ports = nullptr;
  std::vector<std::uint16_t> sender;  // by port: the worker that sends what the kernel gives
  rte_mempool* mempool = nullptr;
  link::WorkerCounters* counters = nullptr;  // the manager's
};

class HostLink {
 public:
  // One interface for each port, by index.
  HostLink(HostLinkOptions options, std::vector<HostInterface> interfaces);

  std::vector<HostInterface>& interfaces() noexcept { return interfaces_; }

  // Frames of all workers to the kernel, a burst of each. True: there may be more.
  bool to_kernel() noexcept;
  // A burst from the kernel out of a port. What does not fit into the worker's ring stays in the
  // kernel's queue, which is where it is counted when it overflows.
  enum class Taken : std::uint8_t { kAll, kMore, kNoRoom };
  Taken from_kernel(std::uint16_t port) noexcept;

  // Before the manager sleeps: nothing waits in the to_host rings.
  bool idle() const noexcept;

 private:
  void to_kernel(rte_mbuf& frame) noexcept;
  bool write(std::uint16_t port, const rte_mbuf& frame, std::uint32_t vlan_bytes) noexcept;

  HostLinkOptions options_;
  std::vector<HostInterface> interfaces_;
};

}  // namespace sluice::dataplane
