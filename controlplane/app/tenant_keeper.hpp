// Tenants that leave the configuration and come back. One that leaves takes its agents out of the
// registry, and so out of every table of the dataplane, but not out of the index: there they wait
// until it is back, or until it is deleted. Back again, those whose leases have not ended continue,
// read from the index in pieces, so that nothing else waits for them.
//
// The index says of a tenant that it is away until all that its return changed is durable: whenever
// the process ends, the next one asks again whose lease has ended meanwhile.
//
// A tenant is its number; the index has its latest name beside it, for people, and so that a number
// is not given to another tenant while the agents of the first still wait. Control thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "controlplane/app/journal.hpp"
#include "controlplane/app/restore.hpp"
#include "controlplane/registry/tenants.hpp"
#include "controlplane/store/snapshot.hpp"

namespace sluice::controlplane {

class TenantKeeper {
 public:
  using Look = std::function<store::Snapshot()>;

  TenantKeeper(Registry& registry, Forwarding& forwarding, const Tenants& tenants, Journal& journal,
               Look look, Journal::Post post, Journal::Clock clock);
  ~TenantKeeper();
  TenantKeeper(const TenantKeeper&) = delete;
  TenantKeeper& operator=(const TenantKeeper&) = delete;

  // At start, before a configuration is checked. An error is one of the disk.
  Status load();
  // Why these cannot be the tenants: one has the number of another whose agents wait.
  Status check(const Tenants& next) const;
  // At start, when the agents of those that are here were restored. Changes follow from now on.
  void begin(const Restored& restored);
  // The configuration changes from `before` to `next`: those that leave are gone from the registry
  // on return, those that are back come soon. The constructor's `tenants` becomes `next` right
  // after.
  void change(const Tenants& before, const Tenants& next, Time now);
  // Nothing is in the index of this tenant any more.
  void forget(std::uint16_t tenant);

  // Every now and then: tries again what the disk refused.
  void tick();

  // As the index knows them, or soon will.
  const StoredTenants& stored() const { return stored_; }
  // The same for people: who is configured is not away, even if the index does not say so yet.
  StoredTenants shown() const;
  // Routes were deleted that shall not stay in a file either.
  void on_left(std::function<void()> left) { left_ = std::move(left); }

 private:
  struct Pass;

  void leave(std::uint16_t tenant, const std::string& name, Time now);
  void come_back(std::uint16_t tenant);
  void tell_away(std::uint16_t tenant, std::uint64_t agents) const;
  void put(std::uint16_t tenant, StoredTenant stored);
  void erase(std::uint16_t tenant);
  void returned(const std::set<std::uint16_t>& tenants);
  void settle();
  void begin_pass();
  void take_parked(std::uint16_t tenant);
  void read_more();
  void take(const store::Item& item);
  void end_pass(const Status& status);

  Registry& registry_;
  Forwarding& forwarding_;
  const Tenants& tenants_;
  Journal& journal_;
  Look look_;
  Journal::Post post_;
  Journal::Clock clock_;
  std::function<void()> left_ = [] {};
  StoredTenants stored_;
  bool begun_ = false;
  std::set<std::uint16_t> returning_;  // for the next pass
  std::unique_ptr<Pass> pass_;         // through the index, under way
  std::uint64_t pass_again_ns_ = 0;    // after one that failed
  // Tenants that are here, and something of them is in the index alone.
  std::set<std::uint16_t> behind_;
  // Tenants that have returned, and the index does not say so yet, with the number of their return.
  std::map<std::uint16_t, std::uint64_t> settling_;
  std::uint64_t returns_ = 0;
  bool settle_again_ = false;
};

}  // namespace sluice::controlplane
