#include "controlplane/app/restore.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "config/process/log.hpp"
#include "controlplane/registry/agent_record.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint64_t kTellDamaged = 5;  // lines; the rest is only counted

std::string_view text_of(store::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<std::variant<StoredAgent, StoredDeparted>> decode_agent(const store::Item& item) {
  Id id;
  if (item.key.size() != id.bytes.size()) {
    return fail(ErrorCode::kCorrupt, "a stored agent has a key that is no id");
  }
  std::ranges::copy(item.key, id.bytes.begin());
  return decode_agent(id, item.tenant, item.value);
}

void Restorer::take_peer(const store::Item& item) {
  const auto name = text_of(item.key);
  const auto address = decode_peer(name, item.value);
  if (!address) return damaged(address.error());
  const auto added = forwarding_.add_peer(std::string(name), *address, false);
  if (added) {
    ++result_.peers;
  } else {
    outdated_peer(name, added.error());
  }
}

void Restorer::take_agent(const store::Item& item) {
  const auto stored = decode_agent(item);
  if (!stored) {
    result_.behind.insert(item.tenant);
    return damaged(stored.error());
  }
  if (const auto* gone = std::get_if<StoredDeparted>(&*stored)) {
    registry_.restore(*gone, now_);
    ++result_.departed;
    return;
  }
  take(std::get<StoredAgent>(*stored));
}

void Restorer::take(const StoredAgent& agent) {
  const bool here = tenants_.contains(agent.tenant);
  // Where its tenant is away an agent cannot renew, and comes back with what is left of its lease:
  // not for the grace that follows a lease which has just ended.
  if ((!here || is_away(before_, agent.tenant)) && registry_.is_over(agent, now_)) {
    return forget(agent, result_.expired);
  }
  if (!here) {
    ++result_.away[agent.tenant];
    return;
  }
  std::uint32_t peer = kNoIndex;
  if (agent.origin == Origin::kPeer) {
    peer = forwarding_.find_peer(agent.peer);
    if (peer == kNoIndex) return forget(agent, result_.outdated);
  }
  const auto ok = restore(agent, peer);
  if (ok) {
    ++result_.agents;
    if (agent.granted_s != 0) ++result_.leases;
  } else if (ok.error().code() == ErrorCode::kExhausted) {
    ++result_.no_room;
    result_.behind.insert(agent.tenant);
  } else {
    forget(agent, result_.outdated);
  }
}

// While a tenant is away another's agent may take an id of it. That one was served last, and keeps
// it, whichever the store has first.
Status Restorer::restore(const StoredAgent& agent, std::uint32_t peer) {
  if (const auto slot = registry_.find(agent.id); slot != kNoIndex) {
    const Agent& other = registry_.at(slot);
    if (other.generation == 0 && is_away(before_, other.tenant) &&
        !is_away(before_, agent.tenant)) {
      ++result_.outdated;
      --result_.agents;  // this brought it
      if (other.lease != kNoIndex) --result_.leases;
      if (auto ok = registry_.remove(agent.id); !ok) return ok;
    }
  }
  return registry_.restore(agent, peer, now_);
}

void Restorer::forget(const StoredAgent& agent, std::uint64_t& count) {
  ++count;
  journal_.changed(agent.id, agent.tenant);
}

// Such as one whose name or address the configuration has by now.
void Restorer::outdated_peer(std::string_view name, const Error& error) {
  ++result_.outdated;
  spdlog::warn("event=peer_not_restored peer={} reason={}", quoted_value(name),
               quoted_value(error.message()));
  journal_.peer_changed(name);
}

void Restorer::damaged(const Error& error) {
  if (++result_.damaged > kTellDamaged) return;
  spdlog::error("event=record_damaged error={}", quoted_value(error.message()));
}

Status for_each_item(const store::Snapshot& from, std::uint8_t table,
                     const std::function<void(const store::Item&)>& take) {
  auto cursor = from.cursor(table);
  if (!cursor) return std::unexpected(cursor.error());
  store::Item item;
  for (;;) {
    const auto more = cursor->next(item);
    if (!more) return std::unexpected(more.error());
    if (!*more) return {};
    take(item);
  }
}

Status restore_all(const store::Snapshot& from, Restorer& restorer) {
  const auto peers =
      for_each_item(from, kPeersTable, [&](const auto& item) { restorer.take_peer(item); });
  if (!peers) return peers;
  return for_each_item(from, kAgentsTable, [&](const auto& item) { restorer.take_agent(item); });
}

}  // namespace sluice::controlplane
