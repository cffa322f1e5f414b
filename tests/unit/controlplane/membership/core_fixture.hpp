// A core with everything it says noted, and the few messages tests speak in. For the unit tests of
// the membership core; one thread. Time passes only when a test says so.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controlplane/membership/core.hpp"

namespace sluice::membership::test {

inline constexpr std::uint64_t kSecond = kNsPerSecond;

inline Endpoint at(std::uint8_t host, std::uint16_t port = 7946) {
  return {IpAddress::v4(Big32(0x0a000000u + host)), port};
}
inline ByteView bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

struct SentPacket {
  Endpoint to;
  bool crc;
  Bytes payload;
};
struct Noted {
  EventKind kind;
  std::string name;
  std::string from;
  std::string meta;
  Endpoint address;
  std::uint32_t incarnation;
};

class Recorder : public Output {
 public:
  void packet(const Endpoint& to, Bytes payload, bool crc) override {
    packets.push_back({to, crc, std::move(payload)});
  }
  void open_stream(StreamRequest request) override { streams.push_back(std::move(request)); }
  void event(const Event& e) override {
    events.push_back({e.kind, std::string(e.name), std::string(e.from),
                      std::string(InternPool::text(e.meta)), e.address, e.incarnation});
  }
  void clear() {
    packets.clear();
    streams.clear();
    events.clear();
  }
  std::size_t count(EventKind kind) const {
    return static_cast<std::size_t>(std::ranges::count(events, kind, &Noted::kind));
  }

  std::vector<SentPacket> packets;
  std::vector<StreamRequest> streams;
  std::vector<Noted> events;
};

class CoreHarness {
 public:
  explicit CoreHarness(std::string name = "self", std::uint8_t host = 1,
                       std::function<void(CoreConfig&)> change = {},
                       const SavedState* saved = nullptr) {
    CoreConfig config;
    config.name = std::move(name);
    config.advertise = at(host);
    if (change) change(config);
    core = std::make_unique<Core>(config, pool, out, 7, now, saved);
  }

  // Time goes on to `until`, each timer at its own time.
  void run_until(std::uint64_t until) {
    while (core->next_timer_ns() <= until) {
      now = std::max(now, core->next_timer_ns());
      core->on_timer(now);
    }
    now = until;
  }
  void run_for(std::uint64_t ns) { run_until(now + ns); }

  void hear(std::initializer_list<PacketMessage> messages, const Endpoint& from = at(9)) {
    const std::vector<PacketMessage> list(messages);
    core->on_packet(now, from, list);
  }
  void alive(std::string_view name, std::uint8_t host, std::uint32_t incarnation = 1,
             std::string_view meta = "") {
    hear({Alive{incarnation, name, at(host), bytes(meta), kOwnVsn}});
  }
  const Member* member(std::string_view name) const {
    const auto view = core->view();
    const auto slot = view.members.find(name);
    return slot == MemberTable::kNone ? nullptr : &view.members[slot];
  }
  MemberState state(std::string_view name) const { return member(name)->state; }
  const CoreStats& stats() const { return core->view().stats; }

  // All messages of one type sent so far; views live until the next call.
  template <class M>
  std::vector<M> sent(std::function<bool(const SentPacket&)> which = {}) {
    std::vector<M> found;
    kept_.clear();
    for (const auto& packet : out.packets) {
      if (which && !which(packet)) continue;
      kept_.push_back(std::make_unique<PacketDecoder>());
      for (const auto& message : kept_.back()->decode(packet.payload))
        if (const auto* m = std::get_if<M>(&message)) found.push_back(*m);
    }
    return found;
  }
  template <class M>
  std::vector<M> sent_to(const Endpoint& to) {
    return sent<M>([to](const SentPacket& p) { return p.to == to; });
  }

  InternPool pool;
  Recorder out;
  std::uint64_t now = 1000 * kSecond;
  std::unique_ptr<Core> core;

 private:
  std::vector<std::unique_ptr<PacketDecoder>> kept_;
};

}  // namespace sluice::membership::test
