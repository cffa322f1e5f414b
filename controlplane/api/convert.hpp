// Between the values of the subsystems and the messages of the API. Control thread, because it
// reads the subsystems; except where it says otherwise.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "controlplane/api/subsystems.hpp"
#include "sluice.pb.h"

namespace sluice::controlplane {

namespace proto = sluice::api;

// Any thread.
grpc::Status to_grpc(const Error& error);
std::string bytes_of(const Id& id);
template <std::size_t N>
std::string text_of(const std::array<char, N>& chars) {
  return {chars.data(), ::strnlen(chars.data(), N)};
}
inline constexpr int kMaxFrameBytes = 192;
void fill_trace(const link::TraceRecord& record, const std::vector<std::string>& ports,
                proto::TraceMessage& to);

std::string port_name(const Subsystems& subsystems, std::uint32_t port);
std::vector<std::string> port_names(const Subsystems& subsystems);
// kNotFound names those there are.
Result<std::uint32_t> find_port(const Subsystems& subsystems, const std::string& name);

void fill_agent(const Subsystems& subsystems, std::uint32_t slot, proto::Agent& to);
void fill_adjacency(const Subsystems& subsystems, const Hop& hop, proto::Adjacency& to);
void fill_peer(const Subsystems& subsystems, std::uint32_t number, proto::Peer& to);
void fill_port(const Subsystems& subsystems, std::uint32_t port, proto::Port& to);
void fill_status(const Subsystems& subsystems, proto::StatusReply& to);
void fill_stats(const Subsystems& subsystems, const std::vector<bool>& wanted,
                proto::StatsReply& to);
void fill_drops(const Subsystems& subsystems, const std::vector<bool>& wanted,
                proto::DropsReply& to);
// Ports of the dataplane, or of the configuration while there is none.
std::uint32_t port_count(const Subsystems& subsystems);

}  // namespace sluice::controlplane
