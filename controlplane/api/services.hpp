// The three gRPC services: they check what was asked, do it on the control thread, and put the
// answer into messages. Their methods run on threads of gRPC.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "controlplane/api/control_thread.hpp"
#include "controlplane/api/stream_watch.hpp"
#include "controlplane/api/subsystems.hpp"
#include "sluice.grpc.pb.h"

namespace sluice::controlplane {

class RouterService final : public api::Router::Service {
 public:
  RouterService(ControlThread& control, Subsystems subsystems, StreamWatch& streams,
                const std::atomic<bool>& stopping)
      : control_(control), subsystems_(subsystems), streams_(streams), stopping_(stopping) {}

  grpc::Status Status(grpc::ServerContext*, const api::StatusRequest*, api::StatusReply*) override;
  grpc::Status Stats(grpc::ServerContext*, const api::StatsRequest*, api::StatsReply*) override;
  grpc::Status ClearCounters(grpc::ServerContext*, const api::ClearCountersRequest*,
                             api::ClearCountersReply*) override;
  grpc::Status Drops(grpc::ServerContext*, const api::DropsRequest*, api::DropsReply*) override;
  grpc::Status Trace(grpc::ServerContext*, const api::TraceRequest*,
                     grpc::ServerWriter<api::TraceReply>*) override;
  grpc::Status ShowConfig(grpc::ServerContext*, const api::ShowConfigRequest*,
                          api::ShowConfigReply*) override;
  grpc::Status CheckConfig(grpc::ServerContext*, const api::CheckConfigRequest*,
                           api::CheckConfigReply*) override;
  grpc::Status ReloadConfig(grpc::ServerContext*, const api::ReloadConfigRequest*,
                            api::ReloadConfigReply*) override;

 private:
  ControlThread& control_;
  Subsystems subsystems_;
  StreamWatch& streams_;
  const std::atomic<bool>& stopping_;
};

class AgentsService final : public api::Agents::Service {
 public:
  AgentsService(ControlThread& control, Subsystems subsystems, StreamWatch& streams)
      : control_(control), subsystems_(subsystems), streams_(streams) {}

  grpc::Status Add(grpc::ServerContext*, const api::AddAgentRequest*, api::AddAgentReply*) override;
  grpc::Status Delete(grpc::ServerContext*, const api::DeleteAgentRequest*,
                      api::DeleteAgentReply*) override;
  grpc::Status List(grpc::ServerContext*, const api::ListAgentsRequest*,
                    grpc::ServerWriter<api::AgentPage>*) override;
  grpc::Status Show(grpc::ServerContext*, const api::ShowAgentRequest*, api::Agent*) override;
  grpc::Status Resolve(grpc::ServerContext*, const api::ResolveRequest*,
                       api::ResolveReply*) override;
  grpc::Status Token(grpc::ServerContext*, const api::TokenRequest*, api::TokenReply*) override;

 private:
  Result<std::vector<Id>> collect(const api::ListAgentsRequest& request);

  ControlThread& control_;
  Subsystems subsystems_;
  StreamWatch& streams_;
};

class ForwardingService final : public api::Forwarding::Service {
 public:
  ForwardingService(ControlThread& control, Subsystems subsystems, StreamWatch& streams)
      : control_(control), subsystems_(subsystems), streams_(streams) {}

  grpc::Status LookupRoute(grpc::ServerContext*, const api::LookupRouteRequest*,
                           api::LookupRouteReply*) override;
  grpc::Status CountRoutes(grpc::ServerContext*, const api::CountRoutesRequest*,
                           api::CountRoutesReply*) override;
  grpc::Status ListAdjacencies(grpc::ServerContext*, const api::ListAdjacenciesRequest*,
                               grpc::ServerWriter<api::AdjacencyPage>*) override;
  grpc::Status ListPorts(grpc::ServerContext*, const api::ListPortsRequest*,
                         api::ListPortsReply*) override;
  grpc::Status ListNeighbors(grpc::ServerContext*, const api::ListNeighborsRequest*,
                             api::ListNeighborsReply*) override;
  grpc::Status AddPeer(grpc::ServerContext*, const api::AddPeerRequest*,
                       api::AddPeerReply*) override;
  grpc::Status DeletePeer(grpc::ServerContext*, const api::DeletePeerRequest*,
                          api::DeletePeerReply*) override;
  grpc::Status ListPeers(grpc::ServerContext*, const api::ListPeersRequest*,
                         api::ListPeersReply*) override;
  grpc::Status ListTenants(grpc::ServerContext*, const api::ListTenantsRequest*,
                           api::ListTenantsReply*) override;

 private:
  ControlThread& control_;
  Subsystems subsystems_;
  StreamWatch& streams_;
};

// "; did you mean 'a'?" for the name of an agent or capability that nobody has, or nothing. Works
// in pieces, so that the control thread is never held up. Any thread but the control thread.
std::string suggest_agents(ControlThread& control, const Subsystems& subsystems,
                           const std::string& wanted);
std::string suggest_capabilities(ControlThread& control, const Subsystems& subsystems,
                                 const std::string& wanted);
// "no tenant 9; there are 1 (one), 2 (two)", or where to look when there are many. Any thread.
std::string no_tenant(const Tenants& tenants, std::uint32_t wanted);
std::string no_peer(const Forwarding& forwarding, const std::string& wanted);

// Until what was changed before has taken effect in the dataplane, so that a script may send right
// after the command that made it possible. Bounded: without a dataplane, or with one that is slow
// or does not get the kernel's answer, it returns all the same. Any thread but the control thread.
void wait_applied(ControlThread& control, const Subsystems& subsystems);
// Until what was changed before would survive a restart, or cannot: then the caller takes it back.
// Any thread but the control thread.
Status wait_durable(ControlThread& control, const Subsystems& subsystems);

}  // namespace sluice::controlplane
