#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "controlplane/api/convert.hpp"
#include "controlplane/api/services.hpp"
#include "sluice/base/names.hpp"

namespace sluice::controlplane {

namespace {

constexpr std::uint32_t kMaxTraceMessages = 10'000;
constexpr std::uint32_t kMaxTraceSeconds = 3600;

sluice::Status check_dataplane(const Subsystems& subsystems) {
  if (subsystems.link.status() != nullptr) return {};
  return fail(ErrorCode::kUnavailable,
              "no dataplane has been connected yet; is sluice-dataplane running?",
              ErrorOrigin::kDataplane, true);
}

Result<std::vector<bool>> wanted_ports(const Subsystems& subsystems,
                                       const std::vector<std::string>& names) {
  std::vector<bool> wanted(port_count(subsystems), names.empty());
  for (const auto& name : names) {
    const auto port = find_port(subsystems, name);
    if (!port) return std::unexpected(port.error());
    wanted[*port] = true;
  }
  return wanted;
}

// Empty: nil, which means any.
Result<Id> id_of_filter(const std::string& text) {
  if (text.empty()) return Id{};
  if (const auto id = parse_id(text)) return *id;
  if (auto ok = check_capability_name(text); !ok) return std::unexpected(ok.error());
  return id_of_name(text);
}

void fill_diagnostics(const std::vector<config::Diagnostic>& diagnostics,
                      google::protobuf::RepeatedPtrField<api::Diagnostic>& to) {
  for (const auto& diagnostic : diagnostics) {
    auto* out = to.Add();
    out->set_file(diagnostic.file);
    out->set_line(diagnostic.line);
    out->set_column(diagnostic.column);
    out->set_key(diagnostic.key);
    out->set_message(diagnostic.message);
    out->set_text(config::to_string(diagnostic));
  }
}

void fill_differences(const std::vector<config::Difference>& differences,
                      google::protobuf::RepeatedPtrField<api::ConfigDifference>& to) {
  for (const auto& difference : differences) {
    auto* out = to.Add();
    out->set_key(difference.key);
    out->set_live(difference.change == config::Change::kLive);
    out->set_restart(difference.restart);
  }
}

}  // namespace

grpc::Status RouterService::Status(grpc::ServerContext*, const api::StatusRequest*,
                                   api::StatusReply* reply) {
  control_.run([&] { fill_status(subsystems_, *reply); });
  return grpc::Status::OK;
}

grpc::Status RouterService::Stats(grpc::ServerContext*, const api::StatsRequest* request,
                                  api::StatsReply* reply) {
  const auto done = control_.run([&]() -> sluice::Status {
    if (auto ok = check_dataplane(subsystems_); !ok) return ok;
    const auto wanted =
        wanted_ports(subsystems_, {request->ports().begin(), request->ports().end()});
    if (!wanted) return std::unexpected(wanted.error());
    fill_stats(subsystems_, *wanted, *reply);
    return {};
  });
  return done ? grpc::Status::OK : to_grpc(done.error());
}

grpc::Status RouterService::ClearCounters(grpc::ServerContext*, const api::ClearCountersRequest*,
                                          api::ClearCountersReply*) {
  const auto done = control_.run([&] { return subsystems_.link.clear_counters(); });
  return done ? grpc::Status::OK : to_grpc(done.error());
}

grpc::Status RouterService::Drops(grpc::ServerContext*, const api::DropsRequest* request,
                                  api::DropsReply* reply) {
  const auto done = control_.run([&]() -> sluice::Status {
    if (auto ok = check_dataplane(subsystems_); !ok) return ok;
    std::vector<std::string> names;
    if (!request->port().empty()) names.push_back(request->port());
    const auto wanted = wanted_ports(subsystems_, names);
    if (!wanted) return std::unexpected(wanted.error());
    fill_drops(subsystems_, *wanted, *reply);
    return {};
  });
  return done ? grpc::Status::OK : to_grpc(done.error());
}

grpc::Status RouterService::Trace(grpc::ServerContext* context, const api::TraceRequest* request,
                                  grpc::ServerWriter<api::TraceReply>* writer) {
  using std::chrono::milliseconds;
  const auto source = id_of_filter(request->source());
  if (!source) return to_grpc(source.error());
  const auto destination = id_of_filter(request->destination());
  if (!destination) return to_grpc(destination.error());
  if (request->count() == 0 || request->count() > kMaxTraceMessages) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "count must be 1 to 10000"};
  }
  if (request->timeout_s() > kMaxTraceSeconds) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "timeout must be 1 to 3600 seconds"};
  }
  std::vector<std::string> names;
  const auto session = control_.run([&] {
    names = port_names(subsystems_);
    return subsystems_.traces.start(*source, *destination, request->count());
  });
  if (!session) return to_grpc(session.error());

  api::TraceReply reply;
  reply.mutable_started()->set_source(bytes_of(*source));
  reply.mutable_started()->set_destination(bytes_of(*destination));
  reply.mutable_started()->set_count(request->count());
  bool open = streams_.write(*context, *writer, reply);
  const auto seconds = request->timeout_s() == 0 ? 60 : request->timeout_s();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  int turns_after_end = 0;
  while (open && !(*session)->finished() && !context->IsCancelled() && !stopping_.load() &&
         std::chrono::steady_clock::now() < deadline && turns_after_end < 3) {
    const auto record = (*session)->next(milliseconds(100));
    if (!record) {
      turns_after_end += (*session)->complete() ? 1 : 0;
      continue;
    }
    fill_trace(*record, names, *reply.mutable_message());
    open = streams_.write(*context, *writer, reply);
    reply.Clear();
  }
  control_.run([&] { subsystems_.traces.stop(*session); });
  if ((*session)->cut_short()) {
    return {grpc::StatusCode::UNAVAILABLE, "the dataplane went away while tracing"};
  }
  return grpc::Status::OK;
}

grpc::Status RouterService::ShowConfig(grpc::ServerContext*, const api::ShowConfigRequest* request,
                                       api::ShowConfigReply* reply) {
  // Copied there, rendered here: it may be long.
  const auto config = control_.run([&] { return subsystems_.runtime.config(); });
  reply->set_text(request->json() ? config::show_json(config) : config::show_yaml(config));
  reply->set_file(subsystems_.runtime.config_file());
  return grpc::Status::OK;
}

grpc::Status RouterService::CheckConfig(grpc::ServerContext*,
                                        const api::CheckConfigRequest* request,
                                        api::CheckConfigReply* reply) {
  const std::string& file =
      request->file().empty() ? subsystems_.runtime.config_file() : request->file();
  const auto checked = config::check(file);
  reply->set_file(file);
  reply->set_ok(checked.ok());
  reply->set_more(checked.more);
  fill_diagnostics(checked.diagnostics, *reply->mutable_diagnostics());
  fill_diagnostics(checked.warnings, *reply->mutable_warnings());
  if (checked.ok()) {
    const auto in_effect = control_.run([&] { return subsystems_.runtime.config(); });
    fill_differences(config::diff(in_effect, checked.config), *reply->mutable_differences());
    reply->set_compared(true);
  }
  return grpc::Status::OK;
}

grpc::Status RouterService::ReloadConfig(grpc::ServerContext*, const api::ReloadConfigRequest*,
                                         api::ReloadConfigReply* reply) {
  const std::string& file = subsystems_.runtime.config_file();
  auto next = config::load(file);
  if (!next) return to_grpc(next.error());
  auto applied = control_.run([&] { return subsystems_.runtime.apply(std::move(*next)); });
  if (!applied) return to_grpc(applied.error());
  wait_applied(control_, subsystems_);
  // Too late to refuse it.
  if (auto durable = wait_durable(control_, subsystems_); !durable) {
    reply->set_not_recorded(durable.error().message());
  }
  fill_differences(*applied, *reply->mutable_applied());
  reply->set_file(file);
  return grpc::Status::OK;
}

}  // namespace sluice::controlplane
