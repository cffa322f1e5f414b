#include "controlplane/store/writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "controlplane/store/log/log_batch.hpp"
#include "controlplane/store/scratch.hpp"
#include "sluice/base/clock.hpp"

namespace sluice::controlplane::store {
namespace {

// In overlays of one tree: those that are sealed, and how far the active one is filled.
constexpr double kSlow = 2.5;
constexpr double kStop = 7;
constexpr double kMaxDelayNs = 5'000;        // per operation, just before the stop
constexpr std::uint64_t kSleepNs = 200'000;  // shorter sleeps take this long anyway
constexpr std::uint64_t kMaxSleepNs = 2 * kNsPerMs;
constexpr std::uint64_t kStopWaitMs = 50;
constexpr std::uint64_t kGiveUpNs = 20 * kNsPerSecond;

std::string_view name_of(Kind kind) noexcept {
  switch (kind) {
    case Kind::kNumber:
      return "numbers";
    case Kind::kRecord:
      return "records";
    case Kind::kSet:
      return "sets";
  }
  return "?";
}

bool fits_kind(Kind kind, const WriteBatch::Operation& operation) noexcept {
  if (operation.op == Op::kDelete) return true;
  if (operation.op == Op::kPut)
    return kind != Kind::kSet && operation.inlined == (kind == Kind::kNumber);
  return kind == Kind::kSet;
}

// Ids of one table and tenant after each other, the usual case, are hashed together.
std::vector<Hash128> hashes_of(const WriteBatch& batch, const KeyHasher& hasher) {
  const auto operations = batch.operations();
  std::vector<Hash128> hashes(operations.size());
  Scratch<Id, kMaxLookup> ids;
  for (std::size_t i = 0; i < operations.size();) {
    const WriteBatch::Operation& first = operations[i];
    const auto belongs = [&](const WriteBatch::Operation& operation) {
      return operation.key_size == sizeof(Id) && operation.table == first.table &&
             operation.tenant == first.tenant;
    };
    unsigned n = 0;
    for (; n < kMaxLookup && i + n < operations.size() && belongs(operations[i + n]); ++n)
      std::memcpy(&ids[n], batch.key(operations[i + n]).data(), sizeof(Id));
    if (n == 0) {
      hashes[i++] = hasher(first.table, first.tenant, batch.key(first));
    } else {
      hasher.burst(first.table, first.tenant, ids.data(), &hashes[i], n);
      i += n;
    }
  }
  return hashes;
}

double pressure_of(const Tree& tree) noexcept {
  return static_cast<double>(tree.sealed.size()) + tree.active->filled();
}

double delay_of(double pressure) noexcept {
  const double over = std::clamp((pressure - kSlow) / (kStop - kSlow), 0.0, 1.0);
  return kMaxDelayNs * over * over;
}

}  // namespace

Status Writer::check(const WriteBatch& batch) const {
  for (const WriteBatch::Operation& operation : batch.operations()) {
    const auto refuse = [&](std::string what) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("operation {} of the batch: {}",
                              &operation - batch.operations().data(), what),
                  ErrorOrigin::kStore);
    };
    const auto kind = core_.kind_of(operation.table);
    if (!kind) return refuse(fmt::format("there is no table {}", operation.table));
    if (!fits_kind(*kind, operation))
      return refuse(fmt::format("table {} has {}", operation.table, name_of(*kind)));
    if (operation.key_size == 0 || operation.key_size > kMaxKeyBytes)
      return refuse(
          fmt::format("a key of {} bytes; 1 to {} are possible", operation.key_size, kMaxKeyBytes));
    if (operation.inlined && operation.inline_value >= kDeletedValue)
      return refuse(fmt::format("the number {} is too large", operation.inline_value));
    if (operation.op == Op::kPut && operation.value_size > kMaxRecordBytes)
      return refuse(fmt::format("a record of {} bytes; at most {} are possible",
                                operation.value_size, kMaxRecordBytes));
    if ((operation.op == Op::kSetAdd || operation.op == Op::kSetRemove) &&
        (operation.value_size == 0 || operation.value_size > kMaxElementBytes)) {
      return refuse(fmt::format("an element of {} bytes; 1 to {} are possible",
                                operation.value_size, kMaxElementBytes));
    }
  }
  return {};
}

// The overlays' slots are prefetched: by the time the log has the batch they are near.
Writer::Prepared Writer::prepare(const WriteBatch& batch) const {
  Prepared prepared;
  const auto guard = core_.epochs().enter();
  const TreeSet& set = core_.present().current;
  prepared.layout = set.layout->id;
  prepared.hashes = hashes_of(batch, set.layout->hasher);
  double delay = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Hash128& hash = prepared.hashes[i];
    const Form form = form_of(*core_.kind_of(batch.operations()[i].table));
    const Tree& tree = set.trees[set.layout->tree_of(form, hash)];
    tree.active->prefetch_slot(hash);
    if (static_cast<double>(tree.sealed.size() + 1) < kSlow) continue;
    const double pressure = pressure_of(tree);
    prepared.stopped = prepared.stopped || pressure >= kStop;
    delay += delay_of(pressure);
  }
  prepared.delay_ns = static_cast<std::uint64_t>(delay);
  return prepared;
}

// Sleeping has a grain, so that short delays are saved up.
void Writer::sleep_off(std::uint64_t delay_ns) {
  if (delay_ns == 0) return;
  core_.counters().slowed_writes.fetch_add(1, std::memory_order_relaxed);
  if (owed_ns_.fetch_add(delay_ns, std::memory_order_relaxed) + delay_ns < kSleepNs) return;
  const std::uint64_t owed = owed_ns_.exchange(0, std::memory_order_relaxed);
  const std::uint64_t start = monotonic_ns();
  std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(owed, kMaxSleepNs)));
  core_.counters().stall_ns.fetch_add(monotonic_ns() - start, std::memory_order_relaxed);
}

Status Writer::hold_back(const WriteBatch& batch, Prepared& prepared) {
  if (!prepared.stopped) {
    sleep_off(prepared.delay_ns);
    return {};
  }
  core_.counters().stopped_writes.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t start = monotonic_ns();
  while (prepared.stopped) {
    const std::string failure = compactor_.failure();
    if (!failure.empty() || monotonic_ns() - start > kGiveUpNs) {
      return fail(ErrorCode::kExhausted,
                  failure.empty() ? "compaction does not follow the writes" : failure,
                  ErrorOrigin::kStore, true);
    }
    compactor_.wait_for_progress(kStopWaitMs);
    prepared = prepare(batch);
  }
  core_.counters().stall_ns.fetch_add(monotonic_ns() - start, std::memory_order_relaxed);
  return {};
}

void Writer::count(const WriteBatch& batch, const Status& status) noexcept {
  if (!status) {
    core_.counters().write_failures.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  core_.counters().batches.fetch_add(1, std::memory_order_relaxed);
  core_.counters().writes.fetch_add(batch.size(), std::memory_order_relaxed);
}

Status Writer::write(const WriteBatch& batch) {
  if (batch.empty()) return {};
  Status status = check(batch);
  if (status && !core_.opened()) status = core_.finish_opening();
  if (status) {
    Prepared prepared = prepare(batch);
    status = hold_back(batch, prepared);
    if (status) {
      status = core_.log().commit(encode_batch(batch), static_cast<std::uint32_t>(batch.size()),
                                  [&](const Status& logged, std::uint64_t first) {
                                    if (logged)
                                      core_.apply(batch, prepared.hashes, prepared.layout, first);
                                  });
    }
  }
  count(batch, status);
  return status;
}

void Writer::write_async(WriteBatch batch, std::function<void(Status)> done) {
  if (batch.empty()) return done({});
  Status checked = check(batch);
  if (checked) checked = core_.check_opened();
  if (!checked) {
    count(batch, checked);
    return done(checked);
  }
  struct Waiting {
    WriteBatch batch;
    Prepared prepared;
    std::function<void(Status)> done;
  };
  auto waiting = std::make_shared<Waiting>(std::move(batch), Prepared{}, std::move(done));
  waiting->prepared = prepare(waiting->batch);
  if (waiting->prepared.stopped) {
    const Status full = fail(ErrorCode::kExhausted, "compaction does not follow the writes",
                             ErrorOrigin::kStore, true);
    count(waiting->batch, full);
    return waiting->done(full);
  }
  core_.log().submit(
      encode_batch(waiting->batch), static_cast<std::uint32_t>(waiting->batch.size()),
      [this, waiting](const Status& logged, std::uint64_t first) {
        if (logged)
          core_.apply(waiting->batch, waiting->prepared.hashes, waiting->prepared.layout, first);
        count(waiting->batch, logged);
        waiting->done(logged);
      });
}

}  // namespace sluice::controlplane::store
