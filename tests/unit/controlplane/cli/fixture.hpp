// A control plane made of canned answers on a unix socket of its own, and the command run against
// it: what it printed and its exit status. One command at a time.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cluster.grpc.pb.h"
#include "controlplane/cli/cli.hpp"
#include "sluice.grpc.pb.h"
#include "sluice/base/names.hpp"
#include "store.grpc.pb.h"

namespace sluice::cli {

inline std::string id_bytes(std::string_view name) {
  const Id id = id_of_name(name);
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

// Requests are kept as they came, answers are set by the test; `error` refuses everything.
struct FakeState {
  grpc::Status error;
  std::vector<std::string> requests;  // "Add agent: \"a/b/c/d\" ...", newest last

  api::StatusReply status;
  std::vector<api::StatsReply> stats;  // one after the other, the last one again and again
  api::DropsReply drops;
  std::vector<api::TraceReply> trace;
  api::ShowConfigReply config;
  api::CheckConfigReply check;
  api::ReloadConfigReply reload;
  std::vector<api::AgentPage> pages;
  api::Agent agent;
  api::ResolveReply resolved;
  api::TokenReply token;
  api::LookupRouteReply route;
  api::CountRoutesReply routes;
  std::vector<api::AdjacencyPage> adjacencies;
  api::ListPortsReply ports;
  api::ListNeighborsReply neighbors;
  api::Peer peer;
  api::ListPeersReply peers;
  api::ListTenantsReply tenants;
  api::ShowStoreReply store;
  std::vector<api::VerifyStoreReply> verified;
  std::vector<api::BackupStoreReply> backup;
  std::vector<api::CompactStoreReply> compacted;
  std::vector<api::MigrateStoreReply> migrated;
  std::vector<api::StoreUsageReply> usage;
  std::vector<api::ExportTenantReply> exported;
  std::vector<api::DeleteTenantReply> deleted;
  api::ListNodesReply nodes;
  api::ListKeysReply keys;
  api::StepKeyReply key_step;
  api::JoinTokenReply join_token;
  std::vector<api::ClusterEvent> cluster_events;
};

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

// Runs the command without any control plane, unless --socket names one. Standard output takes
// `writes` pieces, then gives that error.
struct Broken {
  int error = 0;
  int writes = 0;
};
Ran run_words(std::vector<std::string> words, bool terminal = false, Broken broken = {});
// With another configuration file as the default one.
Ran run_words_with(const std::string& default_config, std::vector<std::string> words);

class FakeControlPlane {
 public:
  FakeControlPlane();
  ~FakeControlPlane();
  FakeControlPlane(const FakeControlPlane&) = delete;
  FakeControlPlane& operator=(const FakeControlPlane&) = delete;

  FakeState& state() noexcept { return state_; }
  const std::string& socket() const noexcept { return socket_; }
  Ran run(std::vector<std::string> words, bool terminal = false) const;

 private:
  struct Services;

  FakeState state_;
  std::filesystem::path folder_;
  std::string socket_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
};

// A router with something of everything, for the golden texts.
void fill(FakeState& state);

}  // namespace sluice::cli
