// The router's ports as DPDK ethdevs: configured by their device arguments, started, watched,
// stopped. Main thread (later the manager thread, which is the same); workers only see PortTable
// and the queue plans made here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "dataplane/io/mempools.hpp"
#include "dataplane/io/placement.hpp"
#include "dataplane/io/queue_plan.hpp"
#include "dataplane/pipeline/ports.hpp"
#include "sluice/base/result.hpp"
#include "sluice/link/status.hpp"

namespace sluice::dataplane {

struct PortsOptions {
  const config::Config* config = nullptr;
  std::vector<int> worker_nodes;  // by worker
  bool rx_interrupts = false;     // adaptive workers sleep until a queue has something
};

struct LinkChange {
  std::uint16_t port = 0;
  bool up = false;
  std::uint32_t speed_mbps = 0;
};

class Ports {
 public:
  // Configures all ports of the configuration in its order; none is started yet. `pools` and
  // `status` outlive it.
  static Result<std::unique_ptr<Ports>> create(const PortsOptions& options, const Mempools& pools,
                                               link::StatusSegment& status);
  // Stops what runs and closes all.
  ~Ports();
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;

  Status start();
  void stop() noexcept;

  std::uint16_t count() const noexcept { return table_.count; }
  const PortTable& table() const noexcept { return table_; }
  const QueuePlan& queues(std::uint16_t port) const noexcept { return ports_[port].queues; }
  const std::vector<std::uint16_t>& serving(std::uint16_t port) const noexcept {
    return ports_[port].serving;
  }
  bool has_rx_interrupts(std::uint16_t port) const noexcept { return ports_[port].rx_interrupts; }
  std::vector<PlacedPort> placement() const;

  // Asks every driver, updates the workers' bits and PortInfo; what changed comes back.
  std::vector<LinkChange> poll_links();
  // Frames the drivers lost, into PortInfo.
  void poll_missed() noexcept;

 private:
  struct Port {
    std::string name;
    std::string driver;
    std::string_view start_hint;
    std::uint16_t id = 0;  // DPDK's
    QueuePlan queues;
    std::vector<std::uint16_t> serving;
    int node = -1;
    bool rx_interrupts = false;
    bool sends_segments = false;
    bool neighbour_mac = false;
    bool started = false;
    // Kernel side of a net_tap: its link can only be asked for while it is in our namespace.
    std::string tap_interface;
  };

  Ports(const PortsOptions& options, link::StatusSegment& status);
  Status open(std::uint16_t index, const Mempools& pools);
  Status configure(Port& port, const config::Port& wanted, const Mempools& pools);
  Status set_up_queues(const Port& port, std::uint32_t descriptors, const Mempools& pools);
  void publish(std::uint16_t index, const config::Port& wanted);
  LinkChange ask_link(std::uint16_t index) const;

  const config::Config& config_;
  std::vector<int> worker_nodes_;
  bool rx_interrupts_;
  link::StatusSegment& status_;
  PortTable table_;
  std::vector<Port> ports_;
};

}  // namespace sluice::dataplane
