// The failure detector: ping one member after the other, ask others when it does not answer, try
// TCP, then suspect it (SWIM §3.1, §4.3; Lifeguard §IV.A and C).
#include <array>

#include "controlplane/membership/core.hpp"

namespace sluice::membership {

Ping Core::own_ping(std::uint32_t sequence, std::string_view node) const {
  return {
      .sequence = sequence, .node = node, .source = config_.advertise, .source_node = config_.name};
}

// The ring is gone round member by member and shuffled before each round, so that the time until a
// member is probed is bounded.
Core::Slot Core::next_target() {
  const std::size_t size = members_.size();
  for (std::size_t tried = 0; tried < size; ++tried) {
    if (ring_next_ >= members_.size()) {
      ring_next_ = 0;
      members_.shuffle(random_);
    }
    const Slot slot = members_.ring()[ring_next_++];
    if (slot != self_ && members_[slot].reachable()) return slot;
  }
  return kNone;
}

// One probe at a time: a slow one, stretched by our own bad health, uses up the ticks after it.
void Core::probe_tick(std::uint64_t now_ns) {
  timers_.set(now_ns + config_.profile.probe_interval_ns, Timer::kProbeTick);
  if (probe_.active || leaving_) return;
  const Slot slot = next_target();
  if (slot != kNone) start_probe(now_ns, slot);
}

void Core::start_probe(std::uint64_t now_ns, Slot slot) {
  const Member& member = members_[slot];
  ++stats_.probes;
  probe_ = {.active = true,
            .slot = slot,
            .generation = member.generation,
            .sequence = ++sequence_,
            .incarnation = member.incarnation,
            .sent_ns = now_ns,
            .deadline_ns = now_ns + health_.scale(config_.profile.probe_interval_ns)};
  packet_.clear();
  scratch_.clear();
  encode(own_ping(probe_.sequence, members_.name(slot)), scratch_);
  packet_.add(scratch_);
  if (member.state == MemberState::kSuspect && config_.lifeguard.buddy) {
    // So that it can refute at once; without piggyback, for the two must arrive together.
    scratch_.clear();
    encode(Suspect{member.incarnation, members_.name(slot), config_.name}, scratch_);
    packet_.add(scratch_);
  } else {
    fill_gossip(member.takes_hints);
  }
  flush(member.address, &member);
  timers_.set(now_ns + config_.profile.probe_timeout_ns, Timer::kProbeIndirect, probe_.sequence);
  timers_.set(probe_.deadline_ns, Timer::kProbeEnd, probe_.sequence);
}

// No answer in time: ask some others to try, and try TCP ourselves.
void Core::probe_indirect(std::uint64_t now_ns, std::uint32_t sequence) {
  if (!probe_.active || probe_.sequence != sequence) return;
  const Member& target = members_[probe_.slot];
  const std::string_view name = members_.name(probe_.slot);
  std::array<Slot, 16> helpers;
  const std::size_t count =
      pick(config_.profile.indirect_checks, helpers, [&](Slot slot, const Member& member) {
        return slot != probe_.slot && member.state == MemberState::kAlive;
      });
  for (const Slot slot : std::span(helpers).first(count)) {
    const Member& helper = members_[slot];
    const bool nack = config_.lifeguard.local_health && helper.vsn.protocol_max >= kProtocolNack;
    if (nack) ++probe_.nacks_expected;
    packet_.clear();
    packet_.add(encoded(IndirectPing{.sequence = sequence,
                                     .node = name,
                                     .target = target.address,
                                     .nack = nack,
                                     .source = config_.advertise,
                                     .source_node = config_.name}));
    flush(helper.address, &helper);
  }
  if (!config_.tcp_pings || target.vsn.protocol_max < kProtocolTcpPing ||
      streams_.size() >= config_.limits.streams)
    return;
  probe_.stream = next_stream_++;
  streams_.emplace(probe_.stream,
                   Stream{.kind = StreamKind::kPing, .to = target.address, .whom = {}});
  output_.open_stream({.id = probe_.stream,
                       .kind = StreamKind::kPing,
                       .to = target.address,
                       .message = encoded(own_ping(sequence, name)),
                       .deadline_ns = std::max(probe_.deadline_ns, now_ns)});
}

void Core::probe_succeeded(std::uint64_t now_ns) {
  probe_.active = false;
  members_.edit(probe_.slot).acked_ns = now_ns;
  health_.apply(-1);
}

void Core::probe_end(std::uint64_t now_ns, std::uint32_t sequence) {
  if (!probe_.active || probe_.sequence != sequence) return;
  if (probe_.by_tcp) {
    ++stats_.probes_by_tcp;
    probe_succeeded(now_ns);
    return;
  }
  probe_.active = false;
  ++stats_.probes_failed;
  // Helpers that do not answer either: it is rather we who do not hear.
  if (probe_.nacks_expected > 0)
    health_.apply(std::max(0, probe_.nacks_expected - probe_.nacks));
  else
    health_.apply(1);
  const Member& target = members_[probe_.slot];
  if (target.generation != probe_.generation || !target.reachable()) return;
  if (target.state == MemberState::kAlive) ++stats_.accusations;
  on_suspect(now_ns, {probe_.incarnation, members_.name(probe_.slot), config_.name});
}

void Core::on_ack(std::uint64_t now_ns, const Endpoint& from, const Ack& ack) {
  if (probe_.active && ack.sequence == probe_.sequence) {
    // Only a direct answer says how far the member is.
    if (from == members_[probe_.slot].address) stats_.add_rtt(now_ns - probe_.sent_ns);
    probe_succeeded(now_ns);
    return;
  }
  if (rejoin_.active && ack.sequence == rejoin_.sequence) {
    rejoin_.active = false;
    open_push_pull(now_ns, rejoin_.address, rejoin_.name, true);
    return;
  }
  if (const auto asked = leave_asks_.find(ack.sequence); asked != leave_asks_.end()) {
    answered_check_ = asked->second;
    return;
  }
  const auto it = relays_.find(ack.sequence);
  if (it == relays_.end()) return;
  packet_.clear();
  packet_.add(encoded(Ack{.sequence = it->second.sequence}));
  flush(it->second.asker, nullptr);
  relays_.erase(it);
}

void Core::on_nack(const Nack& nack) {
  if (probe_.active && nack.sequence == probe_.sequence && probe_.nacks < probe_.nacks_expected)
    ++probe_.nacks;
}

// Who pings us holds us for a member; see that we hold it for one, too.
void Core::know_asker(std::uint64_t now_ns, const Ping& ping) {
  if (!usable(ping.source) || ping.source_node.empty() || ping.source_node == config_.name ||
      leaving_)
    return;
  if (LostPeer* lost = book_.find(ping.source_node)) {
    if (!lost->left) tell(now_ns, ping.source_node, lost->incarnation, ping.source, lost->told_ns);
    return;
  }
  const Slot slot = members_.find(ping.source_node);
  if (slot != kNone) {
    const Member& member = members_[slot];
    if (member.state != MemberState::kDead || member.address != ping.source) return;
    tell(now_ns, ping.source_node, member.incarnation, member.address, members_.edit(slot).told_ns);
  } else if (now_ns - stranger_ns_ >= kStrangerNs) {
    stranger_ns_ = now_ns;
    open_push_pull(now_ns, ping.source, ping.source_node, false);
  }
}

// Older peers do not say where they are: the answer then goes to where the ping came from.
void Core::on_ping(std::uint64_t now_ns, const Endpoint& from, const Ping& ping) {
  if (!ping.node.empty() && ping.node != config_.name) {
    stats_.refuse(Refused::kNotOurs);
    return;
  }
  const Slot asker = members_.find(ping.source_node);
  packet_.clear();
  scratch_.clear();
  encode(Ack{.sequence = ping.sequence}, scratch_);
  packet_.add(scratch_);
  if (accused_) {
    // The asker may not have heard our answer to an older accusation, or checks our leave.
    scratch_.clear();
    if (leaving_)
      encode(Dead{members_[self_].incarnation, config_.name, config_.name}, scratch_);
    else
      encode_alive(self_, scratch_);
    packet_.add(scratch_);
  }
  fill_gossip(asker == kNone || members_[asker].takes_hints);
  flush(usable(ping.source) ? ping.source : from, nullptr);
  know_asker(now_ns, ping);
}

void Core::on_indirect_ping(std::uint64_t now_ns, const Endpoint& from, const IndirectPing& ask) {
  if (!usable(ask.target)) {
    stats_.refuse(Refused::kAddress);
    return;
  }
  if (relays_.size() >= config_.limits.relays) {
    stats_.refuse(Refused::kRelays);
    return;
  }
  const std::uint32_t sequence = ++sequence_;
  relays_.emplace(sequence, Relay{ask.sequence, usable(ask.source) ? ask.source : from, ask.nack});
  packet_.clear();
  packet_.add(encoded(own_ping(sequence, ask.node)));
  flush(ask.target, nullptr);
  timers_.set(now_ns + config_.profile.probe_timeout_ns, Timer::kRelayEnd, sequence);
}

void Core::relay_end(std::uint32_t sequence) {
  const auto it = relays_.find(sequence);
  if (it == relays_.end()) return;
  if (it->second.nack) {
    packet_.clear();
    packet_.add(encoded(Nack{it->second.sequence}));
    flush(it->second.asker, nullptr);
  }
  relays_.erase(it);
}

}  // namespace sluice::membership
