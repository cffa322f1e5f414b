// Carries messages between the workers' rings, the hold queue and the slots of the shared region:
// punted messages and trace records out, injected messages in, held messages back to their
// workers. Manager thread only. Everything read from the region is validated; everything read
// from a frame again too, because the lengths in an mbuf came from the wire.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/apply/applier.hpp"
#include "dataplane/apply/event_sender.hpp"
#include "dataplane/apply/hold_queue.hpp"
#include "dataplane/worker/context.hpp"

namespace sluice::dataplane {

struct BridgeOptions {
  std::vector<const WorkerContext*> workers;  // by index
  const PortTable* ports = nullptr;
  rte_mempool* mempool = nullptr;  // for injected messages
  std::uint32_t mbufs = 0;         // of all pools: at most half of them are ever held
  Tables* tables = nullptr;
  link::StatusSegment* status = nullptr;
};

class ControlBridge final : public ApplyObserver {
 public:
  ControlBridge(const BridgeOptions& options, EventSender& events);
  ~ControlBridge() override;
  ControlBridge(const ControlBridge&) = delete;
  ControlBridge& operator=(const ControlBridge&) = delete;

  void attach(link::Region& region);
  void detach();

  enum class Progress : std::uint8_t { kIdle, kMore, kCorrupt };
  // One bounded turn over all rings and the hold queue.
  Progress run(std::uint64_t now_ns);

  // Before the manager sleeps: true when nothing waits in the rings to the manager and no injected
  // message; the control plane then wakes us for the next.
  bool prepare_wait();
  void cancel_wait();
  // When run() must be called at the latest (monotonic).
  std::uint64_t next_deadline_ns() const;
  // Whether the control plane sleeps and has a new punt or trace. Once per turn.
  bool take_wakeup();

  void publish_status();  // the TableInfo fields it knows

  // Everything that is held is dropped (kShutdown) and counted.
  void stop();

  void route_appeared(const Id& id) override;
  void base_changed() override;
  void adjacencies_changed() override;
  void settings_changed(const link::Settings& settings) override;
  void trace_changed(std::uint32_t token, std::uint32_t count) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::dataplane
