// The control plane's API on its unix socket: one call() for every request of the schema. Connects
// at the first call; errors are sentences for people. One thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "cluster.pb.h"
#include "sluice.pb.h"
#include "sluice/base/result.hpp"
#include "store.pb.h"

// X(service, method, request, reply)
#define SLUICE_API_CALLS(X)                                              \
  X(Router, Status, StatusRequest, StatusReply)                          \
  X(Router, Stats, StatsRequest, StatsReply)                             \
  X(Router, ClearCounters, ClearCountersRequest, ClearCountersReply)     \
  X(Router, Drops, DropsRequest, DropsReply)                             \
  X(Router, ShowConfig, ShowConfigRequest, ShowConfigReply)              \
  X(Router, CheckConfig, CheckConfigRequest, CheckConfigReply)           \
  X(Router, ReloadConfig, ReloadConfigRequest, ReloadConfigReply)        \
  X(Agents, Add, AddAgentRequest, AddAgentReply)                         \
  X(Agents, Delete, DeleteAgentRequest, DeleteAgentReply)                \
  X(Agents, Show, ShowAgentRequest, Agent)                               \
  X(Agents, Resolve, ResolveRequest, ResolveReply)                       \
  X(Agents, Token, TokenRequest, TokenReply)                             \
  X(Forwarding, LookupRoute, LookupRouteRequest, LookupRouteReply)       \
  X(Forwarding, CountRoutes, CountRoutesRequest, CountRoutesReply)       \
  X(Forwarding, ListPorts, ListPortsRequest, ListPortsReply)             \
  X(Forwarding, ListNeighbors, ListNeighborsRequest, ListNeighborsReply) \
  X(Forwarding, AddPeer, AddPeerRequest, AddPeerReply)                   \
  X(Forwarding, DeletePeer, DeletePeerRequest, DeletePeerReply)          \
  X(Forwarding, ListPeers, ListPeersRequest, ListPeersReply)             \
  X(Forwarding, ListTenants, ListTenantsRequest, ListTenantsReply)       \
  X(Cluster, ListNodes, ListNodesRequest, ListNodesReply)                \
  X(Cluster, ForceLeave, ForceLeaveRequest, ForceLeaveReply)             \
  X(Cluster, Leave, LeaveRequest, LeaveReply)                            \
  X(Cluster, ListKeys, ListKeysRequest, ListKeysReply)                   \
  X(Cluster, StepKey, StepKeyRequest, StepKeyReply)                      \
  X(Cluster, JoinToken, JoinTokenRequest, JoinTokenReply)                \
  X(Store, Show, ShowStoreRequest, ShowStoreReply)
// The same for answers that are streams.
#define SLUICE_API_STREAMS(X)                                           \
  X(Router, Trace, TraceRequest, TraceReply)                            \
  X(Agents, List, ListAgentsRequest, AgentPage)                         \
  X(Forwarding, ListAdjacencies, ListAdjacenciesRequest, AdjacencyPage) \
  X(Cluster, Events, ClusterEventsRequest, ClusterEvent)                \
  X(Store, Verify, VerifyStoreRequest, VerifyStoreReply)                \
  X(Store, Backup, BackupStoreRequest, BackupStoreReply)                \
  X(Store, Compact, CompactStoreRequest, CompactStoreReply)             \
  X(Store, Migrate, MigrateStoreRequest, MigrateStoreReply)             \
  X(Store, Usage, StoreUsageRequest, StoreUsageReply)                   \
  X(Store, Export, ExportTenantRequest, ExportTenantReply)              \
  X(Store, DeleteTenant, DeleteTenantRequest, DeleteTenantReply)

namespace sluice::cli {

class Client {
 public:
  // `timeout` is for a whole call, streams included unless they are given their own. Within it the
  // control plane has to take the connection, in any case.
  Client(std::string socket, std::chrono::nanoseconds timeout);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const std::string& socket() const noexcept { return socket_; }
  void set_timeout(std::chrono::nanoseconds timeout) noexcept { timeout_ = timeout; }

#define SLUICE_X(service, method, request, reply) Result<api::reply> call(const api::request&);
  SLUICE_API_CALLS(SLUICE_X)
#undef SLUICE_X
// `each` is called for every reply until it returns false, which ends the call.
#define SLUICE_X(service, method, request, reply) \
  Status call(const api::request&, const std::function<bool(const api::reply&)>& each);
  SLUICE_API_STREAMS(SLUICE_X)
#undef SLUICE_X

 private:
  struct Stubs;

  Status connect();

  std::string socket_;
  std::chrono::nanoseconds connect_timeout_;
  std::chrono::nanoseconds timeout_;
  std::unique_ptr<Stubs> stubs_;
};

// Whether somebody listens on that unix socket; if not, an Error with what to do about it.
Status check_socket(const std::string& path);

}  // namespace sluice::cli
