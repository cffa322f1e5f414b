// The state that the dataplane shall have, as the control plane wants it: hash key, router id,
// ports, tenants, adjacencies, groups, routes. The subsystems say what they want by natural key, at
// any time, connected or not; the programmer remembers it, streams differences while the link is
// ready and replays everything under a new epoch after each reconnection. Nothing is lost or
// refused when the command ring is full: what is not yet sent is a mark in the state itself.
// Used by the thread of the io_context only. About 36 bytes per route.
//
// Most routes may come from a base segment (sluice/index/base_segment.hpp) that the dataplane has
// beside them; then only the differences are sent. base() is that side of it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sluice/base/result.hpp"
#include "sluice/link/messages.hpp"

namespace sluice::controlplane {

// What an adjacency is found by; everything else about it may change while routes point to it.
struct AdjacencyKey {
  std::uint16_t port = 0;
  std::uint16_t vlan = 0;  // 0: untagged
  IpAddress destination;

  friend bool operator==(const AdjacencyKey&, const AdjacencyKey&) = default;
  friend auto operator<=>(const AdjacencyKey&, const AdjacencyKey&) = default;
};

struct AdjacencyValue {
  IpAddress source;  // same family as the destination
  MacAddress mac{};  // of the next hop; ignored while unresolved
  AdjacencyState state = AdjacencyState::kUnresolved;
  std::uint16_t mtu = 0;            // 0: the port's
  std::uint32_t backup = kNoIndex;  // handle of another adjacency

  friend bool operator==(const AdjacencyValue&, const AdjacencyValue&) = default;
};

struct GroupMemberSpec {
  Id id;
  std::uint32_t adjacency = kNoIndex;  // handle
  std::uint16_t udp_port = 0;
  std::uint16_t tenant = 0;
  std::uint16_t weight = 1;  // 1 .. 1000

  friend bool operator==(const GroupMemberSpec&, const GroupMemberSpec&) = default;
};

struct TenantSpec {
  std::uint64_t rate_per_second = 0;  // 0: no limit
  std::uint32_t burst = 0;
  std::vector<std::uint16_t> allowed;  // destination tenants besides itself

  friend bool operator==(const TenantSpec&, const TenantSpec&) = default;
};

// What a route does. `handle` is of an adjacency or a group, by kind.
struct RouteSpec {
  ActionKind kind = ActionKind::kUnreachable;
  std::uint32_t handle = kNoIndex;
  std::uint16_t udp_port = 0;
  std::uint16_t tenant = 0;

  friend bool operator==(const RouteSpec&, const RouteSpec&) = default;
};

// Where commands go; the link's ring in the product.
class CommandWriter {
 public:
  virtual ~CommandWriter() = default;
  // How many of the n it took; fewer when it is full.
  virtual std::uint32_t write(const link::Command* commands, std::uint32_t n) = 0;
};

// The side of the programmer that the link drives.
class Feed {
 public:
  virtual ~Feed() = default;
  // A new connection: everything is to be sent again under `epoch`.
  virtual void start_replay(std::uint8_t epoch) = 0;
  virtual void stop() = 0;  // the connection is gone: only remember
  // What refers to tables is to be sent once more: of some of it there was no room.
  virtual void resend() = 0;
  // Writes at most `budget` commands. True when something is left that could be sent now.
  virtual bool pump(CommandWriter& writer, std::uint32_t budget, std::uint64_t now_ns) = 0;
  virtual bool replaying() const = 0;         // kEndSync of this connection not written yet
  virtual std::uint64_t waiting() const = 0;  // commands not yet written, about
  // Grows with each change; everything up to a mark is written when written_mark() has reached it.
  virtual std::uint64_t mark() = 0;
  virtual std::uint64_t written_mark() const = 0;
  // Monotonic time from which a sweep is to be written by pump, or nothing.
  virtual std::optional<std::uint64_t> sweep_due_ns() const = 0;
  // Called after a change when nothing was waiting before.
  virtual void on_dirty(std::function<void()> callback) = 0;
};

class RouteBase;

class Programmer {
 public:
  Programmer();
  ~Programmer();
  Programmer(const Programmer&) = delete;
  Programmer& operator=(const Programmer&) = delete;

  void set_hash_key(const std::array<std::uint8_t, 16>& key);
  void set_router_id(const Id& id);
  void set_settings(const link::Settings& settings);
  void set_port(std::uint16_t port, bool source_guard);
  Status add_local_address(std::uint16_t port, const IpAddress& address);
  void remove_local_address(std::uint16_t port, const IpAddress& address);
  Status add_peer(const IpAddress& address);
  void remove_peer(const IpAddress& address);
  Status set_tenant(std::uint16_t tenant, const TenantSpec& spec);
  void delete_tenant(std::uint16_t tenant);

  // The handle stays the same for as long as the key is known. kExhausted when all are taken.
  Result<std::uint32_t> set_adjacency(const AdjacencyKey& key, const AdjacencyValue& value);
  void set_adjacency_state(std::uint32_t handle, AdjacencyState state);
  // It goes down at once, and away when the last route, group or backup has left it; setting it
  // again before that revives it.
  void delete_adjacency(const AdjacencyKey& key);
  std::optional<std::uint32_t> find_adjacency(const AdjacencyKey& key) const;
  std::uint32_t adjacency_count() const;

  // Replaces the whole definition. At most kMaxGroupMembers.
  Result<std::uint32_t> set_group(const Id& capability, GroupPolicy policy,
                                  std::span<const GroupMemberSpec> members);
  void delete_group(const Id& capability);
  std::optional<std::uint32_t> find_group(const Id& capability) const;

  // kInvalidArgument when the handle is not one that this programmer gave out.
  Status set_route(const Id& id, const RouteSpec& spec);
  void delete_route(const Id& id);
  std::optional<RouteSpec> find_route(const Id& id) const;
  std::size_t route_count() const;
  std::size_t route_memory_bytes() const;

  // No sweep before that time (monotonic ns): a control plane that restarted keeps routes of agents
  // that registered in-band until they had time to confirm. 0: with the end of each sync.
  void sweep_after(std::uint64_t deadline_ns);

  Feed& feed();
  RouteBase& base() { return *base_; }

 private:
  friend class RouteBase;
  struct State;
  std::unique_ptr<State> state_;
  std::unique_ptr<RouteBase> base_;
};

}  // namespace sluice::controlplane
