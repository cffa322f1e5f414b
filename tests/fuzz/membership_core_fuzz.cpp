// The membership core as a whole: any messages in any order, of members it knows and does not, with
// answers to what it asked, streams that fail, time in jumps. Nothing crashes; everything it holds
// stays within its limits; it never takes itself for dead, nor anybody back without a higher
// incarnation; it is never due in the past for ever.
//
// Input: a byte for the configuration, then operations, each a byte and what it needs.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controlplane/membership/core.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace sluice::membership {
namespace {

constexpr std::array<std::string_view, 8> kNames{"self", "a", "b", "c", "d", "e", "f", "g"};

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data, size) {}
  bool empty() const { return at_ >= data_.size(); }
  std::uint8_t byte() { return empty() ? 0 : data_[at_++]; }
  std::uint32_t incarnation() {
    const std::uint8_t b = byte();
    if (b < 240) return b % 16;
    return b == 255 ? UINT32_MAX : kMaxIncarnation - 8 + b % 16;
  }
  std::string_view name() { return kNames[byte() % kNames.size()]; }
  Endpoint address() {
    const std::uint8_t b = byte();
    return {IpAddress::v4(Big32(b < 250 ? 0x0a000000u + b % 10 : 0xe0000000u)),
            static_cast<std::uint16_t>(b == 249 ? 0 : 7946)};
  }
  ByteView bytes() {
    const std::size_t length = std::min<std::size_t>(byte(), data_.size() - at_);
    const auto part = data_.subspan(at_, length);
    at_ += length;
    return part;
  }
  Vsn vsn() { return byte() % 8 == 0 ? Vsn{1, 5, 2, 0, 0, 0} : kOwnVsn; }

 private:
  ByteView data_;
  std::size_t at_ = 0;
};

struct Watcher : Output {
  void packet(const Endpoint&, Bytes payload, bool) override {
    FUZZ_REQUIRE(!payload.empty() && payload.size() <= kUdpBufferBytes);
    for (const auto& message : decoder.decode(payload)) {
      if (const auto* ping = std::get_if<Ping>(&message)) sequences.push_back(ping->sequence);
      if (const auto* alive = std::get_if<Alive>(&message))
        FUZZ_REQUIRE(alive->node != "self" ||
                     alive->incarnation <= kMaxIncarnation + kHonestIncarnation);
    }
    FUZZ_REQUIRE(decoder.malformed().total() == 0);
    if (sequences.size() > 64) sequences.erase(sequences.begin());
  }
  void open_stream(StreamRequest request) override { streams.push_back(request.id); }
  void event(const Event& event) override {
    const std::string name(event.name);
    if (event.kind == EventKind::kFailed || event.kind == EventKind::kLeft)
      buried[name] = event.incarnation;
    if (event.kind == EventKind::kJoined && buried.contains(name))
      // Unless by its own word, when it could not refute what it was buried with.
      FUZZ_REQUIRE(event.incarnation > buried[name] || buried[name] > kHonestIncarnation);
  }

  PacketDecoder decoder;
  std::vector<std::uint32_t> sequences;
  std::vector<std::uint32_t> streams;
  std::map<std::string, std::uint32_t> buried;
};

std::vector<PushPullNode> list(Input& in) {
  std::vector<PushPullNode> nodes(in.byte() % 8);
  for (auto& node : nodes) {
    node.name = in.name();
    node.address = in.address();
    node.incarnation = in.incarnation();
    node.state = static_cast<WireState>(in.byte() % 4);
    node.vsn = in.vsn();
  }
  return nodes;
}

PacketMessage message(Input& in, const Watcher& out) {
  const std::uint8_t kind = in.byte() % 8;
  const std::uint32_t sequence = out.sequences.empty() || kind == 0
                                     ? in.byte()
                                     : out.sequences[in.byte() % out.sequences.size()];
  switch (kind) {
    case 0:
      return Ping{sequence, in.name(), in.address(), in.name()};
    case 1:
      return IndirectPing{sequence,           in.name(),    in.address(),
                          in.byte() % 2 == 0, in.address(), in.name()};
    case 2:
      return Ack{sequence, in.bytes()};
    case 3:
      return Nack{sequence};
    case 4:
      return Suspect{in.incarnation(), in.name(), in.name()};
    case 5:
      return Alive{in.incarnation(), in.name(), in.address(), in.bytes(), in.vsn()};
    case 6:
      return Dead{in.incarnation(), in.name(), in.name()};
    default:
      return User{in.bytes()};
  }
}

class Run {
 public:
  explicit Run(Input& in) : in_(in), core_(config(in.byte()), pool_, out_, in.byte(), now_) {}

  void step() {
    switch (in_.byte() % 12) {
      case 0:
      case 1:
      case 2: {
        std::vector<PacketMessage> messages(in_.byte() % 6);
        for (auto& m : messages)
          m = message(in_, out_);
        core_.on_packet(now_, in_.address(), messages);
        break;
      }
      case 3: {
        const auto nodes = list(in_);
        core_.on_stream(now_, in_.address(), PushPull{in_.byte() % 2 == 0, nodes, {}});
        break;
      }
      case 4:
      case 5:
        if (!out_.streams.empty()) answer();
        break;
      case 6:
        advance(in_.byte() * 20 * kNsPerMs);
        break;
      case 7:
        advance(in_.byte() * kNsPerSecond);
        break;
      case 8:  // a pause: nothing runs meanwhile
        now_ += in_.byte() * kNsPerSecond;
        core_.on_timer(now_);
        break;
      case 9:
        core_.force_leave(now_, in_.name());
        break;
      case 10:
        core_.send_user(in_.byte(), in_.bytes(), in_.byte() % 2 == 0);
        break;
      default:
        if (in_.byte() % 16 == 0)
          leave();
        else
          core_.update_meta(now_, in_.bytes());
    }
    check();
  }

 private:
  static CoreConfig config(std::uint8_t bits) {
    CoreConfig config;
    config.name = "self";
    config.advertise = {IpAddress::v4(Big32(0x0a000001u)), 7946};
    if ((bits & 1) != 0) config.profile = local_profile();
    if ((bits & 2) != 0) config.lifeguard = {false, false, false};
    if ((bits & 4) != 0) config.profile.dead_node_reclaim_ns = kNsPerSecond;
    config.limits.members = 6;
    config.limits.lost_peers = 4;
    config.limits.relays = 4;
    config.limits.streams = 4;
    config.limits.user_messages = 5;
    return config;
  }

  void answer() {
    const std::uint32_t id = out_.streams.front();
    out_.streams.erase(out_.streams.begin());
    const std::uint8_t how = in_.byte() % 3;
    if (how == 0) return core_.on_stream_failed(now_, id);
    if (how == 1)
      return core_.on_stream_reply(
          now_, id,
          Ack{out_.sequences.empty() ? 0 : out_.sequences[in_.byte() % out_.sequences.size()], {}});
    const auto nodes = list(in_);
    core_.on_stream_reply(now_, id, PushPull{true, nodes, {}});
  }

  void advance(std::uint64_t ns) {
    const std::uint64_t end = now_ + ns;
    int turns = 0;
    while (core_.next_timer_ns() <= end) {
      const std::uint64_t due = std::max(now_, core_.next_timer_ns());
      // Some timers at one moment are fine, thousands mean that it does not get on.
      turns = due == now_ ? turns + 1 : 0;
      FUZZ_REQUIRE(turns < 100);
      now_ = due;
      core_.on_timer(now_);
    }
    now_ = end;
  }

  void leave() {
    leaving_ = true;
    core_.leave(now_);
  }

  void check() const {
    const auto view = core_.view();
    FUZZ_REQUIRE(view.members.size() <= 6 && view.lost.size() <= 4);
    FUZZ_REQUIRE(view.queued <= 6 + 4 && view.queued_user <= 5);
    FUZZ_REQUIRE(view.health >= 0 && view.health < 8);
    const Member& self = view.members[view.self];
    FUZZ_REQUIRE(self.state == (leaving_ ? MemberState::kLeft : MemberState::kAlive));
    FUZZ_REQUIRE(view.members.find("self") == view.self);
    FUZZ_REQUIRE(core_.memory_bytes() < 200'000);
    std::size_t counted = 0;
    for (const auto state :
         {MemberState::kAlive, MemberState::kSuspect, MemberState::kDead, MemberState::kLeft})
      counted += view.members.count(state);
    FUZZ_REQUIRE(counted == view.members.size());
  }

  Input& in_;
  std::uint64_t now_ = 1000 * kNsPerSecond;
  InternPool pool_;
  Watcher out_;
  Core core_;
  bool leaving_ = false;
};

}  // namespace
}  // namespace sluice::membership

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::membership::Input in(data, size);
  sluice::membership::Run run(in);
  while (!in.empty())
    run.step();
  return 0;
}
