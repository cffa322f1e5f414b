// The insides of the applier, shared by its files: applier.cpp (turn, bookkeeping, dispatch),
// apply_tables.cpp (routes, adjacencies, groups), apply_small.cpp (everything else). Manager
// thread only.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "dataplane/apply/applier.hpp"
#include "dataplane/apply/base_intake.hpp"
#include "dataplane/apply/small_state.hpp"
#include "dataplane/apply/token_bucket.hpp"
#include "dataplane/table/tables.hpp"
#include "sluice/base/clock.hpp"
#include "sluice/base/rate_limit.hpp"

namespace sluice::dataplane {

struct Applier::State {
  using Refusal = std::optional<link::RefusedReason>;

  Tables& tables;
  const PortTable& ports;
  link::StatusSegment& status;
  EventSender& events;
  ApplyObserver& observer;

  // The connection.
  link::Region* region = nullptr;
  std::optional<link::RingConsumer<link::Command, link::CommandRing::capacity>> commands;
  std::array<link::Command, RouteTable::kMaxBurst> burst{};  // private copies
  std::uint64_t sequence = 0;                                // of the command at hand, from 1
  bool begun = false;                                        // this connection has sent kBeginSync
  bool ended = false;                                        // and kEndSync
  std::vector<std::uint32_t> adjacency_slots;  // by handle of this epoch; kNoIndex: not set
  std::vector<std::uint32_t> group_slots;

  // The tables' own.
  std::uint8_t epoch = 0;
  SmallState published = SmallState::initial();  // what the workers' snapshot was made of
  SmallState wanted = SmallState::initial();
  bool small_dirty = false;
  bool adjacencies_dirty = false;
  unsigned sweep_passes = 0;  // left to do
  bool sweep_broken_off = false;
  std::size_t swept = 0;
  RateLimit full_reports{1, 10 * kNsPerSecond};
  TokenBucket refusal_events{32, 32};
  BaseIntake base;

  // Routes of this burst that are checked but not in the table yet.
  struct RouteBurst {
    unsigned n = 0;
    std::array<Id, RouteTable::kMaxBurst> ids;
    std::array<Action, RouteTable::kMaxBurst> actions;
    std::array<std::uint64_t, RouteTable::kMaxBurst> sequences;
  } pending;

  // The group that is being defined.
  struct GroupDraft {
    bool open = false;
    std::uint32_t handle = 0;
    Id capability;
    GroupPolicy policy = GroupPolicy::kRoundRobin;
    std::uint16_t expected = 0;
    std::vector<GroupMember> members;
  } draft;

  State(Tables& t, const PortTable& p, link::StatusSegment& s, EventSender& e, ApplyObserver& o)
      : tables(t), ports(p), status(s), events(e), observer(o), base(t, s, e) {}

  void apply(const link::Command& command);
  Refusal dispatch(const link::Command& command);
  void refuse(const link::Command& command, link::RefusedReason reason);
  void refuse(std::uint64_t at, link::CommandKind kind, link::RefusedReason reason,
              std::uint32_t handle, const Id& id);
  void table_full();
  void count_event(link::EventKind kind, std::uint64_t count);
  void maintain();
  void publish_small();

  // apply_tables.cpp
  Refusal add_route(const link::RouteSet& body);
  void flush_routes();
  Refusal delete_route(const link::RouteDelete& body);
  Refusal set_adjacency(const link::AdjacencySet& body);
  Refusal set_adjacency_state(const link::AdjacencyStateSet& body);
  Refusal delete_adjacency(std::uint32_t handle);
  Refusal begin_group(const link::GroupBegin& body);
  Refusal add_member(const link::GroupMember& body);
  Refusal commit_group(std::uint32_t handle);
  Refusal delete_group(std::uint32_t handle);
  Refusal add_to_base(const link::BaseAdjacency& body);
  Refusal commit_base(const link::BaseRef& body);
  std::uint32_t adjacency_slot(std::uint32_t handle) const;  // kNoIndex: not a valid handle
  std::uint32_t group_slot(std::uint32_t handle) const;

  // apply_small.cpp
  Refusal begin_sync(std::uint8_t new_epoch);
  Refusal end_sync();
  Refusal start_sweep();
  Refusal set_hash_key(const std::array<std::uint8_t, 16>& bytes);
  Refusal set_local_address(const link::LocalAddress& body);
  Refusal set_peer(const link::PeerAddress& body);
  Refusal set_tenant(const link::TenantSet& body);
  Refusal allow_tenant(const link::TenantAllow& body);
  void clear_counters();
  Refusal start_trace(const link::TraceStart& body);
};

}  // namespace sluice::dataplane
