// From "who is where" to what the dataplane shall do: follows the registry, the kernel's view of
// the neighbours and the state of the ports, and keeps routes, adjacencies, groups, peers and local
// addresses of the programmer in step. Messages only flow to resolved neighbours: a route to an
// address without a way is unreachable, a neighbour without a link address holds messages, one that
// is gone is down. Control thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/host/next_hop.hpp"
#include "controlplane/link/programmer.hpp"
#include "controlplane/registry/registry.hpp"

namespace sluice::controlplane {

struct IpAddressHash {
  std::size_t operator()(const IpAddress& ip) const noexcept {
    std::uint64_t high = load<std::uint64_t>(ip.bytes.data());
    const std::uint64_t low = load<std::uint64_t>(ip.bytes.data() + 8);
    high = (high ^ low) * 0x9e3779b97f4a7c15ULL;
    return high ^ (high >> 32);
  }
};

struct PeerInfo {
  std::string name;
  Endpoint address;
  bool configured = false;
  std::uint32_t hop = kNoIndex;
  std::uint32_t agents = 0;
};

// The way to one address that agents or a peer have.
struct Hop {
  IpAddress destination;
  NextHop next;
  AdjacencyKey key;                 // valid with a handle
  std::uint32_t handle = kNoIndex;  // of the adjacency; none without a way
  AdjacencyState state = AdjacencyState::kUnresolved;
  std::uint32_t agents = 0;
  std::uint32_t first = kNoIndex;  // slot of the first of them
  std::uint32_t peer = kNoIndex;   // number of the peer that lives there

  bool is_up() const noexcept { return handle != kNoIndex && state == AdjacencyState::kUp; }
  bool is_resolving() const noexcept {
    return handle != kNoIndex && state == AdjacencyState::kUnresolved;
  }
};

class Forwarding final : public RegistryListener, public NextHopListener {
 public:
  Forwarding(Registry& registry, Programmer& programmer, NextHops& next_hops);

  // VLAN of each port, 0: untagged; before anything else.
  void set_port_vlans(std::vector<std::uint16_t> vlans) { vlans_ = std::move(vlans); }
  void set_port_link(std::uint16_t port, bool up);
  // The router itself, and its groups that wait: call flush() when asked to, from the event loop.
  void on_dirty(std::function<void()> request_flush) { request_flush_ = std::move(request_flush); }
  void flush();

  // Null: peers that are not configured do not survive.
  void set_journal(RegistryJournal* journal) { journal_ = journal; }
  // Number of the new peer. kAlreadyExists, kInvalidArgument, kExhausted; kUnavailable when it is
  // not configured and the journal cannot keep it.
  Result<std::uint32_t> add_peer(const std::string& name, const Endpoint& address, bool configured);
  // Its agents must be gone from the registry.
  Status remove_peer(const std::string& name);
  std::uint32_t find_peer(std::string_view name) const;  // kNoIndex
  const PeerInfo& peer(std::uint32_t number) const { return peers_[number]; }
  std::vector<std::uint32_t> peers() const;  // in the order of names

  const Hop* hop_of(std::uint32_t slot) const;  // of an agent
  const Hop* hop_at(std::uint32_t number) const;
  std::uint32_t hops_end() const { return hops_.end(); }
  const Hop* hop_by_handle(std::uint32_t handle) const;
  bool is_available(std::uint32_t slot) const;
  // Whether the kernel has said how to reach an address, or nobody wants to know.
  bool is_decided(const IpAddress& destination) const;
  std::size_t available() const { return available_; }
  std::size_t unreachable() const { return unreachable_; }
  std::size_t groups() const { return groups_.size(); }
  std::span<const std::uint32_t> group_members(std::uint32_t capability) const;  // slots
  std::uint32_t hops_undecided() const { return undecided_; }  // the kernel has not answered yet
  // Adjacencies whose neighbour is being asked for. One that did not answer is down, not this.
  std::uint32_t hops_resolving() const { return resolving_; }
  std::size_t hops() const { return hop_by_address_.size(); }
  std::size_t memory_bytes() const;
  // Something could not be programmed; for people.
  void on_problem(std::function<void(const std::string&)> report) { report_ = std::move(report); }

  // RegistryListener
  void agent_added(std::uint32_t slot) override;
  void agent_moved(std::uint32_t slot) override;
  void agent_removed(std::uint32_t slot) override;
  void member_added(std::uint32_t capability, std::uint32_t slot) override;
  void member_removed(std::uint32_t capability, std::uint32_t slot) override;
  Status check_address(const IpAddress& address) const override;
  // NextHopListener
  void next_hop_changed(const IpAddress& destination, const NextHop& next_hop) override;
  void addresses_changed(std::uint16_t port, std::span<const InterfaceAddress> addresses) override;

 private:
  struct Attachment {  // of an agent to its hop; a doubly linked list in slots
    std::uint32_t hop = kNoIndex;
    std::uint32_t peer = kNoIndex;
    std::uint32_t next = kNoIndex;
    std::uint32_t previous = kNoIndex;
  };
  struct Group {
    std::vector<std::uint32_t> chosen;  // slots, at most kMaxGroupMembers
    bool dirty = false;
  };

  std::uint32_t acquire_hop(const IpAddress& destination);
  void release_hop(std::uint32_t number);
  void attach(std::uint32_t slot);
  void detach(std::uint32_t slot);
  void program_route(std::uint32_t slot);
  void program_routes(std::uint32_t hop);
  void settle(std::uint32_t hop);  // its next hop or port changed
  void account(const Hop& hop, int sign);
  AdjacencyState wanted_state(const Hop& hop) const;
  void touch_groups_of(std::uint32_t slot);
  void touch(std::uint32_t capability);
  void rebuild(std::uint32_t capability, Group& group);
  void drop_group(std::uint32_t capability);
  void problem(const Error& error);

  Registry& registry_;
  RegistryJournal* journal_ = nullptr;
  Programmer& programmer_;
  NextHops& next_hops_;
  std::vector<std::uint16_t> vlans_;
  std::vector<bool> port_down_;
  std::vector<std::vector<InterfaceAddress>> local_;  // by port
  std::deque<Attachment> attached_;                   // by slot; grows without moving what is there
  SlotArray<Hop> hops_;
  std::unordered_map<IpAddress, std::uint32_t, IpAddressHash> hop_by_address_;
  std::unordered_map<std::uint32_t, std::uint32_t> hop_by_handle_;
  SlotArray<PeerInfo> peers_;
  std::map<std::string, std::uint32_t, std::less<>> peer_by_name_;
  std::unordered_map<std::uint32_t, Group> groups_;  // by capability
  std::vector<std::uint32_t> dirty_;                 // capabilities
  std::function<void()> request_flush_;
  std::function<void(const std::string&)> report_;
  std::size_t available_ = 0;
  std::size_t unreachable_ = 0;
  std::uint32_t undecided_ = 0;
  std::uint32_t resolving_ = 0;
};

}  // namespace sluice::controlplane
