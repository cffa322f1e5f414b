// One accepted connection: the rings of its region and the wake-ups. Knows nothing of timers and
// states; the link drives it. One thread.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "controlplane/link/handshake.hpp"
#include "controlplane/link/programmer.hpp"

namespace sluice::controlplane {

class Session final : public CommandWriter {
 public:
  explicit Session(Connected connected);

  struct Handlers {
    std::function<void(const link::SlotHeader&, std::span<const std::uint8_t>)> on_punt;
    std::function<void(const link::TraceRecord&)> on_trace;
    std::function<void(const link::Event&)> on_event;
  };

  // CommandWriter. The dataplane is woken by wake_if_needed().
  std::uint32_t write(const link::Command* commands, std::uint32_t n) override;
  std::uint64_t written() const noexcept { return commands_.produced(); }
  void wake_if_needed();
  Status inject(const link::SlotHeader& header, std::span<const std::uint8_t> bytes);

  // Hands a bounded number of events and slots to the handlers. True when more is there.
  bool drain(const Handlers& handlers);
  // True: nothing is there, the dataplane will signal woken().
  bool prepare_wait();
  int woken() const noexcept { return connected_.woken.get(); }

  void beat(std::uint64_t now_ns);
  std::uint64_t peer_heartbeat_ns() const;
  std::uint64_t own_heartbeat_ns() const;  // as the dataplane sees it
  // Never more than was written, whatever the region says.
  std::uint64_t applied() const;
  std::uint64_t events_lost() const { return shared(region().events_lost); }
  std::uint64_t punts_lost() const { return shared(region().punts_lost); }
  std::uint64_t instance() const noexcept { return instance_; }
  std::uint8_t last_epoch() const noexcept { return last_epoch_; }
  // An index in the region cannot be: the connection must end.
  bool corrupt() const noexcept { return corrupt_; }
  std::uint64_t invalid() const noexcept { return invalid_; }  // elements that failed validation

  Mapping<const link::StatusSegment> take_status() { return std::move(connected_.status); }

 private:
  static std::uint64_t shared(const std::uint64_t& word);
  link::Region& region() const noexcept { return *connected_.region.get(); }
  void handle_slot(const link::Slot& slot, const Handlers& handlers);

  Connected connected_;
  std::uint64_t instance_;
  std::uint8_t last_epoch_;
  link::RingProducer<link::Command, link::CommandRing::capacity> commands_;
  link::RingProducer<link::Slot, link::InjectRing::capacity> injects_;
  link::RingConsumer<link::Event, link::EventRing::capacity> events_;
  link::RingConsumer<link::Slot, link::PuntRing::capacity> punts_;
  bool corrupt_ = false;
  bool injected_ = false;
  std::uint64_t invalid_ = 0;
};

}  // namespace sluice::controlplane
