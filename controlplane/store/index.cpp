#include "controlplane/store/index.hpp"

#include <utility>

#include "controlplane/store/care/migrator.hpp"
#include "controlplane/store/care/operations.hpp"
#include "controlplane/store/care/verifier.hpp"
#include "controlplane/store/compaction/compactor.hpp"
#include "controlplane/store/core.hpp"
#include "controlplane/store/metrics.hpp"
#include "controlplane/store/reader.hpp"
#include "controlplane/store/writer.hpp"

namespace sluice::controlplane::store {

class Index::Impl {
 public:
  explicit Impl(std::unique_ptr<Core> made)
      : core(std::move(made)),
        compactor(*core),
        migrator(*core, compactor),
        writer(*core, compactor),
        operations(*core, compactor, migrator, writer) {
    verifier.emplace(*core);
  }
  // First what works in the background; then the log, which commits what was submitted; then all.
  ~Impl() {
    verifier.reset();
    migrator.stop();
    compactor.stop();
    core->close_log();
    core->tidy();
  }

  // `expected` kind, or what is wrong with the table.
  Status check(std::uint8_t table, Kind expected) const;
  template <class Find>
  auto read(const Find& find) const;

  std::unique_ptr<Core> core;
  Compactor compactor;
  Migrator migrator;
  Writer writer;
  Operations operations;
  std::optional<Verifier> verifier;
};

Status Index::Impl::check(std::uint8_t table, Kind expected) const {
  const auto kind = core->kind_of(table);
  if (kind && *kind == expected) return {};
  return fail(ErrorCode::kInvalidArgument,
              kind ? "table " + std::to_string(table) + " is of another kind"
                   : "there is no table " + std::to_string(table),
              ErrorOrigin::kStore);
}

// Under a guard, with the figures counted.
template <class Find>
auto Index::Impl::read(const Find& find) const {
  const auto guard = core->epochs().enter();
  LookupCounts counts;
  Reader reader(core.get(), core->present(), counts);
  auto result = find(reader);
  EpochDomain::Counters::add(guard.counters().lookups, counts.lookups);
  EpochDomain::Counters::add(guard.counters().hits, counts.hits);
  EpochDomain::Counters::add(guard.counters().probes, counts.probes);
  EpochDomain::Counters::add(guard.counters().false_positives, counts.false_positives);
  return result;
}

Index::Index(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Index::~Index() = default;

Result<std::unique_ptr<Index>> Index::open(Fs& fs, IndexOptions options) {
  auto core = Core::open(fs, std::move(options));
  if (!core) return std::unexpected(std::move(core).error());
  return std::unique_ptr<Index>(new Index(std::make_unique<Impl>(*std::move(core))));
}

Status Index::write(const WriteBatch& batch) {
  return impl_->writer.write(batch);
}

void Index::write_async(WriteBatch batch, std::function<void(Status)> done) {
  impl_->writer.write_async(std::move(batch), std::move(done));
}

Status Index::sync() {
  return impl_->core->log().sync();
}

Status Index::health() const {
  return impl_->core->log().health();
}

Result<std::uint64_t> Index::lookup(std::uint8_t table, std::uint16_t tenant, const Id* ids,
                                    unsigned n, std::uint64_t* values) const {
  if (const Status good = impl_->check(table, Kind::kNumber); !good) [[unlikely]]
    return std::unexpected(good.error());
  if (n > kMaxLookup) [[unlikely]] {
    return fail(ErrorCode::kInvalidArgument, "too many ids for one lookup", ErrorOrigin::kStore);
  }
  return impl_->read([&](Reader& reader) { return reader.lookup(table, tenant, ids, n, values); });
}

Result<std::optional<std::uint64_t>> Index::number(std::uint8_t table, std::uint16_t tenant,
                                                   Bytes key) const {
  if (const Status good = impl_->check(table, Kind::kNumber); !good)
    return std::unexpected(good.error());
  return impl_->read([&](Reader& reader) { return reader.number(table, tenant, key); });
}

Result<std::optional<std::vector<std::uint8_t>>> Index::record(std::uint8_t table,
                                                               std::uint16_t tenant,
                                                               Bytes key) const {
  if (const Status good = impl_->check(table, Kind::kRecord); !good)
    return std::unexpected(good.error());
  return impl_->read([&](Reader& reader) { return reader.record(table, tenant, key); });
}

Result<std::vector<std::vector<std::uint8_t>>> Index::members(std::uint8_t table,
                                                              std::uint16_t tenant,
                                                              Bytes key) const {
  if (const Status good = impl_->check(table, Kind::kSet); !good)
    return std::unexpected(good.error());
  return impl_->read([&](Reader& reader) { return reader.members(table, tenant, key); });
}

Snapshot Index::snapshot() const {
  return impl_->operations.snapshot();
}

Maintenance& Index::maintenance() noexcept {
  return impl_->operations;
}

IndexMetrics Index::metrics() const {
  return collect_metrics(*impl_->core, impl_->compactor, impl_->migrator);
}

std::vector<TableSpec> Index::tables() const {
  return impl_->core->tables();
}

HashKey Index::hash_key() const {
  return impl_->core->version()->current.layout->key;
}

}  // namespace sluice::controlplane::store
