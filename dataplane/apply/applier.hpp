// The one writer of all tables: drains the command ring, validates every field, mutates, publishes
// how far it is. Manager thread only. What it refuses is counted and told to the control plane,
// coalesced. Each run() is bounded, so that the manager's other duties do not wait.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/apply/event_sender.hpp"
#include "dataplane/pipeline/ports.hpp"
#include "sluice/base/unique_fd.hpp"
#include "sluice/link/region.hpp"
#include "sluice/link/status.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::dataplane {

class Tables;

// What others on the manager thread want to know about changes of the tables.
class ApplyObserver {
 public:
  virtual ~ApplyObserver() = default;
  virtual void route_appeared(const Id& id) = 0;
  virtual void base_changed() = 0;         // many routes may have appeared
  virtual void adjacencies_changed() = 0;  // once per run, after a next hop left kUnresolved
  virtual void settings_changed(const link::Settings& settings) = 0;
  virtual void trace_changed(std::uint32_t token, std::uint32_t count) = 0;  // count 0: stopped
};

class Applier {
 public:
  Applier(Tables& tables, const PortTable& ports, link::StatusSegment& status, EventSender& events,
          ApplyObserver& observer);
  ~Applier();
  Applier(const Applier&) = delete;
  Applier& operator=(const Applier&) = delete;

  // What the configuration says, until a control plane has: so that messages are recognised, and
  // dropped with a reason, instead of being the kernel's. `local`: addresses by port.
  void assume(std::uint16_t message_port, std::span<const std::vector<IpAddress>> local);

  // A control plane is there; the ring of its region is drained from now on.
  void attach(link::Region& region);
  // It is gone: the workers are told, the tables stay as they are.
  void detach();

  enum class Progress : std::uint8_t { kIdle, kMore, kCorrupt };
  // At most `budget` commands and a bounded piece of sweeping and reclaiming. kCorrupt: the index
  // of the peer is impossible, end the connection.
  Progress run(std::uint32_t budget);

  // Before the manager sleeps: true when the command ring is empty and the peer knows that it has
  // to wake us. cancel_wait() after the sleep or when it does not take place.
  bool prepare_wait();
  void cancel_wait();

  // What came on the socket; is loaded aside and waits for its commands. base_fd() is readable when
  // run() has to look.
  void offer_base(const link::SegmentId& segment, UniqueFd file);
  int base_fd() const noexcept;

  std::uint8_t epoch() const;  // of the tables; 0: never synchronised
  const link::Settings& settings() const;
  void publish_status();  // the TableInfo fields it knows

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::dataplane
