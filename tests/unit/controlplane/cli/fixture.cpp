#include "fixture.hpp"

#include <stdlib.h>

namespace sluice::cli {
namespace {

std::string described(std::string_view call, const google::protobuf::Message& request) {
  std::string text = request.ShortDebugString();
  return text.empty() ? std::string(call) : std::string(call).append(" ").append(text);
}

}  // namespace

struct FakeControlPlane::Services {
  explicit Services(FakeState& state)
      : router(state), agents(state), forwarding(state), cluster(state), store(state) {}

// Unary calls: note the request, give the answer.
#define FAKE(method, request, reply, ...)                                                  \
  grpc::Status method(grpc::ServerContext*, const api::request* asked, api::reply* answer) \
      override {                                                                           \
    s.requests.push_back(described(#method, *asked));                                      \
    if (s.error.ok()) {                                                                    \
      __VA_ARGS__;                                                                         \
    }                                                                                      \
    return s.error;                                                                        \
  }
#define FAKE_STREAM(method, request, reply, list)                        \
  grpc::Status method(grpc::ServerContext*, const api::request* asked,   \
                      grpc::ServerWriter<api::reply>* writer) override { \
    s.requests.push_back(described(#method, *asked));                    \
    for (const auto& item : list)                                        \
      if (s.error.ok()) writer->Write(item);                             \
    return s.error;                                                      \
  }

  struct Router : api::Router::Service {
    explicit Router(FakeState& state) : s(state) {}
    FAKE(Status, StatusRequest, StatusReply, *answer = s.status)
    FAKE(Stats, StatsRequest, StatsReply, *answer = s.stats.at(std::min(at++, s.stats.size() - 1)))
    FAKE(ClearCounters, ClearCountersRequest, ClearCountersReply, answer->Clear())
    FAKE(Drops, DropsRequest, DropsReply, *answer = s.drops)
    FAKE(ShowConfig, ShowConfigRequest, ShowConfigReply, *answer = s.config)
    FAKE(CheckConfig, CheckConfigRequest, CheckConfigReply, *answer = s.check)
    FAKE(ReloadConfig, ReloadConfigRequest, ReloadConfigReply, *answer = s.reload)
    FAKE_STREAM(Trace, TraceRequest, TraceReply, s.trace)
    FakeState& s;
    std::size_t at = 0;
  };
  struct Agents : api::Agents::Service {
    explicit Agents(FakeState& state) : s(state) {}
    FAKE(Add, AddAgentRequest, AddAgentReply, *answer->mutable_agent() = s.agent)
    FAKE(Delete, DeleteAgentRequest, DeleteAgentReply, *answer->mutable_agent() = s.agent)
    grpc::Status Show(grpc::ServerContext*, const api::ShowAgentRequest* asked,
                      api::Agent* answer) override {
      s.requests.push_back(described("Show", *asked));
      if (asked->agent() != s.agent.name()) {
        return {grpc::NOT_FOUND, "no agent '" + asked->agent() + "'"};
      }
      *answer = s.agent;
      return s.error;
    }
    FAKE(Resolve, ResolveRequest, ResolveReply, *answer = s.resolved)
    FAKE(Token, TokenRequest, TokenReply, *answer = s.token)
    FAKE_STREAM(List, ListAgentsRequest, AgentPage, s.pages)
    FakeState& s;
  };
  struct Forwarding : api::Forwarding::Service {
    explicit Forwarding(FakeState& state) : s(state) {}
    FAKE(LookupRoute, LookupRouteRequest, LookupRouteReply, *answer = s.route)
    FAKE(CountRoutes, CountRoutesRequest, CountRoutesReply, *answer = s.routes)
    FAKE(ListPorts, ListPortsRequest, ListPortsReply, *answer = s.ports)
    FAKE(ListNeighbors, ListNeighborsRequest, ListNeighborsReply, *answer = s.neighbors)
    FAKE(AddPeer, AddPeerRequest, AddPeerReply, *answer->mutable_peer() = s.peer)
    FAKE(DeletePeer, DeletePeerRequest, DeletePeerReply, *answer->mutable_peer() = s.peer)
    FAKE(ListPeers, ListPeersRequest, ListPeersReply, *answer = s.peers)
    FAKE(ListTenants, ListTenantsRequest, ListTenantsReply, *answer = s.tenants)
    FAKE_STREAM(ListAdjacencies, ListAdjacenciesRequest, AdjacencyPage, s.adjacencies)
    FakeState& s;
  };
  struct Cluster : api::Cluster::Service {
    explicit Cluster(FakeState& state) : s(state) {}
    FAKE(ListNodes, ListNodesRequest, ListNodesReply, *answer = s.nodes)
    FAKE(ForceLeave, ForceLeaveRequest, ForceLeaveReply, answer->Clear())
    FAKE(Leave, LeaveRequest, LeaveReply, answer->Clear())
    FAKE(ListKeys, ListKeysRequest, ListKeysReply, *answer = s.keys)
    FAKE(StepKey, StepKeyRequest, StepKeyReply, *answer = s.key_step)
    FAKE(JoinToken, JoinTokenRequest, JoinTokenReply, *answer = s.join_token)
    FAKE_STREAM(Events, ClusterEventsRequest, ClusterEvent, s.cluster_events)
    FakeState& s;
  };
  struct Store : api::Store::Service {
    explicit Store(FakeState& state) : s(state) {}
    grpc::Status Show(grpc::ServerContext*, const api::ShowStoreRequest* asked,
                      api::ShowStoreReply* answer) override {
      s.requests.push_back(described("ShowStore", *asked));
      *answer = s.store;
      return s.error;
    }
    FAKE_STREAM(Verify, VerifyStoreRequest, VerifyStoreReply, s.verified)
    FAKE_STREAM(Backup, BackupStoreRequest, BackupStoreReply, s.backup)
    FAKE_STREAM(Compact, CompactStoreRequest, CompactStoreReply, s.compacted)
    FAKE_STREAM(Migrate, MigrateStoreRequest, MigrateStoreReply, s.migrated)
    FAKE_STREAM(Usage, StoreUsageRequest, StoreUsageReply, s.usage)
    FAKE_STREAM(Export, ExportTenantRequest, ExportTenantReply, s.exported)
    FAKE_STREAM(DeleteTenant, DeleteTenantRequest, DeleteTenantReply, s.deleted)
    FakeState& s;
  };
#undef FAKE
#undef FAKE_STREAM

  Router router;
  Agents agents;
  Forwarding forwarding;
  Cluster cluster;
  Store store;
};

FakeControlPlane::FakeControlPlane() : services_(std::make_unique<Services>(state_)) {
  std::string folder = (std::filesystem::temp_directory_path() / "sluice-cli-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = folder;
  socket_ = folder + "/api.sock";
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_, grpc::InsecureServerCredentials());
  builder.RegisterService(&services_->router);
  builder.RegisterService(&services_->agents);
  builder.RegisterService(&services_->forwarding);
  builder.RegisterService(&services_->store);
  builder.RegisterService(&services_->cluster);
  server_ = builder.BuildAndStart();
}

FakeControlPlane::~FakeControlPlane() {
  server_->Shutdown();
  server_.reset();
  std::filesystem::remove_all(folder_);
}

Ran FakeControlPlane::run(std::vector<std::string> words, bool terminal) const {
  words.insert(words.begin(), {"--socket", socket_});
  return run_words(std::move(words), terminal);
}

namespace {

Ran run_in(const std::string& default_config, const std::vector<std::string>& words, bool terminal,
           Broken broken) {
  Ran ran;
  Environment environment;
  environment.out = [&](std::string_view text) {
    if (broken.error != 0 && broken.writes-- <= 0) return broken.error;
    ran.out += text;
    return 0;
  };
  environment.err = [&](std::string_view text) { ran.err += text; };
  environment.terminal = terminal;
  environment.sleep = [](std::chrono::nanoseconds) {};
  environment.default_config = default_config;
  environment.default_socket = "/nowhere/api.sock";
  ran.status = run(words, environment);
  return ran;
}

}  // namespace

Ran run_words(std::vector<std::string> words, bool terminal, Broken broken) {
  return run_in("/nowhere/sluice.yaml", words, terminal, broken);
}
Ran run_words_with(const std::string& default_config, std::vector<std::string> words) {
  return run_in(default_config, words, false, {});
}

}  // namespace sluice::cli
