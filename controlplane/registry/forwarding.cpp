#include "controlplane/registry/forwarding.hpp"

#include <algorithm>

namespace sluice::controlplane {

Forwarding::Forwarding(Registry& registry, Programmer& programmer, NextHops& next_hops)
    : registry_(registry), programmer_(programmer), next_hops_(next_hops) {}

// ---- agents ------------------------------------------------------------------------------------

void Forwarding::agent_added(std::uint32_t slot) {
  attach(slot);
  program_route(slot);
}

void Forwarding::agent_moved(std::uint32_t slot) {
  // The new address is taken before the old one is left, so that one they share stays.
  const std::uint32_t before = attached_[slot].hop;
  ++hops_[before].agents;
  detach(slot);
  attach(slot);
  program_route(slot);
  --hops_[before].agents;
  release_hop(before);
  touch_groups_of(slot);
}

void Forwarding::agent_removed(std::uint32_t slot) {
  const Id id = registry_.at(slot).id;
  const std::uint32_t hop = attached_[slot].hop;
  detach(slot);
  if (hop != kNoIndex) release_hop(hop);
  programmer_.delete_route(id);
  // A capability may have the same name, and gets its route back.
  if (const auto capability = registry_.capabilities().find(id); capability != kNoIndex) {
    touch(capability);
  }
}

void Forwarding::attach(std::uint32_t slot) {
  const Agent& agent = registry_.at(slot);
  if (attached_.size() <= slot) attached_.resize(slot + std::size_t{1});
  std::uint32_t number = kNoIndex;
  if (agent.peer != kNoIndex) {
    number = peers_[agent.peer].hop;
    ++peers_[agent.peer].agents;
  } else {
    number = acquire_hop(agent.endpoint.address);
  }
  Hop& hop = hops_[number];
  account(hop, -1);
  ++hop.agents;
  account(hop, +1);
  attached_[slot] = {number, agent.peer, hop.first, kNoIndex};
  if (hop.first != kNoIndex) attached_[hop.first].previous = slot;
  hop.first = slot;
}

void Forwarding::detach(std::uint32_t slot) {
  const Attachment at = std::exchange(attached_[slot], {});
  if (at.hop == kNoIndex) return;
  Hop& hop = hops_[at.hop];
  if (at.previous != kNoIndex) attached_[at.previous].next = at.next;
  if (at.next != kNoIndex) attached_[at.next].previous = at.previous;
  if (hop.first == slot) hop.first = at.next;
  account(hop, -1);
  --hop.agents;
  account(hop, +1);
  if (at.peer != kNoIndex) --peers_[at.peer].agents;
}

// The counts of agents by reachability follow every change of a hop: out before, in after.
void Forwarding::account(const Hop& hop, int sign) {
  const auto delta = static_cast<std::size_t>(static_cast<std::int64_t>(hop.agents) * sign);
  if (hop.is_up()) available_ += delta;
  if (hop.next.state == NextHop::State::kNoRoute) unreachable_ += delta;
  if (hop.is_resolving()) resolving_ += static_cast<std::uint32_t>(sign);
}

void Forwarding::program_route(std::uint32_t slot) {
  const Agent& agent = registry_.at(slot);
  const Hop& hop = hops_[attached_[slot].hop];
  RouteSpec spec;
  spec.tenant = agent.tenant;
  if (hop.handle != kNoIndex) {
    spec.kind = ActionKind::kAdjacency;
    spec.handle = hop.handle;
    spec.udp_port = agent.peer != kNoIndex ? peers_[agent.peer].address.port : agent.endpoint.port;
  } else if (hop.next.state == NextHop::State::kUnknown) {
    // Until the kernel has answered: what an earlier control plane programmed stays, messages to a
    // new agent wait in the hold queue.
    programmer_.delete_route(agent.id);
    return;
  }
  if (auto ok = programmer_.set_route(agent.id, spec); !ok) problem(ok.error());
}

void Forwarding::program_routes(std::uint32_t number) {
  for (std::uint32_t slot = hops_[number].first; slot != kNoIndex; slot = attached_[slot].next)
    program_route(slot);
}

const Hop* Forwarding::hop_of(std::uint32_t slot) const {
  if (slot >= attached_.size() || attached_[slot].hop == kNoIndex) return nullptr;
  return &hops_[attached_[slot].hop];
}

const Hop* Forwarding::hop_at(std::uint32_t number) const {
  const Hop& hop = hops_[number];
  return hop.destination.is_unspecified() ? nullptr : &hop;
}

const Hop* Forwarding::hop_by_handle(std::uint32_t handle) const {
  const auto at = hop_by_handle_.find(handle);
  return at == hop_by_handle_.end() ? nullptr : &hops_[at->second];
}

bool Forwarding::is_decided(const IpAddress& destination) const {
  const auto at = hop_by_address_.find(destination);
  return at == hop_by_address_.end() || hops_[at->second].next.state != NextHop::State::kUnknown;
}

bool Forwarding::is_available(std::uint32_t slot) const {
  const Hop* hop = hop_of(slot);
  return hop != nullptr && hop->is_up();
}

// ---- next hops and adjacencies -----------------------------------------------------------------

std::uint32_t Forwarding::acquire_hop(const IpAddress& destination) {
  const auto [at, fresh] = hop_by_address_.try_emplace(destination, 0);
  if (!fresh) return at->second;
  const std::uint32_t number = hops_.allocate();
  hops_[number].destination = destination;
  at->second = number;
  ++undecided_;
  next_hops_.watch(destination);
  return number;
}

void Forwarding::release_hop(std::uint32_t number) {
  const Hop& hop = hops_[number];
  if (hop.agents > 0 || hop.peer != kNoIndex) return;
  if (hop.next.state == NextHop::State::kUnknown) --undecided_;
  account(hop, -1);
  if (hop.handle != kNoIndex) {
    hop_by_handle_.erase(hop.handle);
    programmer_.delete_adjacency(hop.key);
  }
  next_hops_.unwatch(hop.destination);
  hop_by_address_.erase(hop.destination);
  hops_.release(number);
}

void Forwarding::next_hop_changed(const IpAddress& destination, const NextHop& next_hop) {
  const auto at = hop_by_address_.find(destination);
  if (at == hop_by_address_.end()) return;
  Hop& hop = hops_[at->second];
  const bool first_answer = hop.next.state == NextHop::State::kUnknown;
  if (first_answer) --undecided_;
  account(hop, -1);
  hop.next = next_hop;
  if (next_hop.state == NextHop::State::kUnknown) ++undecided_;
  settle(at->second);
  account(hops_[at->second], +1);
  if (!first_answer) return;
  for (std::uint32_t slot = hop.first; slot != kNoIndex; slot = attached_[slot].next)
    touch_groups_of(slot);  // which waited for it, whatever it is
}

void Forwarding::set_port_link(std::uint16_t port, bool up) {
  if (port_down_.size() <= port) port_down_.resize(port + 1u);
  if (port_down_[port] == !up) return;
  port_down_[port] = !up;
  for (std::uint32_t number = 0; number < hops_.end(); ++number) {
    Hop& hop = hops_[number];
    if (hop.handle == kNoIndex || hop.key.port != port) continue;
    account(hop, -1);
    settle(number);
    account(hop, +1);
  }
}

AdjacencyState Forwarding::wanted_state(const Hop& hop) const {
  if (hop.next.port < port_down_.size() && port_down_[hop.next.port]) return AdjacencyState::kDown;
  switch (hop.next.state) {
    case NextHop::State::kUp:
      return AdjacencyState::kUp;
    case NextHop::State::kFailed:
      return AdjacencyState::kDown;
    default:
      return AdjacencyState::kUnresolved;
  }
}

void Forwarding::settle(std::uint32_t number) {
  Hop& hop = hops_[number];
  const bool way = hop.next.state >= NextHop::State::kResolving && hop.next.port < vlans_.size();
  const bool was_up = hop.is_up();
  const std::uint32_t before = hop.handle;
  const AdjacencyKey old_key = hop.key;
  hop.handle = kNoIndex;
  if (way) {
    hop.key = {hop.next.port, vlans_[hop.next.port], hop.destination};
    hop.state = wanted_state(hop);
    const auto handle = programmer_.set_adjacency(
        hop.key, {.source = hop.next.source, .mac = hop.next.mac, .state = hop.state});
    if (handle) {
      hop.handle = *handle;
    } else {
      problem(handle.error());
    }
  }
  if (hop.handle != before) {
    if (before != kNoIndex) hop_by_handle_.erase(before);
    if (hop.handle != kNoIndex) hop_by_handle_[hop.handle] = number;
  }
  // Every agent's route changes only when the adjacency is another one; else this was all.
  if (hop.handle != before || hop.handle == kNoIndex) program_routes(number);
  if (before != kNoIndex && hop.handle != before) programmer_.delete_adjacency(old_key);
  if (hop.handle == before && hop.is_up() == was_up) return;
  for (std::uint32_t slot = hop.first; slot != kNoIndex; slot = attached_[slot].next)
    touch_groups_of(slot);
}

void Forwarding::addresses_changed(std::uint16_t port,
                                   std::span<const InterfaceAddress> addresses) {
  if (local_.size() <= port) local_.resize(port + 1u);
  auto& known = local_[port];
  std::vector<InterfaceAddress> wanted(addresses.begin(), addresses.end());
  const auto has = [](const std::vector<InterfaceAddress>& in, const IpAddress& address) {
    return std::ranges::find(in, address, &InterfaceAddress::address) != in.end();
  };
  for (const auto& [address, length] : known) {
    if (!has(wanted, address)) programmer_.remove_local_address(port, address);
  }
  for (const auto& [address, length] : wanted) {
    if (has(known, address)) continue;
    if (auto ok = programmer_.add_local_address(port, address); !ok) problem(ok.error());
  }
  known = std::move(wanted);
}

Status Forwarding::check_address(const IpAddress& address) const {
  const auto refuse = [&](std::string_view what) {
    return fail(ErrorCode::kInvalidArgument, to_string(address) + " is " + std::string(what) +
                                                 "; no agent or router can be reached there");
  };
  if (const auto why = why_no_host(address); !why.empty()) return refuse(why);
  for (const auto& port : local_) {
    for (const auto& own : port) {
      if (own.address == address) return refuse("this router's own address");
      if (is_broadcast_of(address, own.address, own.prefix_length)) {
        return refuse("the broadcast address of a network of this router");
      }
    }
  }
  return {};
}

// ---- peers -------------------------------------------------------------------------------------

Result<std::uint32_t> Forwarding::add_peer(const std::string& name, const Endpoint& address,
                                           bool configured) {
  if (name.empty() || address.port == 0) {
    return fail(ErrorCode::kInvalidArgument, "a peer needs a name and an address");
  }
  if (!configured) {  // else the loader has looked
    if (auto ok = check_address(address.address); !ok) return std::unexpected(ok.error());
  }
  if (find_peer(name) != kNoIndex) {
    return fail(ErrorCode::kAlreadyExists, "peer '" + name + "' is there already");
  }
  for (const auto& [other, number] : peer_by_name_) {
    if (peers_[number].address.address == address.address) {
      return fail(ErrorCode::kAlreadyExists, "peer '" + other + "' has the address " +
                                                 to_string(address.address) + " already");
    }
  }
  const bool kept = journal_ != nullptr && !configured;
  if (kept) {
    if (auto ok = journal_->ready(); !ok) return std::unexpected(ok.error());
  }
  if (auto ok = programmer_.add_peer(address.address); !ok) return std::unexpected(ok.error());
  const std::uint32_t number = peers_.allocate();
  const std::uint32_t hop = acquire_hop(address.address);
  hops_[hop].peer = number;
  peers_[number] = {name, address, configured, hop, 0};
  peer_by_name_.emplace(name, number);
  if (kept) journal_->peer_changed(name);
  return number;
}

Status Forwarding::remove_peer(const std::string& name) {
  const std::uint32_t number = find_peer(name);
  if (number == kNoIndex) return fail(ErrorCode::kNotFound, "no peer '" + name + "'");
  if (peers_[number].agents > 0) {
    return fail(ErrorCode::kInvalidArgument, "peer '" + name + "' still has agents");
  }
  programmer_.remove_peer(peers_[number].address.address);
  const std::uint32_t hop = peers_[number].hop;
  hops_[hop].peer = kNoIndex;
  release_hop(hop);
  peer_by_name_.erase(name);
  if (journal_ != nullptr && !peers_[number].configured) journal_->peer_changed(name);
  peers_.release(number);
  return {};
}

std::uint32_t Forwarding::find_peer(std::string_view name) const {
  const auto at = peer_by_name_.find(name);
  return at == peer_by_name_.end() ? kNoIndex : at->second;
}

std::vector<std::uint32_t> Forwarding::peers() const {
  std::vector<std::uint32_t> numbers;
  for (const auto& [name, number] : peer_by_name_)
    numbers.push_back(number);
  return numbers;
}

std::size_t Forwarding::memory_bytes() const {
  constexpr std::size_t kNodeBytes = 64;
  return attached_.size() * sizeof(Attachment) + hops_.memory_bytes() +
         (hop_by_address_.size() + hop_by_handle_.size()) * kNodeBytes;
}

void Forwarding::problem(const Error& error) {
  if (report_) report_(error.message());
}

}  // namespace sluice::controlplane
