// The insides of the programmer, shared by its three faces: programmer.cpp (what the subsystems
// want), feed.cpp (what the link sends) and route_base.cpp (base segments). One thread.
#pragma once

#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

#include "controlplane/link/programmer.hpp"
#include "controlplane/link/route_base.hpp"
#include "controlplane/link/route_store.hpp"

namespace sluice::controlplane {

// Things of which there are few are kept as the command that makes them, in the order in which the
// dataplane must see them: by command kind, then by what tells two of a kind apart.
struct MiscKey {
  link::CommandKind kind;
  std::uint16_t a = 0;
  std::uint16_t b = 0;
  IpAddress address;

  friend auto operator<=>(const MiscKey&, const MiscKey&) = default;
};
struct MiscItem {
  link::Command command{};
  bool queued = false;
  bool removal = false;  // the command takes it away; forgotten once written
};

struct HandleState {
  std::uint32_t references = 0;
  bool used = false;
  bool queued = false;
  bool content_dirty = false;  // else only the state is
  bool doomed = false;         // deleted, but referenced or not told yet
  bool sent = false;           // known to the dataplane in this epoch
};
struct AdjacencySlot : HandleState {
  AdjacencyKey key;
  AdjacencyValue value;
};
struct GroupSlot : HandleState {
  Id key;
  GroupPolicy policy = GroupPolicy::kRoundRobin;
  std::vector<GroupMemberSpec> members;
};

struct AdjacencyKeyHash {
  std::size_t operator()(const AdjacencyKey& key) const noexcept {
    const std::uint64_t low = load<std::uint64_t>(key.destination.bytes.data());
    const std::uint64_t high = load<std::uint64_t>(key.destination.bytes.data() + 8);
    const std::uint64_t where = std::uint64_t{key.port} << 16 | key.vlan;
    return (low ^ high * 0x9e3779b97f4a7c15ULL ^ where * 0xc2b2ae3d27d4eb4fULL) *
           0x9e3779b97f4a7c15ULL;
  }
};

// Things named by handles: found by key, freed handles are used again.
template <class Slot, class Key, class Hash>
struct HandleTable {
  std::vector<Slot> slots;
  std::vector<std::uint32_t> free;
  std::unordered_map<Key, std::uint32_t, Hash> by_key;
  std::deque<std::uint32_t> queue;    // to be told to the dataplane
  std::deque<std::uint32_t> deletes;  // doomed and unreferenced

  std::uint32_t find(const Key& key) const {
    const auto it = by_key.find(key);
    return it == by_key.end() ? kNoIndex : it->second;
  }
  bool valid(std::uint32_t handle) const {
    return handle < slots.size() && slots[handle].used && !slots[handle].doomed;
  }
  // kNoIndex: all `limit` handles are taken.
  std::uint32_t add(const Key& key, std::uint32_t limit) {
    std::uint32_t handle = kNoIndex;
    if (!free.empty()) {
      handle = free.back();
      free.pop_back();
    } else if (slots.size() < limit) {
      handle = static_cast<std::uint32_t>(slots.size());
      slots.emplace_back();
    } else {
      return kNoIndex;
    }
    slots[handle] = Slot{};
    slots[handle].used = true;
    slots[handle].key = key;
    by_key.emplace(key, handle);
    return handle;
  }
  void remove(std::uint32_t handle) {
    by_key.erase(slots[handle].key);
    slots[handle] = Slot{};
    free.push_back(handle);
  }
};

struct Programmer::State final : Feed {
  // What is wanted.
  std::map<MiscKey, MiscItem> misc;
  std::map<std::uint16_t, TenantSpec> tenants;
  HandleTable<AdjacencySlot, AdjacencyKey, AdjacencyKeyHash> adjacencies;
  HandleTable<GroupSlot, Id, IdHash> groups;
  RouteStore routes;
  std::size_t live_routes = 0;

  // Base segments. `current_base` tells which marks of a route are of the base in use; the others
  // are of the one being made, below `making_cursor`, and worth nothing beyond.
  std::shared_ptr<const BaseImage> base;
  unsigned current_base = 0;
  bool making = false;  // a snapshot was begun, and its segment is not in use yet
  std::uint32_t making_cursor = 0;
  std::shared_ptr<const BaseImage> adopting;
  IdHasher base_hasher;
  std::uint64_t adopted = 0;                 // entries of the image that a route has
  bool unsure = false;                       // an id without a route may be in the base
  std::uint64_t base_routes = 0;             // live ones of a kind that a base can have
  std::array<std::uint64_t, 2> base_same{};  // live routes that each base says the same of
  std::uint64_t tombstones = 0;
  std::vector<std::uint32_t> tombstone_slots;  // each once; may hold one that lives again
  enum class BasePhase : std::uint8_t { kIdle, kWaiting, kBegin, kAdjacencies, kCommit };
  BasePhase base_phase = BasePhase::kIdle;
  std::uint32_t base_position = 0;

  std::uint64_t sweep_not_before_ns = 0;

  // What of it the dataplane does not know yet.
  bool connected = false;
  bool notified = false;  // the link knows that something waits
  std::uint8_t epoch = 0;
  std::deque<MiscKey> misc_queue;
  bool replay = false;
  bool end_staged = false;  // kEndSync is in `staged`
  bool sweep_wanted = false;
  std::uint32_t replay_cursor = 0;  // next route slot
  std::vector<link::Command> staged;
  std::size_t staged_done = 0;
  std::uint64_t small_flushes = 0;  // how often nothing but routes was waiting
  struct Checkpoint {
    std::uint64_t mark;
    std::uint64_t small_flushes;  // reached when the count above is at least this
    std::uint64_t routes;         // and RouteStore::popped() at least this
  };
  std::deque<Checkpoint> checkpoints;
  std::uint64_t last_mark = 0;
  std::uint64_t staged_mark = 0;
  std::uint64_t done_mark = 0;
  std::function<void()> dirty_callback;

  void notify();
  void set_misc(const MiscKey& key, const link::Command& command, bool removal);
  void queue_adjacency(std::uint32_t handle, bool content);
  void queue_group(std::uint32_t handle);
  void queue_handles();  // all adjacencies and groups
  void queue_route(std::uint32_t slot);
  void forget_route(std::uint32_t slot);
  // ---- base segments, route_base.cpp
  static bool fits_base(ActionKind kind) {
    return kind == ActionKind::kAdjacency || kind == ActionKind::kUnreachable;
  }
  bool covered(const RouteEntry& entry) const {
    return base && (entry.flags & route_flag::same_in_base(current_base)) != 0;
  }
  // A base has the id of this place: that the route is gone must be remembered.
  bool retained(std::uint32_t slot) const;
  void differs(std::uint32_t slot);  // from every base, from now on
  void bury(std::uint32_t slot);     // deleted and retained
  void list_tombstone(std::uint32_t slot);
  void delete_unknown(const Id& id);
  void mark_if_in_base(std::uint32_t slot);  // a new one, when an id without a route may be there
  bool says_the_same(const RouteEntry& entry, Action of_image) const;  // the one being adopted
  void adopt_burst(const std::uint32_t* slots, const Id* ids, unsigned n);
  void set_marks(std::uint32_t slot, bool same_too);  // of the base being made
  void forget_making();
  void take_into_use(std::shared_ptr<const BaseImage> image);
  void tidy_tombstones();
  void reference(ActionKind kind, std::uint32_t handle);
  void release(ActionKind kind, std::uint32_t handle);
  void adjacency_unreferenced(std::uint32_t handle);
  void group_unreferenced(std::uint32_t handle);

  // Feed
  void start_replay(std::uint8_t new_epoch) override;
  void stop() override;
  void resend() override;
  bool pump(CommandWriter& writer, std::uint32_t budget, std::uint64_t now_ns) override;
  bool replaying() const override { return replay || end_staged; }
  std::uint64_t waiting() const override;
  std::uint64_t mark() override;
  std::uint64_t written_mark() const override { return done_mark; }
  std::optional<std::uint64_t> sweep_due_ns() const override;
  void on_dirty(std::function<void()> callback) override { dirty_callback = std::move(callback); }

 private:
  link::Command& stage(link::CommandKind kind);
  void fill(std::uint64_t now_ns);
  bool fill_small();
  bool fill_routes();
  bool fill_deletes();
  void stage_misc();
  bool stage_base();
  void stage_adjacency(std::uint32_t handle, bool with_backup);
  void stage_next_adjacency();
  void stage_group(std::uint32_t handle);
  void stage_route(const RouteEntry& entry);
  bool to_be_told(std::uint32_t slot) const;
  void stage_checkpoints();
};

// A zeroed command; the epoch is filled in when it is staged.
inline link::Command blank(link::CommandKind kind) {
  link::Command command{};
  command.header.kind = kind;
  return command;
}

}  // namespace sluice::controlplane
