#include "controlplane/app/journal.hpp"

#include <algorithm>
#include <array>

#include "controlplane/registry/agent_record.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

constexpr unsigned kMaxInFlight = 4;     // batches; meanwhile changes gather into larger ones
constexpr std::size_t kMaxBatch = 8192;  // agents
constexpr std::uint64_t kRetryNs = kNsPerSecond;
constexpr std::uint8_t kPeerVersion = 1;
constexpr std::size_t kPeerBytes = 19;
constexpr std::uint8_t kTenantVersion = 1;
constexpr std::size_t kTenantBytes = 2;  // before the name

store::Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::array<std::uint8_t, 2> tenant_key(std::uint16_t tenant) {
  return {static_cast<std::uint8_t>(tenant >> 8), static_cast<std::uint8_t>(tenant)};
}

}  // namespace

Journal::Journal(Registry& registry, Forwarding& forwarding, Write write, Post post, Clock clock)
    : registry_(registry),
      forwarding_(forwarding),
      write_(std::move(write)),
      post_(std::move(post)),
      clock_(std::move(clock)) {}

Status Journal::ready() const {
  if (!failing_) return {};
  return fail(ErrorCode::kUnavailable,
              "this router cannot keep it over a restart at present: " + failing_->message(),
              ErrorOrigin::kStore, true);
}

void Journal::changed(const Id& id, std::uint16_t tenant) {
  const Key key{id, tenant};
  parked_.erase(key);
  enqueue(key);
}

void Journal::parked(const StoredAgent& agent) {
  const Key key{agent.id, agent.tenant};
  Parked& parked = parked_[key];
  parked = {};
  encode_agent(agent, parked.record);
  enqueue(key);
}

// One that waits already is written as it is when its turn comes; the mark still moves, because the
// one it waits for may be in a batch before.
void Journal::enqueue(const Key& key) {
  if (queued_.insert(key).second) agents_.push_back(key);
  if (reading_ && reading_->tenants.contains(key.tenant)) reading_->newer.insert(key);
  note(1);
}

void Journal::tenant_changed(std::uint16_t tenant, const StoredTenant* stored) {
  stored_tenants_.erase(tenant);
  if (stored != nullptr) stored_tenants_.emplace(tenant, *stored);
  tenants_.insert(tenant);
  note(1);
}

std::vector<Journal::Record> Journal::parked_of(std::uint16_t tenant) const {
  std::vector<Record> found;
  for (const auto& [key, parked] : parked_)
    if (key.tenant == tenant) found.emplace_back(key.id, parked.record);
  return found;
}

void Journal::begin_reading(const std::set<std::uint16_t>& tenants) {
  Reading& reading = reading_.emplace(Reading{tenants, {}});
  const auto add = [&reading](const auto& keys) {
    for (const Key& key : keys)
      if (reading.tenants.contains(key.tenant)) reading.newer.insert(key);
  };
  add(agents_);
  for (const auto& batch : in_flight_)
    add(batch->agents);
}

bool Journal::is_newer(const Id& id, std::uint16_t tenant) const {
  return reading_ && reading_->newer.contains({id, tenant});
}

void Journal::end_reading() {
  reading_.reset();
}

void Journal::peer_changed(std::string_view name) {
  if (std::ranges::find(peers_, name) == peers_.end()) peers_.emplace_back(name);
  note(1);
}

void Journal::note(std::uint64_t things) {
  noted_ += things;
  post_flush();
}

void Journal::post_flush() {
  if (flush_posted_ || failing_ || in_flight_.size() >= kMaxInFlight) return;
  flush_posted_ = true;
  post_([this] {
    flush_posted_ = false;
    flush();
  });
}

bool Journal::has_work() const {
  return !agents_.empty() || !peers_.empty() || !tenants_.empty();
}

void Journal::flush() {
  while (!failing_ && in_flight_.size() < kMaxInFlight && has_work())
    write_one();
}

// What does not fit waits for the next batch. A waiter is through with the last batch that was
// begun when nothing was left over.
Journal::Batch Journal::take_batch() {
  Batch batch{.number = ++info_.batches};
  const std::size_t count = std::min(agents_.size(), kMaxBatch);
  batch.agents.assign(agents_.begin(), agents_.begin() + static_cast<std::ptrdiff_t>(count));
  agents_.erase(agents_.begin(), agents_.begin() + static_cast<std::ptrdiff_t>(count));
  for (const auto& key : batch.agents)
    queued_.erase(key);
  batch.peers.swap(peers_);
  batch.tenants.swap(tenants_);
  if (agents_.empty()) taken_ = noted_;
  batch.through = taken_;
  return batch;
}

void Journal::write_one() {
  const auto batch = std::make_shared<const Batch>(take_batch());
  store::WriteBatch out;
  fill(*batch, out);
  in_flight_.push_back(batch);
  write_(std::move(out), [this, batch](Status status) {
    post_([this, batch, status = std::move(status)] { written(batch, status); });
  });
}

// What is kept of it now; nothing leaves `record_` empty.
void Journal::encode(const Key& key, std::uint64_t batch, Time now) {
  record_.clear();
  if (const auto parked = parked_.find(key); parked != parked_.end()) {
    parked->second.batch = batch;
    record_ = parked->second.record;
    return;
  }
  const auto stored = registry_.stored(key.id, key.tenant, now);
  if (const auto* agent = std::get_if<StoredAgent>(&stored)) encode_agent(*agent, record_);
  if (const auto* gone = std::get_if<StoredDeparted>(&stored)) encode_departed(*gone, record_);
}

void Journal::fill(const Batch& batch, store::WriteBatch& out) {
  const Time now = clock_();
  for (const auto& key : batch.agents) {
    encode(key, batch.number, now);
    if (record_.empty()) {
      out.erase(kAgentsTable, key.tenant, key.id.bytes);
    } else {
      out.put(kAgentsTable, key.tenant, key.id.bytes, store::Bytes(record_));
    }
  }
  for (const auto& name : batch.peers) {
    const auto number = forwarding_.find_peer(name);
    if (number == kNoIndex || forwarding_.peer(number).configured) {
      out.erase(kPeersTable, 0, bytes_of(name));
    } else {
      out.put(kPeersTable, 0, bytes_of(name), encode_peer(forwarding_.peer(number).address));
    }
  }
  for (const auto tenant : batch.tenants) {
    const auto key = tenant_key(tenant);
    const auto stored = stored_tenants_.find(tenant);
    if (stored == stored_tenants_.end()) {
      out.erase(kTenantsTable, 0, key);
    } else {
      out.put(kTenantsTable, 0, key, encode_tenant(stored->second));
    }
  }
}

void Journal::written(const std::shared_ptr<const Batch>& batch, const Status& status) {
  std::erase(in_flight_, batch);
  if (status) {
    info_.written += batch->records();
    done_ = batch->through;
    unpark_durable(*batch);
  } else {
    ++info_.failures;
    owe_again(*batch);
  }
  set_failing(status);
  // A failure is everybody's who waits: their part may be in it, or in the next that fails.
  settle(status ? batch->through : noted_, status);
  post_flush();
}

void Journal::unpark_durable(const Batch& batch) {
  if (parked_.empty()) return;
  for (const auto& key : batch.agents) {
    const auto parked = parked_.find(key);
    if (parked == parked_.end() || parked->second.batch != batch.number) continue;
    // An earlier batch that failed may owe it: then it is written once more.
    if (!queued_.contains(key)) parked_.erase(parked);
  }
}

// Under a new mark: a later batch that succeeds must not speak for these.
void Journal::owe_again(const Batch& batch) {
  noted_ += batch.records();
  for (const auto& key : batch.agents)
    if (queued_.insert(key).second) agents_.push_back(key);
  for (const auto& name : batch.peers)
    if (std::ranges::find(peers_, name) == peers_.end()) peers_.push_back(name);
  tenants_.insert(batch.tenants.begin(), batch.tenants.end());
}

// Each of a run of failures is one; the first is told.
void Journal::set_failing(const Status& status) {
  if (status) {
    if (!failing_) return;
    failing_.reset();
    info_.failing_since_ns = 0;
    if (tell_) tell_({});
    return;
  }
  const bool first = !failing_;
  retry_ns_ = clock_().monotonic_ns + kRetryNs;
  failing_ = status.error();
  if (!first) return;
  info_.failing_since_ns = clock_().monotonic_ns;
  if (tell_) tell_(status);
}

void Journal::settle(std::uint64_t through, const Status& status) {
  while (!waiters_.empty() && waiters_.front().through <= through) {
    const auto waiter = std::move(waiters_.front());
    waiters_.pop_front();
    waiter.callback(status);
  }
}

void Journal::when_durable(std::function<void(Status)> callback) {
  if (failing_) return callback(ready());
  if (done_ == noted_) return callback({});
  waiters_.push_back({noted_, std::move(callback)});
}

void Journal::finish() {
  registry_.note_renewals();
  while (!failing_ && has_work())
    write_one();
}

void Journal::tick() {
  if (!failing_ || !in_flight_.empty() || clock_().monotonic_ns < retry_ns_) return;
  if (has_work()) return write_one();
  set_failing(health_());  // what failed is gone: nothing is owed
}

void Journal::watch(Health health) {
  health_ = std::move(health);
  set_failing(health_());
}

JournalInfo Journal::info() const {
  JournalInfo info = info_;
  info.waiting = agents_.size() + peers_.size() + tenants_.size();
  if (failing_) info.error = failing_->message();
  return info;
}

std::vector<std::uint8_t> encode_peer(const Endpoint& address) {
  std::vector<std::uint8_t> out(kPeerBytes);
  out[0] = kPeerVersion;
  out[1] = static_cast<std::uint8_t>(address.port >> 8);
  out[2] = static_cast<std::uint8_t>(address.port);
  std::ranges::copy(address.address.bytes, out.begin() + 3);
  return out;
}

Result<Endpoint> decode_peer(std::string_view name, std::span<const std::uint8_t> bytes) {
  Endpoint address;
  if (bytes.size() == kPeerBytes && bytes[0] == kPeerVersion) {
    address.port = static_cast<std::uint16_t>(bytes[1] << 8 | bytes[2]);
    std::ranges::copy(bytes.subspan(3), address.address.bytes.begin());
    if (address.port != 0 && !address.address.is_unspecified()) return address;
  }
  return fail(ErrorCode::kCorrupt, "the stored record of peer '" + std::string(name) + "' is none",
              ErrorOrigin::kStore);
}

std::vector<std::uint8_t> encode_tenant(const StoredTenant& tenant) {
  std::vector<std::uint8_t> out(kTenantBytes + tenant.name.size());
  out[0] = kTenantVersion;
  out[1] = tenant.away ? 1 : 0;
  std::ranges::copy(tenant.name, out.begin() + kTenantBytes);
  return out;
}

Result<std::pair<std::uint16_t, StoredTenant>> decode_tenant(std::span<const std::uint8_t> key,
                                                             std::span<const std::uint8_t> bytes) {
  const bool whole = key.size() == tenant_key(0).size() && bytes.size() >= kTenantBytes;
  if (whole && bytes[0] == kTenantVersion && bytes[1] <= 1) {
    const auto name = bytes.subspan(kTenantBytes);
    return std::pair(static_cast<std::uint16_t>(key[0] << 8 | key[1]),
                     StoredTenant{std::string(name.begin(), name.end()), bytes[1] == 1});
  }
  return fail(ErrorCode::kCorrupt, "the stored record of a tenant is none", ErrorOrigin::kStore);
}

}  // namespace sluice::controlplane
