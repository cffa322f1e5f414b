// Who is where: agents by id with name, tenant, endpoint, capabilities and, for those that
// registered themselves, a lease. Knows nothing of ports or neighbours; tells one listener what
// changed (see forwarding.hpp). Control thread only; time is injected. About 130 bytes per agent.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controlplane/registry/capabilities.hpp"
#include "controlplane/registry/id_index.hpp"
#include "controlplane/registry/lease_wheel.hpp"
#include "controlplane/registry/slot_array.hpp"
#include "sluice/base/ids.hpp"
#include "sluice/base/result.hpp"
#include "sluice/wire/inet.hpp"

namespace sluice::controlplane {

enum class Origin : std::uint8_t {
  kNone = 0,
  kStatic = 1,      // configuration, agents file or API
  kRegistered = 2,  // in-band, with a lease
  kPeer = 3,        // reached by another router
};
constexpr std::string_view to_string(Origin origin) noexcept {
  constexpr std::string_view kNames[] = {"none", "static", "registered", "peer"};
  return kNames[static_cast<std::size_t>(origin)];
}

inline constexpr std::size_t kMaxCapabilitiesPerAgent = 32;

struct Agent {
  Id id;
  Endpoint endpoint;  // of a peer's agent: unspecified
  std::uint16_t tenant = 0;
  std::unique_ptr<char[]> name;  // null: known by id only
  std::uint32_t capabilities = Capabilities::kNoSet;
  std::uint32_t lease = kNoIndex;  // origin registered
  std::uint32_t peer = kNoIndex;   // origin peer: its number in forwarding.hpp
  Origin origin = Origin::kNone;
  std::uint8_t generation = 0;  // of the configuration that has it; 0: not configured
  std::uint32_t added_s = 0;    // since the Unix epoch

  std::string_view name_view() const noexcept { return name ? name.get() : std::string_view(); }
};

struct Lease {
  std::uint32_t agent = kNoIndex;
  std::uint32_t granted_s = 0;
  std::uint64_t renewed_ns = 0;  // monotonic
  std::uint64_t renewed_realtime_ns = 0;
  std::uint64_t request_timestamp_ns = 0;  // of the last request accepted
  std::uint64_t scheduled_s = 0;           // the entry of the wheel that counts
  std::uint32_t moves = 0;
};

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
  void set_policy(const LeasePolicy& policy) { policy_ = policy; }
  const LeasePolicy& policy() const { return policy_; }

  // kAlreadyExists, kExhausted, kInvalidArgument.
  Result<std::uint32_t> add(const AgentSpec& spec, Time now);
  Status remove(const Id& id);

  // An agent of the configuration, whose names are checked already: adds it, or changes it into
  // what it is now, and takes the place of one that registered or came over the API.
  // `generation`, never 0, marks it for drop_outdated.
  Status put_configured(const AgentSpec& spec, std::uint8_t generation, Time now);
  // Removes those of the configuration that the latest one does not have any more.
  void drop_outdated(std::uint8_t generation);
  // Removes all for which `gone` says so.
  void remove_if(const std::function<bool(const Agent&)>& gone);

  struct Granted {
    std::uint32_t slot;
    std::uint32_t lease_s;
    bool fresh;
    bool moved;
    Endpoint before;  // when moved
  };
  // New, renewed or moved. kTimeout: not later than the agent's last request. kAlreadyExists: not
  // one that registers itself, or of another tenant.
  Result<Granted> register_agent(const Registration& request, Time now);
  // Of one that has just left, too: the reply to the first request may have been lost.
  Status unregister(const Id& id, std::uint64_t timestamp_ns, Time now);
  // For requests that change nothing: takes note of the timestamp, so that it cannot be used again.
  Status note_request(const Id& id, std::uint64_t timestamp_ns);

  // Removes at most `max` agents whose lease and grace have ended; true when more are due.
  bool expire(Time now, std::size_t max, const std::function<void(const Agent&)>& on_expired);

  std::uint32_t find(const Id& id) const { return index_.find(id); }  // slot or kNoIndex
  const Agent& at(std::uint32_t slot) const { return agents_[slot]; }
  bool is_used(std::uint32_t slot) const { return agents_[slot].origin != Origin::kNone; }
  const Lease* lease(const Agent& agent) const;
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

  Result<std::uint32_t> insert(const AgentSpec& spec, std::uint8_t generation, Time now);
  void change(std::uint32_t slot, const AgentSpec& spec);
  void erase(std::uint32_t slot);
  void set_capabilities(std::uint32_t slot, std::span<const std::string> names);
  bool has_capabilities(std::uint32_t slot, std::span<const std::string> names) const;
  bool is_member(std::uint32_t capability, std::uint32_t slot) const;
  std::uint32_t granted(std::uint32_t wanted_s) const;
  std::uint64_t end_s(const Lease& lease) const;
  void schedule(std::uint32_t lease);
  void remember_departed(const Id& id, std::uint64_t timestamp_ns, Time now);
  Status check_time(std::uint32_t slot, const Id& id, std::uint64_t timestamp_ns) const;

  SlotArray<Agent> agents_;
  IdIndex<IdOf> index_;
  Capabilities capabilities_;
  SlotArray<Lease> leases_;
  LeaseWheel wheel_;
  std::vector<LeaseWheel::Entry> due_;
  // Last request of agents that unregistered or expired, for as long as it could be sent again.
  struct Departed {
    std::uint64_t timestamp_ns;
    std::uint64_t until_ns;  // monotonic
  };
  std::unordered_map<Id, Departed, IdHash> departed_;
  std::deque<Id> departed_order_;  // by until_ns; may hold one twice
  std::unordered_map<std::uint16_t, std::size_t> by_tenant_;
  RegistryListener* listener_ = nullptr;
  LeasePolicy policy_;
  RegistryCounters counters_;
  std::size_t limit_ = SIZE_MAX;
  Id reserved_;
};

}  // namespace sluice::controlplane
