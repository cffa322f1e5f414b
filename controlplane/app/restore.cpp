#include "controlplane/app/restore.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "config/process/log.hpp"
#include "controlplane/registry/agent_record.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint64_t kTellDamaged = 5;  // lines; the rest is only counted

std::string_view text_of(store::Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Restorer {
 public:
  Restorer(Registry& registry, Forwarding& forwarding, const Tenants& tenants, Journal& journal,
           Time now)
      : registry_(registry),
        forwarding_(forwarding),
        tenants_(tenants),
        journal_(journal),
        now_(now) {}

  template <class Take>
  Status each(const store::Snapshot& from, std::uint8_t table, Take&& take) {
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

  void take_peer(const store::Item& item) {
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

  void take_agent(const store::Item& item) {
    Id id;
    if (item.key.size() != id.bytes.size()) {
      return damaged(Error(ErrorCode::kCorrupt, "a stored agent has a key that is no id"));
    }
    std::ranges::copy(item.key, id.bytes.begin());
    const auto stored = decode_agent(id, item.tenant, item.value);
    if (!stored) return damaged(stored.error());
    if (const auto* gone = std::get_if<StoredDeparted>(&*stored)) {
      registry_.restore(*gone, now_);
      ++result_.departed;
      return;
    }
    take_agent(std::get<StoredAgent>(*stored));
  }

  void tell_gone_tenants() const {
    for (const auto& [tenant, agents] : of_gone_tenants_) {
      spdlog::warn(
          "event=tenant_gone tenant={} agents={} effect=\"the configuration has it no more: they "
          "are forgotten by the store\"",
          tenant, agents);
    }
  }

  Restored result_;

 private:
  void take_agent(const StoredAgent& agent) {
    std::uint32_t peer = kNoIndex;
    if (agent.origin == Origin::kPeer) peer = forwarding_.find_peer(agent.peer);
    const bool homeless = agent.origin == Origin::kPeer && peer == kNoIndex;
    if (!tenants_.contains(agent.tenant)) {
      ++of_gone_tenants_[agent.tenant];
      return outdated(agent);
    }
    if (homeless) return outdated(agent);
    const auto ok = registry_.restore(agent, peer, now_);
    if (ok) {
      ++result_.agents;
      if (agent.granted_s != 0) ++result_.leases;
    } else if (ok.error().code() == ErrorCode::kExhausted) {
      ++result_.no_room;
    } else {
      outdated(agent);
    }
  }

  void outdated(const StoredAgent& agent) {
    ++result_.outdated;
    journal_.changed(agent.id, agent.tenant);
  }
  // Such as one whose name or address the configuration has by now.
  void outdated_peer(std::string_view name, const Error& error) {
    ++result_.outdated;
    spdlog::warn("event=peer_not_restored peer={} reason={}", quoted_value(name),
                 quoted_value(error.message()));
    journal_.peer_changed(name);
  }
  void damaged(const Error& error) {
    if (++result_.damaged > kTellDamaged) return;
    spdlog::error("event=record_damaged error={}", quoted_value(error.message()));
  }

  Registry& registry_;
  Forwarding& forwarding_;
  const Tenants& tenants_;
  Journal& journal_;
  Time now_;
  std::map<std::uint16_t, std::uint64_t> of_gone_tenants_;
};

}  // namespace

Result<Restored> restore_all(const store::Snapshot& from, Registry& registry,
                             Forwarding& forwarding, const Tenants& tenants, Journal& journal,
                             Time now) {
  Restorer restorer(registry, forwarding, tenants, journal, now);
  auto ok = restorer.each(from, kPeersTable, [&](const auto& item) { restorer.take_peer(item); });
  if (!ok) return std::unexpected(ok.error());
  ok = restorer.each(from, kAgentsTable, [&](const auto& item) { restorer.take_agent(item); });
  if (!ok) return std::unexpected(ok.error());
  restorer.tell_gone_tenants();
  return restorer.result_;
}

}  // namespace sluice::controlplane
