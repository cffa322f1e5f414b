// The insides of the bridge, shared by its files: control_bridge.cpp (turn, punts, traces,
// injects), bridge_hold.cpp (the hold queue's sink). Manager thread only.
#pragma once

#include <optional>
#include <string_view>

#include "dataplane/apply/control_bridge.hpp"
#include "dataplane/apply/frames.hpp"
#include "dataplane/apply/token_bucket.hpp"
#include "dataplane/table/tables.hpp"

namespace sluice::dataplane {

struct ControlBridge::State final : HoldSink {
  BridgeOptions options;
  EventSender& events;
  link::WorkerCounters& counters;  // the manager's
  HoldQueue hold;
  link::Settings settings{};
  TokenBucket notices{0, 0};
  TokenBucket discoveries{0, 0};

  link::Region* region = nullptr;
  std::optional<link::RingProducer<link::Slot, link::PuntRing::capacity>> punts;
  std::optional<link::RingConsumer<link::Slot, link::InjectRing::capacity>> injects;
  std::uint64_t punts_lost = 0;
  std::uint64_t injects_lost = 0;
  TokenBucket inject_log{1, 1};
  TokenBucket denied_events{100, 100};
  bool punted = false;
  bool corrupt = false;
  std::uint32_t trace_token = 0;
  std::uint32_t trace_left = 0;  // 0: no trace runs
  std::uint32_t trace_count = 0;
  std::uint64_t to_wake = 0;                      // bit per worker: its rings got something
  std::array<std::uint16_t, kMaxPorts> sender{};  // by port: the worker that transmits injects
  std::uint64_t now_ns = 0;                       // monotonic, of this turn
  std::uint64_t realtime_now = 0;                 // of this turn

  State(const BridgeOptions& o, EventSender& e);

  // True: more is waiting than this turn took.
  bool take_held(const WorkerContext& worker);
  bool take_punts(const WorkerContext& worker);
  bool take_traces(const WorkerContext& worker);
  bool take_injects();
  void take_denied(const WorkerContext& worker);
  void hold_or_release(rte_mbuf* frame, std::uint16_t worker);
  void punt(rte_mbuf* frame);
  void lose_punt();
  link::Slot* next_slot();
  void forward_trace(const link::TraceRecord& record);
  void inject(const link::Slot& slot, const link::SlotHeader& header);
  void lose_inject(std::string_view why);
  void wake_workers();

  // What the pipeline would do with a message for the id now.
  enum class Outlook : std::uint8_t { kGoes, kNoRoute, kUnresolved };
  Outlook outlook(const Envelope& envelope) const;
  Outlook outlook(const Envelope& envelope, const Group& group) const;
  // On the clock of now_ns; written into the frame the first time.
  std::uint64_t deadline_of(rte_mbuf& frame, const Envelope& envelope) const;
  std::uint16_t ingress(const rte_mbuf& frame) const;  // port index
  void tell_sender(rte_mbuf* frame, std::uint16_t worker, std::uint16_t port, DropReason reason);

  // HoldSink
  bool release(void* message, std::uint16_t worker) override;
  void drop(void* message, std::uint16_t worker, HoldDrop why) override;
  bool discover(const Id& destination, void* message) override;
  bool waits_on(void* message) override;
};

inline std::optional<MessageView> view_of(const rte_mbuf& frame) {
  if (frame.nb_segs != 1) return std::nullopt;
  return view_message(rte_pktmbuf_mtod(&frame, const std::uint8_t*), frame.data_len, frame.l2_len,
                      frame.l3_len);
}

}  // namespace sluice::dataplane
