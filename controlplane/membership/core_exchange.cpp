// Whole lists exchanged over streams (push/pull), and finding again who was lost: seeds, lost
// peers, and telling those who turn up that they are held for dead.
#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "controlplane/membership/core.hpp"
#include "controlplane/membership/stream.hpp"
#include "controlplane/membership/versions.hpp"

namespace sluice::membership {
namespace {

// pushPullScale of the reference: 1 up to 32 members, one more for each doubling after that.
std::uint64_t push_pull_scale(std::size_t members) noexcept {
  if (members <= 32) return 1;
  return static_cast<std::uint64_t>(std::bit_width(members - 1)) - 5 + 1;
}

constexpr WireState wire_state(MemberState state) noexcept {
  return static_cast<WireState>(state);  // same order
}
static_assert(wire_state(MemberState::kLeft) == WireState::kLeft);
static_assert(wire_state(MemberState::kSuspect) == WireState::kSuspect);

}  // namespace

// At which the reference exchanges whole lists.
std::uint64_t Core::exchange_interval_ns() const noexcept {
  return config_.profile.push_pull_interval_ns * push_pull_scale(members_.size());
}

// Routers compare first, which costs next to nothing, and so may be done often.
void Core::push_pull_tick(std::uint64_t now_ns) {
  timers_.set(now_ns + config_.profile.push_pull_interval_ns, Timer::kPushPull);
  if (leaving_) return;
  std::array<Slot, 1> peer;
  if (pick(1, peer, [](Slot, const Member& m) { return m.state == MemberState::kAlive; }) == 0)
    return;
  const Member& member = members_[peer[0]];
  if (member.takes_hints) return send_digest(now_ns, peer[0]);
  if (now_ns < next_stock_exchange_ns_) return;
  Bytes state = encode_state(false);
  const std::uint64_t both_ways = 2 * state.size();
  next_stock_exchange_ns_ =
      now_ns + std::max(exchange_interval_ns(), both_ways * kNsPerSecond / kExchangeBytesPerSecond);
  if (streams_.size() >= config_.limits.streams) return;
  open_stream(now_ns,
              {.kind = StreamKind::kPushPull,
               .to = member.address,
               .whom = std::string(members_.name(peer[0]))},
              std::move(state));
}

void Core::push_pull_once(std::uint64_t now_ns) {
  if (leaving_) return;
  std::array<Slot, 1> peer;
  if (pick(1, peer, [](Slot, const Member& m) { return m.state == MemberState::kAlive; }) == 1)
    open_push_pull(now_ns, members_[peer[0]].address, members_.name(peer[0]), false);
}

void Core::open_push_pull(std::uint64_t now_ns, const Endpoint& to, std::string_view whom,
                          bool join, bool seed) {
  if (streams_.size() >= config_.limits.streams) return;
  open_stream(now_ns,
              {.kind = StreamKind::kPushPull, .seed = seed, .to = to, .whom = std::string(whom)},
              encode_state(join));
}

void Core::open_stream(std::uint64_t now_ns, Stream stream, Bytes message) {
  const std::uint32_t id = next_stream_++;
  StreamRequest request{.id = id,
                        .kind = stream.kind,
                        .to = stream.to,
                        .message = std::move(message),
                        .deadline_ns = now_ns + config_.profile.tcp_timeout_ns};
  streams_.emplace(id, std::move(stream));
  output_.open_stream(std::move(request));
}

PushPullNode Core::listed(Slot slot) const {
  const Member& member = members_[slot];
  return {.name = members_.name(slot),
          .address = member.address,
          .meta = members_.meta(slot),
          .incarnation = member.incarnation,
          .state = wire_state(member.state),
          .vsn = member.vsn};
}

Bytes Core::encode_state(bool join) const {
  std::vector<PushPullNode> nodes;
  nodes.reserve(members_.size());
  for (const Slot slot : members_.ring())
    nodes.push_back(listed(slot));
  Bytes out;
  encode(PushPull{.join = join, .nodes = nodes, .user_state = {}}, out);
  return out;
}

bool Core::compatible(std::span<const PushPullNode> nodes) const {
  return std::ranges::all_of(nodes, [this](const PushPullNode& node) {
    return node.state != WireState::kAlive || versions_meet(node.vsn, config_.vsn);
  });
}

Bytes Core::on_stream(std::uint64_t now_ns, const Endpoint& from, const StreamMessage& message) {
  Bytes answer;
  if (const auto* ping = std::get_if<Ping>(&message)) {
    if (ping->node.empty() || ping->node == config_.name)
      encode(Ack{.sequence = ping->sequence}, answer);
    else
      stats_.refuse(Refused::kNotOurs);
  } else if (const auto* state = std::get_if<PushPull>(&message)) {
    ++stats_.push_pulls;
    if (state->join && !compatible(state->nodes)) {
      stats_.refuse(Refused::kVersion);
      encode(Err{"protocol or delegate version is incompatible"}, answer);
      return answer;
    }
    answer = encode_state(state->join);
    merge(now_ns, state->nodes);
  } else if (const auto* user = std::get_if<User>(&message)) {
    on_user(now_ns, from, user->data);
  }
  return answer;
}

void Core::on_stream_reply(std::uint64_t now_ns, std::uint32_t id, const StreamMessage& message) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  const Stream stream = it->second;  // calls below may begin others
  if (stream.kind == StreamKind::kPing) {
    streams_.erase(it);
    const auto* ack = std::get_if<Ack>(&message);
    if (ack != nullptr && probe_.active && probe_.stream == id && ack->sequence == probe_.sequence)
      probe_.by_tcp = true;
    return;
  }
  const auto* state = std::get_if<PushPull>(&message);
  if (state == nullptr) {
    on_stream_failed(now_ns, id);
    return;
  }
  streams_.erase(it);
  ++stats_.push_pulls;
  const bool joined = alone();
  on_own_word(now_ns, stream, state->nodes);
  merge(now_ns, state->nodes);
  if (joined && !alone())
    timers_.set(now_ns + random_.below(kSecondLookIntervals * config_.profile.probe_interval_ns),
                Timer::kSecondLook);
  if (!stream.seed) return;
  for (Seed& seed : book_.seeds())
    if (seed.address == stream.to) seed.wait_ns = kSeedRetryMinNs;
  output_.event({.kind = EventKind::kJoinDone, .name = {}, .address = stream.to});
}

void Core::on_stream_failed(std::uint64_t, std::uint32_t id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  const Stream stream = it->second;
  streams_.erase(it);
  if (stream.kind != StreamKind::kPushPull) return;
  ++stats_.push_pulls_failed;
  if (stream.seed)
    output_.event({.kind = EventKind::kJoinFailed, .name = {}, .address = stream.to});
}

// What a joining member learns is news to nobody but itself: only its peer spreads it. A claim that
// a member is dead is a suspicion only, so that it may refute.
void Core::merge(std::uint64_t now_ns, std::span<const PushPullNode> nodes) {
  const bool news = members_.size() > 1;
  for (const PushPullNode& node : nodes) {
    switch (node.state) {
      case WireState::kAlive:
        on_alive(now_ns,
                 {.incarnation = node.incarnation,
                  .node = node.name,
                  .address = node.address,
                  .meta = node.meta,
                  .vsn = node.vsn},
                 news);
        break;
      case WireState::kLeft:
        on_dead(now_ns, {node.incarnation, node.name, node.name});
        break;
      case WireState::kDead:
      case WireState::kSuspect:
        on_suspect(now_ns, {node.incarnation, node.name, config_.name});
        break;
    }
  }
}

void Core::set_seeds(std::uint64_t now_ns, const std::vector<Endpoint>& seeds) {
  book_.set_seeds(seeds, now_ns);
  try_seeds(now_ns);
}

void Core::try_seeds(std::uint64_t now_ns) {
  for (Seed& seed : book_.seeds()) {
    if (seed.next_try_ns > now_ns || seed.address == config_.advertise) continue;
    const bool member = std::ranges::any_of(members_.ring(), [&](Slot slot) {
      return members_[slot].reachable() && members_[slot].address == seed.address;
    });
    // In company somebody else may stand in for a seed that is gone for good.
    const std::uint64_t most = alone() ? kSeedRetryMaxNs : kRetryMaxNs;
    seed.next_try_ns = now_ns + jittered(member ? kSeedRetryMaxNs : seed.wait_ns, random_);
    if (member) continue;
    seed.wait_ns = std::min(2 * seed.wait_ns, most);
    open_push_pull(now_ns, seed.address, {}, true, true);
  }
}

// A lost peer is first asked by datagram, for most are not there, and told that it is held for
// dead; when it answers, lists are exchanged.
void Core::rejoin_tick(std::uint64_t now_ns) {
  timers_.set(now_ns + jittered(kRejoinIntervals * config_.profile.probe_interval_ns, random_),
              Timer::kRejoin);
  if (leaving_) return;
  try_seeds(now_ns);
  const auto due = book_.due(now_ns, random_);
  if (!due) return;
  ++stats_.rejoin_attempts;
  const std::string_view name = pool_.view(due->name);
  rejoin_ = {.active = true,
             .sequence = ++sequence_,
             .address = due->peer.address,
             .name = std::string(name)};
  packet_.clear();
  packet_.add(encoded(own_ping(rejoin_.sequence, name)));
  packet_.add(encoded(Suspect{due->peer.incarnation, name, config_.name}));
  flush(due->peer.address, nullptr);
}

void Core::tell(std::uint64_t now_ns, std::string_view name, std::uint32_t incarnation,
                const Endpoint& address, std::uint64_t& told_ns) {
  if (told_ns != 0 && now_ns - told_ns < kTellAgainNs) return;
  if (tells_.size() >= config_.limits.lost_peers) return;
  told_ns = now_ns;
  tells_.push_back({std::string(name), address, incarnation});
  if (tell_timer_) return;
  tell_timer_ = true;
  timers_.set(now_ns, Timer::kTell);
}

// With a ping, whose answer may bring the refutation along.
void Core::tell_tick(std::uint64_t now_ns) {
  const std::size_t count = std::min(tells_.size(), kTellsPerTick);
  for (std::size_t i = 0; i < count; ++i) {
    const Tell& tell = tells_[i];
    packet_.clear();
    packet_.add(encoded(own_ping(++sequence_, tell.name)));
    packet_.add(encoded(Suspect{tell.incarnation, tell.name, config_.name}));
    flush(tell.address, nullptr);
  }
  tells_.erase(tells_.begin(), tells_.begin() + static_cast<std::ptrdiff_t>(count));
  tell_timer_ = !tells_.empty();
  if (tell_timer_) timers_.set(now_ns + config_.profile.gossip_interval_ns, Timer::kTell);
}

}  // namespace sluice::membership
