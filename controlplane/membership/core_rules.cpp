// What a message about a member does to our list: the precedence of incarnations and states (SWIM
// §4.2), refutation, conflicts of names, and who may come back from the dead.
#include <algorithm>
#include <utility>

#include "controlplane/membership/core.hpp"
#include "controlplane/membership/versions.hpp"

namespace sluice::membership {

// Where nobody can be reached, or many at once, nothing must be sent because somebody says so.
bool Core::usable(const Endpoint& endpoint) noexcept {
  const auto& ip = endpoint.address;
  if (endpoint.port == 0 || ip.is_unspecified()) return false;
  if (!ip.is_v4()) return ip.bytes[0] != 0xff;
  const std::uint8_t first = ip.bytes[12];
  return first != 0 && (first & 0xf0) != 0xe0 && ip.v4_part() != Big32(0xffffffffu);
}

void Core::emit(EventKind kind, Slot slot, std::string_view from) {
  const Member& member = members_[slot];
  output_.event({.kind = kind,
                 .name = members_.name(slot),
                 .address = member.address,
                 .meta = members_.meta(slot),
                 .incarnation = member.incarnation,
                 .from = from});
}

bool Core::acceptable(const Alive& alive) {
  if (!usable(alive.address)) {
    stats_.refuse(Refused::kAddress);
    return false;
  }
  if (!versions_meet(alive.vsn, config_.vsn)) {
    stats_.refuse(Refused::kVersion);
    return false;
  }
  return true;
}

void Core::on_alive(std::uint64_t now_ns, const Alive& alive, bool broadcast, Word word) {
  if (alive.node == config_.name) {
    on_alive_self(now_ns, alive);
    return;
  }
  if (!acceptable(alive)) return;
  Slot slot = members_.find(alive.node);
  if (word == Word::kHearsay && !believed(now_ns, slot, alive)) return;
  if (slot == kNone) {
    if (word == Word::kAnew) book_.erase(alive.node);
    if (!back_from_the_dead(now_ns, alive)) return;
    if (members_.size() >= config_.limits.members) {
      stats_.refuse(Refused::kFull);
      return;
    }
    slot = members_.add(alive.node, random_);
  } else {
    const Member& known = members_[slot];
    if (known.address != alive.address && conflicts(now_ns, slot, alive)) return;
    if (alive.incarnation <= known.incarnation && word != Word::kAnew) return;
  }
  const Member& member = members_[slot];
  const MemberState before = member.state;
  const bool changed = members_.meta(slot).size() != alive.meta.size() ||
                       !std::ranges::equal(members_.meta(slot), alive.meta) ||
                       member.vsn != alive.vsn;
  end_suspicion(slot);
  if (member.leave_check != Member::kNone) {
    ++stats_.leaves_refuted;
    end_leave_check(slot);
  }
  store(slot, alive);
  changed_ns_ = now_ns;
  if (before != MemberState::kAlive) members_.set_state(slot, MemberState::kAlive, now_ns);
  if (broadcast) broadcast_alive(slot, false);

  if (before == MemberState::kDead || before == MemberState::kLeft)
    emit(EventKind::kJoined, slot);
  else if (before == MemberState::kSuspect)
    emit(EventKind::kReprieved, slot);
  if (changed && before != MemberState::kDead && before != MemberState::kLeft)
    emit(EventKind::kUpdated, slot);
}

void Core::store(Slot slot, const Alive& alive) {
  members_.set_meta(slot, alive.meta);
  Member& member = members_.edit(slot);
  member.address = alive.address;
  member.incarnation = alive.incarnation;
  member.vsn = alive.vsn;
  member.takes_hints = !config_.takes_hints || config_.takes_hints(alive.meta);
}

// Somebody we gave up is alive after all, says a message that may be as old as its death. Only a
// higher incarnation proves it; so we tell the member, and it answers with one. That also is how
// two halves of a partition, or a member that lost its state, come back.
bool Core::back_from_the_dead(std::uint64_t now_ns, const Alive& alive) {
  LostPeer* lost = book_.find(alive.node);
  if (lost == nullptr) return true;
  if (alive.incarnation > lost->incarnation) {
    book_.erase(alive.node);
    return true;
  }
  stats_.refuse(Refused::kStale);
  tell(now_ns, alive.node, lost->incarnation, alive.address, lost->told_ns);
  return false;
}

// True: the message is not to be believed. A name that left, or died long enough ago, may come back
// from elsewhere; it needs a higher incarnation like any other and is told so.
bool Core::conflicts(std::uint64_t now_ns, Slot slot, const Alive& alive) {
  const Member& known = members_[slot];
  const auto reclaim = config_.profile.dead_node_reclaim_ns;
  const bool free =
      known.state == MemberState::kLeft ||
      (known.state == MemberState::kDead && reclaim > 0 && now_ns - known.changed_ns > reclaim);
  if (!free) {
    stats_.refuse(Refused::kConflict);
    output_.event({.kind = EventKind::kConflict,
                   .name = alive.node,
                   .address = alive.address,
                   .meta = alive.meta,
                   .incarnation = alive.incarnation});
    return true;
  }
  if (alive.incarnation > known.incarnation) return false;
  tell(now_ns, alive.node, known.incarnation, alive.address, members_.edit(slot).told_ns);
  return true;
}

// About us. What an earlier life of ours said, or an impostor: answer with more than it claims,
// unless it says what we say.
void Core::on_alive_self(std::uint64_t now_ns, const Alive& alive) {
  const Member& self = members_[self_];
  if (leaving_) return;
  if (alive.address != self.address) {
    stats_.refuse(Refused::kConflict);
    output_.event({.kind = EventKind::kConflict,
                   .name = alive.node,
                   .address = alive.address,
                   .meta = alive.meta,
                   .incarnation = alive.incarnation,
                   .from = config_.name});
    return;
  }
  if (alive.incarnation < self.incarnation) return;
  if (alive.incarnation == self.incarnation && alive.vsn == self.vsn &&
      std::ranges::equal(alive.meta, members_.meta(self_)))
    return;
  if (would_follow(alive.incarnation)) refute(now_ns, alive.incarnation, {});
}

// A few at once, then at a pace: each answers all that was said until then.
void Core::refute(std::uint64_t now_ns, std::uint32_t accused, std::string_view from) {
  if (!refutations_.allow(now_ns)) {
    if (accused_incarnation_ == 0) timers_.set(now_ns + kRefutationNs, Timer::kRefute);
    accused_incarnation_ = std::max(accused_incarnation_, accused);
    return;
  }
  Member& self = members_.edit(self_);
  self.incarnation = std::max({self.incarnation, accused, accused_incarnation_}) + 1;
  accused_incarnation_ = 0;
  health_.apply(1);
  ++stats_.refutations;
  broadcast_alive(self_, true);
  self.changed_ns = changed_ns_ = now_ns;
  emit(EventKind::kRefuted, self_, from);
}

void Core::refute_later(std::uint64_t now_ns) {
  const auto accused = std::exchange(accused_incarnation_, 0);
  if (!leaving_ && accused >= members_[self_].incarnation) refute(now_ns, accused, {});
}

// Of an accusation: not older than what we know, and not beyond what is believed.
bool Core::plausible(std::uint64_t now_ns, Slot slot, std::uint32_t incarnation) {
  const Member& member = members_[slot];
  if (incarnation < member.incarnation) return false;
  if (slot == self_) return would_follow(incarnation);
  if (incarnation <= highest_believed(member.own_word)) return true;
  stats_.refuse(Refused::kIncarnation);
  if (member.reachable()) ask_whom(now_ns, members_.name(slot), member.address, true);
  return false;
}

void Core::on_suspect(std::uint64_t now_ns, const Suspect& suspect) {
  const Slot slot = members_.find(suspect.node);
  if (slot == kNone || !plausible(now_ns, slot, suspect.incarnation)) return;
  const Member& member = members_[slot];
  if (slot == self_) {
    if (!leaving_) refute(now_ns, suspect.incarnation, suspect.from);
    return;
  }
  if (member.suspicion != Member::kNone && suspect.incarnation > member.incarnation) {
    // It has refuted what we hold against it, which passed us by, and is accused anew: its time to
    // answer begins anew, too.
    end_suspicion(slot);
    members_.edit(slot).incarnation = suspect.incarnation;
    broadcast_suspect(slot, suspect.from);
    start_suspicion(now_ns, slot, suspect.from);
    return;
  }
  if (member.suspicion != Member::kNone) {
    if (confirm_suspicion(slot, suspect.from)) broadcast_suspect(slot, suspect.from);
    return;
  }
  if (member.state != MemberState::kAlive) return;
  members_.edit(slot).incarnation = suspect.incarnation;
  members_.set_state(slot, MemberState::kSuspect, now_ns);
  ++stats_.suspicions;
  broadcast_suspect(slot, suspect.from);
  start_suspicion(now_ns, slot, suspect.from);
  // Somebody drove it far up; if it has begun anew since, it cannot refute.
  if (member.incarnation > kHonestIncarnation)
    ask_whom(now_ns, members_.name(slot), member.address, true);
  emit(EventKind::kSuspected, slot, suspect.from);
}

void Core::on_dead(std::uint64_t now_ns, const Dead& dead) {
  const Slot slot = members_.find(dead.node);
  if (slot == kNone) {
    on_dead_lost(now_ns, dead);
    return;
  }
  if (!plausible(now_ns, slot, dead.incarnation)) return;
  const Member& member = members_[slot];
  if (slot == self_) {
    if (!leaving_) refute(now_ns, dead.incarnation, dead.from);
    return;
  }
  const bool leave = dead.node == dead.from;
  if (member.reachable()) {
    // Whoever knows a name can say that it leaves. Ask the member before believing it.
    if (leave && slot != answered_check_)
      start_leave_check(now_ns, slot, dead.incarnation);
    else
      bury(now_ns, slot, dead.incarnation, dead.from);
  } else if (leave && member.state == MemberState::kDead) {
    // Held for failed, and took its leave after all, or an operator did it: no more trying.
    members_.edit(slot).incarnation = dead.incarnation;
    members_.set_state(slot, MemberState::kLeft, member.changed_ns);
    broadcast_dead(dead.node, dead.incarnation, dead.from, false);
    emit(EventKind::kLeft, slot, dead.from);
  }
}

// The same for one that is only in the address book.
void Core::on_dead_lost(std::uint64_t now_ns, const Dead& dead) {
  LostPeer* lost = book_.find(dead.node);
  if (lost == nullptr || lost->left || dead.node != dead.from ||
      dead.incarnation < lost->incarnation || dead.incarnation > highest_believed(lost->own_word))
    return;
  book_.set_left(dead.node, dead.incarnation, now_ns);
  broadcast_dead(dead.node, dead.incarnation, dead.from, false);
}

// Dead, or left when it says so itself. Forgotten once everybody can have heard.
void Core::bury(std::uint64_t now_ns, Slot slot, std::uint32_t incarnation, std::string_view from) {
  end_suspicion(slot);
  end_leave_check(slot);
  changed_ns_ = now_ns;
  const bool left = members_.name(slot) == from;
  broadcast_dead(members_.name(slot), incarnation, from, false);
  members_.edit(slot).incarnation = incarnation;
  members_.set_state(slot, left ? MemberState::kLeft : MemberState::kDead, now_ns);
  timers_.set(now_ns + config_.profile.gossip_to_the_dead_ns, Timer::kReap, slot,
              members_[slot].generation);
  emit(left ? EventKind::kLeft : EventKind::kFailed, slot, from);
}

}  // namespace sluice::membership
