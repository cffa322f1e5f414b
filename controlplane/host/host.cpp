#include "controlplane/host/host.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sluice/base/clock.hpp"

namespace sluice::controlplane {

namespace {
constexpr std::uint64_t kUpkeepPeriodNs = kNsPerSecond;
// After an interface came or went: the others and their addresses follow within this time.
constexpr std::uint64_t kSettleNs = 2 * kNsPerSecond;
// Between two lookups of everything, so that a routing daemon that loads a table costs little.
constexpr std::uint64_t kLookupPeriodNs = 200 * kNsPerMs;
}  // namespace

Host::Host(Kernel& kernel, std::vector<HostPort> ports) : kernel_(kernel), ports_(ports.size()) {
  for (std::size_t i = 0; i < ports.size(); ++i) {
    ports_[i].interface = std::move(ports[i].interface);
    ports_[i].wanted = {ports[i].addresses.begin(), ports[i].addresses.end()};
  }
}

// ---- interfaces and addresses ------------------------------------------------------------------

std::uint16_t Host::port_of(std::uint32_t ifindex) const {
  const auto at = port_by_ifindex_.find(ifindex);
  return at == port_by_ifindex_.end() ? kNoPort : at->second;
}

bool Host::complete(const Port& port) {
  return port.ifindex != 0 && port.up && std::ranges::includes(port.present, port.wanted);
}

bool Host::ready() const {
  if (std::ranges::all_of(ports_, complete)) return true;
  // What has not come by then will not come soon: the rest goes on without it.
  return !port_by_ifindex_.empty() && now_ns_ >= settled_ns_;
}

void Host::link_seen(const LinkFact& link) {
  const auto known = port_of(link.ifindex);
  if (known != kNoPort && ports_[known].interface != link.name) link_gone(link.ifindex);  // renamed
  const auto at = std::ranges::find(ports_, link.name, &Port::interface);
  if (at == ports_.end()) return;
  const auto number = static_cast<std::uint16_t>(at - ports_.begin());
  Port& port = *at;
  port.seen = true;
  if (port.ifindex != link.ifindex) {
    if (port.ifindex != 0) link_gone(port.ifindex);
    port.ifindex = link.ifindex;
    port.seen = true;
    port.up = false;
    port_by_ifindex_[link.ifindex] = number;
    settled_ns_ = now_ns_ + kSettleNs;
    log(fmt::format("event=host_interface_appeared interface={} ifindex={}", link.name,
                    link.ifindex));
    if (!link.up) kernel_.set_up(link.ifindex);
    configure(number);
  }
  if (port.up != link.up) {
    port.up = link.up;
    settled_ns_ = now_ns_ + kSettleNs;
    lookup_due_ = true;
  }
}

void Host::link_gone(std::uint32_t ifindex) {
  const auto number = port_of(ifindex);
  if (number == kNoPort) return;
  Port& port = ports_[number];
  log(fmt::format("event=host_interface_gone interface={} ifindex={}", port.interface, ifindex),
      true);
  port_by_ifindex_.erase(ifindex);
  settled_ns_ = now_ns_ + kSettleNs;
  port.ifindex = 0;
  port.up = false;
  port.present.clear();
  // Its neighbours are gone from the kernel without a word each; their addresses stay in use.
  for (auto& [key, neighbor] : neighbors_) {
    if (key.port == number) neighbor.state = NeighborState::kNone;
  }
}

void Host::configure(std::uint16_t number) {
  Port& port = ports_[number];
  if (port.ifindex == 0) return;
  for (const auto& address : port.wanted) {
    if (!port.present.contains(address)) kernel_.add_address(port.ifindex, address);
  }
}

void Host::set_addresses(std::uint16_t number, std::vector<InterfaceAddress> addresses) {
  Port& port = ports_[number];
  const std::set<InterfaceAddress> wanted(addresses.begin(), addresses.end());
  for (const auto& address : port.wanted) {
    if (!wanted.contains(address) && port.present.contains(address)) {
      kernel_.remove_address(port.ifindex, address);
    }
  }
  port.wanted = wanted;
  configure(number);
}

void Host::address_seen(const AddressFact& fact) {
  const auto number = port_of(fact.ifindex);
  if (number == kNoPort) return;
  ports_[number].seen_addresses.insert(fact.address);
  if (!ports_[number].present.insert(fact.address).second) return;
  announce_addresses(number);
}

void Host::address_gone(const AddressFact& fact) {
  const auto number = port_of(fact.ifindex);
  if (number == kNoPort || ports_[number].present.erase(fact.address) == 0) return;
  announce_addresses(number);
}

// Told by tick() when they are all there, so that nobody sees them come one by one.
void Host::announce_addresses(std::uint16_t number) {
  lookup_due_ = true;
  ports_[number].announce = true;
}

// ---- destinations ------------------------------------------------------------------------------

void Host::watch(const IpAddress& destination) {
  const auto [at, fresh] = watches_.try_emplace(destination);
  if (fresh) look_up(destination, at->second);
}

void Host::unwatch(const IpAddress& destination) {
  const auto at = watches_.find(destination);
  if (at == watches_.end()) return;
  leave(at->second);
  watches_.erase(at);
}

void Host::look_up(const IpAddress& destination, Watch& watch) {
  if (watch.looking) {
    watch.again = true;
    return;
  }
  watch.looking = true;
  kernel_.find_route(destination);
}

void Host::route_found(const IpAddress& destination, const RouteFact& route) {
  const auto at = watches_.find(destination);
  if (at == watches_.end() || !at->second.looking) return;
  Watch& watch = at->second;
  watch.looking = false;
  if (std::exchange(watch.again, false)) {
    look_up(destination, watch);
    return;
  }
  const auto port = port_of(route.ifindex);
  std::optional<IpAddress> source = route.source;
  if (port != kNoPort && !source) {
    for (const auto& own : ports_[port].present) {
      if (own.address.family() == destination.family()) source = own.address;
    }
  }
  if (port == kNoPort || !route.unicast || !source || source->family() != destination.family()) {
    // While interfaces are away every answer is this one; the next lookup comes when they are back.
    lookup_due_ = lookup_due_ || !ready();
    if (!ready()) return;
    leave(watch);
    evaluate(destination, watch);
    return;
  }
  watch.source = *source;
  join(destination, watch, {port, route.gateway.value_or(destination)});
  evaluate(destination, watch);
}

void Host::join(const IpAddress& destination, Watch& watch, const NeighborKey& key) {
  if (watch.neighbor == key) return;
  leave(watch);
  watch.neighbor = key;
  Neighbor& neighbor = neighbors_[key];
  watch.position = static_cast<std::uint32_t>(neighbor.users.size());
  neighbor.users.push_back(destination);
  if (!neighbor.has_mac || neighbor.state == NeighborState::kNone) ask(key, neighbor, kNsPerSecond);
}

void Host::leave(Watch& watch) {
  if (watch.neighbor.port == kNoPort) return;
  const auto at = neighbors_.find(watch.neighbor);
  watch.neighbor = {};
  Neighbor& neighbor = at->second;
  neighbor.users[watch.position] = neighbor.users.back();
  neighbor.users.pop_back();
  if (watch.position < neighbor.users.size()) {
    watches_.find(neighbor.users[watch.position])->second.position = watch.position;
  }
  if (neighbor.users.empty() && neighbor.state == NeighborState::kNone) neighbors_.erase(at);
}

void Host::evaluate(const IpAddress& destination, Watch& watch) {
  NextHop next;
  if (watch.neighbor.port == kNoPort) {
    next.state = NextHop::State::kNoRoute;
  } else {
    const Neighbor& neighbor = neighbors_.find(watch.neighbor)->second;
    next.state = neighbor.failed    ? NextHop::State::kFailed
                 : neighbor.has_mac ? NextHop::State::kUp
                                    : NextHop::State::kResolving;
    next.port = watch.neighbor.port;
    next.mac = neighbor.mac;
    next.via = watch.neighbor.address;
    next.source = watch.source;
  }
  if (next == watch.told) return;
  watch.told = next;
  if (listener_ != nullptr) listener_->next_hop_changed(destination, next);
}

void Host::evaluate_users(const NeighborKey& key) {
  // A copy: a listener may watch and unwatch meanwhile.
  const auto users = neighbors_[key].users;
  for (const auto& destination : users) {
    const auto at = watches_.find(destination);
    if (at != watches_.end() && at->second.neighbor == key) evaluate(destination, at->second);
  }
}

// ---- neighbours --------------------------------------------------------------------------------

void Host::neighbor_seen(const NeighborFact& fact) {
  const auto port = port_of(fact.ifindex);
  if (port == kNoPort) return;
  const NeighborKey key{port, fact.address};
  Neighbor& neighbor = neighbors_[key];
  neighbor.seen = true;
  neighbor.state = fact.state;
  if (fact.state == NeighborState::kNoArp) return;  // multicast and the like
  const bool before_failed = neighbor.failed;
  const bool before_mac = neighbor.has_mac;
  const MacAddress before = neighbor.mac;
  if (fact.state == NeighborState::kFailed) {
    if (!neighbor.failed) neighbor.attempts = 0;
    neighbor.failed = true;
    const auto pause = std::min<std::uint64_t>(2ULL << std::min(neighbor.attempts, 4u), 30);
    neighbor.ask_after_ns = now_ns_ + pause * kNsPerSecond;
    ++neighbor.attempts;
  } else if (fact.mac && fact.state != NeighborState::kIncomplete) {
    neighbor.failed = false;
    neighbor.attempts = 0;
    neighbor.has_mac = true;
    neighbor.mac = *fact.mac;
  }
  const bool changed =
      neighbor.failed != before_failed || neighbor.has_mac != before_mac || neighbor.mac != before;
  if (neighbor.users.empty() || !changed) return;
  log_neighbor(key, neighbor, before_failed, before_mac ? std::optional(before) : std::nullopt);
  evaluate_users(key);
}

// A host that dies takes one line; a switch that dies takes a few, with the number of the others.
void Host::log_neighbor(const NeighborKey& key, const Neighbor& neighbor, bool was_failed,
                        const std::optional<MacAddress>& before) {
  if (!neighbor_logs_.allow(now_ns_)) return;
  const auto refused = neighbor_logs_.take_refused();
  const auto where =
      fmt::format("interface={} address={} destinations={}{}", ports_[key.port].interface,
                  to_string(key.address), neighbor.users.size(),
                  refused > 0 ? fmt::format(" suppressed={}", refused) : "");
  if (neighbor.failed) {
    log("event=neighbor_failed " + where, true);
  } else if (!before || was_failed) {
    log(fmt::format("event=neighbor_resolved mac={} {}", sluice::to_string(neighbor.mac), where));
  } else {
    log(fmt::format("event=neighbor_mac_changed from={} to={} {}", sluice::to_string(*before),
                    sluice::to_string(neighbor.mac), where));
  }
}

void Host::neighbor_gone(const NeighborFact& fact) {
  const auto port = port_of(fact.ifindex);
  if (port == kNoPort) return;
  const auto at = neighbors_.find({port, fact.address});
  if (at == neighbors_.end()) return;
  at->second.state = NeighborState::kNone;
  if (at->second.users.empty()) {
    neighbors_.erase(at);
    return;
  }
  // The kernel tidies up what it does not see used: it stays in use and is asked for again.
  if (!at->second.failed) ask(at->first, at->second, kNsPerSecond);
}

void Host::for_each_neighbor(const std::function<void(const NeighborView&)>& visit) const {
  for (const auto& [key, neighbor] : neighbors_) {
    visit({key.port, key.address, neighbor.state, neighbor.has_mac && !neighbor.failed,
           neighbor.mac, neighbor.users.size()});
  }
}

void Host::ask(const NeighborKey& key, Neighbor& neighbor, std::uint64_t again_after_ns) {
  if (ports_[key.port].ifindex == 0 || !asks_.allow(now_ns_)) return;
  neighbor.ask_after_ns = now_ns_ + again_after_ns;
  kernel_.ask_neighbor(ports_[key.port].ifindex, key.address);
}

void Host::keep_fresh(const NeighborKey& key, Neighbor& neighbor) {
  if (neighbor.users.empty() || now_ns_ < neighbor.ask_after_ns) return;
  const bool asleep =
      neighbor.state == NeighborState::kNone || neighbor.state == NeighborState::kStale;
  if (neighbor.failed || !neighbor.has_mac || asleep) ask(key, neighbor, 2 * kNsPerSecond);
}

// ---- dumps and time ----------------------------------------------------------------------------

void Host::dump_begins(Dump what) {
  switch (what) {
    case Dump::kLinks:
      for (auto& port : ports_)
        port.seen = false;
      break;
    case Dump::kAddresses:
      for (auto& port : ports_)
        port.seen_addresses.clear();
      break;
    case Dump::kNeighbors:
      for (auto& [key, neighbor] : neighbors_)
        neighbor.seen = false;
      break;
  }
}

void Host::dump_ends(Dump what) {
  dumped_ |= static_cast<std::uint8_t>(1u << static_cast<unsigned>(what));
  if (what == Dump::kLinks) {
    for (auto& port : ports_) {
      if (port.ifindex != 0 && !port.seen) link_gone(port.ifindex);
    }
  } else if (what == Dump::kAddresses) {
    for (std::uint16_t number = 0; number < ports_.size(); ++number) {
      auto& port = ports_[number];
      if (port.present == port.seen_addresses) continue;
      port.present = port.seen_addresses;
      announce_addresses(number);
    }
  } else {
    for (auto at = neighbors_.begin(); at != neighbors_.end();) {
      auto& neighbor = at->second;
      if (!neighbor.seen) neighbor.state = NeighborState::kNone;
      at = neighbor.seen || !neighbor.users.empty() ? std::next(at) : neighbors_.erase(at);
    }
  }
  lookup_due_ = true;
}

void Host::request_failed(const std::string& what, int error) {
  if (error == ENODEV || !failure_logs_.allow(now_ns_)) return;  // the interface has just gone
  const auto refused = failure_logs_.take_refused();
  // ip-sysctl: the table of neighbours is full.
  const auto* remedy = error == ENOBUFS && what == "ask-neighbor"
                           ? " remedy=\"raise net.ipv4.neigh.default.gc_thresh3 and ipv6's\""
                           : "";
  log(fmt::format("event=kernel_refused request=\"{}\" error=\"{}\"{}{}", what,
                  std::strerror(error), remedy,
                  refused > 0 ? fmt::format(" suppressed={}", refused) : ""),
      true);
}

void Host::tick(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  for (std::uint16_t number = 0; number < ports_.size(); ++number) {
    Port& port = ports_[number];
    if (!port.announce || port.ifindex == 0) continue;
    if (!complete(port) && now_ns < settled_ns_) continue;
    port.announce = false;
    const std::vector<InterfaceAddress> all(port.present.begin(), port.present.end());
    if (listener_ != nullptr) listener_->addresses_changed(number, all);
  }
  if (lookup_due_ && now_ns >= next_lookup_ns_ && dumped() && ready()) {
    lookup_due_ = false;
    next_lookup_ns_ = now_ns + kLookupPeriodNs;
    for (auto& [destination, watch] : watches_)
      look_up(destination, watch);
  }
  if (now_ns < next_upkeep_ns_) return;
  next_upkeep_ns_ = now_ns + kUpkeepPeriodNs;
  for (auto& [key, neighbor] : neighbors_)
    keep_fresh(key, neighbor);
}

}  // namespace sluice::controlplane
