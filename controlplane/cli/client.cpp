#include "controlplane/cli/client.hpp"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "cluster.grpc.pb.h"
#include "controlplane/cli/text.hpp"
#include "sluice.grpc.pb.h"
#include "store.grpc.pb.h"

namespace sluice::cli {
namespace {

ErrorCode code_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::INVALID_ARGUMENT:
      return ErrorCode::kInvalidArgument;
    case grpc::NOT_FOUND:
      return ErrorCode::kNotFound;
    case grpc::ALREADY_EXISTS:
      return ErrorCode::kAlreadyExists;
    case grpc::PERMISSION_DENIED:
    case grpc::UNAUTHENTICATED:
      return ErrorCode::kPermissionDenied;
    case grpc::RESOURCE_EXHAUSTED:
      return ErrorCode::kExhausted;
    case grpc::DEADLINE_EXCEEDED:
      return ErrorCode::kTimeout;
    case grpc::UNAVAILABLE:
    case grpc::FAILED_PRECONDITION:
    case grpc::ABORTED:
    case grpc::CANCELLED:
      return ErrorCode::kUnavailable;
    case grpc::UNIMPLEMENTED:
      return ErrorCode::kUnsupported;
    default:
      return ErrorCode::kInternal;
  }
}

Error no_answer(const std::string& socket, std::chrono::nanoseconds timeout) {
  return {ErrorCode::kTimeout,
          fmt::format("the control plane at {} did not answer within {}; --timeout sets how long "
                      "to wait",
                      socket, duration_text(static_cast<std::uint64_t>(timeout.count()))),
          ErrorOrigin::kPeer};
}

// Whether it became clear in time how the connection goes: the other side has spoken, or it failed,
// which the call that follows says better.
bool settled(grpc::Channel& channel, std::chrono::nanoseconds timeout) {
  const auto deadline = std::chrono::system_clock::now() + timeout;
  for (auto state = channel.GetState(true);
       state == GRPC_CHANNEL_IDLE || state == GRPC_CHANNEL_CONNECTING;
       state = channel.GetState(true)) {
    if (!channel.WaitForStateChange(state, deadline)) return false;
  }
  return true;
}

Error error_of(const grpc::Status& status, const std::string& socket,
               std::chrono::nanoseconds timeout) {
  const auto code = code_of(status.error_code());
  std::string text = printable_lines(status.error_message());
  if (status.error_code() == grpc::UNAVAILABLE) {
    // Of the transport or of the control plane itself? Ask the socket.
    if (auto ok = check_socket(socket); !ok) return ok.error();
  }
  if (code == ErrorCode::kTimeout) return no_answer(socket, timeout);
  if (code == ErrorCode::kUnsupported) {
    text = fmt::format(
        "the control plane at {} does not know this request; it is older than this "
        "command",
        socket);
  } else if (text.empty()) {
    text = "the control plane refused without saying why";
  }
  return {code, text, ErrorOrigin::kPeer, code == ErrorCode::kUnavailable};
}

}  // namespace

struct Client::Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : Router(api::Router::NewStub(channel)),
        Agents(api::Agents::NewStub(channel)),
        Forwarding(api::Forwarding::NewStub(channel)),
        Cluster(api::Cluster::NewStub(channel)),
        Store(api::Store::NewStub(channel)) {}

  // Named as the services are, for the list of calls.
  std::unique_ptr<api::Router::Stub> Router;
  std::unique_ptr<api::Agents::Stub> Agents;
  std::unique_ptr<api::Forwarding::Stub> Forwarding;
  std::unique_ptr<api::Cluster::Stub> Cluster;
  std::unique_ptr<api::Store::Stub> Store;
};

Client::Client(std::string socket, std::chrono::nanoseconds timeout)
    : socket_(std::move(socket)), connect_timeout_(timeout), timeout_(timeout) {}
Client::~Client() = default;

Status Client::connect() {
  if (stubs_) return {};
  if (auto ok = check_socket(socket_); !ok) return ok;
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  const auto channel =
      grpc::CreateCustomChannel("unix:" + socket_, grpc::InsecureChannelCredentials(), arguments);
  // Streams may be silent for long: one that nobody serves must not look like that.
  if (!settled(*channel, connect_timeout_)) {
    return std::unexpected(no_answer(socket_, connect_timeout_));
  }
  stubs_ = std::make_unique<Stubs>(channel);
  return {};
}

#define SLUICE_X(service, method, request, reply)                                  \
  Result<api::reply> Client::call(const api::request& asked) {                     \
    if (auto ok = connect(); !ok) return std::unexpected(ok.error());              \
    grpc::ClientContext context;                                                   \
    context.set_deadline(std::chrono::system_clock::now() + timeout_);             \
    api::reply answer;                                                             \
    const grpc::Status status = stubs_->service->method(&context, asked, &answer); \
    if (!status.ok()) return std::unexpected(error_of(status, socket_, timeout_)); \
    return answer;                                                                 \
  }
SLUICE_API_CALLS(SLUICE_X)
#undef SLUICE_X

#define SLUICE_X(service, method, request, reply)                                          \
  Status Client::call(const api::request& asked,                                           \
                      const std::function<bool(const api::reply&)>& each) {                \
    if (auto ok = connect(); !ok) return ok;                                               \
    grpc::ClientContext context;                                                           \
    context.set_deadline(std::chrono::system_clock::now() + timeout_);                     \
    const auto stream = stubs_->service->method(&context, asked);                          \
    api::reply answer;                                                                     \
    bool more = true;                                                                      \
    while (more && stream->Read(&answer))                                                  \
      more = each(answer);                                                                 \
    if (!more) context.TryCancel();                                                        \
    const grpc::Status status = stream->Finish();                                          \
    if (!status.ok() && more) return std::unexpected(error_of(status, socket_, timeout_)); \
    return {};                                                                             \
  }
SLUICE_API_STREAMS(SLUICE_X)
#undef SLUICE_X

}  // namespace sluice::cli
