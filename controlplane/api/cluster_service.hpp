// The gRPC service of the cluster. Its methods run on threads of gRPC and ask the member, which has
// a thread of its own; the control thread has no part in it, but for the configuration.
#pragma once

#include <atomic>

#include "cluster.grpc.pb.h"
#include "controlplane/api/control_thread.hpp"
#include "controlplane/api/stream_watch.hpp"
#include "controlplane/api/subsystems.hpp"

namespace sluice::controlplane {

class ClusterService final : public api::Cluster::Service {
 public:
  ClusterService(ControlThread& control, Subsystems subsystems, StreamWatch& streams,
                 const std::atomic<bool>& stopping)
      : control_(control), subsystems_(subsystems), streams_(streams), stopping_(stopping) {}

  grpc::Status ListNodes(grpc::ServerContext*, const api::ListNodesRequest*,
                         api::ListNodesReply*) override;
  grpc::Status ForceLeave(grpc::ServerContext*, const api::ForceLeaveRequest*,
                          api::ForceLeaveReply*) override;
  grpc::Status Leave(grpc::ServerContext*, const api::LeaveRequest*, api::LeaveReply*) override;
  grpc::Status ListKeys(grpc::ServerContext*, const api::ListKeysRequest*,
                        api::ListKeysReply*) override;
  grpc::Status StepKey(grpc::ServerContext*, const api::StepKeyRequest*,
                       api::StepKeyReply*) override;
  grpc::Status JoinToken(grpc::ServerContext*, const api::JoinTokenRequest*,
                         api::JoinTokenReply*) override;
  grpc::Status Events(grpc::ServerContext*, const api::ClusterEventsRequest*,
                      grpc::ServerWriter<api::ClusterEvent>*) override;

 private:
  Result<membership::Key> key_of(const api::StepKeyRequest& request);

  ControlThread& control_;
  Subsystems subsystems_;
  StreamWatch& streams_;
  const std::atomic<bool>& stopping_;
};

}  // namespace sluice::controlplane
