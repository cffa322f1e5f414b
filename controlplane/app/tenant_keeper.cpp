#include "controlplane/app/tenant_keeper.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <optional>
#include <utility>

#include "config/process/log.hpp"
#include "controlplane/registry/agent_record.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint64_t kPassAgainNs = 30 * kNsPerSecond;
constexpr unsigned kItemsAtOnce = 8192;  // of all tenants; some milliseconds

}  // namespace

struct TenantKeeper::Pass {
  Pass(TenantKeeper& of, std::set<std::uint16_t> returning)
      : tenants(std::move(returning)),
        restorer(of.registry_, of.forwarding_, of.tenants_, before, of.journal_, of.clock_()) {
    for (const auto tenant : tenants)
      before[tenant].away = true;
  }

  std::set<std::uint16_t> tenants;
  StoredTenants before;  // that all of them were away
  Restorer restorer;
  std::optional<store::Cursor> cursor;
};

TenantKeeper::TenantKeeper(Registry& registry, Forwarding& forwarding, const Tenants& tenants,
                           Journal& journal, Look look, Journal::Post post, Journal::Clock clock)
    : registry_(registry),
      forwarding_(forwarding),
      tenants_(tenants),
      journal_(journal),
      look_(std::move(look)),
      post_(std::move(post)),
      clock_(std::move(clock)) {}

TenantKeeper::~TenantKeeper() = default;

// ---- what the index remembers ------------------------------------------------------------------

Status TenantKeeper::load() {
  return for_each_item(look_(), kTenantsTable, [this](const store::Item& item) {
    auto tenant = decode_tenant(item.key, item.value);
    if (tenant) {
      stored_.insert(std::move(*tenant));
    } else {
      spdlog::error("event=record_damaged error={}", quoted_value(tenant.error().message()));
    }
  });
}

Status TenantKeeper::check(const Tenants& next) const {
  for (const auto& [tenant, about] : next) {
    // One that is configured may be renamed, even if the index does not know yet that it is back.
    if (!is_away(stored_, tenant) || tenants_.contains(tenant)) continue;
    const std::string& name = stored_.at(tenant).name;
    if (name.empty() || name == about.name) continue;
    return fail(ErrorCode::kAlreadyExists,
                fmt::format("tenants: '{0}' has the number {1} of '{2}', whose agents wait in the "
                            "store; give it another number, or, before '{0}' is configured, delete "
                            "them: sluice store delete --tenant {1}",
                            about.name, tenant, name),
                ErrorOrigin::kConfig);
  }
  return {};
}

void TenantKeeper::put(std::uint16_t tenant, StoredTenant stored) {
  auto& known = stored_[tenant];
  if (known == stored) return;
  if (!known.name.empty() && known.name != stored.name) {
    spdlog::warn(
        "event=tenant_renamed tenant={} from={} to={} effect=\"its agents are those of that number "
        "before, if there were any\"",
        tenant, quoted_value(known.name), quoted_value(stored.name));
  }
  known = std::move(stored);
  journal_.tenant_changed(tenant, &known);
}

void TenantKeeper::erase(std::uint16_t tenant) {
  if (stored_.erase(tenant) != 0) journal_.tenant_changed(tenant, nullptr);
}

void TenantKeeper::forget(std::uint16_t tenant) {
  behind_.erase(tenant);
  if (is_away(stored_, tenant) && !tenants_.contains(tenant)) erase(tenant);
}

StoredTenants TenantKeeper::shown() const {
  StoredTenants shown = stored_;
  for (auto& [tenant, stored] : shown)
    stored.away = stored.away && !tenants_.contains(tenant);
  return shown;
}

// ---- leaving -----------------------------------------------------------------------------------

void TenantKeeper::begin(const Restored& restored) {
  begun_ = true;
  std::set<std::uint16_t> back;
  for (const auto& [tenant, about] : tenants_) {
    if (is_away(stored_, tenant)) back.insert(tenant);
    put(tenant, {about.name, is_away(stored_, tenant)});
  }
  for (const auto& [tenant, agents] : restored.away) {
    tell_away(tenant, agents);
    if (!is_away(stored_, tenant)) left_();
    put(tenant, {stored_[tenant].name, true});
  }
  behind_ = restored.behind;
  for (const auto& [tenant, about] : StoredTenants(stored_)) {
    if (tenants_.contains(tenant) || restored.away.contains(tenant)) continue;
    if (behind_.erase(tenant) != 0) {
      put(tenant, {about.name, true});
    } else {
      erase(tenant);
    }
  }
  returned(back);
}

void TenantKeeper::change(const Tenants& before, const Tenants& next, Time now) {
  if (!begun_) return;  // begin() sees what the index has
  for (const auto& [tenant, about] : before)
    if (!next.contains(tenant)) leave(tenant, about.name, now);
  for (const auto& [tenant, about] : next) {
    const bool away = is_away(stored_, tenant);
    put(tenant, {about.name, away});
    if (away && !before.contains(tenant)) come_back(tenant);
  }
}

void TenantKeeper::leave(std::uint16_t tenant, const std::string& name, Time now) {
  const std::size_t agents = registry_.park(tenant, now);
  // The index has more of it, or may have.
  const bool more = returning_.erase(tenant) + settling_.erase(tenant) + behind_.erase(tenant) +
                        (pass_ ? pass_->tenants.erase(tenant) : 0) >
                    0;
  if (agents == 0 && !more) return erase(tenant);
  put(tenant, {name, true});
  tell_away(tenant, agents);
  left_();
}

void TenantKeeper::tell_away(std::uint16_t tenant, std::uint64_t agents) const {
  spdlog::warn(
      "event=tenant_away tenant={} name={} agents={} effect=\"the configuration has it no more: "
      "its agents are not served, and stay in the store\" remedy=\"they come back with it; `sluice "
      "store delete --tenant {}` deletes them\"",
      tenant, quoted_value(stored_.contains(tenant) ? stored_.at(tenant).name : ""), agents,
      tenant);
}

// ---- coming back -------------------------------------------------------------------------------

void TenantKeeper::come_back(std::uint16_t tenant) {
  returning_.insert(tenant);
  post_([this] { begin_pass(); });
}

void TenantKeeper::begin_pass() {
  if (pass_ || returning_.empty()) return;
  pass_ = std::make_unique<Pass>(*this, std::exchange(returning_, {}));
  for (const auto tenant : pass_->tenants)
    take_parked(tenant);
  journal_.begin_reading(pass_->tenants);
  auto cursor = look_().cursor(kAgentsTable);
  if (!cursor) return end_pass(std::unexpected(cursor.error()));
  pass_->cursor.emplace(std::move(*cursor));
  read_more();
}

// What the index has not got yet, on a disk that is slow or fails.
void TenantKeeper::take_parked(std::uint16_t tenant) {
  for (const auto& [id, record] : journal_.parked_of(tenant)) {
    const auto stored = decode_agent(id, tenant, record);
    if (!stored) continue;  // we made it
    pass_->restorer.take(std::get<StoredAgent>(*stored));
    const auto slot = registry_.find(id);
    if (slot != kNoIndex && registry_.at(slot).tenant == tenant) journal_.changed(id, tenant);
  }
}

void TenantKeeper::read_more() {
  store::Item item;
  for (unsigned i = 0; i < kItemsAtOnce; ++i) {
    const auto more = pass_->cursor->next(item);
    if (!more) return end_pass(std::unexpected(more.error()));
    if (!*more) return end_pass({});
    if (pass_->tenants.contains(item.tenant)) take(item);
  }
  post_([this] { read_more(); });
}

void TenantKeeper::take(const store::Item& item) {
  const auto stored = decode_agent(item);
  if (!stored) return pass_->restorer.take_agent(item);  // which counts it
  // Who has just left is remembered here as well.
  const auto* agent = std::get_if<StoredAgent>(&*stored);
  if (agent == nullptr || journal_.is_newer(agent->id, agent->tenant)) return;
  // A pass that failed may have brought it.
  if (const auto slot = registry_.find(agent->id); slot != kNoIndex) {
    const Agent& here = registry_.at(slot);
    if (here.tenant == agent->tenant && here.generation == 0) return;
  }
  pass_->restorer.take(*agent);
}

void TenantKeeper::end_pass(const Status& status) {
  const auto pass = std::move(pass_);
  journal_.end_reading();
  const Restored& result = pass->restorer.result();
  if (!status) {
    spdlog::error(
        "event=tenants_not_back tenants={} agents={} error={} effect=\"it is tried again\"",
        fmt::join(pass->tenants, ","), result.agents, quoted_value(status.error().message()));
    returning_.merge(pass->tenants);
    pass_again_ns_ = clock_().monotonic_ns + kPassAgainNs;
    return;
  }
  spdlog::info("event=tenants_back tenants={} agents={} leases={} expired={} outdated={}",
               fmt::join(pass->tenants, ","), result.agents, result.leases, result.expired,
               result.outdated);
  if (result.damaged + result.no_room > 0) {
    spdlog::error("event=not_restored damaged={} no_room={}", result.damaged, result.no_room);
  }
  for (const auto tenant : pass->tenants) {
    behind_.erase(tenant);
    if (result.behind.contains(tenant)) behind_.insert(tenant);
  }
  returned(pass->tenants);
  if (!returning_.empty()) post_([this] { begin_pass(); });
}

// What they brought and what was forgotten is in the journal.
void TenantKeeper::returned(const std::set<std::uint16_t>& tenants) {
  if (tenants.empty()) return;
  ++returns_;
  for (const auto tenant : tenants)
    settling_[tenant] = returns_;
  settle();
}

void TenantKeeper::settle() {
  settle_again_ = false;
  journal_.when_durable([this, returns = returns_](const Status& durable) {
    if (!durable) {
      settle_again_ = true;
      return;
    }
    // Those that left and returned once more meanwhile wait for what that return changed.
    std::erase_if(settling_, [&](const auto& settling) {
      const auto [tenant, number] = settling;
      if (number > returns) return false;
      put(tenant, {stored_[tenant].name, false});
      return true;
    });
  });
}

void TenantKeeper::tick() {
  if (settle_again_ && journal_.ready()) settle();
  if (clock_().monotonic_ns >= pass_again_ns_) begin_pass();
}

}  // namespace sluice::controlplane
