#include "controlplane/link/session.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "controlplane/link/validate.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint32_t kEventsPerDrain = 256;
constexpr std::uint32_t kSlotsPerDrain = 64;

}  // namespace

Session::Session(Connected connected)
    : connected_(std::move(connected)),
      instance_(region().dataplane_instance),
      last_epoch_(region().last_epoch),
      commands_(region().commands),
      injects_(region().injects),
      events_(region().events),
      punts_(region().punts) {}

std::uint64_t Session::shared(const std::uint64_t& word) {
  return std::atomic_ref(const_cast<std::uint64_t&>(word)).load(std::memory_order_acquire);
}

std::uint32_t Session::write(const link::Command* commands, std::uint32_t n) {
  bool ok = true;
  const std::uint32_t taken = commands_.push(commands, n, ok);
  corrupt_ = corrupt_ || !ok;
  return taken;
}

void Session::wake_if_needed() {
  const bool commands = commands_.needs_wakeup();
  const bool injects = injected_ && injects_.needs_wakeup();
  injected_ = false;
  if (!commands && !injects) return;
  const std::uint64_t one = 1;
  // It can only fail when the count is full, and then the other side is awake.
  [[maybe_unused]] const auto done = ::write(connected_.wake_dataplane.get(), &one, sizeof one);
}

Status Session::inject(const link::SlotHeader& header, std::span<const std::uint8_t> bytes) {
  bool ok = true;
  link::Slot* slot = injects_.reserve(ok);
  corrupt_ = corrupt_ || !ok;
  if (slot == nullptr)
    return fail(ErrorCode::kExhausted, "the ring of messages to the dataplane is full",
                ErrorOrigin::kDataplane, true);
  slot->header = header;
  slot->header.kind = link::SlotKind::kMessage;
  slot->header.bytes = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(slot->data.data(), bytes.data(), bytes.size());
  injects_.commit(1);
  injected_ = true;
  return {};
}

bool Session::drain(const Handlers& handlers) {
  bool ok = true;
  std::uint32_t ready = std::min(events_.available(ok), kEventsPerDrain);
  corrupt_ = corrupt_ || !ok;
  for (; ready > 0; --ready) {
    const link::Event event = events_.peek(0);  // a copy: it may change under us
    events_.release(1);
    if (!valid_event(event)) {
      ++invalid_;
    } else if (handlers.on_event) {
      handlers.on_event(event);
    }
  }
  ready = std::min(punts_.available(ok), kSlotsPerDrain);
  corrupt_ = corrupt_ || !ok;
  link::Slot slot;
  for (; ready > 0; --ready) {
    slot.header = punts_.peek(0).header;
    const std::size_t bytes = std::min<std::size_t>(slot.header.bytes, slot.data.size());
    std::memcpy(slot.data.data(), punts_.peek(0).data.data(), bytes);
    punts_.release(1);
    handle_slot(slot, handlers);
  }
  return !corrupt_ && (events_.available(ok) > 0 || punts_.available(ok) > 0);
}

void Session::handle_slot(const link::Slot& slot, const Handlers& handlers) {
  if (slot.header.kind == link::SlotKind::kTrace &&
      slot.header.bytes == sizeof(link::TraceRecord)) {
    const auto record = load<link::TraceRecord>(slot.data.data());
    if (valid_trace(record)) {
      if (handlers.on_trace) handlers.on_trace(record);
      return;
    }
  } else if (valid_punt(slot.header)) {
    if (handlers.on_punt) handlers.on_punt(slot.header, {slot.data.data(), slot.header.bytes});
    return;
  }
  ++invalid_;
}

bool Session::prepare_wait() {
  const bool events = events_.prepare_wait();
  const bool punts = punts_.prepare_wait();
  if (events && punts) return true;
  events_.cancel_wait();
  punts_.cancel_wait();
  return false;
}

void Session::beat(std::uint64_t now_ns) {
  std::atomic_ref(region().controlplane_heartbeat_ns).store(now_ns, std::memory_order_release);
}

std::uint64_t Session::peer_heartbeat_ns() const {
  return shared(region().dataplane_heartbeat_ns);
}

std::uint64_t Session::own_heartbeat_ns() const {
  return shared(region().controlplane_heartbeat_ns);
}

std::uint64_t Session::applied() const {
  return std::min(shared(region().applied_sequence), commands_.produced());
}

}  // namespace sluice::controlplane
