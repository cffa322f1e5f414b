// Keeps agents, peers and tenants over a restart: collects what has changed, writes it to the
// durable index in batches, and says when. Control thread only; the writes themselves run elsewhere
// and come back through `post`.
//
// When the disk fails, nothing that was to be written is forgotten: it is tried again every second,
// and what has changed meanwhile is written as it is then. Until that works new agents are refused.
// An index that could be opened but takes no writes is the same, from the start.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "controlplane/registry/forwarding.hpp"
#include "controlplane/registry/registry.hpp"
#include "controlplane/registry/tenants.hpp"
#include "controlplane/store/route_tables.hpp"
#include "controlplane/store/write_batch.hpp"

namespace sluice::controlplane {

struct JournalInfo {
  std::uint64_t waiting = 0;  // agents, peers and tenants changed and not yet durable
  std::uint64_t written = 0;  // records, ever
  std::uint64_t batches = 0;
  std::uint64_t failures = 0;          // batches that could not be written
  std::uint64_t failing_since_ns = 0;  // monotonic; 0: it works
  std::string error;                   // while failing
};

class Journal final : public RegistryJournal {
 public:
  // Calls back in any thread when the batch is durable, or is not.
  using Write = std::function<void(store::WriteBatch, std::function<void(Status)>)>;
  // Runs something on the control thread, soon. Any thread.
  using Post = std::function<void(std::function<void()>)>;
  using Clock = std::function<Time()>;
  // Why the index refuses all writes at present, without trying one.
  using Health = std::function<Status()>;

  Journal(Registry& registry, Forwarding& forwarding, Write write, Post post, Clock clock);

  // RegistryJournal
  Status ready() const override;
  void changed(const Id& id, std::uint16_t tenant) override;
  void parked(const StoredAgent& agent) override;
  void peer_changed(std::string_view name) override;

  // What is remembered of a tenant; nullptr: nothing any more.
  void tenant_changed(std::uint16_t tenant, const StoredTenant* stored);

  using Record = std::pair<Id, std::vector<std::uint8_t>>;
  // Agents of this tenant that are parked and not durable yet.
  std::vector<Record> parked_of(std::uint16_t tenant) const;
  // From now until end_reading() somebody reads what the index has of these tenants at this moment:
  // is_newer() says of which agents it has not the latest, by what waited or came meanwhile.
  void begin_reading(const std::set<std::uint16_t>& tenants);
  bool is_newer(const Id& id, std::uint16_t tenant) const;
  void end_reading();

  // Calls back when all that has changed before this call is durable, or could not be made so.
  void when_durable(std::function<void(Status)> callback);
  // Every now and then: tries again what failed.
  void tick();
  // Before an orderly stop: everything is handed to the index, the latest renewals as well. Nothing
  // is posted any more that matters.
  void finish();
  JournalInfo info() const;
  // It fails, or works again; for people.
  void on_state(std::function<void(const Status&)> tell) { tell_ = std::move(tell); }
  // Asked now, and when nothing is left to be written that would tell.
  void watch(Health health);

 private:
  struct Key {
    Id id;
    std::uint16_t tenant;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept { return IdHash()(key.id) + key.tenant; }
  };
  struct Batch {
    std::uint64_t number = 0;  // from 1 on
    std::vector<Key> agents;
    std::vector<std::string> peers;
    std::set<std::uint16_t> tenants;
    std::uint64_t through = 0;

    std::uint64_t records() const { return agents.size() + peers.size() + tenants.size(); }
  };
  struct Parked {
    std::vector<std::uint8_t> record;
    std::uint64_t batch = 0;  // the latest that it is in; 0: it waits
  };
  struct Reading {
    std::set<std::uint16_t> tenants;
    std::unordered_set<Key, KeyHash> newer;
  };
  struct Waiter {
    std::uint64_t through;
    std::function<void(Status)> callback;
  };

  void enqueue(const Key& key);
  bool has_work() const;
  void note(std::uint64_t things);
  void post_flush();
  void flush();
  void write_one();
  Batch take_batch();
  void fill(const Batch& batch, store::WriteBatch& out);
  void encode(const Key& key, std::uint64_t batch, Time now);
  void written(const std::shared_ptr<const Batch>& batch, const Status& status);
  void unpark_durable(const Batch& batch);
  void owe_again(const Batch& batch);
  void settle(std::uint64_t through, const Status& status);
  void set_failing(const Status& status);

  Registry& registry_;
  Forwarding& forwarding_;
  Write write_;
  Post post_;
  Clock clock_;
  std::deque<Key> agents_;  // changed and in no batch, each once
  std::unordered_set<Key, KeyHash> queued_;
  std::unordered_map<Key, Parked, KeyHash> parked_;  // until durable
  std::vector<std::string> peers_;
  std::set<std::uint16_t> tenants_;
  StoredTenants stored_tenants_;  // as they shall be kept
  std::optional<Reading> reading_;
  bool flush_posted_ = false;
  std::vector<std::shared_ptr<const Batch>> in_flight_;
  std::uint64_t noted_ = 0;  // changes, ever
  std::uint64_t taken_ = 0;  // of those, in a batch
  std::uint64_t done_ = 0;   // of those, durable; batches end in the order of their beginning
  std::deque<Waiter> waiters_;
  std::vector<std::uint8_t> record_;
  JournalInfo info_;
  std::optional<Error> failing_;
  std::uint64_t retry_ns_ = 0;
  std::function<void(const Status&)> tell_;
  Health health_ = [] { return Status{}; };
};

// How a peer is written: version (1), UDP port (2), address (16).
std::vector<std::uint8_t> encode_peer(const Endpoint& address);
Result<Endpoint> decode_peer(std::string_view name, std::span<const std::uint8_t> bytes);

// How a tenant is written under its number (2): version (1), away (1), its name.
std::vector<std::uint8_t> encode_tenant(const StoredTenant& tenant);
Result<std::pair<std::uint16_t, StoredTenant>> decode_tenant(std::span<const std::uint8_t> key,
                                                             std::span<const std::uint8_t> bytes);

}  // namespace sluice::controlplane
