#include "dataplane/apply/hold_queue.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "sluice/base/clock.hpp"
#include "sluice/base/random.hpp"
#include "sluice/hash/id_hash.hpp"

namespace sluice::dataplane {

namespace {

constexpr std::uint32_t kNil = UINT32_MAX;
constexpr std::uint32_t kWheelSlots = 4096;  // of a millisecond; later deadlines go round again
constexpr std::uint32_t kWheelMask = kWheelSlots - 1;

struct Node {
  void* message = nullptr;
  std::uint64_t deadline_ms = 0;
  std::uint32_t entry = kNil;
  std::uint32_t next = kNil;  // of the same id, in order of arrival; or of the free list
  std::uint32_t previous = kNil;
  std::uint32_t wheel_next = kNil;
  std::uint32_t wheel_previous = kNil;
  std::uint16_t worker = 0;
  std::uint16_t tenant = 0;
};

enum class Where : std::uint8_t { kNowhere, kUnresolved, kReleasing };

struct Entry {
  Id id;
  std::uint32_t first = kNil;
  std::uint32_t last = kNil;
  std::uint32_t count = 0;
  std::uint32_t next = kNil;  // in its list; or of the free list
  std::uint32_t previous = kNil;
  Where where = Where::kNowhere;
  bool asked = false;
  std::uint64_t seen = 0;  // of an unresolved one: State::change when it was looked at
};

// Oldest first.
struct List {
  std::uint32_t first = kNil;
  std::uint32_t last = kNil;
};

}  // namespace

struct HoldQueue::State {
  HoldSink& sink;
  HoldLimits limits;
  IdHasher hasher = IdHasher::create(HashKey{random_bytes<16>()});  // no buckets to be foreseen
  std::vector<Node> nodes;
  std::vector<Entry> entries;        // at most one per message
  std::vector<std::uint32_t> index;  // entry by hash of its id; linear probing, half full at most
  std::uint32_t index_mask;
  std::uint32_t free_node = 0;
  std::uint32_t free_entry = 0;
  std::array<List, 3> list;  // by Where; the unresolved ones are in the order of `seen`
  std::uint64_t change = 0;  // of next hops
  std::array<std::uint32_t, kWheelSlots> wheel;
  std::array<std::uint64_t, kWheelSlots / 64> occupied{};  // bit per slot of the wheel
  std::uint64_t done_ms = 0;                               // everything due until then is dropped
  std::uint32_t held = 0;
  std::vector<std::uint32_t> held_of;  // by tenant
  std::uint64_t released = 0;
  std::uint64_t expired = 0;

  State(std::uint32_t capacity, HoldSink& s)
      : sink(s),
        nodes(capacity),
        entries(capacity),
        index(std::bit_ceil(capacity * 2 + 2), kNil),
        held_of(std::size_t{UINT16_MAX} + 1) {
    index_mask = static_cast<std::uint32_t>(index.size() - 1);
    wheel.fill(kNil);
    for (std::uint32_t i = 0; i < capacity; ++i)
      nodes[i].next = entries[i].next = i + 1 < capacity ? i + 1 : kNil;
    if (capacity == 0) free_node = free_entry = kNil;
  }

  bool room_for(std::uint16_t tenant) const {
    // Rounded up, so that a queue of one holds one.
    return held < limits.total && held_of[tenant] < limits.total / 2 + limits.total % 2;
  }

  std::uint32_t home(const Id& id) const { return hasher(id).signature() & index_mask; }

  std::uint32_t find(const Id& id) const {
    for (std::uint32_t i = home(id);; i = (i + 1) & index_mask) {
      if (index[i] == kNil || entries[index[i]].id == id) return index[i];
    }
  }

  std::uint32_t add_entry(const Id& id) {
    const std::uint32_t at = free_entry;
    free_entry = entries[at].next;
    entries[at] = Entry{.id = id};
    std::uint32_t i = home(id);
    while (index[i] != kNil)
      i = (i + 1) & index_mask;
    index[i] = at;
    return at;
  }

  void remove_entry(std::uint32_t at) {
    move(at, Where::kNowhere);
    std::uint32_t hole = home(entries[at].id);
    while (index[hole] != at)
      hole = (hole + 1) & index_mask;
    for (std::uint32_t i = (hole + 1) & index_mask; index[i] != kNil; i = (i + 1) & index_mask) {
      const std::uint32_t from_home = (i - home(entries[index[i]].id)) & index_mask;
      if (from_home < ((i - hole) & index_mask)) continue;
      index[hole] = index[i];
      hole = i;
    }
    index[hole] = kNil;
    entries[at] = Entry{.next = free_entry};
    free_entry = at;
  }

  List& list_of(Where where) { return list[static_cast<std::size_t>(where)]; }

  void leave_list(std::uint32_t at) {
    Entry& entry = entries[at];
    if (entry.where == Where::kNowhere) return;
    List& from = list_of(entry.where);
    (entry.previous != kNil ? entries[entry.previous].next : from.first) = entry.next;
    (entry.next != kNil ? entries[entry.next].previous : from.last) = entry.previous;
    entry.where = Where::kNowhere;
    entry.previous = entry.next = kNil;
  }

  // To the end of the list, also when it is in it.
  void move(std::uint32_t at, Where to) {
    leave_list(at);
    if (to == Where::kNowhere) return;
    Entry& entry = entries[at];
    List& into = list_of(to);
    entry.where = to;
    entry.seen = change;
    entry.previous = into.last;
    (into.last != kNil ? entries[into.last].next : into.first) = at;
    into.last = at;
  }

  void enter_wheel(std::uint32_t at) {
    Node& node = nodes[at];
    const auto slot = static_cast<std::uint32_t>(node.deadline_ms & kWheelMask);
    node.wheel_previous = kNil;
    node.wheel_next = wheel[slot];
    if (wheel[slot] != kNil) nodes[wheel[slot]].wheel_previous = at;
    wheel[slot] = at;
    occupied[slot / 64] |= std::uint64_t{1} << slot % 64;
  }

  void leave_wheel(std::uint32_t at) {
    const Node& node = nodes[at];
    const auto slot = static_cast<std::uint32_t>(node.deadline_ms & kWheelMask);
    if (node.wheel_previous != kNil) nodes[node.wheel_previous].wheel_next = node.wheel_next;
    if (node.wheel_next != kNil) nodes[node.wheel_next].wheel_previous = node.wheel_previous;
    if (wheel[slot] == at) wheel[slot] = node.wheel_next;
    if (wheel[slot] == kNil) occupied[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
  }

  // Takes the node out of everything; its id goes with its last message.
  void remove_node(std::uint32_t at) {
    leave_wheel(at);
    Node& node = nodes[at];
    Entry& entry = entries[node.entry];
    (node.previous != kNil ? nodes[node.previous].next : entry.first) = node.next;
    (node.next != kNil ? nodes[node.next].previous : entry.last) = node.previous;
    if (--entry.count == 0) remove_entry(node.entry);
    --held_of[node.tenant];
    node = Node{.next = free_node};
    free_node = at;
    --held;
  }

  // False: the sink has no room now; the entry stays in the list of those under release.
  bool release_entry(std::uint32_t at, std::uint32_t& budget) {
    while (budget > 0) {
      const std::uint32_t first = entries[at].first;
      const bool last = entries[at].count == 1;
      if (!sink.release(nodes[first].message, nodes[first].worker)) break;
      --budget;
      ++released;
      remove_node(first);
      if (last) return true;
    }
    if (entries[at].where != Where::kReleasing) move(at, Where::kReleasing);
    return false;
  }

  // Messages of one group may wait for different members: when one can go, all are offered.
  bool all_wait(std::uint32_t at) {
    for (std::uint32_t i = entries[at].first; i != kNil; i = nodes[i].next) {
      if (!sink.waits_on(nodes[i].message)) return false;
    }
    return true;
  }

  // Unresolved ids that were not looked at since next hops changed. True: there are more.
  bool look_again(std::uint32_t budget) {
    const std::uint32_t& first = list_of(Where::kUnresolved).first;
    while (first != kNil && entries[first].seen != change) {
      if (budget == 0) return true;
      budget -= std::min(budget, entries[first].count);
      move(first, all_wait(first) ? Where::kUnresolved : Where::kReleasing);
    }
    return false;
  }

  void drop(std::uint32_t at, HoldDrop why) {
    void* message = nodes[at].message;
    const std::uint16_t worker = nodes[at].worker;
    remove_node(at);
    if (why == HoldDrop::kExpired) ++expired;
    sink.drop(message, worker, why);
  }

  // False: the budget ended first.
  bool expire_slot(std::uint64_t now_ms, std::uint32_t slot, std::uint32_t& budget) {
    for (std::uint32_t at = wheel[slot]; at != kNil;) {
      const std::uint32_t next = nodes[at].wheel_next;
      if (nodes[at].deadline_ms <= now_ms) {
        if (budget == 0) return false;
        --budget;
        drop(at, HoldDrop::kExpired);
      }
      at = next;
    }
    return true;
  }

  // True: there is more to release.
  bool release_some(std::uint32_t budget) {
    const std::uint32_t& first = list_of(Where::kReleasing).first;
    while (first != kNil && budget > 0) {
      if (!release_entry(first, budget)) break;
    }
    return first != kNil;
  }

  // True: there is more that is due.
  bool expire(std::uint64_t now_ms, std::uint32_t budget) {
    while (held > 0 && done_ms < now_ms) {
      const std::uint32_t step = next_occupied();
      if (step >= now_ms - done_ms) {
        done_ms = now_ms;
        return false;
      }
      const auto slot = static_cast<std::uint32_t>((done_ms + 1 + step) & kWheelMask);
      if (!expire_slot(now_ms, slot, budget)) return true;
      done_ms += step + 1;
    }
    return false;
  }

  // Distance in slots to the next one in use after done_ms, kWheelSlots when there is none.
  std::uint32_t next_occupied() const {
    const auto start = static_cast<std::uint32_t>((done_ms + 1) & kWheelMask);
    for (std::uint32_t step = 0; step < kWheelSlots;) {
      const std::uint32_t slot = (start + step) & kWheelMask;
      const std::uint64_t word = occupied[slot / 64] >> slot % 64;
      if (word != 0) return step + static_cast<std::uint32_t>(std::countr_zero(word));
      step += 64 - slot % 64;
    }
    return kWheelSlots;
  }
};

HoldQueue::HoldQueue(std::uint32_t capacity, HoldSink& sink)
    : state_(std::make_unique<State>(capacity, sink)) {
  set_limits({});
}
HoldQueue::~HoldQueue() = default;

void HoldQueue::set_limits(const HoldLimits& limits) {
  state_->limits = limits;
  state_->limits.total = std::min(limits.total, capacity());
}

void HoldQueue::hold(const Id& destination, std::uint16_t tenant, void* message,
                     std::uint16_t worker, std::uint64_t now_ns, std::uint64_t deadline_ns,
                     bool adjacency) {
  State& s = *state_;
  const std::uint32_t known = s.find(destination);
  const std::uint32_t count = known == kNil ? 0 : s.entries[known].count;
  if (!s.room_for(tenant) || count >= s.limits.per_id) {
    s.sink.drop(message, worker, HoldDrop::kFull);
    return;
  }
  if (s.held == 0) s.done_ms = now_ns / kNsPerMs;
  const std::uint32_t at = known == kNil ? s.add_entry(destination) : known;
  const std::uint32_t fresh = s.free_node;
  s.free_node = s.nodes[fresh].next;
  Node& node = s.nodes[fresh];
  Entry& entry = s.entries[at];
  node = Node{
      .message = message, .entry = at, .previous = entry.last, .worker = worker, .tenant = tenant};
  // Never before its time, and never in a slot that is done.
  node.deadline_ms =
      std::max(deadline_ns / kNsPerMs + (deadline_ns % kNsPerMs != 0), s.done_ms + 1);
  (entry.last != kNil ? s.nodes[entry.last].next : entry.first) = fresh;
  entry.last = fresh;
  ++entry.count;
  ++s.held;
  ++s.held_of[tenant];
  s.enter_wheel(fresh);
  if (adjacency && entry.where == Where::kNowhere) s.move(at, Where::kUnresolved);
  if (!adjacency && !entry.asked) entry.asked = s.sink.discover(destination, message);
}

bool HoldQueue::holds(const Id& destination) const noexcept {
  return state_->held > 0 && state_->find(destination) != kNil;
}

void HoldQueue::release(const Id& destination) {
  State& s = *state_;
  if (s.held == 0) return;
  const std::uint32_t at = s.find(destination);
  if (at == kNil) return;
  std::uint32_t budget = UINT32_MAX;
  s.release_entry(at, budget);
}

void HoldQueue::release_unresolved() noexcept {
  ++state_->change;
}

void HoldQueue::release_known(const std::function<bool(const Id&)>& known) {
  State& s = *state_;
  if (s.held == 0) return;
  for (const std::uint32_t at : s.index) {
    if (at != kNil && s.entries[at].where == Where::kNowhere && known(s.entries[at].id))
      s.move(at, Where::kReleasing);
  }
}

bool HoldQueue::advance(std::uint64_t now_ns, std::uint32_t budget) {
  State& s = *state_;
  const bool looking = s.look_again(budget);
  const bool releasing = s.release_some(budget);
  const bool expiring = s.expire(now_ns / kNsPerMs, budget);
  return looking || releasing || expiring;
}

std::uint64_t HoldQueue::next_deadline_ns() const noexcept {
  const State& s = *state_;
  if (s.held == 0) return UINT64_MAX;
  return (s.done_ms + 1 + s.next_occupied()) * kNsPerMs;
}

void HoldQueue::drop_all(HoldDrop why) {
  State& s = *state_;
  for (std::uint32_t slot = 0; slot < kWheelSlots; ++slot) {
    while (s.wheel[slot] != kNil)
      s.drop(s.wheel[slot], why);
  }
}

std::uint32_t HoldQueue::size() const noexcept {
  return state_->held;
}
std::uint32_t HoldQueue::capacity() const noexcept {
  return static_cast<std::uint32_t>(state_->nodes.size());
}
std::uint64_t HoldQueue::released() const noexcept {
  return state_->released;
}
std::uint64_t HoldQueue::expired() const noexcept {
  return state_->expired;
}

}  // namespace sluice::dataplane
