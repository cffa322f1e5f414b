// The membership protocol as a state machine: SWIM with the Lifeguard extensions, as memberlist
// speaks it, and four improvements that need nothing of the peers (a leave is checked before it is
// believed, who is gone is remembered and tried again, membership and user messages both get their
// share of a packet, nobody's news starves behind newer news). No I/O, no thread, no clock, no
// randomness of its own: time comes with every call and never goes back, chance from the seed, and
// what is to be done goes to Output. The driver runs it under Asio, the simulator a thousand of
// them in virtual time. One thread at a time; never throws but for want of memory.
//
// Byte-level decoding is the caller's (PacketDecoder): the core sees only well-formed messages, and
// trusts nothing in them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controlplane/membership/address_book.hpp"
#include "controlplane/membership/broadcast_queue.hpp"
#include "controlplane/membership/codec.hpp"
#include "controlplane/membership/local_health.hpp"
#include "controlplane/membership/member_table.hpp"
#include "controlplane/membership/output.hpp"
#include "controlplane/membership/profile.hpp"
#include "controlplane/membership/random.hpp"
#include "controlplane/membership/stats.hpp"
#include "controlplane/membership/suspicion.hpp"
#include "controlplane/membership/timer_heap.hpp"
#include "sluice/base/rate_limit.hpp"

namespace sluice::membership {

// A member can only refute what leaves numbers above it, and only those above count. So nobody
// believes of a member, on hearsay, what the member itself would not follow: more than
// kHonestIncarnation (a long life's refutations) is believed only up to kIncarnationLead beyond
// what the member itself told, in answer on a connection opened to it; and the member itself
// follows up to the same lead beyond its own number, at most as often as kRefutations say: at that
// pace the numbers last for months of forgery.
inline constexpr std::uint32_t kHonestIncarnation = std::uint32_t{1} << 16;
inline constexpr std::uint32_t kIncarnationLead = 64;
inline constexpr std::uint32_t kRefutations = 8;  // at once, then one every:
inline constexpr std::uint64_t kRefutationNs = kNsPerSecond / 4;
// Once in its life a member follows further, up to here: an earlier life of it may have counted so
// far, and what that life saved may be lost.
inline constexpr std::uint32_t kMaxIncarnation = std::uint32_t{1} << 31;
// How often members are asked what their incarnation is, known ones and unknown ones.
inline constexpr std::uint32_t kOwnWordAsks = 8;  // at once, then one every:
inline constexpr std::uint64_t kOwnWordNs = 2 * kNsPerSecond;

// The highest incarnation that is believed of a member which itself has told us this one.
constexpr std::uint32_t highest_believed(std::uint32_t told) noexcept {
  const std::uint32_t lead = std::min(~std::uint32_t{0} - told, kIncarnationLead);
  return std::max(kHonestIncarnation, told + lead);
}
// What user messages may take of a packet when membership messages would fill it, in percent; and
// the other way round the rest.
inline constexpr std::size_t kUserSharePercent = 30;
// A leave is believed after so many probe intervals without a refutation; the member is asked this
// many times meanwhile.
inline constexpr std::uint64_t kLeaveCheckIntervals = 2;
inline constexpr std::uint32_t kLeaveCheckAsks = 4;
// Before a suspected member is declared dead it is asked so many times, half-way and twice at the
// end, a probe timeout apart, and told of the suspicion: the refutation it sent may have passed us
// by. It costs no time.
inline constexpr std::uint32_t kLastAsks = 3;
// Who hears from nobody at all, though there are others, rather is deaf itself: it asks so many
// more times before it declares somebody dead.
inline constexpr std::uint32_t kDeafAsks = 10;
inline constexpr std::size_t kDeafMembers = 4;  // reachable ones, us and the suspect among them
// Who leaves goes on answering such checks for so many probe intervals: its own word, in answer to
// our question, ends a check at once, and so the leave spreads as fast as other news.
inline constexpr std::uint64_t kLeaveLingerIntervals = 3;
// Members that we hold for dead and that turn up alive are told at most so many per gossip tick,
// each at most so often.
inline constexpr std::size_t kTellsPerTick = 16;
inline constexpr std::uint64_t kTellAgainNs = 3 * kNsPerSecond;

// Whole lists are exchanged with members that do not understand digests at this many bytes per
// second on average, however long the lists are; they begin exchanges with us, too.
inline constexpr std::uint64_t kExchangeBytesPerSecond = 40;
// News travels for a few seconds, and lists differ meanwhile: after a change, for this many probe
// intervals, they are not compared, unless that goes on.
inline constexpr std::uint64_t kSettleIntervals = 10;
inline constexpr std::uint32_t kDigestsAtOnce = 16;  // compared, then one every:
inline constexpr std::uint64_t kDigestNs = kNsPerSecond / 10;

// A new member exchanges lists once more within this time, in probe intervals: whoever joined in
// the same moment may be missing in the first list.
inline constexpr std::uint64_t kSecondLookIntervals = 6;
// Somebody we do not know pings us: it missed us, or we it. Lists are exchanged with one such at
// most so often.
inline constexpr std::uint64_t kStrangerNs = 5 * kNsPerSecond;
// How often a lost peer may be tried, whichever, in probe intervals.
inline constexpr std::uint64_t kRejoinIntervals = 2;
// After we were not run for longer than a probe interval (a stopped process, a starved machine),
// nobody is declared dead for so many: first what came in meanwhile must be read.
inline constexpr std::uint64_t kQuietIntervals = 2;

// What survives a restart, when the driver keeps it.
struct SavedState {
  struct Peer {
    std::string name;
    Endpoint address;
    std::uint32_t incarnation = 0;
  };
  std::uint32_t incarnation = 0;
  std::vector<Peer> peers;
};

class Core {
 public:
  // saved: of an earlier life of this name; its peers are tried as lost ones are.
  Core(CoreConfig config, InternPool& pool, Output& output, std::uint64_t seed,
       std::uint64_t now_ns, const SavedState* saved = nullptr);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // One datagram, taken apart.
  void on_packet(std::uint64_t now_ns, const Endpoint& from,
                 std::span<const PacketMessage> messages);
  // A stream that a peer opened: what to answer before closing; empty: nothing.
  Bytes on_stream(std::uint64_t now_ns, const Endpoint& from, const StreamMessage& message);
  void on_stream_reply(std::uint64_t now_ns, std::uint32_t id, const StreamMessage& message);
  void on_stream_failed(std::uint64_t now_ns, std::uint32_t id);
  // Runs what is due. Call when next_timer_ns() has come; TimerHeap::kNever: nothing to wait for.
  void on_timer(std::uint64_t now_ns);
  std::uint64_t next_timer_ns() const noexcept { return timers_.next_ns(); }

  // Where to find the cluster. Each is asked at once and, while no member is there, for ever again.
  void set_seeds(std::uint64_t now_ns, const std::vector<Endpoint>& seeds);
  // At most kMaxMetaBytes; false when it is more.
  bool update_meta(std::uint64_t now_ns, ByteView meta);
  // Gossips a user message; a later one of the same key takes its place. False: too long.
  bool send_user(std::uint64_t key, ByteView data, bool routers_only);
  // Sends it to one member, once. False: too long.
  bool send_user_to(const Endpoint& to, ByteView data);
  // kLeaveDone follows when everybody has had a fair chance to hear it.
  void leave(std::uint64_t now_ns);
  // Turns a failed member, also one that only the address book knows, into one that left, here and
  // elsewhere. False: no such member, or it is alive.
  bool force_leave(std::uint64_t now_ns, std::string_view name);

  SavedState save() const;
  struct View {
    const MemberTable& members;
    const AddressBook& lost;
    const CoreStats& stats;
    MemberTable::Slot self;
    int health;
    std::size_t queued;       // membership messages
    std::size_t queued_user;  // user messages
  };
  View view() const noexcept;
  std::size_t timers() const noexcept { return timers_.size(); }
  std::size_t memory_bytes() const noexcept;

 private:
  using Slot = MemberTable::Slot;
  static constexpr Slot kNone = MemberTable::kNone;

  struct Probe {
    bool active = false;
    Slot slot = kNone;
    std::uint32_t generation = 0;
    std::uint32_t sequence = 0;
    std::uint32_t incarnation = 0;
    std::uint64_t sent_ns = 0;
    std::uint64_t deadline_ns = 0;
    int nacks_expected = 0;
    int nacks = 0;
    std::uint32_t stream = 0;
    bool by_tcp = false;
  };
  struct Relay {  // an indirect ping that we make for another
    std::uint32_t sequence;
    Endpoint asker;
    bool nack;
  };
  struct SuspicionEntry {
    Suspicion suspicion;
    Slot slot;
    std::uint32_t asks_left;
    std::uint32_t deaf_asks_left = kDeafAsks;
    std::uint64_t asked_ns = 0;
    std::uint32_t timer = 0;  // which of its timers counts
  };
  struct LeaveCheck {
    Slot slot;
    std::uint32_t incarnation;
    std::uint32_t asks_left;
    std::uint32_t sequence = 0;  // of the latest question
  };
  struct Rejoin {
    bool active = false;
    std::uint32_t sequence = 0;
    Endpoint address;
    std::string name;
  };
  struct Stream {
    StreamKind kind;
    bool seed = false;
    Endpoint to;
    std::string whom;  // who should be there; empty: whoever is
  };
  struct Tell {
    std::string name;
    Endpoint address;
    std::uint32_t incarnation;
  };

  // core_rules.cpp: what a message about a member does.
  // Who says it: others, the member itself, or it and with less than we hold, rightly.
  enum class Word : std::uint8_t { kHearsay, kOwn, kAnew };
  void on_alive(std::uint64_t now_ns, const Alive& alive, bool broadcast = true,
                Word word = Word::kHearsay);
  void on_alive_self(std::uint64_t now_ns, const Alive& alive);
  static bool usable(const Endpoint& endpoint) noexcept;
  bool acceptable(const Alive& alive);
  bool plausible(std::uint64_t now_ns, Slot slot, std::uint32_t incarnation);
  bool back_from_the_dead(std::uint64_t now_ns, const Alive& alive);
  bool conflicts(std::uint64_t now_ns, Slot slot, const Alive& alive);
  void store(Slot slot, const Alive& alive);
  void on_suspect(std::uint64_t now_ns, const Suspect& suspect);
  void on_dead(std::uint64_t now_ns, const Dead& dead);
  void on_dead_lost(std::uint64_t now_ns, const Dead& dead);
  void bury(std::uint64_t now_ns, Slot slot, std::uint32_t incarnation, std::string_view from);
  void refute(std::uint64_t now_ns, std::uint32_t accused, std::string_view from);
  void refute_later(std::uint64_t now_ns);
  bool would_follow(std::uint32_t incarnation);
  // core_word.cpp: what members say of themselves.
  void ask_whom(std::uint64_t now_ns, std::string_view name, const Endpoint& address, bool known);
  void on_own_word(std::uint64_t now_ns, const Stream& stream, std::span<const PushPullNode> nodes);
  bool believed(std::uint64_t now_ns, Slot slot, const Alive& alive);
  void emit(EventKind kind, Slot slot, std::string_view from = {});

  // core_suspicion.cpp: timers of suspected, leaving and dead members.
  void start_suspicion(std::uint64_t now_ns, Slot slot, std::string_view from);
  bool confirm_suspicion(Slot slot, std::string_view from);
  void end_suspicion(Slot slot);
  void set_suspicion_timer(std::uint64_t at_ns, std::uint32_t id, SuspicionEntry& entry);
  std::uint64_t next_ask_ns(const SuspicionEntry& entry) const noexcept;
  bool deaf(std::uint64_t since_ns) const noexcept;
  std::uint32_t ask(Slot slot, std::uint32_t incarnation);
  void suspicion_timer(std::uint64_t now_ns, const TimerHeap::Entry& entry);
  void start_leave_check(std::uint64_t now_ns, Slot slot, std::uint32_t incarnation);
  void end_leave_check(Slot slot);
  void leave_check_timer(std::uint64_t now_ns, const TimerHeap::Entry& entry);
  void reap_timer(std::uint64_t now_ns, const TimerHeap::Entry& entry);

  // core_probe.cpp
  void probe_tick(std::uint64_t now_ns);
  Slot next_target();
  void start_probe(std::uint64_t now_ns, Slot slot);
  void probe_indirect(std::uint64_t now_ns, std::uint32_t sequence);
  void probe_end(std::uint64_t now_ns, std::uint32_t sequence);
  void probe_succeeded(std::uint64_t now_ns);
  void on_ack(std::uint64_t now_ns, const Endpoint& from, const Ack& ack);
  void on_nack(const Nack& nack);
  void on_ping(std::uint64_t now_ns, const Endpoint& from, const Ping& ping);
  void know_asker(std::uint64_t now_ns, const Ping& ping);
  void on_indirect_ping(std::uint64_t now_ns, const Endpoint& from, const IndirectPing& ask);
  void relay_end(std::uint32_t sequence);
  Ping own_ping(std::uint32_t sequence, std::string_view node) const;

  // core_gossip.cpp
  void gossip_tick(std::uint64_t now_ns);
  void fill_gossip(bool to_router);
  void flush(const Endpoint& to, const Member* member);
  void encode_alive(Slot slot, Bytes& out) const;
  void broadcast_alive(Slot slot, bool first);
  void broadcast_suspect(Slot slot, std::string_view from);
  void broadcast_dead(std::string_view name, std::uint32_t incarnation, std::string_view from,
                      bool first);
  std::uint32_t sends() const noexcept;
  void on_user(std::uint64_t now_ns, const Endpoint& from, ByteView data);
  template <class F>
  std::size_t pick(std::size_t wanted, std::span<Slot> out, F&& eligible);

  // core_exchange.cpp: push/pull, and finding the lost again.
  void push_pull_tick(std::uint64_t now_ns);
  // core_digest.cpp: whether two lists differ at all, before they are exchanged.
  void send_digest(std::uint64_t now_ns, Slot to);
  void on_digest(std::uint64_t now_ns, ByteView data);
  std::uint64_t digest(std::uint64_t key) const;
  bool unsettled(std::uint64_t now_ns) const noexcept;
  std::uint64_t exchange_interval_ns() const noexcept;
  void push_pull_once(std::uint64_t now_ns);
  void open_push_pull(std::uint64_t now_ns, const Endpoint& to, std::string_view whom, bool join,
                      bool seed = false);
  void open_stream(std::uint64_t now_ns, Stream stream, Bytes message);
  Bytes encode_state(bool join) const;
  PushPullNode listed(Slot slot) const;
  bool compatible(std::span<const PushPullNode> nodes) const;
  void merge(std::uint64_t now_ns, std::span<const PushPullNode> nodes);
  void rejoin_tick(std::uint64_t now_ns);
  void try_seeds(std::uint64_t now_ns);
  void tell(std::uint64_t now_ns, std::string_view name, std::uint32_t incarnation,
            const Endpoint& address, std::uint64_t& told_ns);
  void tell_tick(std::uint64_t now_ns);

  void set_first_timers(std::uint64_t now_ns);
  void notice_stall(std::uint64_t now_ns, std::uint64_t late_ns);
  void check_leave_done(std::uint64_t now_ns);
  void leave_done();
  void run(std::uint64_t now_ns, const TimerHeap::Entry& entry);
  void drop_stale_timers();
  bool stale(const TimerHeap::Entry& entry) const;
  void on_message(std::uint64_t now_ns, const Endpoint& from, const PacketMessage& message);
  BroadcastQueue::Key key_of(Slot slot) const noexcept { return members_[slot].name; }
  bool alone() const noexcept {
    return members_.count(MemberState::kAlive) + members_.count(MemberState::kSuspect) <= 1;
  }

  CoreConfig config_;
  InternPool& pool_;
  Output& output_;
  Random random_;
  TimerHeap timers_;
  MemberTable members_;
  AddressBook book_;
  LocalHealth health_;
  BroadcastQueue queue_;
  BroadcastQueue user_queue_;
  PacketAssembler packet_;
  CoreStats stats_;

  Slot self_ = kNone;
  bool leaving_ = false;
  bool leave_told_ = false;
  std::uint32_t sequence_;
  std::uint32_t next_stream_ = 1;
  std::size_t ring_next_ = 0;
  Probe probe_;
  Rejoin rejoin_;
  bool tell_timer_ = false;
  std::uint64_t leave_linger_ns_ = 0;
  std::uint64_t leave_deadline_ns_ = 0;
  std::uint64_t heard_ns_ = 0;        // the latest packet, from whomever
  std::uint64_t quiet_until_ns_ = 0;  // no verdicts before: we were not run for a while
  std::vector<Tell> tells_;
  std::vector<const Ping*> pings_;  // of the packet being handled
  bool accused_ = false;            // in it
  Slot answered_check_ = kNone;     // in it: whose leave is checked and who answered
  std::uint64_t stranger_ns_ = 0;   // when a push/pull with a stranger was last begun
  std::uint64_t changed_ns_ = 0;    // what of the list is compared
  std::uint64_t digest_ns_ = 0;     // when we last had a list compared
  std::uint64_t differed_ns_ = 0;   // since when a difference is left alone; 0: there is none
  // When lists may next be exchanged by our own will: with stock members; after a digest.
  std::uint64_t next_stock_exchange_ns_ = 0;
  std::uint64_t next_exchange_ns_ = 0;
  RateLimit digests_{kDigestsAtOnce, kDigestNs};
  RateLimit refutations_{kRefutations, kRefutationNs};
  std::uint32_t accused_incarnation_ = 0;  // not answered yet; 0: all is
  bool followed_far_ = false;
  RateLimit asks_known_{kOwnWordAsks, kOwnWordNs};
  RateLimit asks_unknown_{kOwnWordAsks, kOwnWordNs};
  std::unordered_map<std::uint32_t, Relay> relays_;
  std::unordered_map<std::uint32_t, SuspicionEntry> suspicions_;
  std::unordered_map<std::uint32_t, LeaveCheck> leave_checks_;
  std::unordered_map<std::uint32_t, Stream> streams_;
  std::unordered_map<std::uint32_t, Slot> leave_asks_;  // by the number of the latest question
  std::uint32_t next_check_ = 0;
  std::vector<std::uint64_t> heard_;  // hashes of foreign user messages passed on lately
  std::size_t heard_next_ = 0;
  Bytes scratch_;
};

// Random distinct members other than ourselves; as many tries as the reference's kRandomNodes.
template <class F>
std::size_t Core::pick(std::size_t wanted, std::span<Slot> out, F&& eligible) {
  const auto ring = members_.ring();
  std::size_t count = 0;
  wanted = std::min(wanted, out.size());
  for (std::size_t tries = 0; tries < 3 * ring.size() && count < wanted; ++tries) {
    const Slot slot = ring[random_.below(ring.size())];
    if (slot == self_ || !eligible(slot, members_[slot])) continue;
    const auto chosen = out.first(count);
    if (std::ranges::find(chosen, slot) == chosen.end()) out[count++] = slot;
  }
  return count;
}

}  // namespace sluice::membership
