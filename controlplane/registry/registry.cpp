#include "controlplane/registry/registry.hpp"

#include <algorithm>
#include <cstring>

#include "sluice/base/clock.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {

namespace {

Status check_spec(const Id& id, std::string_view name, std::span<const std::string> capabilities) {
  if (id.is_nil()) return fail(ErrorCode::kInvalidArgument, "the agent id is nil");
  if (!name.empty()) {
    if (auto ok = check_agent_name(name); !ok) return ok;
    if (id_of_name(name) != id) {
      return fail(
          ErrorCode::kInvalidArgument,
          "agent id " + to_string(id) + " does not belong to the name '" + std::string(name) + "'");
    }
  }
  if (capabilities.size() > kMaxCapabilitiesPerAgent) {
    return fail(ErrorCode::kInvalidArgument, "an agent has at most 32 capabilities");
  }
  for (const auto& capability : capabilities) {
    if (auto ok = check_capability_name(capability); !ok) return ok;
  }
  return {};
}

}  // namespace

Registry::Registry(const SipKey& key) : index_(SipIdHash{key}, IdOf{&agents_}) {}

Result<std::uint32_t> Registry::add(const AgentSpec& spec, Time now) {
  if (auto ok = check_spec(spec.id, spec.name, spec.capabilities); !ok) {
    return std::unexpected(ok.error());
  }
  if (const auto slot = find(spec.id); slot != kNoIndex) {
    return fail(ErrorCode::kAlreadyExists, "agent " + to_string(spec.id) + " is there already (" +
                                               std::string(to_string(agents_[slot].origin)) + ")");
  }
  if (spec.peer == kNoIndex) {
    if (auto ok = check_endpoint(spec.endpoint); !ok) return std::unexpected(ok.error());
  }
  if (auto ok = check_journal(); !ok) return std::unexpected(ok.error());
  const auto slot = insert(spec, 0, now);
  if (slot) note(agents_[*slot]);
  return slot;
}

Status Registry::put_configured(const AgentSpec& spec, std::uint8_t generation, Time now) {
  const auto slot = find(spec.id);
  if (slot != kNoIndex && agents_[slot].lease == kNoIndex) {
    const bool kept = agents_[slot].generation == 0;
    const std::uint16_t tenant = agents_[slot].tenant;
    change(slot, spec);
    agents_[slot].generation = generation;
    if (kept && journal_ != nullptr) journal_->changed(spec.id, tenant);
    return {};
  }
  if (slot != kNoIndex) erase(slot);  // the configuration goes before who registered
  const auto inserted = insert(spec, generation, now);
  if (!inserted) return std::unexpected(inserted.error());
  return {};
}

void Registry::change(std::uint32_t slot, const AgentSpec& spec) {
  Agent& agent = agents_[slot];
  if (agent.tenant != spec.tenant) {
    if (--by_tenant_[agent.tenant] == 0) by_tenant_.erase(agent.tenant);
    ++by_tenant_[spec.tenant];
  }
  --counters_.by_origin[static_cast<std::size_t>(agent.origin)];
  ++counters_.by_origin[static_cast<std::size_t>(spec.origin)];
  agent.origin = spec.origin;
  const bool moved =
      agent.endpoint != spec.endpoint || agent.peer != spec.peer || agent.tenant != spec.tenant;
  agent.endpoint = spec.endpoint;
  agent.peer = spec.peer;
  agent.tenant = spec.tenant;
  if (moved && listener_ != nullptr) listener_->agent_moved(slot);
  if (!has_capabilities(slot, spec.capabilities)) set_capabilities(slot, spec.capabilities);
}

void Registry::keep_configured(const Id& id, std::uint8_t generation) {
  const auto slot = find(id);
  if (slot != kNoIndex && agents_[slot].generation != 0) agents_[slot].generation = generation;
}

void Registry::drop_outdated(std::uint8_t generation) {
  remove_if([generation](const Agent& agent) {
    return agent.generation != 0 && agent.generation != generation;
  });
}

void Registry::remove_if(const std::function<bool(const Agent&)>& gone) {
  for (std::uint32_t slot = 0; slot < agents_.end(); ++slot) {
    if (is_used(slot) && gone(agents_[slot])) erase(slot);
  }
}

bool Registry::forget(const Id& id, std::uint16_t tenant, Time now) {
  const auto slot = find(id);
  const bool there = slot != kNoIndex && agents_[slot].tenant == tenant;
  if (there && agents_[slot].generation == 0) {
    const Agent& agent = agents_[slot];
    if (agent.lease != kNoIndex)
      remember_departed(agent, leases_[agent.lease].request_timestamp_ns, now);
    erase(slot);
    return true;
  }
  // As the registry has it, which is not at all, unless it has just left.
  if (journal_ != nullptr) journal_->changed(id, tenant);
  return false;
}

Status Registry::check_room(const Id& id) const {
  if (is_reserved(id)) {
    return fail(ErrorCode::kAlreadyExists, "id " + to_string(id) + " is this router's own");
  }
  if (agents_.size() >= limit_) {
    return fail(ErrorCode::kExhausted,
                "the limit of " + std::to_string(limit_) + " agents (store.agents) is reached");
  }
  return {};
}

Status Registry::check_endpoint(const Endpoint& endpoint) const {
  return listener_ == nullptr ? Status() : listener_->check_address(endpoint.address);
}

Status Registry::check_journal() const {
  return journal_ == nullptr ? Status() : journal_->ready();
}

// Only what is not in the configuration has to survive.
void Registry::note(const Agent& agent) {
  if (journal_ != nullptr && agent.generation == 0) journal_->changed(agent.id, agent.tenant);
}

Result<std::uint32_t> Registry::insert(const AgentSpec& spec, std::uint8_t generation, Time now) {
  if (auto ok = check_room(spec.id); !ok) return std::unexpected(ok.error());
  return allocate(spec, generation, static_cast<std::uint32_t>(now.realtime_ns / kNsPerSecond));
}

std::uint32_t Registry::allocate(const AgentSpec& spec, std::uint8_t generation,
                                 std::uint32_t added_s) {
  const std::uint32_t slot = agents_.allocate();
  Agent& agent = agents_[slot];
  agent.id = spec.id;
  agent.endpoint = spec.endpoint;
  agent.tenant = spec.tenant;
  agent.name = names_.store(spec.name);
  agent.peer = spec.peer;
  agent.origin = spec.origin;
  agent.generation = generation;
  agent.added_s = added_s;
  index_.insert(slot);
  ++counters_.by_origin[static_cast<std::size_t>(spec.origin)];
  ++by_tenant_[spec.tenant];
  if (listener_ != nullptr) listener_->agent_added(slot);
  set_capabilities(slot, spec.capabilities);
  return slot;
}

Status Registry::remove(const Id& id) {
  const auto slot = find(id);
  if (slot == kNoIndex) return fail(ErrorCode::kNotFound, "no agent " + to_string(id));
  erase(slot);
  return {};
}

void Registry::erase(std::uint32_t slot) {
  note(agents_[slot]);
  take_out(slot);
}

// Without a word to the journal.
void Registry::take_out(std::uint32_t slot) {
  set_capabilities(slot, {});
  if (listener_ != nullptr) listener_->agent_removed(slot);
  Agent& agent = agents_[slot];
  --counters_.by_origin[static_cast<std::size_t>(agent.origin)];
  if (--by_tenant_[agent.tenant] == 0) by_tenant_.erase(agent.tenant);
  if (agent.lease != kNoIndex) leases_.release(agent.lease);
  index_.erase(slot);
  names_.release(agent.name);
  agents_.release(slot);
}

Result<Registry::Granted> Registry::register_agent(const Registration& request, Time now) {
  if (auto ok = check_spec(request.id, request.name, request.capabilities); !ok) {
    return std::unexpected(ok.error());
  }
  auto slot = find(request.id);
  if (slot != kNoIndex) {
    const Agent& known = agents_[slot];
    if (known.origin != Origin::kRegistered) {
      return fail(ErrorCode::kAlreadyExists, "agent " + to_string(request.id) +
                                                 " belongs to the configuration of this router (" +
                                                 std::string(to_string(known.origin)) + ")");
    }
  }
  if (auto ok = check_tenant(slot, request.id, request.tenant); !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = check_time(slot, request.id, request.timestamp_ns); !ok) {
    return std::unexpected(ok.error());
  }
  if (slot == kNoIndex || agents_[slot].endpoint != request.endpoint) {
    if (auto ok = check_endpoint(request.endpoint); !ok) return std::unexpected(ok.error());
  }

  Granted result{slot, granted(request.lease_s), slot == kNoIndex, false, {}, false};
  if (result.fresh) {
    if (auto ok = check_journal(); !ok) return std::unexpected(ok.error());
    const auto inserted = insert({.id = request.id,
                                  .name = request.name,
                                  .tenant = request.tenant,
                                  .origin = Origin::kRegistered,
                                  .endpoint = request.endpoint,
                                  .capabilities = request.capabilities},
                                 0, now);
    if (!inserted) return std::unexpected(inserted.error());
    result.slot = slot = *inserted;
    agents_[slot].lease = leases_.allocate();
    leases_[agents_[slot].lease].agent = slot;
    departed_.erase(request.id);
    ++counters_.registered;
    result.kept = true;
  } else {
    Agent& agent = agents_[slot];
    if (agent.endpoint != request.endpoint) {
      result.moved = true;
      result.before = std::exchange(agent.endpoint, request.endpoint);
      ++leases_[agent.lease].moves;
      ++counters_.moved;
      if (listener_ != nullptr) listener_->agent_moved(slot);
    }
    const bool named = agent.name == nullptr && !request.name.empty();
    if (named) agent.name = names_.store(request.name);
    const bool other = !has_capabilities(slot, request.capabilities);
    if (other) set_capabilities(slot, request.capabilities);
    result.kept = result.moved || named || other;
    ++counters_.renewed;
  }

  Lease& lease = leases_[agents_[slot].lease];
  result.kept = result.kept || lease.granted_s != result.lease_s;
  lease.granted_s = result.lease_s;
  lease.renewed_ns = static_cast<std::int64_t>(now.monotonic_ns);
  lease.renewed_realtime_ns = now.realtime_ns;
  lease.request_timestamp_ns = request.timestamp_ns;
  lease.restored = false;
  // Later than scheduled is found out when the entry comes due.
  if (lease.scheduled_s == 0 || end_s(lease) < lease.scheduled_s) schedule(agents_[slot].lease);
  if (result.kept || is_stale(lease)) note(agents_[slot]);
  result.kept = result.kept && journal_ != nullptr;
  return result;
}

Status Registry::unregister(const Requester& who, Time now) {
  const auto slot = find(who.id);
  const auto departed = departed_.find(who.id);
  if (slot == kNoIndex && (departed == departed_.end() || departed->second.tenant != who.tenant)) {
    return fail(ErrorCode::kNotFound, "no agent " + to_string(who.id));
  }
  if (slot != kNoIndex && agents_[slot].origin != Origin::kRegistered) {
    return fail(ErrorCode::kAlreadyExists,
                "agent " + to_string(who.id) + " belongs to the configuration of this router");
  }
  if (auto ok = check_tenant(slot, who.id, who.tenant); !ok) return ok;
  if (auto ok = check_time(slot, who.id, who.timestamp_ns); !ok) return ok;
  if (slot == kNoIndex) {
    departed->second.timestamp_ns = who.timestamp_ns;
    if (journal_ != nullptr) journal_->changed(who.id, departed->second.tenant);
    return {};
  }
  if (agents_[slot].endpoint != who.endpoint) {
    return fail(ErrorCode::kAlreadyExists, "agent " + to_string(who.id) +
                                               " is registered from another endpoint since, " +
                                               to_string(agents_[slot].endpoint));
  }
  remember_departed(agents_[slot], who.timestamp_ns, now);
  erase(slot);
  ++counters_.unregistered;
  return {};
}

Status Registry::note_request(const Requester& who) {
  const auto slot = find(who.id);
  if (auto ok = check_tenant(slot, who.id, who.tenant); !ok) return ok;
  if (auto ok = check_time(slot, who.id, who.timestamp_ns); !ok) return ok;
  if (slot != kNoIndex && agents_[slot].lease != kNoIndex) {
    leases_[agents_[slot].lease].request_timestamp_ns = who.timestamp_ns;
  }
  return {};
}

// A token proves an id within its tenant only: each tenant can make one for any id.
Status Registry::check_tenant(std::uint32_t slot, const Id& id, std::uint16_t tenant) const {
  if (slot == kNoIndex || agents_[slot].tenant == tenant) return {};
  return fail(ErrorCode::kAlreadyExists,
              "agent " + to_string(id) + " is registered under another tenant");
}

Status Registry::check_time(std::uint32_t slot, const Id& id, std::uint64_t timestamp_ns) const {
  std::uint64_t last = 0;
  if (slot != kNoIndex) {
    if (agents_[slot].lease != kNoIndex) last = leases_[agents_[slot].lease].request_timestamp_ns;
  } else if (const auto at = departed_.find(id); at != departed_.end()) {
    last = at->second.timestamp_ns;
  }
  if (timestamp_ns > last) return {};
  return fail(ErrorCode::kTimeout, "a request of the same time or later was already accepted");
}

// The record of one that has left is written by erase(), which follows.
void Registry::remember_departed(const Agent& agent, std::uint64_t timestamp_ns, Time now) {
  departed_[agent.id] = {timestamp_ns, now.monotonic_ns + kDepartedNs, agent.tenant};
  departed_order_.push_back(agent.id);
}

void Registry::forget_departed(Time now) {
  while (!departed_order_.empty()) {
    const Id& id = departed_order_.front();
    if (const auto oldest = departed_.find(id); oldest != departed_.end()) {
      if (oldest->second.until_ns > now.monotonic_ns) return;
      const std::uint16_t tenant = oldest->second.tenant;
      departed_.erase(oldest);
      if (journal_ != nullptr) journal_->changed(id, tenant);
    }
    departed_order_.pop_front();
  }
}

bool Registry::expire(Time now, std::size_t max,
                      const std::function<void(const Agent&)>& on_expired) {
  const std::uint64_t now_s = now.monotonic_ns / kNsPerSecond;
  forget_departed(now);
  wheel_.advance(now_s, due_);
  for (std::size_t n = 0; n < max && !due_.empty(); ++n) {
    const auto entry = due_.back();
    due_.pop_back();
    const Lease& lease = leases_[entry.lease];
    if (lease.agent == kNoIndex || lease.scheduled_s != entry.due_s) continue;
    if (end_s(lease) > now_s) {
      schedule(entry.lease);
      continue;
    }
    const Agent& agent = agents_[lease.agent];
    if (on_expired) on_expired(agent);
    remember_departed(agent, lease.request_timestamp_ns, now);
    erase(lease.agent);
    ++counters_.expired;
  }
  return !due_.empty();
}

std::uint32_t Registry::granted(std::uint32_t wanted_s) const {
  return std::clamp(wanted_s == 0 ? policy_.default_s : wanted_s, policy_.min_s, policy_.max_s);
}

std::uint64_t Registry::expires_ns(const Lease& lease) const {
  const std::int64_t end =
      lease.renewed_ns +
      static_cast<std::int64_t>((std::uint64_t{lease.granted_s} + policy_.grace_s) * kNsPerSecond);
  return std::max<std::uint64_t>(static_cast<std::uint64_t>(std::max<std::int64_t>(end, 0)),
                                 lease.restored ? restored_until_s_ * kNsPerSecond : 0);
}

// The second in which lease and grace have both ended for sure.
std::uint64_t Registry::end_s(const Lease& lease) const {
  const auto end = lease.renewed_ns / static_cast<std::int64_t>(kNsPerSecond) + lease.granted_s +
                   policy_.grace_s + 1;
  return std::max<std::uint64_t>(static_cast<std::uint64_t>(std::max<std::int64_t>(end, 0)),
                                 lease.restored ? restored_until_s_ : 0);
}

void Registry::schedule(std::uint32_t slot) {
  Lease& lease = leases_[slot];
  lease.scheduled_s = static_cast<std::uint32_t>(end_s(lease));
  wheel_.schedule(slot, lease.scheduled_s);
}

const Lease* Registry::lease(const Agent& agent) const {
  return agent.lease == kNoIndex ? nullptr : &leases_[agent.lease];
}

bool Registry::is_member(std::uint32_t capability, std::uint32_t slot) const {
  return is_used(slot) && capabilities_.contains(agents_[slot].capabilities, capability);
}

bool Registry::has_capabilities(std::uint32_t slot, std::span<const std::string> names) const {
  const auto set = capabilities_.set(agents_[slot].capabilities);
  if (set.size() != names.size()) return false;
  return std::ranges::all_of(set, [&](std::uint32_t capability) {
    return std::ranges::find(names, capabilities_.at(capability).name) != names.end();
  });
}

void Registry::set_capabilities(std::uint32_t slot, std::span<const std::string> names) {
  Agent& agent = agents_[slot];
  const std::uint32_t after = capabilities_.acquire_set(names);
  const std::uint32_t before = std::exchange(agent.capabilities, after);
  if (before != after) {
    const auto still = [this](std::uint32_t capability) {
      return [this, capability](std::uint32_t other) { return is_member(capability, other); };
    };
    for (const auto capability : capabilities_.set(before)) {
      if (capabilities_.contains(after, capability)) continue;
      capabilities_.remove_member(capability, still(capability));
      if (listener_ != nullptr) listener_->member_removed(capability, slot);
    }
    for (const auto capability : capabilities_.set(after)) {
      if (capabilities_.contains(before, capability)) continue;
      capabilities_.add_member(capability, slot);
      if (listener_ != nullptr) listener_->member_added(capability, slot);
    }
  }
  capabilities_.release_set(before);
}

std::vector<std::string> Registry::capability_names(const Agent& agent) const {
  std::vector<std::string> names;
  for (const auto capability : capabilities_.set(agent.capabilities))
    names.push_back(capabilities_.at(capability).name);
  std::sort(names.begin(), names.end());
  return names;
}

void Registry::for_each_member(std::uint32_t capability,
                               const std::function<bool(std::uint32_t slot)>& visit) const {
  for (const auto slot : capabilities_.at(capability).members) {
    if (is_member(capability, slot) && !visit(slot)) return;
  }
}

std::size_t Registry::memory_bytes() const {
  return agents_.memory_bytes() + names_.memory_bytes() + index_.memory_bytes() +
         leases_.memory_bytes() + capabilities_.memory_bytes();
}

}  // namespace sluice::controlplane
