// Maintenance of an open index, what maintenance.hpp promises: the engine behind it. Any thread;
// one long operation at a time.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "controlplane/store/care/migrator.hpp"
#include "controlplane/store/compaction/compactor.hpp"
#include "controlplane/store/core.hpp"
#include "controlplane/store/maintenance.hpp"
#include "controlplane/store/writer.hpp"

namespace sluice::controlplane::store {

class Operations final : public Maintenance {
 public:
  Operations(Core& core, Compactor& compactor, Migrator& migrator, Writer& writer) noexcept
      : core_(core), compactor_(compactor), migrator_(migrator), writer_(writer) {}

  Snapshot snapshot();

  Result<VerifyReport> verify(const Progress& progress) override;
  Result<BackupReport> backup(const std::string& directory, const Progress& progress) override;
  Status compact(const Progress& progress) override;
  Status migrate(const MigrateTarget& target, const Progress& progress) override;
  Result<TenantUsage> usage(std::optional<std::uint16_t> tenant, const Progress& progress) override;
  Result<ExportReport> export_tenant(std::uint16_t tenant,
                                     const std::function<Status(const Item&)>& item,
                                     const Progress& progress) override;
  Result<std::uint64_t> delete_tenant(std::uint16_t tenant, const Progress& progress) override;
  void interrupt() noexcept override;

 private:
  // All items of a tenant (or of all) in all tables, with progress. The sequence of the newest
  // write in them.
  Result<std::uint64_t> for_each(std::optional<std::uint16_t> tenant, const Progress& progress,
                                 const std::function<Status(const TableSpec&, const Item&)>& item);
  Status verify_rest(VerifyReport& report);

  Core& core_;
  Compactor& compactor_;
  Migrator& migrator_;
  Writer& writer_;
  std::mutex compacting_;
  std::atomic<bool> stop_{false};
};

}  // namespace sluice::controlplane::store
