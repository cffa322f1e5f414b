// Timers of members in between: suspected ones, ones that are said to leave, and the dead until
// they are forgotten.
#include <algorithm>

#include "controlplane/membership/core.hpp"

namespace sluice::membership {

void Core::start_suspicion(std::uint64_t now_ns, Slot slot, std::string_view from) {
  const SuspicionTimes times =
      suspicion_times(config_.profile, config_.lifeguard.dogpile, members_.size());
  const std::uint32_t id = next_check_++;
  members_.edit(slot).suspicion = id;
  const auto [it, added] =
      suspicions_.emplace(id, SuspicionEntry{Suspicion(times, now_ns, pool_.find(from)), slot,
                                             config_.lifeguard.buddy ? kLastAsks : 0});
  set_suspicion_timer(next_ask_ns(it->second), id, it->second);
}

// When to ask next, or the end when all has been asked.
std::uint64_t Core::next_ask_ns(const SuspicionEntry& entry) const noexcept {
  const std::uint64_t start = entry.suspicion.started_ns();
  const std::uint64_t end = entry.suspicion.ends_ns();
  if (entry.asks_left == kLastAsks) return start + (end - start) / 2;
  const std::uint64_t lead = entry.asks_left * config_.profile.probe_timeout_ns;
  return end > start + lead ? end - lead : start;
}

// Nothing heard since then, though there are others who ping, answer and gossip.
bool Core::deaf(std::uint64_t since_ns) const noexcept {
  return config_.lifeguard.local_health && heard_ns_ <= since_ns &&
         members_.count(MemberState::kAlive) + members_.count(MemberState::kSuspect) >=
             kDeafMembers;
}

void Core::set_suspicion_timer(std::uint64_t at_ns, std::uint32_t id, SuspicionEntry& entry) {
  timers_.set(at_ns, Timer::kSuspicion, id, ++entry.timer);
}

// The member is pinged and told what it is accused of; the number of the ping.
std::uint32_t Core::ask(Slot slot, std::uint32_t incarnation) {
  const Member& member = members_[slot];
  packet_.clear();
  packet_.add(encoded(own_ping(++sequence_, members_.name(slot))));
  packet_.add(encoded(Suspect{incarnation, members_.name(slot), config_.name}));
  flush(member.address, &member);
  return sequence_;
}

// Only members count as accusers: a made-up name must not hasten a death.
bool Core::confirm_suspicion(Slot slot, std::string_view from) {
  const Slot accuser = members_.find(from);
  if (accuser == kNone || !members_[accuser].reachable()) return false;
  const std::uint32_t id = members_[slot].suspicion;
  SuspicionEntry& entry = suspicions_.at(id);
  if (!entry.suspicion.confirm(members_[accuser].name)) return false;
  ++stats_.confirmations;
  // Once asking has begun the end is near, and there must be time for the answer.
  if (entry.asks_left > 1 || !config_.lifeguard.buddy)
    set_suspicion_timer(next_ask_ns(entry), id, entry);
  return true;
}

void Core::end_suspicion(Slot slot) {
  const std::uint32_t id = members_[slot].suspicion;
  if (id == Member::kNone) return;
  suspicions_.erase(id);
  members_.edit(slot).suspicion = Member::kNone;
}

void Core::suspicion_timer(std::uint64_t now_ns, const TimerHeap::Entry& entry) {
  const auto it = suspicions_.find(entry.subject);
  if (leaving_ || it == suspicions_.end() || it->second.timer != entry.generation) return;
  SuspicionEntry& suspected = it->second;
  if (suspected.asks_left == 0 && suspected.asked_ns != 0 && suspected.deaf_asks_left > 0 &&
      deaf(suspected.asked_ns)) {
    --suspected.deaf_asks_left;
    suspected.asks_left = 1;
  }
  if (suspected.asks_left > 0) {
    --suspected.asks_left;
    suspected.asked_ns = now_ns;
    ask(suspected.slot, members_[suspected.slot].incarnation);
    const std::uint64_t answer_ns = now_ns + config_.profile.probe_timeout_ns;
    set_suspicion_timer(std::max(answer_ns, next_ask_ns(suspected)), entry.subject, suspected);
    return;
  }
  if (now_ns < quiet_until_ns_) {
    set_suspicion_timer(quiet_until_ns_, entry.subject, suspected);
    return;
  }
  const Slot slot = suspected.slot;
  ++stats_.declared_dead;
  bury(now_ns, slot, members_[slot].incarnation, config_.name);
}

// Until the check has ended the member is suspected. It is asked directly and told of the claim: a
// healthy one answers with a higher incarnation, one that leaves does not, or says so itself.
void Core::start_leave_check(std::uint64_t now_ns, Slot slot, std::uint32_t incarnation) {
  const Member& member = members_[slot];
  if (member.leave_check != Member::kNone) return;
  ++stats_.leave_checks;
  const std::uint32_t id = next_check_++;
  members_.edit(slot).leave_check = id;
  members_.edit(slot).incarnation = incarnation;
  leave_checks_.emplace(id, LeaveCheck{slot, incarnation, kLeaveCheckAsks});
  if (member.state == MemberState::kAlive) {
    members_.set_state(slot, MemberState::kSuspect, now_ns);
    ++stats_.suspicions;
    emit(EventKind::kSuspected, slot, members_.name(slot));
  }
  leave_check_timer(now_ns, {now_ns, 0, Timer::kLeaveCheck, id, 0});
}

void Core::end_leave_check(Slot slot) {
  const std::uint32_t id = members_[slot].leave_check;
  if (id == Member::kNone) return;
  leave_asks_.erase(leave_checks_.at(id).sequence);
  leave_checks_.erase(id);
  members_.edit(slot).leave_check = Member::kNone;
}

void Core::leave_check_timer(std::uint64_t now_ns, const TimerHeap::Entry& entry) {
  const auto it = leave_checks_.find(entry.subject);
  if (it == leave_checks_.end()) return;
  LeaveCheck& check = it->second;
  const Slot slot = check.slot;
  if (check.asks_left == 0 && now_ns < quiet_until_ns_) {
    timers_.set(quiet_until_ns_, Timer::kLeaveCheck, entry.subject);
    return;
  }
  if (check.asks_left == 0) {
    bury(now_ns, slot, check.incarnation, members_.name(slot));
    return;
  }
  --check.asks_left;
  leave_asks_.erase(check.sequence);
  check.sequence = ask(slot, check.incarnation);
  leave_asks_.emplace(check.sequence, slot);
  timers_.set(now_ns + kLeaveCheckIntervals * config_.profile.probe_interval_ns / kLeaveCheckAsks,
              Timer::kLeaveCheck, entry.subject);
}

// The dead and the left leave the list alike (the reference keeps the left for ever); what it takes
// to know them again goes to the address book.
void Core::reap_timer(std::uint64_t now_ns, const TimerHeap::Entry& entry) {
  const Slot slot = entry.subject;
  const Member& member = members_[slot];
  if (member.generation != entry.generation || member.reachable() || slot == self_) return;
  // Came back and died again meanwhile: its later timer does it.
  if (now_ns - member.changed_ns < config_.profile.gossip_to_the_dead_ns) return;
  LostPeer lost{.address = member.address,
                .incarnation = member.incarnation,
                .own_word = member.own_word,
                .left = member.state == MemberState::kLeft,
                .lost_ns = member.changed_ns};
  lost.next_try_ns = now_ns + jittered(kRetryMinNs, random_);
  book_.put(members_.name(slot), lost);
  emit(EventKind::kForgotten, slot);
  if (probe_.active && probe_.slot == slot) probe_.active = false;
  members_.remove(slot);
}

}  // namespace sluice::membership
