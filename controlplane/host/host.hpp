// The host side of the router: which kernel interface belongs to which port, the addresses there,
// and the next hop and link address for every destination that is watched. Configured addresses are
// put on a host interface whenever it appears. What is in use is kept fresh, because the kernel
// does not see the traffic; what does not answer is asked again, ever more rarely. While the host
// interfaces are away (they live and die with the dataplane) the last known ways stay as they are,
// so that a restarted dataplane forwards at once. Control thread only; no clock of its own: tick()
// brings the time.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/host/kernel.hpp"
#include "controlplane/host/next_hop.hpp"
#include "sluice/base/rate_limit.hpp"

namespace sluice::controlplane {

struct HostPort {
  std::string interface;
  std::vector<InterfaceAddress> addresses;  // configured
};

class Host final : public NextHops, public KernelListener {
 public:
  Host(Kernel& kernel, std::vector<HostPort> ports);

  void set_listener(NextHopListener& listener) { listener_ = &listener; }
  // Something worth a line in the log: event=... key=value, true for a warning.
  void on_log(std::function<void(const std::string&, bool warn)> log) { log_ = std::move(log); }
  void set_addresses(std::uint16_t port, std::vector<InterfaceAddress> addresses);
  void tick(std::uint64_t now_ns);

  // Everything the kernel has was read once.
  bool dumped() const { return dumped_ == kAllDumps; }
  // All host interfaces are there, up, and have their addresses; or the rest keeps us waiting.
  bool ready() const;
  std::uint32_t ifindex(std::uint16_t port) const { return ports_[port].ifindex; }
  const std::set<InterfaceAddress>& addresses(std::uint16_t port) const {
    return ports_[port].present;
  }

  struct NeighborView {
    std::uint16_t port;
    IpAddress address;
    NeighborState state;
    bool has_mac;
    MacAddress mac;
    std::size_t users;  // destinations reached by it
  };
  void for_each_neighbor(const std::function<void(const NeighborView&)>& visit) const;

  // NextHops
  void watch(const IpAddress& destination) override;
  void unwatch(const IpAddress& destination) override;
  // KernelListener
  void link_seen(const LinkFact& link) override;
  void link_gone(std::uint32_t ifindex) override;
  void address_seen(const AddressFact& fact) override;
  void address_gone(const AddressFact& fact) override;
  void neighbor_seen(const NeighborFact& fact) override;
  void neighbor_gone(const NeighborFact& fact) override;
  void routes_changed() override { lookup_due_ = true; }
  void route_found(const IpAddress& destination, const RouteFact& route) override;
  void dump_begins(Dump what) override;
  void dump_ends(Dump what) override;
  void request_failed(const std::string& what, int error) override;

 private:
  static constexpr std::uint8_t kAllDumps = 7;
  static constexpr std::uint16_t kNoPort = 0xffff;

  struct Port {
    std::string interface;
    std::set<InterfaceAddress> wanted;
    std::set<InterfaceAddress> present;
    std::uint32_t ifindex = 0;  // 0: not there
    bool up = false;
    bool seen = false;      // in the dump that runs
    bool announce = false;  // the listener has not been told the addresses
    std::set<InterfaceAddress> seen_addresses;
  };
  struct NeighborKey {
    std::uint16_t port = kNoPort;
    IpAddress address;
    friend bool operator==(const NeighborKey&, const NeighborKey&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const NeighborKey& key) const noexcept {
      return AddressHash{}(key.address) * 31 + key.port;
    }
  };
  struct AddressHash {
    std::size_t operator()(const IpAddress& ip) const noexcept {
      const auto mixed =
          (load<std::uint64_t>(ip.bytes.data()) ^ load<std::uint64_t>(ip.bytes.data() + 8)) *
          0x9e3779b97f4a7c15ULL;
      return mixed ^ (mixed >> 32);
    }
  };
  struct Neighbor {
    NeighborState state = NeighborState::kNone;
    MacAddress mac{};
    bool has_mac = false;  // now or at some time: used until the kernel says that it failed
    bool failed = false;
    bool seen = false;           // in the dump that runs
    std::uint32_t attempts = 0;  // since it failed
    std::uint64_t ask_after_ns = 0;
    std::vector<IpAddress> users;
  };
  struct Watch {
    NextHop told;  // to the listener
    NeighborKey neighbor;
    IpAddress source;
    std::uint32_t position = 0;  // in the neighbour's users
    bool looking = false;        // the kernel was asked for the route
    bool again = false;          // and something changed since
  };

  static bool complete(const Port& port);
  std::uint16_t port_of(std::uint32_t ifindex) const;
  void configure(std::uint16_t port);
  void announce_addresses(std::uint16_t port);
  void look_up(const IpAddress& destination, Watch& watch);
  void join(const IpAddress& destination, Watch& watch, const NeighborKey& key);
  void leave(Watch& watch);
  void evaluate(const IpAddress& destination, Watch& watch);
  void evaluate_users(const NeighborKey& key);
  void keep_fresh(const NeighborKey& key, Neighbor& neighbor);
  void ask(const NeighborKey& key, Neighbor& neighbor, std::uint64_t again_after_ns);
  void log_neighbor(const NeighborKey& key, const Neighbor& neighbor, bool was_failed,
                    const std::optional<MacAddress>& before);
  void log(const std::string& line, bool warn = false) {
    if (log_) log_(line, warn);
  }

  Kernel& kernel_;
  NextHopListener* listener_ = nullptr;
  std::function<void(const std::string&, bool)> log_;
  std::vector<Port> ports_;
  std::unordered_map<std::uint32_t, std::uint16_t> port_by_ifindex_;
  std::unordered_map<NeighborKey, Neighbor, KeyHash> neighbors_;
  std::unordered_map<IpAddress, Watch, AddressHash> watches_;
  RateLimit neighbor_logs_{20, 200'000'000};
  RateLimit failure_logs_{10, 1'000'000'000};
  RateLimit asks_{1000, 1'000'000};  // 1000 at once, then one each millisecond
  std::uint8_t dumped_ = 0;          // bits by Dump
  bool lookup_due_ = false;
  std::uint64_t now_ns_ = 0;
  std::uint64_t settled_ns_ = 0;
  std::uint64_t next_upkeep_ns_ = 0;
  std::uint64_t next_lookup_ns_ = 0;
};

}  // namespace sluice::controlplane
