// Moves the whole index to another layout (lanes, hash key, file format) while it is used. At the
// switch the trees of the old layout stop taking writes; the new ones begin empty, in front of
// them. A background thread then writes what the old ones hold anew, sorted for the new layout, and
// puts it under the new trees in one manifest, which no longer names the old ones. The two
// manifests are the only durable steps: after a crash between them the work begins again by itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/store/care/rewrite.hpp"
#include "controlplane/store/compaction/compactor.hpp"
#include "controlplane/store/core.hpp"

namespace sluice::controlplane::store {

class Migrator {
 public:
  // Goes on with a migration that the store was closed in.
  Migrator(Core& core, Compactor& compactor);
  ~Migrator();
  Migrator(const Migrator&) = delete;
  Migrator& operator=(const Migrator&) = delete;

  // Ends the threads; what they were doing is left for the next open.
  void stop() noexcept;
  // The same without waiting for it. Any thread.
  void request_stop() noexcept;

  // Returns when all is in the new layout. Cancelling before the switch leaves everything as it
  // was; later the migration goes on in the background and only the waiting ends.
  Status migrate(const MigrateTarget& target, const Progress& progress);
  std::string failure() const;

 private:
  Result<std::shared_ptr<const Layout>> layout_for(const MigrateTarget& target) const;
  Status prepare(const Progress& progress);
  Status switch_to(const std::shared_ptr<const Layout>& layout, const Progress& progress);
  Status wait_until_moved(const Progress& progress);
  void run();
  Status move();

  Core& core_;
  Compactor& compactor_;
  std::atomic<bool> stop_{false};
  RewriteProgress work_;
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::string failure_;
  std::mutex one_at_a_time_;
  std::thread thread_;
};

}  // namespace sluice::controlplane::store
