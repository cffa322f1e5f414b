#include "controlplane/app/journal.hpp"

#include <algorithm>

#include "controlplane/registry/agent_record.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {

constexpr unsigned kMaxInFlight = 4;     // batches; meanwhile changes gather into larger ones
constexpr std::size_t kMaxBatch = 8192;  // agents
constexpr std::uint64_t kRetryNs = kNsPerSecond;
constexpr std::uint8_t kPeerVersion = 1;
constexpr std::size_t kPeerBytes = 19;

store::Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
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
  // One that waits already is written as it is when its turn comes; the mark still moves, because
  // the one it waits for may be in a batch before.
  if (queued_.insert(key).second) agents_.push_back(key);
  note(1);
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
  if (flush_posted_ || failing_ || in_flight_ >= kMaxInFlight) return;
  flush_posted_ = true;
  post_([this] {
    flush_posted_ = false;
    flush();
  });
}

void Journal::flush() {
  while (!failing_ && in_flight_ < kMaxInFlight && (!agents_.empty() || !peers_.empty()))
    write_one();
}

// What does not fit waits for the next batch. A waiter is through with the last batch that was
// begun when nothing was left over.
void Journal::write_one() {
  Batch batch;
  const std::size_t count = std::min(agents_.size(), kMaxBatch);
  batch.agents.assign(agents_.begin(), agents_.begin() + static_cast<std::ptrdiff_t>(count));
  agents_.erase(agents_.begin(), agents_.begin() + static_cast<std::ptrdiff_t>(count));
  for (const auto& key : batch.agents)
    queued_.erase(key);
  batch.peers.swap(peers_);
  if (agents_.empty()) taken_ = noted_;
  batch.through = taken_;
  store::WriteBatch out;
  fill(batch, out);
  ++in_flight_;
  ++info_.batches;
  auto shared = std::make_shared<Batch>(std::move(batch));
  write_(std::move(out), [this, shared](Status status) {
    post_([this, shared, status = std::move(status)] { written(*shared, status); });
  });
}

void Journal::fill(const Batch& batch, store::WriteBatch& out) {
  const Time now = clock_();
  for (const auto& [id, tenant] : batch.agents) {
    const auto stored = registry_.stored(id, tenant, now);
    record_.clear();
    if (const auto* agent = std::get_if<StoredAgent>(&stored)) encode_agent(*agent, record_);
    if (const auto* gone = std::get_if<StoredDeparted>(&stored)) encode_departed(*gone, record_);
    if (record_.empty()) {
      out.erase(kAgentsTable, tenant, id.bytes);
    } else {
      out.put(kAgentsTable, tenant, id.bytes, store::Bytes(record_));
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
}

void Journal::written(const Batch& batch, const Status& status) {
  --in_flight_;
  if (status) {
    info_.written += batch.agents.size() + batch.peers.size();
    done_ = batch.through;
  } else {
    ++info_.failures;
    // Owed again, under a new mark: a later batch that succeeds must not speak for these.
    noted_ += batch.agents.size() + batch.peers.size();
    for (const auto& key : batch.agents) {
      if (queued_.insert(key).second) agents_.push_back(key);
    }
    for (const auto& name : batch.peers) {
      if (std::ranges::find(peers_, name) == peers_.end()) peers_.push_back(name);
    }
  }
  set_failing(status);
  // A failure is everybody's who waits: their part may be in it, or in the next that fails.
  settle(status ? batch.through : noted_, status);
  post_flush();
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
  while (!failing_ && (!agents_.empty() || !peers_.empty()))
    write_one();
}

void Journal::tick() {
  if (!failing_ || in_flight_ > 0 || clock_().monotonic_ns < retry_ns_) return;
  if (!agents_.empty() || !peers_.empty()) return write_one();
  set_failing(health_());  // what failed is gone: nothing is owed
}

void Journal::watch(Health health) {
  health_ = std::move(health);
  set_failing(health_());
}

JournalInfo Journal::info() const {
  JournalInfo info = info_;
  info.waiting = agents_.size() + peers_.size();
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

}  // namespace sluice::controlplane
