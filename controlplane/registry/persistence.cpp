// What of the registry survives a restart, and how it comes back.
#include <algorithm>

#include "controlplane/registry/registry.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

// Heartbeats come every third of a lease; every second of them is written. So what the journal has
// is never older than half of the lease, and that is the most that a restart takes away from one.
bool Registry::is_stale(const Lease& lease) {
  const std::uint64_t stored_ns = lease.stored_s * kNsPerSecond;
  const std::uint64_t half_ns = lease.granted_s * kNsPerSecond / 2;
  // A clock that went back makes what is stored worth nothing, too.
  return lease.renewed_realtime_ns >= stored_ns + half_ns || lease.renewed_realtime_ns < stored_ns;
}

Registry::Stored Registry::stored(const Id& id, std::uint16_t tenant, Time now) {
  const auto slot = find(id);
  if (slot == kNoIndex || agents_[slot].tenant != tenant) {
    const auto departed = departed_.find(id);
    if (slot != kNoIndex || departed == departed_.end() || departed->second.tenant != tenant) {
      return std::monostate();
    }
    const std::uint64_t left_ns = departed->second.until_ns > now.monotonic_ns
                                      ? departed->second.until_ns - now.monotonic_ns
                                      : 0;
    return StoredDeparted{id, tenant, departed->second.timestamp_ns, now.realtime_ns + left_ns};
  }
  const Agent& agent = agents_[slot];
  if (agent.generation != 0) return std::monostate();  // the configuration has it
  StoredAgent stored{.id = id,
                     .name = agent.name_view(),
                     .tenant = tenant,
                     .origin = agent.origin,
                     .endpoint = agent.endpoint,
                     .added_s = agent.added_s};
  for (const auto capability : capabilities_.set(agent.capabilities))
    stored.capabilities.push_back(capabilities_.at(capability).name);
  if (agent.lease != kNoIndex) {
    Lease& lease = leases_[agent.lease];
    stored.granted_s = lease.granted_s;
    stored.renewed_realtime_ns = lease.renewed_realtime_ns;
    stored.request_timestamp_ns = lease.request_timestamp_ns;
    stored.moves = lease.moves;
    lease.stored_s = static_cast<std::uint32_t>(lease.renewed_realtime_ns / kNsPerSecond);
  }
  return stored;
}

Status Registry::restore(const StoredAgent& stored, std::uint32_t peer, Time now) {
  if (find(stored.id) != kNoIndex) {
    return fail(ErrorCode::kAlreadyExists, "agent " + to_string(stored.id) + " is there already");
  }
  if (auto ok = check_room(stored.id); !ok) return ok;
  const std::vector<std::string> capabilities(stored.capabilities.begin(),
                                              stored.capabilities.end());
  const auto slot = allocate({.id = stored.id,
                              .name = stored.name,
                              .tenant = stored.tenant,
                              .origin = stored.origin,
                              .endpoint = stored.endpoint,
                              .capabilities = capabilities,
                              .peer = peer},
                             0, stored.added_s);
  if (stored.origin != Origin::kRegistered) return {};
  agents_[slot].lease = leases_.allocate();
  Lease& lease = leases_[agents_[slot].lease];
  lease.agent = slot;
  lease.granted_s = std::min(stored.granted_s, policy_.max_s);
  lease.renewed_realtime_ns = std::min(stored.renewed_realtime_ns, now.realtime_ns);
  // Not so far ahead that an agent whose clock was put right, like ours, could not renew any more.
  lease.request_timestamp_ns = std::min(stored.request_timestamp_ns, now.realtime_ns + kDepartedNs);
  lease.stored_s = static_cast<std::uint32_t>(lease.renewed_realtime_ns / kNsPerSecond);
  lease.moves = stored.moves;
  lease.restored = true;
  // A clock that went back makes the lease whole at most; one that jumped ahead, or a machine that
  // was off for long, ends it, and the grace after it begins now.
  const std::uint64_t elapsed_ns =
      std::min(now.realtime_ns - lease.renewed_realtime_ns, lease.granted_s * kNsPerSecond);
  lease.renewed_ns =
      static_cast<std::int64_t>(now.monotonic_ns) - static_cast<std::int64_t>(elapsed_ns);
  schedule(agents_[slot].lease);
  return {};
}

void Registry::restore(const StoredDeparted& stored, Time now) {
  const std::uint64_t left_ns =
      stored.until_realtime_ns > now.realtime_ns
          ? std::min(stored.until_realtime_ns - now.realtime_ns, kDepartedNs)
          : 0;
  if (find(stored.id) != kNoIndex || left_ns == 0) {
    if (journal_ != nullptr) journal_->changed(stored.id, stored.tenant);  // away with the record
    return;
  }
  departed_[stored.id] = {stored.request_timestamp_ns, now.monotonic_ns + left_ns, stored.tenant};
  departed_order_.push_back(stored.id);
}

bool Registry::is_over(const StoredAgent& agent, Time now) const {
  if (agent.granted_s == 0) return false;
  const std::uint64_t lasts_s = std::min(agent.granted_s, policy_.max_s) + policy_.grace_s;
  return agent.renewed_realtime_ns + lasts_s * kNsPerSecond <= now.realtime_ns;
}

std::size_t Registry::park(std::uint16_t tenant, Time now) {
  std::size_t parked = 0;
  for (std::uint32_t slot = 0; slot < agents_.end() && agents_of(tenant) != 0; ++slot) {
    if (!is_used(slot) || agents_[slot].tenant != tenant || agents_[slot].generation != 0) continue;
    const Id id = agents_[slot].id;
    // At the end of its minute an earlier departure would be told to the journal, as if it were
    // all there is.
    const auto departed = departed_.find(id);
    if (departed != departed_.end() && departed->second.tenant == tenant) departed_.erase(departed);
    if (journal_ != nullptr) journal_->parked(std::get<StoredAgent>(stored(id, tenant, now)));
    take_out(slot);
    ++parked;
  }
  return parked;
}

void Registry::note_renewals() {
  for (std::uint32_t at = 0; at < leases_.end(); ++at) {
    const Lease& lease = leases_[at];
    if (lease.agent == kNoIndex) continue;
    if (lease.stored_s != lease.renewed_realtime_ns / kNsPerSecond) note(agents_[lease.agent]);
  }
}

void Registry::keep_restored_until(std::uint64_t deadline_ns) {
  restored_until_s_ = static_cast<std::uint32_t>(deadline_ns / kNsPerSecond);
}

void Registry::withdraw(const Id& id, std::uint64_t timestamp_ns) {
  const auto slot = find(id);
  if (slot == kNoIndex || agents_[slot].lease == kNoIndex) return;
  if (leases_[agents_[slot].lease].request_timestamp_ns == timestamp_ns) erase(slot);
}

}  // namespace sluice::controlplane
