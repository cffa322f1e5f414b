// What outlives the process: the durable index in its folder, the journal that writes agents and
// peers to it, and their way back at start. Control thread, but where it says otherwise.
#pragma once

#include <asio/io_context.hpp>

#include <memory>
#include <string>

#include "config/config.hpp"
#include "controlplane/api/subsystems.hpp"
#include "controlplane/app/journal.hpp"
#include "controlplane/app/restore.hpp"
#include "controlplane/app/state_dir.hpp"
#include "controlplane/app/tenant_keeper.hpp"
#include "controlplane/store/file/fs.hpp"
#include "controlplane/store/index.hpp"

namespace sluice::controlplane {

class Keeper {
 public:
  // Opens the index, or makes a new one under the key of the state folder. The error names the
  // folder or file and what to do. An index that is there opens on a full or read-only disk, too:
  // it is as when the disk fills while it runs.
  static Result<std::unique_ptr<Keeper>> open(const config::Config& config);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // The router's: of the index, of base segments and of the dataplane's tables.
  const HashKey& hash_key() const { return hash_key_; }
  store::Fs& fs() { return *fs_; }
  store::Index& index() { return *index_; }  // any thread
  // It was there before this start, so what it has is all that there was.
  bool was_there() const { return was_there_; }

  // Before the configuration is applied: from now on changes are written.
  void attach(Registry& registry, Forwarding& forwarding, const Tenants& tenants,
              asio::io_context& io);
  // Before the configuration is checked.
  Status load_tenants();
  // After it was applied.
  Status restore(Registry& registry, Forwarding& forwarding, const Tenants& tenants, Time now);

  Journal& journal() { return *journal_; }
  TenantKeeper& tenants() { return *tenants_; }
  void tick();
  StoreInfo info() const;
  // Writes what is left and closes the index; the event loop runs no more.
  void close();

 private:
  Keeper(std::unique_ptr<store::Fs> fs, std::unique_ptr<store::Index> index, std::string folder,
         bool was_there);
  // The journal fails when the index does, and tells.
  void watch_index();

  std::unique_ptr<store::Fs> fs_;
  std::unique_ptr<store::Index> index_;
  std::string folder_;
  bool was_there_;
  HashKey hash_key_;
  Restored restored_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<TenantKeeper> tenants_;
};

}  // namespace sluice::controlplane
