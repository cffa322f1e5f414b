#include "controlplane/store/care/operations.hpp"

#include <algorithm>
#include <vector>

#include "controlplane/store/snapshot_state.hpp"

namespace sluice::controlplane::store {
namespace {

constexpr std::uint64_t kTellEvery = 8192;  // items
constexpr std::size_t kDeletesPerBatch = 256;

Error cancelled() {
  return Error(ErrorCode::kUnavailable, "cancelled", ErrorOrigin::kStore);
}

std::uint64_t entries_of(const Version& version) {
  std::uint64_t entries = 0;
  const auto add = [&](const TreeSet& set) {
    for (const Tree& tree : set.trees)
      entries += tree.sealed_entries() + tree.segment_entries();
  };
  add(version.current);
  if (version.old) add(*version.old);
  return entries;
}

}  // namespace

Snapshot Operations::snapshot() {
  auto [present, sequence] = core_.sealed_version();
  // Without the active overlays: they are empty, but not for long.
  auto version = std::make_shared<Version>(*present);
  for (Tree& tree : version->current.trees)
    tree.active.reset();
  auto state = std::make_shared<Snapshot::State>();
  state->version = std::move(version);
  state->sequence = sequence;
  state->tables = core_.tables();
  return Snapshot(std::move(state));
}

Result<std::uint64_t> Operations::for_each(
    std::optional<std::uint16_t> tenant, const Progress& progress,
    const std::function<Status(const TableSpec&, const Item&)>& item) {
  const Snapshot all = snapshot();
  const std::uint64_t total = entries_of(*core_.version());
  std::uint64_t done = 0;
  for (const TableSpec& table : core_.tables()) {
    auto cursor = all.cursor(table.id, tenant);
    if (!cursor) return std::unexpected(std::move(cursor).error());
    Item at;
    for (;;) {
      const auto more = cursor->next(at);
      if (!more) return std::unexpected(more.error());
      if (!*more) break;
      if (const Status taken = item(table, at); !taken) return std::unexpected(taken.error());
      if (++done % kTellEvery == 0 && progress && !progress(done, std::max(done, total)))
        return std::unexpected(cancelled());
    }
  }
  if (progress) progress(done, done);
  return all.sequence();
}

Status Operations::compact(const Progress& progress) {
  const std::lock_guard one(compacting_);
  core_.seal_all();
  const std::size_t trees = core_.version()->current.trees.size();
  for (std::size_t tree = 0; tree < trees; ++tree) {
    if (progress && !progress(tree, trees)) return std::unexpected(cancelled());
    const Pace pace(&compactor_.limiter(), &stop_);
    if (const Status done = compactor_.compact_tree(tree, pace); !done) return done;
  }
  if (progress) progress(trees, trees);
  return {};
}

void Operations::interrupt() noexcept {
  stop_.store(true);
  migrator_.request_stop();  // wakes whoever is held back, too
}

Status Operations::migrate(const MigrateTarget& target, const Progress& progress) {
  const std::lock_guard one(compacting_);
  return migrator_.migrate(target, progress);
}

Result<TenantUsage> Operations::usage(std::optional<std::uint16_t> tenant,
                                      const Progress& progress) {
  TenantUsage usage;
  const auto done = for_each(tenant, progress, [&](const TableSpec& table, const Item& item) {
    Usage& of = usage[item.tenant][table.id];
    ++of.keys;
    of.key_bytes += item.key.size();
    of.value_bytes += table.kind == Kind::kNumber ? sizeof item.number : item.value.size();
    return Status{};
  });
  if (!done) return std::unexpected(done.error());
  return usage;
}

Result<ExportReport> Operations::export_tenant(std::uint16_t tenant,
                                               const std::function<Status(const Item&)>& item,
                                               const Progress& progress) {
  ExportReport report;
  const auto sequence = for_each(tenant, progress, [&](const TableSpec&, const Item& at) -> Status {
    ++report.items;
    return item(at);
  });
  if (!sequence) return std::unexpected(sequence.error());
  report.sequence = *sequence;
  return report;
}

// The elements of a set follow each other, so each key is erased once (twice while a migration
// runs, which does no harm but to the count; keys are counted when they differ from the last).
Result<std::uint64_t> Operations::delete_tenant(std::uint16_t tenant, const Progress& progress) {
  WriteBatch batch;
  std::uint64_t keys = 0;
  Hash128 last;
  std::uint8_t last_table = 0;
  const auto done = for_each(tenant, progress, [&](const TableSpec& table, const Item& item) {
    if (keys != 0 && last == item.hash && last_table == table.id) return Status{};
    last = item.hash;
    last_table = table.id;
    ++keys;
    batch.erase(table.id, tenant, item.key);
    if (batch.size() < kDeletesPerBatch) return Status{};
    const Status written = writer_.write(batch);
    batch.clear();
    return written;
  });
  if (!done) return std::unexpected(done.error());
  if (const Status written = writer_.write(batch); !written)
    return std::unexpected(written.error());
  return keys;
}

}  // namespace sluice::controlplane::store
