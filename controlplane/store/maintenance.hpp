// What an operator does with a running index, reached through Index::maintenance(). Any thread;
// each call blocks until it is done or cancelled, while reads and writes go on. At most one of
// compact, migrate runs at a time, others wait. Progress is called from the calling thread, at most
// some tens of times a second; returning false cancels (kUnavailable, "cancelled").
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/snapshot.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

class Fs;

// Bytes or items done of all; total may grow while writes go on.
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

struct Damage {
  std::string file;
  std::string what;  // section and offset, ready to be shown
};

struct VerifyReport {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::vector<Damage> damaged;  // these are not served any more; restore them from a backup
};

struct BackupReport {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  std::uint64_t sequence = 0;  // of the newest write in it
};

struct Usage {
  std::uint64_t keys = 0;  // of a set: elements
  std::uint64_t key_bytes = 0;
  std::uint64_t value_bytes = 0;
};
using TableUsage = std::map<std::uint8_t, Usage>;         // by table id
using TenantUsage = std::map<std::uint16_t, TableUsage>;  // by tenant

struct ExportReport {
  std::uint64_t items = 0;
  std::uint64_t sequence = 0;  // of the newest write in it
};

// What migrate() shall change; what is not given stays.
struct MigrateTarget {
  std::optional<unsigned> lanes;
  std::optional<HashKey> key;
  // Of segment files, kOldestSegmentFormat to kNewestSegmentFormat; between 2 and 3 the hash key
  // changes, too, because ids are hashed in another way.
  std::optional<std::uint32_t> format;
};

class Maintenance {
 public:
  virtual ~Maintenance() = default;

  // Reads every file and checks every checksum.
  virtual Result<VerifyReport> verify(const Progress& progress) = 0;
  // Into a new directory, of a parent that is there (else kNotFound names it): hard links (copies
  // on another file system), the log, the manifest last. Needs no room where the store is. Durable
  // when it returns. A backup is a store: open it, or restore_backup() it.
  virtual Result<BackupReport> backup(const std::string& directory, const Progress& progress) = 0;
  // Everything into one segment per lane and form, deletions dropped.
  virtual Status compact(const Progress& progress) = 0;
  // Writes everything anew in another layout (lanes, hash key, file format) while reads and writes
  // go on, then switches. Goes on by itself after a restart.
  virtual Status migrate(const MigrateTarget& target, const Progress& progress) = 0;
  // Of one tenant, or of all that have anything. Progress counts entries, here and below.
  virtual Result<TenantUsage> usage(std::optional<std::uint16_t> tenant,
                                    const Progress& progress) = 0;
  // All items of a tenant, table by table, from one snapshot.
  virtual Result<ExportReport> export_tenant(std::uint16_t tenant,
                                             const std::function<Status(const Item&)>& item,
                                             const Progress& progress) = 0;
  // Deletes what the tenant has at the time of the call; returns how many keys.
  virtual Result<std::uint64_t> delete_tenant(std::uint16_t tenant, const Progress& progress) = 0;
  // Ends a compact() or migrate() that runs soon (kUnavailable), so that closing does not wait for
  // it; what a migration had begun goes on after the next opening. For good; any thread.
  virtual void interrupt() noexcept = 0;
};

// Checks the whole backup, then copies it to `directory`, which must not be there or be empty. The
// directory can be opened only when everything is in place.
Result<BackupReport> restore_backup(Fs& fs, const std::string& backup, const std::string& directory,
                                    const Progress& progress);

}  // namespace sluice::controlplane::store
