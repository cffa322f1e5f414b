// Who is where: agents by id with name, tenant, endpoint, capabilities and, for those that
// registered themselves, a lease. Knows nothing of ports or neighbours; tells one listener what
// changed (see forwarding.hpp), and a journal, if there is one, what has to survive a restart: all
// agents but those of the configuration. Control thread only; time is injected. 64 bytes per agent,
// its name, 5 to 11 for finding it, and 48 for a lease.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "controlplane/link/id_index.hpp"
#include "controlplane/registry/capabilities.hpp"
#include "controlplane/registry/journal.hpp"
#include "controlplane/registry/lease_wheel.hpp"
#include "controlplane/registry/name_arena.hpp"
#include "controlplane/registry/slot_array.hpp"
#include "controlplane/registry/stored_agent.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/base/result.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::controlplane {

struct Agent {
  Id id;
  Endpoint endpoint;  // of a peer's agent: unspecified
  std::uint16_t tenant = 0;
  std::uint32_t capabilities = Capabilities::kNoSet;
  const char* name = nullptr;      // in the registry's NameArena; null: known by id only
  std::uint32_t lease = kNoIndex;  // origin registered
  std::uint32_t peer = kNoIndex;   // origin peer: its number in forwarding.hpp
  Origin origin = Origin::kNone;
  std::uint8_t generation = 0;  // of the configuration that has it; 0: not configured
  std::uint32_t added_s = 0;    // since the Unix epoch

  std::string_view name_view() const noexcept { return NameArena::view(name); }
};
static_assert(sizeof(Agent) == 64);

struct Lease {
  std::uint32_t agent = kNoIndex;
  std::uint32_t granted_s = 0;
  std::int64_t renewed_ns = 0;  // monotonic; below 0 when that was before the machine started
  std::uint64_t renewed_realtime_ns = 0;
  std::uint64_t request_timestamp_ns = 0;  // of the last request accepted
  std::uint32_t scheduled_s = 0;           // the entry of the wheel that counts
  std::uint32_t stored_s = 0;  // renewed_realtime_ns as the journal has it; 0: not asked for yet
  std::uint32_t moves = 0;
  bool restored = false;  // and not renewed since
};
static_assert(sizeof(Lease) == 48);

struct LeasePolicy {
  std::uint32_t default_s = 30;
  std::uint32_t min_s = 5;
  std::uint32_t max_s = 3600;
  std::uint32_t grace_s = 10;
};

struct AgentSpec {
  Id id;
  std::string_view name;  // empty, or the name that the id is made from
  std::uint16_t tenant = 0;
  Origin origin = Origin::kStatic;
  Endpoint endpoint;
  std::span<const std::string> capabilities;
  std::uint32_t peer = kNoIndex;
};

struct Registration {
  Id id;
  std::string_view name;
  std::uint16_t tenant = 0;
  Endpoint endpoint;
  std::span<const std::string> capabilities;
  std::uint32_t lease_s = 0;  // wanted; 0: default
  std::uint64_t timestamp_ns = 0;
};

// Who sends another request: what it proved, and whence it came.
struct Requester {
  Id id;
  std::uint16_t tenant = 0;
  Endpoint endpoint;
  std::uint64_t timestamp_ns = 0;
};

struct Time {
  std::uint64_t monotonic_ns = 0;
  std::uint64_t realtime_ns = 0;
};

struct RegistryCounters {
  std::uint64_t registered = 0;  // new ones
  std::uint64_t renewed = 0;
  std::uint64_t moved = 0;
  std::uint64_t unregistered = 0;
  std::uint64_t expired = 0;
  std::uint64_t by_origin[4] = {};
};

// Called in the middle of a change: must not change the registry.
class RegistryListener {
 public:
  virtual ~RegistryListener() = default;
  virtual void agent_added(std::uint32_t slot) = 0;
  virtual void agent_moved(std::uint32_t slot) = 0;    // its endpoint is another one now
  virtual void agent_removed(std::uint32_t slot) = 0;  // still whole, but for its capabilities
  virtual void member_added(std::uint32_t capability, std::uint32_t slot) = 0;
  virtual void member_removed(std::uint32_t capability, std::uint32_t slot) = 0;
  // Asked before an agent is added or moved there: why none can live at that address.
  virtual Status check_address(const IpAddress& address) const = 0;
};

class Registry {
 public:
  explicit Registry(const SipKey& key);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  void set_listener(RegistryListener* listener) { listener_ = listener; }
  void set_limit(std::size_t agents) { limit_ = agents; }
  std::size_t limit() const { return limit_; }
  // An id that nobody can have: the router's own, which answers pings itself.
  void reserve(const Id& id) { reserved_ = id; }
  bool is_reserved(const Id& id) const { return id == reserved_; }
  // Null: nothing survives. Before the first agent.
  void set_journal(RegistryJournal* journal) { journal_ = journal; }
  bool has_journal() const { return journal_ != nullptr; }
  void set_policy(const LeasePolicy& policy) { policy_ = policy; }
  const LeasePolicy& policy() const { return policy_; }

  // kAlreadyExists, kExhausted, kInvalidArgument.
  Result<std::uint32_t> add(const AgentSpec& spec, Time now);
  Status remove(const Id& id);

  // An agent of the configuration, whose names are checked already: adds it, or changes it into
  // what it is now, and takes the place of one that registered or came over the API.
  // `generation`, never 0, marks it for drop_outdated.
  Status put_configured(const AgentSpec& spec, std::uint8_t generation, Time now);
  // The same mark alone, if it is there and of the configuration.
  void keep_configured(const Id& id, std::uint8_t generation);
  // Removes those of the configuration that the latest one does not have any more.
  void drop_outdated(std::uint8_t generation);
  // What the journal shall write of this id now; monostate: nothing, it is not there any more.
  using Stored = std::variant<std::monostate, StoredAgent, StoredDeparted>;
  Stored stored(const Id& id, std::uint16_t tenant, Time now);
  // An agent as it was before a restart, after the configuration, which goes before it; `peer` is
  // the number of the peer it names. Its lease continues with what was left by the clock: never
  // more than was granted, whatever the clock did, and none at all at worst: then its grace begins.
  // kAlreadyExists, kExhausted.
  Status restore(const StoredAgent& agent, std::uint32_t peer, Time now);
  void restore(const StoredDeparted& departed, Time now);
  // Its lease and the grace after it have ended by the clock.
  bool is_over(const StoredAgent& agent, Time now) const;
  // All agents of this tenant leave, but those of the configuration; the journal keeps them as they
  // are now. Returns how many.
  std::size_t park(std::uint16_t tenant, Time now);
  // Tells the journal of all renewals that it does not have yet: before an orderly stop.
  void note_renewals();
  // Nobody could renew while the router was away: restored leases do not end before this time
  // (monotonic) unless they are renewed.
  void keep_restored_until(std::uint64_t deadline_ns);

  // What is kept of this id under this tenant goes: the agent, unless it is of the configuration,
  // and whatever the journal has that is no agent. True: there was such an agent. Only the time of
  // its last request stays for its minute, so that nobody can repeat it.
  bool forget(const Id& id, std::uint16_t tenant, Time now);
  // Removes all for which `gone` says so.
  void remove_if(const std::function<bool(const Agent&)>& gone);

  struct Granted {
    std::uint32_t slot;
    std::uint32_t lease_s;
    bool fresh;
    bool moved;
    Endpoint before;  // when moved
    bool kept;        // the journal was told: what the agent asked for must survive
  };
  // New, renewed or moved. kTimeout: not later than the agent's last request. kAlreadyExists: not
  // one that registers itself, or of another tenant. kUnavailable: a new one that the journal
  // cannot keep.
  Result<Granted> register_agent(const Registration& request, Time now);
  // Of one that has just left, too: the reply to the first request may have been lost. kTimeout and
  // kAlreadyExists as above; the latter also when the agent has moved to another endpoint since.
  Status unregister(const Requester& who, Time now);
  // Takes back a registration that the journal could not keep, unless the agent has sent another
  // request since.
  void withdraw(const Id& id, std::uint64_t timestamp_ns);
  // For requests that change nothing: takes note of the timestamp, so that it cannot be used again.
  Status note_request(const Requester& who);

  // Removes at most `max` agents whose lease and grace have ended; true when more are due.
  bool expire(Time now, std::size_t max, const std::function<void(const Agent&)>& on_expired);

  std::uint32_t find(const Id& id) const { return index_.find(id); }  // slot or kNoIndex
  const Agent& at(std::uint32_t slot) const { return agents_[slot]; }
  bool is_used(std::uint32_t slot) const { return agents_[slot].origin != Origin::kNone; }
  const Lease* lease(const Agent& agent) const;
  // Monotonic: when it is forgotten if nothing comes, the grace included.
  std::uint64_t expires_ns(const Lease& lease) const;
  std::uint32_t slots_end() const { return agents_.end(); }
  std::size_t size() const { return agents_.size(); }
  const Capabilities& capabilities() const { return capabilities_; }
  std::vector<std::string> capability_names(const Agent& agent) const;
  // Calls until false is returned.
  void for_each_member(std::uint32_t capability,
                       const std::function<bool(std::uint32_t slot)>& visit) const;
  std::size_t agents_of(std::uint16_t tenant) const {
    const auto at = by_tenant_.find(tenant);
    return at == by_tenant_.end() ? 0 : at->second;
  }
  const RegistryCounters& counters() const { return counters_; }
  std::size_t memory_bytes() const;

 private:
  struct IdOf {
    const SlotArray<Agent>* agents;
    const Id& operator()(std::uint32_t slot) const noexcept { return (*agents)[slot].id; }
  };

  std::uint32_t allocate(const AgentSpec& spec, std::uint8_t generation, std::uint32_t added_s);
  Result<std::uint32_t> insert(const AgentSpec& spec, std::uint8_t generation, Time now);
  Status check_room(const Id& id) const;
  Status check_endpoint(const Endpoint& endpoint) const;
  Status check_journal() const;
  void note(const Agent& agent);
  void change(std::uint32_t slot, const AgentSpec& spec);
  void erase(std::uint32_t slot);
  void take_out(std::uint32_t slot);
  void set_capabilities(std::uint32_t slot, std::span<const std::string> names);
  bool has_capabilities(std::uint32_t slot, std::span<const std::string> names) const;
  bool is_member(std::uint32_t capability, std::uint32_t slot) const;
  std::uint32_t granted(std::uint32_t wanted_s) const;
  std::uint64_t end_s(const Lease& lease) const;
  void schedule(std::uint32_t lease);
  void remember_departed(const Agent& agent, std::uint64_t timestamp_ns, Time now);
  void forget_departed(Time now);
  Status check_tenant(std::uint32_t slot, const Id& id, std::uint16_t tenant) const;
  Status check_time(std::uint32_t slot, const Id& id, std::uint64_t timestamp_ns) const;
  static bool is_stale(const Lease& lease);

  // Twice the window in which a router accepts a timestamp: after it, a recorded request is too
  // old.
  static constexpr std::uint64_t kDepartedNs = 60'000'000'000;

  SlotArray<Agent> agents_;
  NameArena names_;
  IdIndex<SipIdHash, IdOf> index_;
  Capabilities capabilities_;
  SlotArray<Lease> leases_;
  LeaseWheel wheel_;
  std::vector<LeaseWheel::Entry> due_;
  // Last request of agents that unregistered or expired, for as long as it could be sent again.
  struct Departed {
    std::uint64_t timestamp_ns;
    std::uint64_t until_ns;  // monotonic
    std::uint16_t tenant;
  };
  std::unordered_map<Id, Departed, IdHash> departed_;
  std::deque<Id> departed_order_;  // by until_ns; may hold one twice
  std::unordered_map<std::uint16_t, std::size_t> by_tenant_;
  RegistryListener* listener_ = nullptr;
  RegistryJournal* journal_ = nullptr;
  std::uint32_t restored_until_s_ = 0;
  LeasePolicy policy_;
  RegistryCounters counters_;
  std::size_t limit_ = SIZE_MAX;
  Id reserved_;
};

}  // namespace sluice::controlplane
