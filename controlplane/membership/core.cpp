#include "controlplane/membership/core.hpp"

#include <type_traits>
#include <utility>
#include <variant>

namespace sluice::membership {

Core::Core(CoreConfig config, InternPool& pool, Output& output, std::uint64_t seed,
           std::uint64_t now_ns, const SavedState* saved)
    : config_(std::move(config)),
      pool_(pool),
      output_(output),
      random_(seed),
      members_(pool),
      book_(pool, config_.limits.lost_peers),
      health_(config_.profile.awareness_max_multiplier, config_.lifeguard.local_health),
      // One per name; the names of lost peers can be in it besides those of members.
      queue_(config_.limits.members + config_.limits.lost_peers),
      user_queue_(config_.limits.user_messages),
      packet_(config_.packet_budget),
      // Not from 0: who does not see our pings shall not guess what acknowledges them.
      sequence_(static_cast<std::uint32_t>(random_.next())) {
  self_ = members_.add(config_.name, random_);
  constexpr auto kMost = ~std::uint32_t{0} - 1;
  store(self_, {.incarnation = saved != nullptr ? std::min(saved->incarnation, kMost) + 1 : 1,
                .node = config_.name,
                .address = config_.advertise,
                .meta = config_.meta,
                .vsn = config_.vsn});
  members_.set_state(self_, MemberState::kAlive, now_ns);
  broadcast_alive(self_, true);
  if (saved != nullptr) {
    for (const auto& peer : saved->peers) {
      if (peer.name == config_.name) continue;
      book_.put(peer.name, {.address = peer.address,
                            .incarnation = peer.incarnation > 0 ? peer.incarnation - 1 : 0,
                            .lost_ns = now_ns,
                            .next_try_ns = now_ns});
    }
  }
  set_first_timers(now_ns);
}

Core::~Core() = default;

// Each loop begins at a random point of its first interval, so that a cluster started at once does
// not beat in step.
void Core::set_first_timers(std::uint64_t now_ns) {
  const Profile& p = config_.profile;
  timers_.set(now_ns + random_.below(p.probe_interval_ns), Timer::kProbeTick);
  timers_.set(now_ns + random_.below(p.gossip_interval_ns), Timer::kGossip);
  timers_.set(now_ns + random_.below(p.push_pull_interval_ns), Timer::kPushPull);
  timers_.set(now_ns + random_.below(p.probe_interval_ns), Timer::kRejoin);
}

void Core::on_packet(std::uint64_t now_ns, const Endpoint& from,
                     std::span<const PacketMessage> messages) {
  heard_ns_ = now_ns;
  pings_.clear();
  accused_ = false;
  answered_check_ = kNone;
  for (const PacketMessage& message : messages)
    on_message(now_ns, from, message);
  // Last, so that the answer to an accusation in the same packet goes along.
  for (const Ping* ping : pings_)
    on_ping(now_ns, from, *ping);
  drop_stale_timers();
}

void Core::on_message(std::uint64_t now_ns, const Endpoint& from, const PacketMessage& message) {
  std::visit(
      [&](const auto& m) {
        using M = std::remove_cvref_t<decltype(m)>;
        if constexpr (std::is_same_v<M, Ping>) {
          if (pings_.size() < config_.limits.pings_per_packet)
            pings_.push_back(&m);
          else
            stats_.refuse(Refused::kTooManyPings);
        } else if constexpr (std::is_same_v<M, IndirectPing>) {
          on_indirect_ping(now_ns, from, m);
        } else if constexpr (std::is_same_v<M, Ack>) {
          on_ack(now_ns, from, m);
        } else if constexpr (std::is_same_v<M, Nack>) {
          on_nack(m);
        } else if constexpr (std::is_same_v<M, Suspect>) {
          accused_ = accused_ || m.node == config_.name;
          on_suspect(now_ns, m);
        } else if constexpr (std::is_same_v<M, Alive>) {
          on_alive(now_ns, m);
        } else if constexpr (std::is_same_v<M, Dead>) {
          on_dead(now_ns, m);
        } else {
          static_assert(std::is_same_v<M, User>);
          on_user(now_ns, from, m.data);
        }
      },
      message);
}

void Core::on_timer(std::uint64_t now_ns) {
  if (const auto due = timers_.next_ns();
      due < now_ns && now_ns - due > config_.profile.probe_interval_ns)
    notice_stall(now_ns, now_ns - due);
  while (timers_.next_ns() <= now_ns)
    run(now_ns, timers_.pop());
}

// Our own probes cannot be judged any more, and of what we hold against others the answers may wait
// to be read.
void Core::notice_stall(std::uint64_t now_ns, std::uint64_t late_ns) {
  ++stats_.stalls;
  if (!config_.lifeguard.local_health) return;
  const Profile& p = config_.profile;
  health_.apply(static_cast<int>(
      std::min<std::uint64_t>(late_ns / p.probe_interval_ns, p.awareness_max_multiplier)));
  probe_.active = false;
  relays_.clear();
  quiet_until_ns_ = now_ns + kQuietIntervals * p.probe_interval_ns;
}

// Timers are not taken back when what they are for ends early, and packets can begin and end
// suspicions by the thousand.
void Core::drop_stale_timers() {
  const std::size_t live = suspicions_.size() + leave_checks_.size() + relays_.size() +
                           members_.count(MemberState::kDead) + members_.count(MemberState::kLeft);
  if (timers_.size() > 2 * live + 1024)
    timers_.erase_if([this](const TimerHeap::Entry& entry) { return stale(entry); });
}

bool Core::stale(const TimerHeap::Entry& entry) const {
  switch (entry.timer) {
    case Timer::kSuspicion: {
      const auto it = suspicions_.find(entry.subject);
      return it == suspicions_.end() || it->second.timer != entry.generation;
    }
    case Timer::kReap: {
      const Member& member = members_[entry.subject];
      return member.generation != entry.generation || member.reachable() ||
             entry.at_ns != member.changed_ns + config_.profile.gossip_to_the_dead_ns;
    }
    case Timer::kRelayEnd:
      return !relays_.contains(entry.subject);
    case Timer::kLeaveCheck:
      return !leave_checks_.contains(entry.subject);
    default:
      return false;  // a fixed number of each
  }
}

void Core::run(std::uint64_t now_ns, const TimerHeap::Entry& entry) {
  switch (entry.timer) {
    case Timer::kProbeTick:
      return probe_tick(now_ns);
    case Timer::kProbeIndirect:
      return probe_indirect(now_ns, entry.subject);
    case Timer::kProbeEnd:
      return probe_end(now_ns, entry.subject);
    case Timer::kGossip:
      return gossip_tick(now_ns);
    case Timer::kPushPull:
      return push_pull_tick(now_ns);
    case Timer::kSecondLook:
      return push_pull_once(now_ns);
    case Timer::kSuspicion:
      return suspicion_timer(now_ns, entry);
    case Timer::kReap:
      return reap_timer(now_ns, entry);
    case Timer::kRelayEnd:
      return relay_end(entry.subject);
    case Timer::kLeaveCheck:
      return leave_check_timer(now_ns, entry);
    case Timer::kRejoin:
      return rejoin_tick(now_ns);
    case Timer::kTell:
      return tell_tick(now_ns);
    case Timer::kRefute:
      return refute_later(now_ns);
  }
}

bool Core::update_meta(std::uint64_t now_ns, ByteView meta) {
  if (meta.size() > kMaxMetaBytes) return false;
  config_.meta.assign(meta.begin(), meta.end());
  members_.set_meta(self_, meta);
  ++members_.edit(self_).incarnation;
  changed_ns_ = now_ns;
  if (!leaving_) broadcast_alive(self_, true);
  return true;
}

void Core::leave(std::uint64_t now_ns) {
  if (leaving_) return;
  leaving_ = true;
  leave_linger_ns_ = now_ns + kLeaveLingerIntervals * config_.profile.probe_interval_ns;
  leave_deadline_ns_ = std::max(leave_linger_ns_, now_ns + config_.profile.tcp_timeout_ns);
  probe_.active = false;
  broadcast_dead(config_.name, members_[self_].incarnation, config_.name, true);
  const bool nobody = alone();
  members_.set_state(self_, MemberState::kLeft, now_ns);
  if (nobody) leave_done();
}

// Told as often as any news, and there for those who ask.
void Core::check_leave_done(std::uint64_t now_ns) {
  if (!leaving_ || leave_told_ || now_ns < leave_linger_ns_) return;
  if (now_ns >= leave_deadline_ns_ || !queue_.contains(key_of(self_))) leave_done();
}

void Core::leave_done() {
  leave_told_ = true;
  emit(EventKind::kLeaveDone, self_);
}

bool Core::force_leave(std::uint64_t now_ns, std::string_view name) {
  if (const Slot slot = members_.find(name); slot != kNone) {
    const Member& member = members_[slot];
    if (member.reachable() || slot == self_) return false;
    on_dead(now_ns, {member.incarnation, members_.name(slot), members_.name(slot)});
    return true;
  }
  const LostPeer* lost = book_.find(name);
  if (lost == nullptr) return false;
  on_dead_lost(now_ns, {lost->incarnation, name, name});
  return true;
}

SavedState Core::save() const {
  SavedState saved{.incarnation = members_[self_].incarnation, .peers = {}};
  for (const Slot slot : members_.ring()) {
    const Member& member = members_[slot];
    if (slot == self_ || member.state == MemberState::kLeft) continue;
    saved.peers.push_back({std::string(members_.name(slot)), member.address, member.incarnation});
  }
  book_.for_each([&](std::string_view name, const LostPeer& peer) {
    if (!peer.left) saved.peers.push_back({std::string(name), peer.address, peer.incarnation});
  });
  return saved;
}

Core::View Core::view() const noexcept {
  return {.members = members_,
          .lost = book_,
          .stats = stats_,
          .self = self_,
          .health = health_.score(),
          .queued = queue_.size(),
          .queued_user = user_queue_.size()};
}

std::size_t Core::memory_bytes() const noexcept {
  return sizeof(*this) + members_.memory_bytes() + timers_.size() * sizeof(TimerHeap::Entry) +
         queue_.memory_bytes() + user_queue_.memory_bytes();
}

}  // namespace sluice::membership
