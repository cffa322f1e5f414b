#include "controlplane/api/server.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include "controlplane/api/cluster_service.hpp"
#include "controlplane/api/services.hpp"
#include "controlplane/api/store_service.hpp"

namespace sluice::controlplane {

namespace {

constexpr int kMaxThreads = 32;
constexpr std::chrono::seconds kClientTakes{30};
constexpr mode_t kSocketMode = 0660;
constexpr int kMaxRequestBytes = 1 << 20;

Result<gid_t> find_group(const std::string& name) {
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  const int error = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return entry.gr_gid;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("api.group: there is no group '{}'{}", name,
                          error != 0 ? fmt::format(" ({})", std::strerror(error)) : ""),
              ErrorOrigin::kConfig);
}

Status open_to_group(const ApiOptions& options) {
  if (!options.group.empty()) {
    const auto gid = find_group(options.group);
    if (!gid) return std::unexpected(gid.error());
    if (::chown(options.socket.c_str(), static_cast<uid_t>(-1), *gid) != 0) {
      return fail(ErrorCode::kPermissionDenied,
                  fmt::format("giving {} to group '{}': {}", options.socket, options.group,
                              std::strerror(errno)));
    }
  }
  if (::chmod(options.socket.c_str(), kSocketMode) != 0) {
    return fail(ErrorCode::kPermissionDenied,
                fmt::format("setting the mode of {}: {}", options.socket, std::strerror(errno)));
  }
  return {};
}

}  // namespace

struct ApiServer::Impl {
  Impl(asio::io_context& io, const Subsystems& subsystems)
      : control(io),
        router(control, subsystems, streams, stopping),
        agents(control, subsystems, streams),
        forwarding(control, subsystems, streams),
        cluster(control, subsystems, streams, stopping),
        store(control, subsystems, streams, stopping) {}

  std::atomic<bool> stopping{false};
  ControlThread control;
  StreamWatch streams{kClientTakes};
  RouterService router;
  AgentsService agents;
  ForwardingService forwarding;
  ClusterService cluster;
  StoreService store;
  std::string socket;
  std::unique_ptr<grpc::Server> server;
};

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiServer::~ApiServer() {
  shutdown();
}

Result<std::unique_ptr<ApiServer>> ApiServer::create(const ApiOptions& options,
                                                     asio::io_context& control,
                                                     const Subsystems& subsystems) {
  if (options.socket.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("api.socket '{}' is longer than a socket's path may be ({} bytes)",
                            options.socket, sizeof(sockaddr_un::sun_path) - 1),
                ErrorOrigin::kConfig);
  }
  auto impl = std::make_unique<Impl>(control, subsystems);
  impl->socket = options.socket;
  grpc::ResourceQuota quota("sluice-api");
  quota.SetMaxThreads(kMaxThreads);
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.AddListeningPort("unix:" + options.socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&impl->router);
  builder.RegisterService(&impl->agents);
  builder.RegisterService(&impl->forwarding);
  builder.RegisterService(&impl->cluster);
  builder.RegisterService(&impl->store);
  // The socket is born closed to everybody else, and opened when its group is right.
  const mode_t before = ::umask(0177);
  impl->server = builder.BuildAndStart();
  ::umask(before);
  if (impl->server == nullptr) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("listening on {} failed: does its folder exist, and may this process "
                            "write there?",
                            options.socket));
  }
  if (auto ok = open_to_group(options); !ok) {
    impl->server->Shutdown();
    return std::unexpected(ok.error());
  }
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

void ApiServer::shutdown() {
  if (impl_->server == nullptr) return;
  impl_->stopping.store(true);
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  impl_->server->Wait();
  impl_->server.reset();
}

}  // namespace sluice::controlplane
