// Spreading news: what is queued, what goes along with pings and acks, and the gossip tick (SWIM
// §4.1).
#include <array>
#include <functional>

#include "controlplane/membership/core.hpp"

namespace sluice::membership {
namespace {

// serf's own protocol in user messages (memberlist-protocol.md §12): leave, join, event and query
// intents are spread by whoever receives them.
constexpr bool spread_for_serf(std::uint8_t type) noexcept {
  return type == 0 || type == 1 || type == 3 || type == 4;
}

// Foreign user messages remembered, so that each is passed on once.
constexpr std::size_t kHeard = 512;

}  // namespace

std::uint32_t Core::sends() const noexcept {
  return retransmit_limit(config_.profile.retransmit_mult, members_.size());
}

// Both kinds of messages own a share of the packet; what one does not need the other may have.
void Core::fill_gossip(bool to_router) {
  if (queue_.empty() && user_queue_.empty()) return;
  const std::size_t room = packet_.room();
  const std::size_t reserved =
      std::min(user_queue_.pending_bytes(to_router), room * kUserSharePercent / 100);
  const std::uint32_t limit = sends();
  queue_.fill(packet_, room - reserved, limit, to_router);
  user_queue_.fill(packet_, packet_.room(), limit, to_router);
}

void Core::flush(const Endpoint& to, const Member* member) {
  if (packet_.empty()) return;
  output_.packet(to, packet_.take(), member != nullptr && member->vsn.protocol_max >= kProtocolCrc);
}

void Core::gossip_tick(std::uint64_t now_ns) {
  timers_.set(now_ns + config_.profile.gossip_interval_ns, Timer::kGossip);
  check_leave_done(now_ns);
  if (queue_.empty() && user_queue_.empty()) return;
  // The dead are told too for a while: one that is not can then refute. Those that left are not.
  std::array<Slot, 16> targets;
  const std::size_t count =
      pick(config_.profile.gossip_nodes, targets, [&](Slot, const Member& member) {
        return member.reachable() ||
               (member.state == MemberState::kDead &&
                now_ns - member.changed_ns <= config_.profile.gossip_to_the_dead_ns);
      });
  for (const Slot slot : std::span(targets).first(count)) {
    const Member& member = members_[slot];
    packet_.clear();
    fill_gossip(member.takes_hints);
    flush(member.address, &member);
  }
}

void Core::encode_alive(Slot slot, Bytes& out) const {
  const Member& member = members_[slot];
  encode(Alive{.incarnation = member.incarnation,
               .node = members_.name(slot),
               .address = member.address,
               .meta = members_.meta(slot),
               .vsn = member.vsn},
         out);
}

void Core::broadcast_alive(Slot slot, bool first) {
  Bytes message;
  encode_alive(slot, message);
  queue_.put(key_of(slot), std::move(message), first);
}

void Core::broadcast_suspect(Slot slot, std::string_view from) {
  queue_.put(key_of(slot), encoded(Suspect{members_[slot].incarnation, members_.name(slot), from}));
}

void Core::broadcast_dead(std::string_view name, std::uint32_t incarnation, std::string_view from,
                          bool first) {
  const InternPool::Id id = pool_.find(name);
  queue_.put(id, encoded(Dead{incarnation, name, from}), first);
}

bool Core::send_user(std::uint64_t key, ByteView data, bool routers_only) {
  if (data.empty() || data.size() > config_.limits.user_bytes) return false;
  user_queue_.put(key, encoded(User{data}), false, routers_only);
  return true;
}

bool Core::send_user_to(const Endpoint& to, ByteView data) {
  if (data.empty() || data.size() > config_.limits.user_bytes) return false;
  packet_.clear();
  packet_.add(encoded(User{data}));
  flush(to, nullptr);
  return true;
}

void Core::on_user(std::uint64_t now_ns, const Endpoint& from, ByteView data) {
  if (data.empty()) return;
  if (data[0] == kDigestMessage) return on_digest(now_ns, data);
  output_.event({.kind = EventKind::kUser, .address = from, .meta = data});
  // Stock serf agents rely on everybody passing on what they hear; where we are the majority their
  // intents would otherwise not get far.
  if (!spread_for_serf(data[0]) || data.size() > config_.limits.user_bytes) return;
  const std::uint64_t hash = std::hash<std::string_view>{}(InternPool::text(data));
  if (std::ranges::find(heard_, hash) != heard_.end()) return;
  if (heard_.size() < kHeard)
    heard_.push_back(hash);
  else
    heard_[heard_next_++ % kHeard] = hash;
  user_queue_.put(hash, encoded(User{data}));
}

}  // namespace sluice::membership
