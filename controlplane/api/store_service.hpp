// The gRPC service of the durable store. Its methods run on threads of gRPC and ask the index,
// which may be asked from any thread; the control thread has a part only in what the journal has
// not written yet.
#pragma once

#include <atomic>

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

 private:
  ControlThread& control_;
  Subsystems subsystems_;
  StreamWatch& streams_;
  const std::atomic<bool>& stopping_;
};

}  // namespace sluice::controlplane
