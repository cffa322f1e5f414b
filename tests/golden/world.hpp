// The small world of golden tests: one router with four ports, hosts and agents on each, and the
// real pipeline of one worker over DPDK ring ports. Frames go in through receive(), everything that
// comes out is collected by where it came out. All buffers must be back in the pool when a World
// ends.
//
//   port 0  edge, untagged, guarded      10.0.0.1  fd00::1
//   port 1  edge, untagged, guarded      10.0.1.1  fd00:1::1
//   port 2  edge, VLAN 100, guarded      10.0.2.1  fd00:2::1
//   port 3  trunk, untagged              10.0.3.1  fd00:3::1   peer: host 1
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/pipeline/pipeline.hpp"
#include "dataplane/table/tables.hpp"
#include "tests/golden/packet.hpp"

struct rte_ring;
struct rte_mempool;

namespace sluice::golden {

inline constexpr unsigned kPorts = 4;
inline constexpr std::uint16_t kTrunk = 3;
inline constexpr std::uint16_t kTenant = 7;
inline constexpr std::uint16_t kTaggedVlan = 100;
inline constexpr std::uint64_t kNowNs = 1'700'000'000'000'000'000;
inline constexpr unsigned kTxRoom = 63;  // frames that a port takes before it is congested

// Where something came out: a port, or one of these.
enum : int { kHost = 100, kHold = 101, kControl = 102 };

struct Host {
  std::uint16_t port;
  Family family;
  std::uint8_t number;
};

struct Output {
  int where;
  Bytes bytes;
  friend bool operator==(const Output&, const Output&) = default;
};

class World {
 public:
  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Names and numbers.
  static Id agent_id(const Host& host);
  static std::uint16_t agent_port(const Host& host);
  static IpAddress router_address(std::uint16_t port, Family family);
  static IpAddress host_address(const Host& host);
  static MacAddress router_mac(std::uint16_t port);
  static MacAddress host_mac(const Host& host);
  static Id router_id();

  // A message from the agent on `from` as it arrives; to an id.
  static Packet message(const Host& from, const Id& to, std::size_t payload = 100);
  // The same message as it must leave towards the agent on `to`.
  static Packet forwarded(const Packet& arrived, const Host& to);
  static Packet forwarded(const Packet& arrived, const Host& to, std::uint16_t udp_port);
  // The frame turned around, as the router answers; the envelope is the caller's.
  static Packet turned(const Packet& arrived);

  // Tables. The adjacency of a host is made on first use, state up.
  std::uint32_t adjacency(const Host& host);
  void set_adjacency(const Host& host, AdjacencyState state, std::uint32_t backup = kNoIndex,
                     std::uint16_t mtu = 1500);
  void add_agent(const Host& host, std::uint16_t tenant = kTenant);
  void set_route(const Id& id, Action action);
  void add_group(const Id& capability, GroupPolicy policy, const std::vector<Host>& members);
  void erase_group(const Id& capability);  // its route stays
  // A base segment with these agents, in force; `known`: the hosts of its dictionary are.
  void commit_base(const std::vector<Host>& agents, bool known = true);
  void prune();  // what the delta has and the base says too
  void delete_route(const Id& id);
  dataplane::ForwardingState& state() { return *draft_; }
  void publish();  // what state() was changed to
  void without_routes();
  void trace(const Id& source, const Id& destination, std::uint32_t count);
  void set_port_up(std::uint16_t port, bool up);
  void fill_tx(std::uint16_t port);  // the port takes nothing more
  void empty_tx(std::uint16_t port);
  void fill_control();  // the ring to the control plane takes nothing more
  void empty_control();
  void sends_segments(bool yes);

  // Input.
  void receive(std::uint16_t port, const std::vector<Bytes>& frames);
  void receive_chained(std::uint16_t port, const Bytes& first, const Bytes& second);
  void receive_flagged(std::uint16_t port, const Bytes& frame, std::uint64_t ol_flags);
  void receive_without_headroom(std::uint16_t port, const Bytes& frame);
  void release(std::uint16_t port, const std::vector<Bytes>& frames);
  void exhaust_buffers();             // no copies can be made until the World ends
  void advance_ms(std::uint64_t ms);  // once
  dataplane::Pipeline& pipeline() { return *pipeline_; }
  // For tests that run whole workers: puts frames where a worker that polls the port finds them.
  void feed(std::uint16_t port, const std::vector<Bytes>& frames);
  rte_mbuf* make(std::uint16_t port, const Bytes& bytes);
  dataplane::Tables& tables() { return *tables_; }
  static const dataplane::PortTable& ports();
  static rte_mempool* pool();

  // Results since the last call, in order within each place; places in the order 0..3, host, hold,
  // control.
  std::vector<Output> outputs();
  std::vector<link::TraceRecord> records();
  // "0.frames=1 0.messages=1 ...": every counter that is not zero, bytes left out.
  std::string counters() const;
  // received == accounted for, summed over all ports.
  bool balanced() const;
  // Buffers that are not in the pool.
  unsigned missing_buffers() const;

 private:
  void connect();

  std::unique_ptr<dataplane::Tables> tables_;
  std::unique_ptr<dataplane::ForwardingState> draft_;
  std::unique_ptr<link::WorkerCounters> counters_;
  std::unique_ptr<dataplane::Pipeline> pipeline_;
  std::uint64_t now_tsc_;
  std::vector<rte_mbuf*> hoarded_;
};

}  // namespace sluice::golden
