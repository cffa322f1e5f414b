// Valid commands of every kind, for tests to apply or to spoil. Plain values: each call makes a new
// one with all unused bytes zero.
#pragma once

#include <vector>

#include "sluice/link/messages.hpp"

namespace sluice::testing {

inline constexpr std::uint8_t kEpoch = 1;

inline Id some_id(std::uint32_t n) {
  Id id;
  store(id.bytes.data(), n);
  id.bytes[15] = 7;
  return id;
}

inline link::Command command(link::CommandKind kind, std::uint8_t epoch = kEpoch) {
  link::Command made{};
  made.header.kind = kind;
  made.header.epoch = epoch;
  return made;
}

inline link::Command adjacency_set(std::uint32_t handle, std::uint32_t host,
                                   std::uint8_t epoch = kEpoch,
                                   AdjacencyState state = AdjacencyState::kUp) {
  auto made = command(link::CommandKind::kAdjacencySet, epoch);
  auto& body = made.body.adjacency_set;
  body.handle = handle;
  body.port = 1;
  body.state = state;
  body.family = Family::kIpv4;
  body.mac = {2, 0, 0, 0, 0, 9};
  body.backup = kNoIndex;
  store(body.source.data(), Big32(0x0a000001u));
  store(body.destination.data(), Big32(0x0a000100u + host));
  return made;
}

inline link::Command route_set(const Id& id, std::uint32_t handle, std::uint8_t epoch = kEpoch,
                               ActionKind kind = ActionKind::kAdjacency) {
  auto made = command(link::CommandKind::kRouteSet, epoch);
  made.body.route_set = {
      .id = id, .kind = kind, .reserved = 0, .tenant = 3, .handle = handle, .udp_port = 9000};
  return made;
}

inline link::Command hash_key(std::uint8_t epoch = kEpoch) {
  auto made = command(link::CommandKind::kHashKey, epoch);
  made.body.hash_key = {1, 2, 3};
  return made;
}

inline link::Command valid(link::CommandKind kind) {
  using link::CommandKind;
  auto made = command(kind);
  auto& body = made.body;
  switch (kind) {
    case CommandKind::kHashKey:
      return hash_key();
    case CommandKind::kRouterId:
      body.router_id = some_id(1);
      break;
    case CommandKind::kRouteSet:
      return route_set(some_id(2), 0);
    case CommandKind::kRouteDelete:
      body.route_delete.id = some_id(2);
      break;
    case CommandKind::kAdjacencySet:
      return adjacency_set(0, 1);
    case CommandKind::kAdjacencyState:
      body.adjacency_state = {.handle = 0, .state = AdjacencyState::kDown};
      break;
    case CommandKind::kGroupBegin:
      body.group_begin = {
          .capability = some_id(3), .handle = 0, .members = 1, .policy = GroupPolicy::kRoundRobin};
      break;
    case CommandKind::kGroupMember:
      body.group_member = {.id = some_id(4),
                           .group = 0,
                           .adjacency = 0,
                           .position = 0,
                           .udp_port = 9000,
                           .tenant = 0,
                           .weight = 1};
      break;
    case CommandKind::kLocalAddress:
      body.local_address = {.address = IpAddress::v4(Big32(0x0a000001u)), .port = 1, .present = 1};
      break;
    case CommandKind::kPeerAddress:
      body.peer_address = {.address = IpAddress::v4(Big32(0x0a000002u)), .present = 1};
      break;
    case CommandKind::kTenantSet:
      body.tenant_set = {.tenant = 5, .reserved = 0, .burst = 10, .rate_per_second = 100};
      break;
    case CommandKind::kTenantAllow:
      body.tenant_allow = {.tenant = 5, .destination = 6, .present = 1};
      break;
    case CommandKind::kTenantDelete:
      body.tenant.tenant = 5;
      break;
    case CommandKind::kPortSettings:
      body.port_settings = {.port = 1, .source_guard = 1};
      break;
    case CommandKind::kSettings:
      body.settings.hold_per_id = 8;
      body.settings.hold_total = 1000;
      body.settings.hold_ms = 500;
      body.settings.message_port = 7600;
      break;
    case CommandKind::kTraceStart:
      body.trace_start = {.source = {}, .destination = {}, .count = 5, .token = 77};
      break;
    case CommandKind::kBaseBegin:
      body.base_begin = {.segment = {1, 2}, .entries = 10, .dictionary = 2, .number = 1};
      break;
    case CommandKind::kBaseAdjacency:
      body.base_adjacency = {.position = 0, .handle = 0};
      break;
    case CommandKind::kBaseCommit:
      body.base.segment = {1, 2};
      break;
    default:
      break;
  }
  return made;
}

inline std::vector<link::Command> one_of_each_kind() {
  std::vector<link::Command> all;
  for (std::uint8_t kind = 1; kind <= link::kMaxCommandKind; ++kind)
    all.push_back(valid(static_cast<link::CommandKind>(kind)));
  return all;
}

}  // namespace sluice::testing
