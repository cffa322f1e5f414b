// The gRPC service of the durable store. Its methods run on threads of gRPC and ask the index,
// which may be asked from any thread; the control thread has a part only in what the journal has
// not written yet.
#pragma once

#include <atomic>
#include <span>

#include "controlplane/api/control_thread.hpp"
#include "controlplane/api/stream_watch.hpp"
#include "controlplane/api/subsystems.hpp"
#include "store.grpc.pb.h"

namespace sluice::controlplane {

class StoreService final : public api::Store::Service {
 public:
  StoreService(ControlThread& control, Subsystems subsystems, StreamWatch& streams,
               const std::atomic<bool>& stopping)
      : control_(control), subsystems_(subsystems), streams_(streams), stopping_(stopping) {}

  grpc::Status Show(grpc::ServerContext*, const api::ShowStoreRequest*,
                    api::ShowStoreReply*) override;
  grpc::Status Verify(grpc::ServerContext*, const api::VerifyStoreRequest*,
                      grpc::ServerWriter<api::VerifyStoreReply>*) override;
  grpc::Status Backup(grpc::ServerContext*, const api::BackupStoreRequest*,
                      grpc::ServerWriter<api::BackupStoreReply>*) override;
  grpc::Status Compact(grpc::ServerContext*, const api::CompactStoreRequest*,
                       grpc::ServerWriter<api::CompactStoreReply>*) override;
  grpc::Status Migrate(grpc::ServerContext*, const api::MigrateStoreRequest*,
                       grpc::ServerWriter<api::MigrateStoreReply>*) override;
  // store_tenants.cpp
  grpc::Status Usage(grpc::ServerContext*, const api::StoreUsageRequest*,
                     grpc::ServerWriter<api::StoreUsageReply>*) override;
  grpc::Status Export(grpc::ServerContext*, const api::ExportTenantRequest*,
                      grpc::ServerWriter<api::ExportTenantReply>*) override;
  grpc::Status DeleteTenant(grpc::ServerContext*, const api::DeleteTenantRequest*,
                            grpc::ServerWriter<api::DeleteTenantReply>*) override;

 private:
  struct AgentCount {
    std::uint64_t all = 0;
    std::uint64_t configured = 0;
  };
  AgentCount count_agents(std::uint16_t tenant);
  bool is_configured(std::uint16_t tenant);
  bool is_unknown(std::uint16_t tenant);
  grpc::Status unknown(std::uint16_t tenant);
  grpc::Status confirm(std::uint16_t tenant, std::uint64_t agents, const store::Progress& progress);
  // The store may be behind the registry, or ahead of it: first what the store has, then what else
  // is known.
  Status delete_all(std::uint16_t tenant, const store::Progress& progress,
                    api::TenantDeleted& report);
  // What a deletion that failed has done and has not.
  std::string deleted_in_part(const api::TenantDeleted& report, std::uint64_t before);
  Status forget(std::span<const Id> ids, std::uint16_t tenant, api::TenantDeleted& report);

  ControlThread& control_;
  Subsystems subsystems_;
  StreamWatch& streams_;
  const std::atomic<bool>& stopping_;
};

}  // namespace sluice::controlplane
