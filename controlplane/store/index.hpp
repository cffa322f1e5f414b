// The durable route index: tables of keys, each namespaced by tenant, that survive crashes and
// power loss. The public face of this folder, with write_batch.hpp, snapshot.hpp and
// maintenance.hpp.
//
// Threads: every method of Index may be called from any thread at any time. Reads take no lock and
// never wait for writes or compaction; writes may wait (for the disk, or when compaction is
// behind). A write that returned success is as durable as the fsync policy says and visible to
// every later read; a batch is all there after a crash, or not at all. Damage on the disk is never
// served: what would need a damaged file fails with kCorrupt and names the file.
//
// A read beside a write sees each key, of a set each element, as it was at some moment of the read:
// of a batch that is being applied, maybe a part, also within one set. Whoever needs batches whole
// reads a snapshot: it has all of a batch or nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/entry.hpp"
#include "controlplane/store/index_metrics.hpp"
#include "controlplane/store/lane.hpp"
#include "controlplane/store/log/fsync_policy.hpp"
#include "controlplane/store/maintenance.hpp"
#include "controlplane/store/snapshot.hpp"
#include "controlplane/store/table_spec.hpp"
#include "controlplane/store/write_batch.hpp"
#include "sluice/base/result.hpp"

namespace sluice::controlplane::store {

class Fs;

struct IndexOptions {
  std::string directory;          // made when it is not there
  std::vector<TableSpec> tables;  // added to those the store has; a known id must be the same
  std::optional<HashKey> key;     // for a new store; made at random when not given. An existing
                                  // store has its own: another one here is refused
  unsigned lanes = 4;             // of a new store, 1 to kMaxLanes; later Maintenance::migrate
  Fsync fsync = Fsync::kEach;
  std::chrono::milliseconds fsync_interval{10};
  std::uint64_t overlay_bytes = std::uint64_t{64} << 20;  // of all lanes; a second as much is
                                                          // filled while the first is written out
  unsigned workers = 1;                                   // compaction threads
  std::uint64_t bytes_per_second = 0;  // what compaction may write; 0: no limit. It is exceeded
                                       // rather than let writes stop
  bool verify_after_open = true;       // check every file in the background after opening
  bool serves_lookups = true;  // what they touch is copied into huge pages, 12 to 32 bytes a key;
                               // false: only snapshots are read
};

inline constexpr unsigned kMaxLookup = 64;

class Index {
 public:
  // Locks the directory (a second opener gets kUnavailable naming the holder), reads the manifest,
  // replays the log; time grows with the log, not with the index. Files that no manifest names are
  // removed. `fs` must outlive the index. A store that is there opens on a full, read-only or
  // failing disk, too: reads work, writes are refused as after a failure while it runs (health()),
  // and the rest of the opening is tried again in the background and by every write(). Until then
  // nothing at all is written, so that what a crash left is never in front of something newer.
  static Result<std::unique_ptr<Index>> open(Fs& fs, IndexOptions options);
  // Waits for running writes, stops compaction, makes the log durable. Snapshots may live on.
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // kInvalidArgument: the batch names no table or breaks its kind; kExhausted: the disk is full or
  // compaction cannot follow, try again; kPermissionDenied: the disk is read-only. Reads go on.
  Status write(const WriteBatch& batch);
  // The same without waiting. `done` runs in the thread that commits: it must be short and must not
  // call write(). Callbacks run in the order of the calls, all before the index is gone; what is
  // refused at once (an invalid batch, compaction too far behind) is told before this returns.
  void write_async(WriteBatch batch, std::function<void(Status)> done);
  // Makes durable what was written under any policy.
  Status sync();
  // Why writes are refused, all of them; well when the next one is tried.
  Status health() const;

  // Numbers of `n` <= kMaxLookup ids of one table and tenant: bit i of the result says that ids[i]
  // is there, values[i] is its number then. One prefetched pass for all.
  Result<std::uint64_t> lookup(std::uint8_t table, std::uint16_t tenant, const Id* ids, unsigned n,
                               std::uint64_t* values) const;
  // One key of any length.
  Result<std::optional<std::uint64_t>> number(std::uint8_t table, std::uint16_t tenant,
                                              Bytes key) const;
  Result<std::optional<std::vector<std::uint8_t>>> record(std::uint8_t table, std::uint16_t tenant,
                                                          Bytes key) const;
  // The elements of a set, sorted; empty when the key is not there.
  Result<std::vector<std::vector<std::uint8_t>>> members(std::uint8_t table, std::uint16_t tenant,
                                                         Bytes key) const;

  // Everything written before this call, and nothing after. Cheap; files stay while it lives.
  Snapshot snapshot() const;

  // Verify, backup, compact, migrate, tenants. Lives as long as the index.
  Maintenance& maintenance() noexcept;
  IndexMetrics metrics() const;
  std::vector<TableSpec> tables() const;
  // Secret: what the dataplane hashes ids with. Changes only by Maintenance::migrate.
  HashKey hash_key() const;

 private:
  class Impl;
  explicit Index(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::controlplane::store
